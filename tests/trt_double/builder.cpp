// A build, from checks to plan. What the compiler decides is in compile.cpp.
#include "builder.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace trtdouble {
namespace {

Request request_of(Network const& network, Config const& config)
{
    Request request;
    request.tf32 = config.getFlag(BuilderFlag::kTF32);
    request.route = config.route;
#if NV_TENSORRT_MAJOR < 11
    if (!network.strongly_typed()) {
        request.half = config.getFlag(BuilderFlag::kFP16);
        request.bf16 = config.getFlag(BuilderFlag::kBF16);
        request.obey = config.getFlag(BuilderFlag::kOBEY_PRECISION_CONSTRAINTS)
            || config.getFlag(BuilderFlag::kPREFER_PRECISION_CONSTRAINTS);
    }
#else
    (void)network;
#endif
    return request;
}

std::string text_of_flags(Config const& config)
{
    std::vector<std::pair<BuilderFlag, char const*>> const known = {
        {BuilderFlag::kTF32, "TF32"},
        {BuilderFlag::kSTRICT_NANS, "STRICT_NANS"},
        {BuilderFlag::kDISABLE_TIMING_CACHE, "DISABLE_TIMING_CACHE"},
        {BuilderFlag::kERROR_ON_TIMING_CACHE_MISS, "ERROR_ON_TIMING_CACHE_MISS"},
#if NV_TENSORRT_MAJOR < 11
        {BuilderFlag::kFP16, "FP16"},
        {BuilderFlag::kBF16, "BF16"},
        {BuilderFlag::kINT8, "INT8"},
        {BuilderFlag::kFP8, "FP8"},
        {BuilderFlag::kOBEY_PRECISION_CONSTRAINTS, "OBEY_PRECISION_CONSTRAINTS"},
        {BuilderFlag::kPREFER_PRECISION_CONSTRAINTS, "PREFER_PRECISION_CONSTRAINTS"},
#endif
    };
    std::vector<std::string> set;
    for (auto const& [flag, name] : known)
        if (config.getFlag(flag))
            set.push_back(name);
    return quoted(set);
}

} // namespace

Builder::Builder(ILogger* logger) : voice_{logger, nullptr}
{
    mImpl = this;
}

INetworkDefinition* Builder::createNetworkV2(NetworkDefinitionCreationFlags flags) noexcept
{
    return new Network(voice_, *this, flags);
}

IOptimizationProfile* Builder::createOptimizationProfile() noexcept
{
    profiles_.push_back(std::make_unique<Profile>());
    return profiles_.back().get();
}

IHostMemory* Builder::buildSerializedNetwork(INetworkDefinition& given, IBuilderConfig& wanted) noexcept
{
    auto& network = static_cast<Network&>(given);
    auto& config = static_cast<Config&>(wanted);
    auto const start = std::chrono::steady_clock::now();
    uint64_t hits = 0;
    auto const log = [&](std::string const& result) {
        std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
        log_build(network, config, result, hits, taken.count());
    };
    auto const refuse = [&](std::string const& why) -> IHostMemory* {
        voice_.error(ErrorCode::kUNSUPPORTED_STATE, "IBuilder::buildSerializedNetwork: " + why);
        log("failed");
        return nullptr;
    };
    try {
        Faults const faults;
        bool crash = faults.has("crash_build");
        for (auto const& [name, tensor] : network.tensors)
            crash = crash || ((tensor->output || tensor->debug) && faults.hits("crash_if_marked", name));
        if (crash) {
            log("crashed");
            std::abort();
        }
        std::string const wrong = why_not(network, config);
        if (!wrong.empty())
            return refuse(wrong);
        double const seconds = faults.has("slow_build") ? std::atof(faults.values("slow_build")[0].c_str()) : 0;
        if (!wait_with_progress(config.monitor, seconds, network.layers.size())) {
            voice_.say(ILogger::Severity::kWARNING, "The build was cancelled by the progress monitor.");
            log("cancelled");
            return nullptr;
        }
        if (faults.has("fail_build"))
            return refuse(faults.values("fail_build")[0]);
        Plan plan = compile(network, request_of(network, config), faults);
        for (Profile const* profile : config.profiles)
            plan.profiles.push_back(profile->shapes());
        plan.verbosity = static_cast<int64_t>(config.verbosity);
        hits = use_cache(config, plan);
        log("built");
        return new HostMemory(plan.bytes());
    } catch (std::exception const& e) {
        return refuse(e.what());
    }
}

std::string why_not(Network const& network, Config const& config)
{
    if (!network.model)
        return "Network must have at least one layer.";
    if (network.outputs.empty())
        return "Network must have at least one output.";
    for (auto const& [name, tensor] : network.tensors) {
        bool const marked = tensor->output && !network.own_outputs.count(name);
        if (tensor->in_body && (tensor->output || tensor->debug))
            return "Network output " + name + " is not allowed to be in a loop.";
        if (marked && tensor->type == DataType::kBOOL)
            return "Network output " + name + " must not have type kBOOL.";
        if (marked && tensor->shape)
            return "Network output " + name + " is a shape tensor and not an execution tensor.";
        DataType type;
        if ((tensor->output || tensor->debug) && !tensorrt_type(tensor->onnx_type, type))
            return "Network output " + name + " has a type that is not supported.";
    }
#if NV_TENSORRT_MAJOR < 11
    for (BuilderFlag const flag : {BuilderFlag::kFP16, BuilderFlag::kBF16, BuilderFlag::kINT8, BuilderFlag::kFP8})
        if (network.strongly_typed() && config.getFlag(flag))
            return "precision flags cannot be set for a strongly typed network.";
#endif
    for (Tensor const* input : network.inputs) {
        std::vector<int64_t> const& dims = input->dims;
        if (std::count(dims.begin(), dims.end(), -1) == 0)
            continue;
        if (config.profiles.empty())
            return "Network has dynamic or shape inputs, but no optimization profile has been defined.";
        for (Profile const* profile : config.profiles) {
            Dims const sizes = profile->getDimensions(input->shown.c_str(), OptProfileSelector::kMIN);
            if (sizes.nbDims != static_cast<int32_t>(dims.size()))
                return "optimization profile is missing values for input " + input->shown + ", or has another rank.";
            for (size_t i = 0; i < dims.size(); ++i)
                if (dims[i] >= 0 && sizes.d[i] != dims[i])
                    return "optimization profile of input " + input->shown + " changes a static dimension.";
        }
    }
    return {};
}

bool wait_with_progress(IProgressMonitor* monitor, double seconds, size_t layers)
{
    char const* const whole = "Building Engine";
    char const* const part = "Timing Layers";
    auto const steps = static_cast<int32_t>(seconds > 0 ? std::ceil(seconds / 0.05) : std::min<size_t>(layers, 4));
    bool go_on = true;
    if (monitor) {
        monitor->phaseStart(whole, nullptr, 2);
        monitor->phaseStart(part, whole, steps);
    }
    for (int32_t step = 0; go_on && step < steps; ++step) {
        if (seconds > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        go_on = !monitor || monitor->stepComplete(part, step);
    }
    if (!monitor)
        return true;
    monitor->phaseFinish(part);
    for (int32_t step = 0; go_on && step < 2; ++step)
        go_on = monitor->stepComplete(whole, step);
    monitor->phaseFinish(whole);
    return go_on;
}

uint64_t use_cache(Config& config, Plan const& plan)
{
    if (config.getFlag(BuilderFlag::kDISABLE_TIMING_CACHE) || config.level == 0)
        return 0;
    if (!config.cache) {
        config.own_cache = std::make_unique<TimingCache>(std::set<std::string>{});
        config.cache = config.own_cache.get();
    }
    uint64_t hits = 0;
    for (EngineLayer const& layer : plan.layers) {
        std::string key = layer.kind;
        for (auto const* side : {&layer.inputs, &layer.outputs})
            for (EngineTensor const& tensor : *side)
                key += " " + std::to_string(tensor.type) + ":" + text_of(tensor.dims);
        hits += config.cache->keys.insert(key).second ? 0 : 1;
    }
    return hits;
}

void log_build(Network const& network, Config const& config, std::string const& result, uint64_t cache_hits, double seconds)
{
    char const* file = std::getenv("LAYERDIFF_DOUBLE_LOG");
    if (!file)
        return;
    std::vector<std::string> marks, debug, floats, outputs;
    for (Tensor const* output : network.outputs) {
        outputs.push_back(output->name);
        if (!network.own_outputs.count(output->name))
            marks.push_back(output->name);
    }
    for (auto const& [name, tensor] : network.tensors)
        if (tensor->debug)
            debug.push_back(name);
    for (auto const& layer : network.layers)
        if (layer->wants_float())
            floats.push_back(layer->getName());
    std::string const line = "{\"version\": " + std::to_string(NV_TENSORRT_VERSION) + ", \"result\": " + quoted(result)
        + ", \"nodes\": " + std::to_string(network.model ? network.model->nodes.size() : 0) + ", \"outputs\": "
        + quoted(outputs) + ", \"marks\": " + quoted(marks) + ", \"debug\": " + quoted(debug) + ", \"unfused\": "
        + (network.unfused ? "true" : "false") + ", \"strongly_typed\": " + (network.strongly_typed() ? "true" : "false")
        + ", \"flags\": " + text_of_flags(config) + ", \"float_layers\": " + quoted(floats) + ", \"route\": "
        + quoted(config.route) + ", \"level\": " + std::to_string(config.level) + ", \"workspace\": "
        + std::to_string(config.getMemoryPoolLimit(MemoryPoolType::kWORKSPACE)) + ", \"profiles\": "
        + std::to_string(config.profiles.size()) + ", \"detailed\": "
        + (config.verbosity == ProfilingVerbosity::kDETAILED ? "true" : "false") + ", \"cache_hits\": "
        + std::to_string(cache_hits) + ", \"seconds\": " + std::to_string(seconds) + "}\n";
    if (FILE* out = std::fopen(file, "a")) {
        std::fwrite(line.data(), 1, line.size(), out);
        std::fclose(out);
    }
}

} // namespace trtdouble
