// Configurations, profiles and timing caches.
#include "builder.hpp"

#include <algorithm>
#include <sstream>

namespace trtdouble {
namespace {

constexpr char kCacheMagic[] = "trtdouble timing cache ";

std::string cache_header() { return kCacheMagic + std::to_string(NV_TENSORRT_VERSION) + "\n"; }

} // namespace

IHostMemory* TimingCache::serialize() const noexcept
{
    std::string text = cache_header();
    for (std::string const& key : keys)
        text += key + "\n";
    return new HostMemory(text);
}

bool TimingCache::combine(ITimingCache const& other, bool) noexcept
{
    auto const& more = static_cast<TimingCache const&>(other).keys;
    keys.insert(more.begin(), more.end());
    return true;
}

bool TimingCache::reset() noexcept
{
    keys.clear();
    return true;
}

std::optional<std::set<std::string>> TimingCache::read(void const* blob, size_t size)
{
    std::set<std::string> keys;
    if (!size)
        return keys;
    std::istringstream text(std::string(static_cast<char const*>(blob), size));
    std::string line;
    std::getline(text, line);
    if (line + "\n" != cache_header())
        return std::nullopt;
    while (std::getline(text, line))
        keys.insert(line);
    return keys;
}

bool Profile::setDimensions(char const* input, OptProfileSelector select, DimsArgument dims) noexcept
{
    for (int32_t i = 0; i < dims.nbDims; ++i)
        if (dims.d[i] < 0)
            return false;
    dims_[input][select] = vector_of(dims);
    return true;
}

Dims Profile::getDimensions(char const* input, OptProfileSelector select) const noexcept
{
    Dims none{};
    none.nbDims = -1;
    auto const found = dims_.find(input);
    if (found == dims_.end() || !found->second.count(select))
        return none;
    return dims_of(found->second.at(select));
}

bool Profile::isValid() const noexcept
{
    for (ProfileShape const& shape : shapes()) {
        bool fits = shape.min.size() == shape.opt.size() && shape.opt.size() == shape.max.size();
        for (size_t i = 0; fits && i < shape.min.size(); ++i)
            fits = shape.min[i] <= shape.opt[i] && shape.opt[i] <= shape.max[i];
        if (!fits)
            return false;
    }
    return !dims_.empty();
}

std::vector<ProfileShape> Profile::shapes() const
{
    std::vector<ProfileShape> out;
    for (auto const& [input, sizes] : dims_) {
        auto const get = [&sizes = sizes](OptProfileSelector which) {
            auto const found = sizes.find(which);
            return found == sizes.end() ? std::vector<int64_t>{-1} : found->second;
        };
        out.push_back({input, get(OptProfileSelector::kMIN), get(OptProfileSelector::kOPT), get(OptProfileSelector::kMAX)});
    }
    return out;
}

Config::Config(Voice voice) : voice_{voice.logger, nullptr}
{
    mImpl = this;
    knobs_ = {"-conv_use_long_w", "-kgen:codegen:cuda_tile", "-fuse_pointwise", "-reassociate"};
    for (std::string const& fault : Faults().values("route"))
        knobs_.insert("-" + fault.substr(0, fault.rfind(':')));
    std::string options;
    for (std::string const& knob : knobs_) {
        bool const numbered = knob == "-kgen:codegen:cuda_tile";
        std::string const values = numbered ? "[0|1|2|3]" : "[on|off]";
        options += (options.empty() ? "" : ",\n") + ("{\"option\": " + quoted(knob)) + ", \"allowed_values\": "
            + quoted(knob + "=" + values) + ", \"default_value\": " + (numbered ? "\"1\"" : "\"on\"")
            + ", \"help\": \"A knob of the double.\"}";
    }
    routes_ = "{\"tuner_version\": \"2.19.15\", \"tuner_options\": [\n" + options + "]}";
}

int32_t Config::addOptimizationProfile(IOptimizationProfile const* profile) noexcept
{
    if (!profile->isValid()) {
        voice_.error(ErrorCode::kINVALID_ARGUMENT, "IBuilderConfig::addOptimizationProfile: the profile is not valid");
        return -1;
    }
    profiles.push_back(static_cast<Profile const*>(profile));
    return getNbOptimizationProfiles() - 1;
}

ITimingCache* Config::createTimingCache(void const* blob, std::size_t size) const noexcept
{
    auto keys = TimingCache::read(blob, size);
    if (keys)
        return new TimingCache(std::move(*keys));
    voice_.error(ErrorCode::kINVALID_ARGUMENT, "IBuilderConfig::createTimingCache: the timing cache is corrupt or of another version");
    return nullptr;
}

bool Config::setTimingCache(ITimingCache const& given, bool) noexcept
{
    cache = const_cast<TimingCache*>(static_cast<TimingCache const*>(&given));
    return true;
}

std::size_t Config::getMemoryPoolLimit(MemoryPoolType pool) const noexcept
{
    auto const found = pools.find(pool);
    return found == pools.end() ? size_t{80} << 30 : found->second;
}

#if NV_TENSORRT_MAJOR >= 11
bool Config::setBuildRoute(char const* given) noexcept
{
    std::istringstream words(given);
    for (std::string word; words >> word;) {
        size_t const equals = word.find('=');
        if (equals != std::string::npos && knobs_.count(word.substr(0, equals)))
            continue;
        voice_.error(ErrorCode::kINVALID_ARGUMENT, "IBuilderConfig::setBuildRoute: unknown option " + word);
        return false;
    }
    route = given;
    return true;
}
#endif

} // namespace trtdouble
