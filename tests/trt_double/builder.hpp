// IBuilder and what it makes: configurations, profiles, timing caches, plans.
#pragma once
#include "compile.hpp"
#include "network.hpp"

#include <functional>
#include <optional>

namespace trtdouble {

class HostMemory final : public IHostMemory, public stub::VHostMemory, Counted {
public:
    explicit HostMemory(std::string bytes) : bytes_(std::move(bytes)) { mImpl = this; }
    void* data() const noexcept override { return const_cast<char*>(bytes_.data()); }
    std::size_t size() const noexcept override { return bytes_.size(); }
    DataType type() const noexcept override { return DataType::kINT8; }

private:
    std::string bytes_;
};

class TimingCache final : public ITimingCache, public stub::VTimingCache, Counted {
public:
    explicit TimingCache(std::set<std::string> known) : keys(std::move(known)) { mImpl = this; }
    IHostMemory* serialize() const noexcept override;
    bool combine(ITimingCache const& other, bool ignoreMismatch) noexcept override;
    bool reset() noexcept override;
    static std::optional<std::set<std::string>> read(void const* blob, size_t size);

    std::set<std::string> keys; // one a kind of layer
};

class Profile final : public IOptimizationProfile, public stub::VOptimizationProfile, Counted {
public:
    Profile() { mImpl = this; }
    bool setDimensions(char const* input, OptProfileSelector select, DimsArgument dims) noexcept override;
    Dims getDimensions(char const* input, OptProfileSelector select) const noexcept override;
    int32_t getNbShapeValues(char const*) const noexcept override { return -1; }
    bool setExtraMemoryTarget(float target) noexcept override { return target >= 0 && target <= 1; }
    float getExtraMemoryTarget() const noexcept override { return 0; }
    bool isValid() const noexcept override;
    std::vector<ProfileShape> shapes() const;

private:
    std::map<std::string, std::map<OptProfileSelector, std::vector<int64_t>>> dims_;
};

class Config final : public IBuilderConfig, public stub::VBuilderConfig, Counted {
public:
    explicit Config(Voice voice);

    void setFlags(BuilderFlags flags) noexcept override { flags_ = flags; }
    BuilderFlags getFlags() const noexcept override { return flags_; }
    void setFlag(BuilderFlag flag) noexcept override { flags_ |= 1u << static_cast<int>(flag); }
    void clearFlag(BuilderFlag flag) noexcept override { flags_ &= ~(1u << static_cast<int>(flag)); }
    bool getFlag(BuilderFlag flag) const noexcept override { return flags_ >> static_cast<int>(flag) & 1; }
    int32_t addOptimizationProfile(IOptimizationProfile const* profile) noexcept override;
    int32_t getNbOptimizationProfiles() const noexcept override { return static_cast<int32_t>(profiles.size()); }
    void setProfilingVerbosity(ProfilingVerbosity wanted) noexcept override { verbosity = wanted; }
    ProfilingVerbosity getProfilingVerbosity() const noexcept override { return verbosity; }
    ITimingCache* createTimingCache(void const* blob, std::size_t size) const noexcept override;
    bool setTimingCache(ITimingCache const& given, bool ignoreMismatch) noexcept override;
    ITimingCache const* getTimingCache() const noexcept override { return cache; }
    void setMemoryPoolLimit(MemoryPoolType pool, std::size_t size) noexcept override { pools[pool] = size; }
    std::size_t getMemoryPoolLimit(MemoryPoolType pool) const noexcept override;
    void setBuilderOptimizationLevel(int32_t wanted) noexcept override { level = wanted; }
    int32_t getBuilderOptimizationLevel() const noexcept override { return level; }
    void setProgressMonitor(IProgressMonitor* given) noexcept override { monitor = given; }
    IProgressMonitor* getProgressMonitor() const noexcept override { return monitor; }
    void setAvgTimingIterations(int32_t n) noexcept override { iterations_ = n; }
    int32_t getAvgTimingIterations() const noexcept override { return iterations_; }
    void setProfileStream(cudaStream_t const stream) noexcept override { stream_ = stream; }
    cudaStream_t getProfileStream() const noexcept override { return stream_; }
    bool setTacticSources(TacticSources sources) noexcept override { sources_ = sources; return true; }
    TacticSources getTacticSources() const noexcept override { return sources_; }
    void setPreviewFeature(PreviewFeature, bool) noexcept override {}
    void setHardwareCompatibilityLevel(HardwareCompatibilityLevel) noexcept override {}
#if NV_TENSORRT_MAJOR >= 11
    bool setMaxAuxStreams(int32_t) noexcept override { return true; }
    bool setBuildRoute(char const* given) noexcept override;
    char const* getBuildRoute() const noexcept override { return route.c_str(); }
    char const* getAllBuildRoutes() const noexcept override { return routes_.c_str(); }
#else
    void setMaxAuxStreams(int32_t) noexcept override {}
#endif

    ProfilingVerbosity verbosity = ProfilingVerbosity::kLAYER_NAMES_ONLY;
    std::vector<Profile const*> profiles; // the builder owns them
    std::map<MemoryPoolType, size_t> pools;
    TimingCache* cache = nullptr; // the caller's, or own_cache_
    IProgressMonitor* monitor = nullptr;
    int32_t level = 3;
    std::string route;
    std::unique_ptr<TimingCache> own_cache;

private:
    Voice voice_;
    BuilderFlags flags_ = 1u << static_cast<int>(BuilderFlag::kTF32);
    int32_t iterations_ = 1;
    cudaStream_t stream_ = nullptr;
    TacticSources sources_ = 0;
    std::set<std::string> knobs_;
    std::string routes_;
};

class Builder final : public IBuilder, public stub::VBuilder, Counted {
public:
    explicit Builder(ILogger* logger);
    ~Builder() noexcept override { voice_.record_to(nullptr); }

    IBuilderConfig* createBuilderConfig() noexcept override { return new Config(voice_); }
    INetworkDefinition* createNetworkV2(NetworkDefinitionCreationFlags flags) noexcept override;
    IOptimizationProfile* createOptimizationProfile() noexcept override;
    IHostMemory* buildSerializedNetwork(INetworkDefinition& network, IBuilderConfig& config) noexcept override;
    bool isNetworkSupported(INetworkDefinition const&, IBuilderConfig const&) const noexcept override { return true; }
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice_.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice_.recorder; }
    ILogger* getLogger() const noexcept override { return voice_.logger; }
    bool setMaxThreads(int32_t threads) noexcept override { threads_ = threads; return threads > 0; }
    int32_t getMaxThreads() const noexcept override { return threads_; }
    int32_t getMaxDLABatchSize() const noexcept override { return 0; }
    int32_t getNbDLACores() const noexcept override { return 0; }
    void reset() noexcept override { profiles_.clear(); }
#if NV_TENSORRT_MAJOR < 11
    bool platformHasFastFp16() const noexcept override { return true; }
    bool platformHasFastInt8() const noexcept override { return true; }
    bool platformHasTf32() const noexcept override { return true; }
#endif

private:
    Voice voice_;
    int32_t threads_ = 1;
    std::vector<std::unique_ptr<Profile>> profiles_;
};

// What stands between a network and its plan.
std::string why_not(Network const& network, Config const& config); // empty: nothing
bool wait_with_progress(IProgressMonitor* monitor, double seconds, size_t layers); // false: told to stop
uint64_t use_cache(Config& config, Plan const& plan); // hits

// The line for LAYERDIFF_DOUBLE_LOG.
void log_build(Network const& network, Config const& config, std::string const& result, uint64_t cache_hits, double seconds);

} // namespace trtdouble
