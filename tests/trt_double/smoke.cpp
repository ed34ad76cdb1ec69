// A small trtexec: builds and runs a model through the public C++ interface, and prints what it saw, one fact a line.
// It knows nothing of the doubles and nothing of layerdiff: it is how the doubles are checked by somebody else.
//
// usage: smoke MODEL.onnx [--fp16] [--obey] [--noTF32] [--mark TENSOR] [--debug TENSOR] [--unfused] [--float NODE]
//              [--shape NAME=MIN:OPT:MAX:RUN] [--route ROUTE] [--routes] [--runs N] [--stop-after N] [--layers] [--profile]
//              [--save PLAN] | [--load PLAN]
//
//   parse error node=N op=OP name=NAME: TEXT        layer NAME kind=K outputs=A,B        progress PHASE STEP
//   build failed | plan refused | run failed        output|debug NAME TYPE SHAPE: VALUES (first 8)        log S TEXT
//   time NAME MS
#include "NvInfer.h"
#include "NvOnnxParser.h"
#include "smoke_options.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace nvinfer1;

namespace {

// The driver calls, looked up as cudarc looks them up.
template <typename... Args>
void cuda(char const* name, Args... args)
{
    static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
    void* const found = library ? dlsym(library, name) : nullptr;
    int const code = found ? reinterpret_cast<int (*)(Args...)>(found)(args...) : -1;
    if (code) {
        std::printf("cuda %s gave %d\n", name, code);
        std::exit(1);
    }
}

class Logger final : public ILogger {
    void log(Severity severity, char const* text) noexcept override
    {
        if (severity <= Severity::kWARNING)
            std::printf("log %d %s\n", static_cast<int>(severity), text);
    }
};

class Monitor final : public IProgressMonitor {
public:
    int stop_after = -1;
    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override
    {
        std::printf("phase %s of %s: %d steps\n", phase, parent ? parent : "-", steps);
    }
    bool stepComplete(char const*, int32_t) noexcept override { return stop_after < 0 || stop_after-- > 0; }
    void phaseFinish(char const* phase) noexcept override { std::printf("finished %s\n", phase); }
};

std::string text_of(Dims const& dims)
{
    std::string text;
    for (int32_t i = 0; i < dims.nbDims; ++i)
        text += (i ? "x" : "") + std::to_string(dims.d[i]);
    return text;
}

size_t count_of(Dims const& dims)
{
    size_t count = 1;
    for (int32_t i = 0; i < dims.nbDims; ++i)
        count *= static_cast<size_t>(dims.d[i]);
    return count;
}

size_t bytes_of(DataType type)
{
    switch (type) {
    case DataType::kINT64: return 8;
    case DataType::kHALF: case DataType::kBF16: return 2;
    case DataType::kBOOL: case DataType::kINT8: case DataType::kUINT8: return 1;
    default: return 4;
    }
}

void print_tensor(char const* what, char const* name, DataType type, Dims const& dims, unsigned long long address)
{
    std::vector<char> host(count_of(dims) * bytes_of(type) + 8);
    if (count_of(dims))
        cuda("cuMemcpyDtoH_v2", static_cast<void*>(host.data()), address, count_of(dims) * bytes_of(type));
    std::printf("%s %s type=%d %s:", what, name, static_cast<int>(type), text_of(dims).c_str());
    for (size_t i = 0; i < count_of(dims) && i < 8; ++i) {
        if (type == DataType::kFLOAT)
            std::printf(" %.9g", static_cast<double>(reinterpret_cast<float const*>(host.data())[i]));
        else if (type == DataType::kINT64)
            std::printf(" %lld", reinterpret_cast<long long const*>(host.data())[i]);
        else
            std::printf(" %02x", static_cast<unsigned char>(host[i]));
    }
    std::printf("\n");
}

class Listener final : public IDebugListener {
    bool processDebugTensor(void const* address, TensorLocation location, DataType type, Dims const& dims,
        char const* name, cudaStream_t) override
    {
        if (location == TensorLocation::kDEVICE)
            print_tensor("debug", name, type, dims, reinterpret_cast<unsigned long long>(address));
        return true;
    }
};

class Profiler final : public IProfiler {
    void reportLayerTime(char const* layer, float ms) noexcept override
    {
        std::printf("time %s %g\n", layer, static_cast<double>(ms));
    }
};

template <typename T>
std::unique_ptr<T> own(T* pointer)
{
    return std::unique_ptr<T>(pointer);
}

void mark(INetworkDefinition& network, Options const& options)
{
    for (int32_t i = 0; i < network.getNbLayers(); ++i) {
        ILayer& layer = *network.getLayer(i);
        for (int32_t k = 0; k < layer.getNbOutputs(); ++k) {
            ITensor& tensor = *layer.getOutput(k);
            if (options.holds("--mark", tensor.getName()))
                network.markOutput(tensor);
            if (options.holds("--debug", tensor.getName()))
                network.markDebug(tensor);
        }
#if NV_TENSORRT_MAJOR < 11
        if (options.holds("--float", layer.getName())) {
            layer.setPrecision(DataType::kFLOAT);
            layer.setOutputType(0, DataType::kFLOAT);
        }
#endif
    }
    if (options.has("--unfused"))
        network.markUnfusedTensorsAsDebugTensors();
}

// Empty: there is no plan, and the reason is printed.
std::string build(Options const& options, ILogger& logger)
{
    auto const builder = own(createInferBuilder(logger));
    auto const network = own(builder->createNetworkV2(NV_TENSORRT_MAJOR == 8 ? 1 : 0));
    auto const parser = own(nvonnxparser::createParser(*network, logger));
    if (!parser->parseFromFile(options.model.c_str(), 1)) {
        for (int i = 0; i < parser->getNbErrors(); ++i) {
            nvonnxparser::IParserError const& error = *parser->getError(i);
            std::printf("parse error node=%d op=%s name=%s: %s\n", error.node(), error.nodeOperator(), error.nodeName(), error.desc());
        }
        return {};
    }
    std::printf("layers %d inputs %d outputs %d\n", network->getNbLayers(), network->getNbInputs(), network->getNbOutputs());
    mark(*network, options);
    auto const config = own(builder->createBuilderConfig());
    Monitor monitor;
    monitor.stop_after = options.stop_after;
    config->setProgressMonitor(&monitor);
    config->setProfilingVerbosity(ProfilingVerbosity::kDETAILED);
    if (options.has("--noTF32"))
        config->clearFlag(BuilderFlag::kTF32);
#if NV_TENSORRT_MAJOR < 11
    if (options.has("--fp16"))
        config->setFlag(BuilderFlag::kFP16);
    if (options.has("--obey"))
        config->setFlag(BuilderFlag::kOBEY_PRECISION_CONSTRAINTS);
#else
    if (options.has("--routes"))
        std::printf("routes %s\n", config->getAllBuildRoutes());
    if (!options.route.empty() && !config->setBuildRoute(options.route.c_str()))
        std::printf("route refused\n");
#endif
    if (!options.shapes.empty()) {
        IOptimizationProfile* const profile = builder->createOptimizationProfile();
        for (auto const& [name, shape] : options.shapes) {
            profile->setDimensions(name.c_str(), OptProfileSelector::kMIN, shape.min);
            profile->setDimensions(name.c_str(), OptProfileSelector::kOPT, shape.opt);
            profile->setDimensions(name.c_str(), OptProfileSelector::kMAX, shape.max);
        }
        std::printf("profile %d\n", config->addOptimizationProfile(profile));
    }
    auto const plan = own(builder->buildSerializedNetwork(*network, *config));
    if (!plan) {
        std::printf("build failed\n");
        return {};
    }
    return std::string(static_cast<char const*>(plan->data()), plan->size());
}

// The same odd numbers for every input: none of them fits into 10 bits.
std::vector<char> content(DataType type, size_t count)
{
    std::vector<char> bytes(count * bytes_of(type));
    for (size_t i = 0; i < count; ++i) {
        float const value = (static_cast<float>(i % 7) - 3.0f) * 0.3337f + 0.0001f;
        if (type == DataType::kFLOAT)
            std::memcpy(&bytes[i * 4], &value, 4);
        else if (type == DataType::kINT64)
            bytes[i * 8] = static_cast<char>(i % 3);
    }
    return bytes;
}

bool run(Options const& options, ICudaEngine& engine)
{
    auto const context = own(engine.createExecutionContext());
    void *stream = nullptr, *device_context = nullptr;
    cuda("cuInit", 0u);
    cuda("cuDevicePrimaryCtxRetain", &device_context, 0);
    cuda("cuCtxSetCurrent", device_context);
    cuda("cuStreamCreate", &stream, 1u);
    for (auto const& [name, shape] : options.shapes)
        if (!context->setInputShape(name.c_str(), shape.run))
            std::printf("shape refused %s\n", name.c_str());
    std::map<std::string, unsigned long long> memory;
    for (int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
        char const* const name = engine.getIOTensorName(i);
        DataType const type = engine.getTensorDataType(name);
        bool const input = engine.getTensorIOMode(name) == TensorIOMode::kINPUT;
        Dims const dims = context->getTensorShape(name);
        std::printf("binding %s %s type=%d %s -> %s\n", input ? "in" : "out", name, static_cast<int>(type),
            text_of(engine.getTensorShape(name)).c_str(), text_of(dims).c_str());
        int64_t const most = context->getMaxOutputSize(name);
        size_t const bytes = input ? count_of(dims) * bytes_of(type) : static_cast<size_t>(std::max<int64_t>(most, 1));
        cuda("cuMemAlloc_v2", &memory[name], bytes);
        if (input) {
            std::vector<char> const host = content(type, count_of(dims));
            cuda("cuMemcpyHtoDAsync_v2", memory[name], static_cast<void const*>(host.data()), host.size(), stream);
        }
        context->setTensorAddress(name, reinterpret_cast<void*>(memory[name]));
    }
    Listener listener;
    context->setDebugListener(&listener);
    context->setAllTensorsDebugState(options.has("--debug"));
    context->setUnfusedTensorsDebugState(options.has("--unfused"));
    Profiler profiler;
    if (options.has("--profile"))
        context->setProfiler(&profiler);
    bool good = true;
    for (int k = 0; good && k < options.runs; ++k) {
        good = context->enqueueV3(static_cast<cudaStream_t>(stream));
        cuda("cuStreamSynchronize", stream);
        for (int32_t i = 0; good && i < engine.getNbIOTensors(); ++i) {
            char const* const name = engine.getIOTensorName(i);
            Dims const dims = context->getTensorShape(name);
            if (engine.getTensorIOMode(name) == TensorIOMode::kOUTPUT && dims.nbDims >= 0 && text_of(dims).find('-') == std::string::npos)
                print_tensor("output", name, engine.getTensorDataType(name), dims, memory[name]);
        }
    }
    for (auto const& [name, address] : memory)
        cuda("cuMemFree_v2", address);
    cuda("cuStreamDestroy_v2", stream);
    std::printf(good ? "ran\n" : "run failed\n");
    return good;
}

} // namespace

int main(int count, char** words)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Options const options = read_options(count, words);
    Logger logger;
    std::printf("TensorRT %d parser %d\n", getInferLibVersion(), getNvOnnxParserVersion());
    std::string plan;
    if (options.load.empty()) {
        plan = build(options, logger);
        if (plan.empty())
            return 1;
    } else {
        std::ifstream in(options.load, std::ios::binary);
        plan.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    if (!options.save.empty())
        std::ofstream(options.save, std::ios::binary) << plan;
    auto const runtime = own(createInferRuntime(logger));
    auto const engine = own(runtime->deserializeCudaEngine(plan.data(), plan.size()));
    if (!engine) {
        std::printf("plan refused\n");
        return 1;
    }
    if (options.has("--layers")) {
        auto const inspector = own(engine->createEngineInspector());
        std::printf("%s", inspector->getEngineInformation(LayerInformationFormat::kJSON));
    }
    return run(options, *engine) ? 0 : 1;
}
