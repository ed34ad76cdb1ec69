// IRuntime, ICudaEngine, IExecutionContext and IEngineInspector: a plan, and ONNX Runtime running it.
#pragma once
#include "builder.hpp"
#include "plan.hpp"
#include "stubs.hpp"

#include <memory>
#include <mutex>

namespace trtdouble {

// What engine, contexts and inspectors share, in whatever order they are deleted.
struct Loaded {
    explicit Loaded(Plan given) : plan(std::move(given)) {}
    Session const& session() const; // made when first used; throws

    EngineTensor const* find(std::string const& name, bool* input = nullptr) const; // a binding
    Plan const plan;

private:
    mutable std::mutex once_;
    mutable std::unique_ptr<Session> session_;
};

class Runtime final : public IRuntime, public stub::VRuntime, Counted {
public:
    explicit Runtime(ILogger* logger) : voice_{logger, nullptr} { mImpl = this; }
    ~Runtime() noexcept override { voice_.record_to(nullptr); }

    IRuntime* getPImpl() noexcept override { return this; }
    using stub::VRuntime::deserializeCudaEngine;
#if NV_TENSORRT_MAJOR == 8
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size, void* factory) noexcept override;
#else
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override;
#endif
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice_.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice_.recorder; }
    ILogger* getLogger() const noexcept override { return voice_.logger; }
    bool setMaxThreads(int32_t threads) noexcept override { threads_ = threads; return threads > 0; }
    int32_t getMaxThreads() const noexcept override { return threads_; }
    int32_t getDLACore() const noexcept override { return -1; }
    int32_t getNbDLACores() const noexcept override { return 0; }
    void setEngineHostCodeAllowed(bool) noexcept override {}
    bool getEngineHostCodeAllowed() const noexcept override { return false; }

private:
    Voice voice_;
    int32_t threads_ = 1;
};

class Engine final : public ICudaEngine, public stub::VCudaEngine, Counted {
public:
    Engine(Voice voice, std::shared_ptr<Loaded const> loaded);
    ~Engine() noexcept override { voice_.record_to(nullptr); }

    ICudaEngine* getPImpl() noexcept override { return this; }
    int32_t getNbLayers() const noexcept override { return static_cast<int32_t>(plan_.layers.size()); }
    IHostMemory* serialize() const noexcept override;
#if NV_TENSORRT_MAJOR == 8
    IExecutionContext* createExecutionContext() noexcept override;
#else
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy) noexcept override;
#endif
    IEngineInspector* createEngineInspector() const noexcept override;
    bool isRefittable() const noexcept override { return false; }
    char const* getName() const noexcept override { return plan_.name.c_str(); }
    int32_t getNbOptimizationProfiles() const noexcept override;
    EngineCapability getEngineCapability() const noexcept override { return EngineCapability::kSTANDARD; }
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice_.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice_.recorder; }
    TacticSources getTacticSources() const noexcept override { return 0; }
    ProfilingVerbosity getProfilingVerbosity() const noexcept override;
    Dims getTensorShape(char const* name) const noexcept override;
    DataType getTensorDataType(char const* name) const noexcept override;
    TensorLocation getTensorLocation(char const*) const noexcept override { return TensorLocation::kDEVICE; }
    bool isShapeInferenceIO(char const*) const noexcept override { return false; }
    TensorIOMode getTensorIOMode(char const* name) const noexcept override;
    int32_t getTensorBytesPerComponent(char const* name) const noexcept override;
    int32_t getTensorComponentsPerElement(char const*) const noexcept override { return -1; }
    TensorFormat getTensorFormat(char const*) const noexcept override { return TensorFormat::kLINEAR; }
    char const* getTensorFormatDesc(char const*) const noexcept override { return "Row major linear format"; }
    int32_t getTensorVectorizedDim(char const*) const noexcept override { return -1; }
    int32_t getTensorBytesPerComponentV2(char const* name, int32_t) const noexcept override { return getTensorBytesPerComponent(name); }
    int32_t getTensorComponentsPerElementV2(char const*, int32_t) const noexcept override { return -1; }
    TensorFormat getTensorFormatV2(char const*, int32_t) const noexcept override { return TensorFormat::kLINEAR; }
    char const* getTensorFormatDescV2(char const*, int32_t) const noexcept override { return "Row major linear format"; }
    int32_t getTensorVectorizedDimV2(char const*, int32_t) const noexcept override { return -1; }
    Dims getProfileShape(char const* name, int32_t profile, OptProfileSelector select) const noexcept override;
    int32_t getNbIOTensors() const noexcept override;
    char const* getIOTensorName(int32_t index) const noexcept override;
    int32_t getNbAuxStreams() const noexcept override { return 0; }
    bool isDebugTensor(char const* name) const noexcept override;
    int64_t getDeviceMemorySizeV2() const noexcept override { return static_cast<int64_t>(plan_.memory); }
    int64_t getDeviceMemorySizeForProfileV2(int32_t) const noexcept override { return getDeviceMemorySizeV2(); }
#if NV_TENSORRT_MAJOR < 11
    size_t getDeviceMemorySize() const noexcept override { return plan_.memory; }
    size_t getDeviceMemorySizeForProfile(int32_t) const noexcept override { return plan_.memory; }
    bool hasImplicitBatchDimension() const noexcept override { return false; }
#endif

private:
    Voice voice_;
    std::shared_ptr<Loaded const> loaded_;
    Plan const& plan_;
};

class Context final : public IExecutionContext, public stub::VExecutionContext, Counted {
public:
    Context(Voice voice, ICudaEngine const& engine, std::shared_ptr<Loaded const> loaded);
    ~Context() noexcept override { voice_.record_to(nullptr); }

    IExecutionContext* getPImpl() noexcept override { return this; }
    ICudaEngine const& getEngine() const noexcept override { return engine_; }
    void setName(char const* name) noexcept override { name_ = name; }
    char const* getName() const noexcept override { return name_.c_str(); }
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice_.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice_.recorder; }
    int32_t getOptimizationProfile() const noexcept override { return profile_; }
    bool setOptimizationProfileAsync(int32_t profile, cudaStream_t) noexcept override;
    bool allInputDimensionsSpecified() const noexcept override;
#if NV_TENSORRT_MAJOR < 11
    bool allInputShapesSpecified() const noexcept override { return true; }
#endif
    bool setInputShape(char const* name, Dims const& dims) noexcept override;
    Dims getTensorShape(char const* name) const noexcept override;
    bool setTensorAddress(char const* name, void* data) noexcept override;
    void const* getTensorAddress(char const* name) const noexcept override;
    bool setInputTensorAddress(char const* name, void const* data) noexcept override;
    bool setOutputTensorAddress(char const* name, void* data) noexcept override { return setTensorAddress(name, data); }
    void* getOutputTensorAddress(char const* name) const noexcept override { return const_cast<void*>(getTensorAddress(name)); }
    int32_t inferShapes(int32_t most, char const** names) noexcept override;
    bool setOutputAllocator(char const* name, IOutputAllocator* allocator) noexcept override;
    IOutputAllocator* getOutputAllocator(char const* name) noexcept override;
    int64_t getMaxOutputSize(char const* name) const noexcept override;
    bool enqueueV3(cudaStream_t stream) noexcept override;
    bool setDebugListener(IDebugListener* listener) noexcept override;
    IDebugListener* getDebugListener() noexcept override { return listener_; }
    bool setTensorDebugState(char const* name, bool on) noexcept override;
    bool getDebugState(char const* name) const noexcept override { return debug_.count(name) > 0; }
    bool setAllTensorsDebugState(bool on) noexcept override;
    bool setUnfusedTensorsDebugState(bool on) noexcept override;
    bool getUnfusedTensorsDebugState() const noexcept override { return unfused_; }
    void setDebugSync(bool sync) noexcept override { sync_ = sync; }
    bool getDebugSync() const noexcept override { return sync_; }
    void setEnqueueEmitsProfile(bool on) noexcept override { emits_ = on; }
    bool getEnqueueEmitsProfile() const noexcept override { return emits_; }
    void setProfiler(IProfiler* profiler) noexcept override { profiler_ = profiler; }
    IProfiler* getProfiler() const noexcept override { return profiler_; }
    bool reportToProfiler() const noexcept override;
    bool setNvtxVerbosity(ProfilingVerbosity) noexcept override { return true; }

private:
    bool complain(std::string const& method, std::string const& why) const;
    EngineTensor const* input(std::string const& name) const;
    std::vector<int64_t> shape(EngineTensor const& binding) const; // of an input, -1 where not given
    bool specified(EngineTensor const& input) const; // every dimension is known
    std::string range_problem(std::string const& input, std::vector<int64_t> const& dims) const;
    void infer() const; // fills inferred_
    std::map<std::string, Array> gather() const; // inputs, from the device
    bool deliver(EngineTensor const& output, Array array, void* stream);
    void report(std::vector<std::pair<EngineTensor const*, Array>> const& seen, void* stream);

    Voice voice_;
    ICudaEngine const& engine_;
    std::shared_ptr<Loaded const> loaded_;
    Plan const& plan_;
    std::string name_;
    int32_t profile_ = 0;
    bool sync_ = false, unfused_ = false, emits_ = true;
    IProfiler* profiler_ = nullptr;
    std::map<std::string, std::vector<int64_t>> shapes_;
    std::map<std::string, void*> addresses_;
    std::map<std::string, IOutputAllocator*> allocators_;
    std::set<std::string> debug_;
    IDebugListener* listener_ = nullptr;
    mutable std::map<std::string, std::vector<int64_t>> inferred_; // outputs, for the shapes given
};

class Inspector final : public IEngineInspector, public stub::VEngineInspector, Counted {
public:
    Inspector(Voice voice, std::shared_ptr<Loaded const> loaded);
    ~Inspector() noexcept override { voice_.record_to(nullptr); }

    IEngineInspector* getPImpl() noexcept override { return this; }
    bool setExecutionContext(IExecutionContext const* context) noexcept override { context_ = context; return true; }
    IExecutionContext const* getExecutionContext() const noexcept override { return context_; }
    char const* getLayerInformation(int32_t index, LayerInformationFormat format) const noexcept override;
    char const* getEngineInformation(LayerInformationFormat format) const noexcept override;
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice_.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice_.recorder; }

private:
    std::string layer(EngineLayer const& layer, LayerInformationFormat format) const;

    Voice voice_;
    std::shared_ptr<Loaded const> loaded_;
    IExecutionContext const* context_ = nullptr;
    mutable std::string text_; // valid until the next call, as in TensorRT
};

// A tensor as bindings and listeners get it: double becomes float, as the parser promised.
Array as_tensorrt(Array array);

} // namespace trtdouble
