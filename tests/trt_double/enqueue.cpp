// Execution: inputs from the device, one run of ONNX Runtime, outputs and debug tensors back to the device.
#include "device.hpp"
#include "runtime.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace trtdouble {
namespace {

device::Address address_of(void const* pointer)
{
    return reinterpret_cast<device::Address>(pointer);
}

// 8.6 has no 64-bit integers.
bool narrow_integers(int type) { return NV_TENSORRT_MAJOR == 8 && type == 7; }

template <typename From, typename To>
Array cast(Array const& array, int type)
{
    Array out{type, array.dims, std::string(array.elements() * sizeof(To), '\0')};
    for (size_t i = 0; i < array.elements(); ++i) {
        From from;
        std::memcpy(&from, array.data.data() + sizeof from * i, sizeof from);
        auto const to = static_cast<To>(from);
        std::memcpy(out.data.data() + sizeof to * i, &to, sizeof to);
    }
    return out;
}

} // namespace

Array as_tensorrt(Array array)
{
    if (narrow_integers(array.type))
        return cast<int64_t, int32_t>(array, 6);
    if (array.type != kOnnxDouble)
        return array;
    return cast<double, float>(array, kOnnxFloat);
}

std::map<std::string, Array> Context::gather() const
{
    std::map<std::string, Array> given;
    for (EngineTensor const& binding : plan_.inputs) {
        if (!specified(binding))
            throw std::runtime_error("Not all dynamic input shapes are set: " + binding.name);
        Array array{binding.given, shape(binding), {}};
        if (narrow_integers(array.type))
            array.type = 6;
        size_t const bytes = array.elements() * element_bytes(array.type);
        void const* address = getTensorAddress(binding.name.c_str());
        if (!address && bytes)
            throw std::runtime_error("Address is not set for input tensor " + binding.name + ".");
        array.data = device::read(address_of(address), bytes);
        if (narrow_integers(binding.given))
            array = cast<int32_t, int64_t>(array, 7);
        given[binding.onnx] = std::move(array);
    }
    for (EngineTensor const& output : plan_.outputs)
        if (!allocators_.count(output.name) && !addresses_.count(output.name))
            throw std::runtime_error("Neither address or allocator is set for output tensor " + output.name + ".");
    return given;
}

bool Context::deliver(EngineTensor const& output, Array array, void* stream)
{
    array = as_tensorrt(std::move(array));
    auto const address = addresses_.find(output.name);
    void* to = address == addresses_.end() ? nullptr : address->second;
    auto const allocator = allocators_.find(output.name);
    if (allocator != allocators_.end() && allocator->second) {
        to = allocator->second->reallocateOutputAsync(
            output.name.c_str(), to, array.data.size(), 256, static_cast<cudaStream_t>(stream));
        allocator->second->notifyShape(output.name.c_str(), dims_of(array.dims));
    }
    if (!to && !array.data.empty())
        return complain("enqueueV3", "no memory for output " + output.name);
    device::write(address_of(to), array.data);
    return true;
}

void Context::report(std::vector<std::pair<EngineTensor const*, Array>> const& seen, void* stream)
{
    for (auto const& [tensor, given] : seen) {
        Array const array = as_tensorrt(given);
        DataType type;
        if (!tensorrt_type(array.type, type))
            continue;
        device::Buffer const memory(array.data);
        Dims const dims = dims_of(array.dims);
        void const* const address = reinterpret_cast<void const*>(memory.address);
        if (!listener_->processDebugTensor(
                address, TensorLocation::kDEVICE, type, dims, tensor->name.c_str(), static_cast<cudaStream_t>(stream)))
            throw std::runtime_error("the debug listener refused " + tensor->name);
    }
}

// No layer of the double has a time of its own: the first takes 0.25 ms, and each one 0.25 ms more than the one before.
bool Context::reportToProfiler() const noexcept
{
    float milliseconds = 0;
    for (EngineLayer const& layer : plan_.layers)
        if (profiler_)
            profiler_->reportLayerTime(layer.name.c_str(), milliseconds += 0.25f);
    return profiler_ != nullptr;
}

bool Context::enqueueV3(cudaStream_t stream) noexcept
{
    try {
        if (plan_.crash_run)
            std::abort();
        device::synchronise(stream);
        std::map<std::string, Array> const given = gather();
        std::vector<EngineTensor const*> shown;
        for (EngineTensor const& tensor : plan_.debug)
            if (listener_ && debug_.count(tensor.name))
                shown.push_back(&tensor);
        for (EngineTensor const& tensor : plan_.unfused)
            if (listener_ && unfused_)
                shown.push_back(&tensor);
        std::vector<std::string> wanted;
        for (EngineTensor const& output : plan_.outputs)
            wanted.push_back(output.onnx);
        size_t const outputs = wanted.size();
        for (EngineTensor const* tensor : shown)
            if (std::find(wanted.begin(), wanted.end(), tensor->onnx) == wanted.end())
                wanted.push_back(tensor->onnx);
        std::vector<Array> results = loaded_->session().run(given, wanted);
        std::vector<std::pair<EngineTensor const*, Array>> seen;
        for (EngineTensor const* tensor : shown) {
            auto const at = std::find(wanted.begin(), wanted.end(), tensor->onnx) - wanted.begin();
            seen.emplace_back(tensor, results[static_cast<size_t>(at)]);
        }
        report(seen, stream);
        bool good = true;
        for (size_t i = 0; i < outputs; ++i)
            good = deliver(plan_.outputs[i], std::move(results[i]), stream) && good;
        if (emits_)
            reportToProfiler();
        return good;
    } catch (std::exception const& e) {
        return complain("enqueueV3", e.what());
    }
}

} // namespace trtdouble
