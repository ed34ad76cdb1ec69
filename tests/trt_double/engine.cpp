// Plans become engines; engines answer questions. Running is in context.cpp.
#include "runtime.hpp"

#include <stdexcept>

namespace trtdouble {

char const* const kLibrary = "libnvinfer";

Session const& Loaded::session() const
{
    std::lock_guard<std::mutex> const guard(once_);
    if (!session_)
        session_ = std::make_unique<Session>(runnable(plan), plan.folder);
    return *session_;
}

EngineTensor const* Loaded::find(std::string const& name, bool* input) const
{
    for (auto const* list : {&plan.inputs, &plan.outputs})
        for (EngineTensor const& tensor : *list)
            if (tensor.name == name) {
                if (input)
                    *input = list == &plan.inputs;
                return &tensor;
            }
    return nullptr;
}

#if NV_TENSORRT_MAJOR == 8
ICudaEngine* Runtime::deserializeCudaEngine(void const* blob, std::size_t size, void* factory) noexcept
{
    if (factory)
        unused("IRuntime::deserializeCudaEngine with a plugin factory");
#else
ICudaEngine* Runtime::deserializeCudaEngine(void const* blob, std::size_t size) noexcept
{
#endif
    try {
        auto loaded = std::make_shared<Loaded const>(Plan::from(blob, size));
        loaded->session();
        return new Engine(voice_, loaded);
    } catch (std::exception const& e) {
        voice_.error(ErrorCode::kINVALID_ARGUMENT, std::string("IRuntime::deserializeCudaEngine: ") + e.what());
        return nullptr;
    }
}

Engine::Engine(Voice voice, std::shared_ptr<Loaded const> loaded)
    : voice_{voice.logger, nullptr}, loaded_(std::move(loaded)), plan_(loaded_->plan)
{
    mImpl = this;
}

IHostMemory* Engine::serialize() const noexcept
{
    return new HostMemory(plan_.bytes());
}

#if NV_TENSORRT_MAJOR == 8
IExecutionContext* Engine::createExecutionContext() noexcept
#else
IExecutionContext* Engine::createExecutionContext(ExecutionContextAllocationStrategy) noexcept
#endif
{
    return new Context(voice_, *this, loaded_);
}

IEngineInspector* Engine::createEngineInspector() const noexcept
{
    return new Inspector(voice_, loaded_);
}

int32_t Engine::getNbOptimizationProfiles() const noexcept
{
    return plan_.profiles.empty() ? 1 : static_cast<int32_t>(plan_.profiles.size());
}

ProfilingVerbosity Engine::getProfilingVerbosity() const noexcept
{
    return static_cast<ProfilingVerbosity>(plan_.verbosity);
}

Dims Engine::getTensorShape(char const* name) const noexcept
{
    EngineTensor const* found = loaded_->find(name);
    Dims none{};
    none.nbDims = -1;
    return found ? dims_of(found->dims) : none;
}

DataType Engine::getTensorDataType(char const* name) const noexcept
{
    DataType type = DataType::kFLOAT;
    if (EngineTensor const* found = loaded_->find(name))
        tensorrt_type(found->given, type);
    return type;
}

TensorIOMode Engine::getTensorIOMode(char const* name) const noexcept
{
    bool input = false;
    if (!loaded_->find(name, &input))
        return TensorIOMode::kNONE;
    return input ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
}

int32_t Engine::getTensorBytesPerComponent(char const* name) const noexcept
{
    EngineTensor const* found = loaded_->find(name);
    if (!found)
        return -1;
    return static_cast<int32_t>(element_bytes(found->given == kOnnxDouble ? kOnnxFloat : found->given));
}

Dims Engine::getProfileShape(char const* name, int32_t profile, OptProfileSelector select) const noexcept
{
    Dims none{};
    none.nbDims = -1;
    bool input = false;
    EngineTensor const* found = loaded_->find(name, &input);
    if (!found || !input || profile < 0 || profile >= getNbOptimizationProfiles())
        return none;
    if (!plan_.profiles.empty())
        for (ProfileShape const& shape : plan_.profiles[static_cast<size_t>(profile)])
            if (shape.input == name)
                return dims_of(select == OptProfileSelector::kMIN ? shape.min
                        : select == OptProfileSelector::kOPT      ? shape.opt
                                                                  : shape.max);
    return dims_of(found->dims);
}

int32_t Engine::getNbIOTensors() const noexcept
{
    return static_cast<int32_t>(plan_.inputs.size() + plan_.outputs.size());
}

char const* Engine::getIOTensorName(int32_t index) const noexcept
{
    if (index < 0 || index >= getNbIOTensors())
        return nullptr;
    auto const at = static_cast<size_t>(index);
    size_t const inputs = plan_.inputs.size();
    return (at < inputs ? plan_.inputs[at] : plan_.outputs[at - inputs]).name.c_str();
}

bool Engine::isDebugTensor(char const* name) const noexcept
{
    for (EngineTensor const& tensor : plan_.debug)
        if (tensor.name == name)
            return true;
    return false;
}

} // namespace trtdouble

// What the library exports.
extern "C" TENSORRTAPI void* createInferBuilder_INTERNAL(void* logger, int32_t version) noexcept
{
    if (version != NV_TENSORRT_VERSION || !logger)
        return nullptr;
    return static_cast<nvinfer1::IBuilder*>(new trtdouble::Builder(static_cast<nvinfer1::ILogger*>(logger)));
}

extern "C" TENSORRTAPI void* createInferRuntime_INTERNAL(void* logger, int32_t version) noexcept
{
    if (version != NV_TENSORRT_VERSION || !logger)
        return nullptr;
    return static_cast<nvinfer1::IRuntime*>(new trtdouble::Runtime(static_cast<nvinfer1::ILogger*>(logger)));
}

extern "C" TENSORRTAPI int32_t getInferLibVersion() noexcept { return NV_TENSORRT_VERSION; }
extern "C" TENSORRTAPI int32_t getInferLibMajorVersion() noexcept { return NV_TENSORRT_MAJOR; }
extern "C" TENSORRTAPI int32_t getInferLibMinorVersion() noexcept { return NV_TENSORRT_MINOR; }
extern "C" TENSORRTAPI int32_t getInferLibPatchVersion() noexcept { return NV_TENSORRT_PATCH; }
extern "C" TENSORRTAPI int32_t getInferLibBuildVersion() noexcept { return NV_TENSORRT_BUILD; }
