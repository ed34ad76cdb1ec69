// What an execution context is told and asked before it runs: shapes, addresses, debug states. Running is in enqueue.cpp.
#include "runtime.hpp"

#include <algorithm>
#include <stdexcept>

namespace trtdouble {
namespace {

bool dynamic(std::vector<int64_t> const& dims)
{
    return std::any_of(dims.begin(), dims.end(), [](int64_t d) { return d < 0; });
}

} // namespace

Context::Context(Voice voice, ICudaEngine const& engine, std::shared_ptr<Loaded const> loaded)
    : voice_{voice.logger, nullptr}, engine_(engine), loaded_(std::move(loaded)), plan_(loaded_->plan)
{
    mImpl = this;
}

bool Context::complain(std::string const& method, std::string const& why) const
{
    voice_.error(ErrorCode::kINVALID_ARGUMENT, "IExecutionContext::" + method + ": " + why);
    return false;
}

EngineTensor const* Context::input(std::string const& name) const
{
    bool is_input = false;
    EngineTensor const* found = loaded_->find(name, &is_input);
    return is_input ? found : nullptr;
}

std::vector<int64_t> Context::shape(EngineTensor const& binding) const
{
    auto const set = shapes_.find(binding.name);
    return set == shapes_.end() ? binding.dims : set->second;
}

bool Context::specified(EngineTensor const& input) const
{
    return !dynamic(shape(input));
}

bool Context::setOptimizationProfileAsync(int32_t profile, cudaStream_t) noexcept
{
    if (profile < 0 || profile >= engine_.getNbOptimizationProfiles())
        return complain("setOptimizationProfileAsync", "there is no profile " + std::to_string(profile));
    profile_ = profile;
    shapes_.clear();
    inferred_.clear();
    return true;
}

bool Context::allInputDimensionsSpecified() const noexcept
{
    return std::all_of(plan_.inputs.begin(), plan_.inputs.end(), [&](auto const& i) { return specified(i); });
}

std::string Context::range_problem(std::string const& name, std::vector<int64_t> const& dims) const
{
    EngineTensor const& binding = *input(name);
    if (dims.size() != binding.dims.size())
        return "rank " + std::to_string(dims.size()) + " for an input of rank " + std::to_string(binding.dims.size());
    for (size_t i = 0; i < dims.size(); ++i)
        if (dims[i] < 0 || (binding.dims[i] >= 0 && dims[i] != binding.dims[i]))
            return "Static dimension mismatch while setting input shape for " + name + ". Set dimensions are "
                + text_of(dims) + ". Expected dimensions are " + text_of(binding.dims) + ".";
    if (plan_.profiles.empty())
        return {};
    for (ProfileShape const& range : plan_.profiles[static_cast<size_t>(profile_)])
        for (size_t i = 0; range.input == name && i < dims.size(); ++i)
            if (dims[i] < range.min[i] || dims[i] > range.max[i])
                return "Set dimension " + text_of(dims) + " for tensor " + name + " does not satisfy any optimization "
                    "profiles. Valid range for profile " + std::to_string(profile_) + ": " + text_of(range.min) + ".."
                    + text_of(range.max) + ".";
    return {};
}

bool Context::setInputShape(char const* name, Dims const& dims) noexcept
{
    if (!input(name))
        return complain("setInputShape", std::string("given invalid tensor name: ") + name);
    std::vector<int64_t> const given = vector_of(dims);
    std::string const wrong = range_problem(name, given);
    if (!wrong.empty())
        return complain("setInputShape", wrong);
    shapes_[name] = given;
    inferred_.clear();
    return true;
}

// Runs the model once on zeros. Shapes that depend on data stay unknown, as in TensorRT.
void Context::infer() const
{
    std::map<std::string, Array> zeros;
    std::vector<std::string> wanted;
    for (EngineTensor const& binding : plan_.inputs) {
        Array array{binding.given, shape(binding), {}};
        array.data.assign(array.elements() * element_bytes(array.type), '\0');
        zeros[binding.onnx] = std::move(array);
    }
    for (EngineTensor const& output : plan_.outputs)
        wanted.push_back(output.onnx);
    std::vector<Array> const results = loaded_->session().run(zeros, wanted);
    for (size_t i = 0; i < results.size(); ++i) {
        EngineTensor const& output = plan_.outputs[i];
        std::vector<int64_t> dims = results[i].dims;
        for (size_t k = 0; k < dims.size() && plan_.data_dependent.count(output.onnx); ++k)
            dims[k] = k < output.dims.size() ? output.dims[k] : -1;
        inferred_[output.name] = dims;
    }
}

Dims Context::getTensorShape(char const* name) const noexcept
{
    Dims none{};
    none.nbDims = -1;
    bool is_input = false;
    EngineTensor const* found = loaded_->find(name, &is_input);
    if (!found)
        return complain("getTensorShape", std::string("given invalid tensor name: ") + name), none;
    if (is_input)
        return dims_of(shape(*found));
    if (!dynamic(found->dims) || !allInputDimensionsSpecified())
        return dims_of(found->dims);
    try {
        if (inferred_.empty())
            infer();
        return dims_of(inferred_.at(name));
    } catch (std::exception const& e) {
        return complain("getTensorShape", e.what()), none;
    }
}

int64_t Context::getMaxOutputSize(char const* name) const noexcept
{
    bool is_input = false;
    EngineTensor const* found = loaded_->find(name, &is_input);
    if (!found || is_input || !allInputDimensionsSpecified())
        return -1;
    uint64_t largest = 1; // no output that depends on data has more elements along an axis than the inputs have in all
    for (EngineTensor const& binding : plan_.inputs)
        largest = std::max<uint64_t>(largest, Array{0, shape(binding), {}}.elements());
    Dims const dims = getTensorShape(name);
    auto size = static_cast<int64_t>(engine_.getTensorBytesPerComponent(name));
    for (int32_t i = 0; i < dims.nbDims; ++i)
        size *= dims.d[i] < 0 ? static_cast<int64_t>(largest) : dims.d[i];
    return size;
}

bool Context::setTensorAddress(char const* name, void* data) noexcept
{
    if (!loaded_->find(name))
        return complain("setTensorAddress", std::string("given invalid tensor name: ") + name);
    if (reinterpret_cast<uintptr_t>(data) % 256)
        return complain("setTensorAddress", std::string("the address of ") + name + " is not aligned to 256 bytes");
    addresses_[name] = data;
    return true;
}

void const* Context::getTensorAddress(char const* name) const noexcept
{
    auto const found = addresses_.find(name);
    return found == addresses_.end() ? nullptr : found->second;
}

bool Context::setInputTensorAddress(char const* name, void const* data) noexcept
{
    return input(name) ? setTensorAddress(name, const_cast<void*>(data))
                       : complain("setInputTensorAddress", std::string("no such input: ") + name);
}

int32_t Context::inferShapes(int32_t most, char const** names) noexcept
{
    int32_t missing = 0;
    for (EngineTensor const& binding : plan_.inputs) {
        if (specified(binding))
            continue;
        if (missing < most && names)
            names[missing] = binding.name.c_str();
        ++missing;
    }
    return missing;
}

bool Context::setOutputAllocator(char const* name, IOutputAllocator* allocator) noexcept
{
    bool is_input = false;
    if (!loaded_->find(name, &is_input) || is_input)
        return complain("setOutputAllocator", std::string("no such output: ") + name);
    allocators_[name] = allocator;
    return true;
}

IOutputAllocator* Context::getOutputAllocator(char const* name) noexcept
{
    auto const found = allocators_.find(name);
    return found == allocators_.end() ? nullptr : found->second;
}

bool Context::setDebugListener(IDebugListener* listener) noexcept
{
    listener_ = listener;
    return true;
}

bool Context::setTensorDebugState(char const* name, bool on) noexcept
{
    if (!engine_.isDebugTensor(name))
        return complain("setTensorDebugState", std::string(name) + " is not a debug tensor of this engine");
    on ? (void)debug_.insert(name) : (void)debug_.erase(name);
    return true;
}

bool Context::setAllTensorsDebugState(bool on) noexcept
{
    debug_.clear();
    for (EngineTensor const& tensor : plan_.debug)
        if (on)
            debug_.insert(tensor.name);
    return true;
}

bool Context::setUnfusedTensorsDebugState(bool on) noexcept
{
    unfused_ = on;
    return true;
}

} // namespace trtdouble
