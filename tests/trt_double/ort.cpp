// ONNX Runtime, loaded from LAYERDIFF_DOUBLE_ORT: sessions only. The operator is in warp.cpp.
#include "ort.hpp"
#include "ort_api.hpp"
#include "warp.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace trtdouble {
namespace {

using namespace ort;

constexpr uint32_t kApiVersion = 16;

struct Library {
    void const* const* api = nullptr;
    Handle env = nullptr;
    std::mutex creation; // two first sessions with the same new domain collide

    Library()
    {
        char const* path = std::getenv("LAYERDIFF_DOUBLE_ORT");
        if (!path)
            throw std::runtime_error("the double runs on ONNX Runtime: LAYERDIFF_DOUBLE_ORT names its library");
        void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            throw std::runtime_error(std::string("LAYERDIFF_DOUBLE_ORT: ") + dlerror());
        auto base = reinterpret_cast<Base const* (*)()>(dlsym(library, "OrtGetApiBase"));
        api = base ? base()->get_api(kApiVersion) : nullptr;
        if (!api)
            throw std::runtime_error("LAYERDIFF_DOUBLE_ORT: not an ONNX Runtime of 1.16 or later");
        call(CreateEnv, 4, "trtdouble", &env);
    }

    template <typename... Args>
    void call(Entry entry, Args... args) const
    {
        Status status = reinterpret_cast<Status (*)(Args...)>(api[entry])(args...);
        if (!status)
            return;
        std::string const message = reinterpret_cast<char const* (*)(Status)>(api[GetErrorMessage])(status);
        release(ReleaseStatus, status);
        throw std::runtime_error("ONNX Runtime: " + message);
    }

    void release(Entry entry, Handle handle) const
    {
        if (handle)
            reinterpret_cast<void (*)(Handle)>(api[entry])(handle);
    }
};

// One a process, never torn down: ONNX Runtime's own statics may be gone by then.
Library& library()
{
    static Library* const loaded = new Library;
    return *loaded;
}

// A handle that is released by its table entry.
auto owned(Entry entry, Handle handle)
{
    auto drop = [entry](void* h) { library().release(entry, h); };
    return std::unique_ptr<void, decltype(drop)>(handle, drop);
}

void shape_of(Handle info, int& type, std::vector<int64_t>& dims)
{
    Library& lib = library();
    lib.call(GetTensorElementType, info, &type);
    size_t rank = 0;
    lib.call(GetDimensionsCount, info, &rank);
    dims.resize(rank);
    lib.call(GetDimensions, info, dims.data(), rank);
}

TensorInfo describe(Handle session, bool input, size_t index)
{
    Library& lib = library();
    TensorInfo found;
    Handle allocator = nullptr, type = nullptr, tensor = nullptr;
    char* name = nullptr;
    lib.call(GetAllocatorWithDefaultOptions, &allocator);
    lib.call(input ? SessionGetInputName : SessionGetOutputName, session, index, allocator, &name);
    found.name = name;
    lib.call(AllocatorFree, allocator, static_cast<void*>(name));
    lib.call(input ? SessionGetInputTypeInfo : SessionGetOutputTypeInfo, session, index, &type);
    auto const holder = owned(ReleaseTypeInfo, type);
    lib.call(CastTypeInfoToTensorInfo, type, &tensor);
    if (tensor)
        shape_of(tensor, found.type, found.dims);
    return found;
}

} // namespace

size_t Array::elements() const
{
    size_t count = 1;
    for (int64_t d : dims)
        count *= static_cast<size_t>(d);
    return count;
}

size_t element_bytes(int type)
{
    switch (type) {
    case 1: case 6: case 12: return 4; // float, int32, uint32
    case 4: case 5: case 10: case 16: return 2; // uint16, int16, float16, bfloat16
    case 7: case 11: case 13: return 8; // int64, double, uint64
    case 2: case 3: case 9: case 17: return 1; // uint8, int8, bool, float8e4m3fn
    default: throw std::runtime_error("the double knows no ONNX element type " + std::to_string(type));
    }
}

Session::Session(std::string const& model, std::string const& folder)
{
    Library& lib = library();
    std::lock_guard<std::mutex> const one(lib.creation);
    Handle options = nullptr, domain = nullptr;
    lib.call(CreateSessionOptions, &options);
    auto const holder = owned(ReleaseSessionOptions, options);
    lib.call(SetSessionGraphOptimizationLevel, options, 0);
    lib.call(SetIntraOpNumThreads, options, 1);
    lib.call(SetSessionLogSeverityLevel, options, 4);
    if (!folder.empty())
        lib.call(AddSessionConfigEntry, options, "session.model_external_initializers_file_folder_path", folder.c_str());
    lib.call(CreateCustomOpDomain, kDomain, &domain);
    auto const domain_holder = owned(ReleaseCustomOpDomain, domain);
    for (CustomOp* op : warp_ops(lib.api))
        lib.call(CustomOpDomain_Add, domain, op);
    lib.call(AddCustomOpDomain, options, domain);
    lib.call(CreateSessionFromArray, lib.env, static_cast<void const*>(model.data()), model.size(), options, &session_);
    size_t count = 0;
    lib.call(SessionGetInputCount, session_, &count);
    for (size_t i = 0; i < count; ++i)
        inputs.push_back(describe(session_, true, i));
    lib.call(SessionGetOutputCount, session_, &count);
    for (size_t i = 0; i < count; ++i)
        outputs.push_back(describe(session_, false, i));
}

Session::~Session()
{
    library().release(ReleaseSession, session_);
}

std::vector<Array> Session::run(
    std::map<std::string, Array> const& given, std::vector<std::string> const& wanted) const
{
    Library& lib = library();
    Handle memory = nullptr;
    lib.call(CreateCpuMemoryInfo, 1, 0, &memory);
    auto const memory_holder = owned(ReleaseMemoryInfo, memory);
    std::vector<char const*> in_names, out_names;
    std::vector<Handle> in_values, out_values(wanted.size(), nullptr);
    std::vector<decltype(owned(ReleaseValue, nullptr))> holders;
    for (auto const& [name, array] : given) {
        Handle value = nullptr;
        lib.call(CreateTensorWithDataAsOrtValue, memory, const_cast<char*>(array.data.data()), array.data.size(),
            array.dims.data(), array.dims.size(), array.type, &value);
        holders.push_back(owned(ReleaseValue, value));
        in_names.push_back(name.c_str());
        in_values.push_back(value);
    }
    for (std::string const& name : wanted)
        out_names.push_back(name.c_str());
    lib.call(Run, session_, Handle(nullptr), in_names.data(), in_values.data(), in_values.size(), out_names.data(),
        out_names.size(), out_values.data());
    std::vector<Array> results;
    for (Handle value : out_values) {
        holders.push_back(owned(ReleaseValue, value));
        Handle info = nullptr;
        lib.call(GetTensorTypeAndShape, value, &info);
        auto const info_holder = owned(ReleaseTensorTypeAndShapeInfo, info);
        Array array;
        shape_of(info, array.type, array.dims);
        void* data = nullptr;
        lib.call(GetTensorMutableData, value, &data);
        array.data.assign(static_cast<char const*>(data), array.elements() * element_bytes(array.type));
        results.push_back(std::move(array));
    }
    return results;
}

} // namespace trtdouble
