// libcuda.so.1, the double: contexts, memory and copies of devices without kernels, of which a process uses one. Streams: cuda_streams.cpp.
#include "cuda_api.hpp"

#include <cstdlib>
#include <cstring>

using namespace cuda;

namespace {

bool initialized = false;
int contexts = 0; // how often the primary context is retained
char context_of_device = 0;
int device_of_context = 0;
thread_local void* current = nullptr;

int devices()
{
    char const* count = std::getenv("LAYERDIFF_DOUBLE_GPUS");
    return count ? std::atoi(count) : 1;
}

} // namespace

int cuda::usable()
{
    if (!initialized)
        return kNotInitialized;
    return current && contexts > 0 ? kSuccess : kInvalidContext;
}

API int cuInit(unsigned) { initialized = true; return kSuccess; }
API int cuDriverGetVersion(int* version) { *version = 12080; return kSuccess; }
API int cuDeviceGetCount(int* count) { *count = devices(); return initialized ? kSuccess : kNotInitialized; }

API int cuDeviceGet(int* device, int ordinal)
{
    *device = ordinal;
    return !initialized ? kNotInitialized : ordinal >= 0 && ordinal < devices() ? kSuccess : kInvalidDevice;
}

API int cuDeviceGetName(char* name, int size, int)
{
    if (size <= 0)
        return kInvalidValue;
    std::strncpy(name, "CUDA double", static_cast<size_t>(size));
    name[size - 1] = 0;
    return kSuccess;
}

API int cuDeviceGetUuid(void* uuid, int) { std::memset(uuid, 0x42, 16); return kSuccess; }
API int cuDeviceGetUuid_v2(void* uuid, int) { std::memset(uuid, 0x42, 16); return kSuccess; }
API int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = Machine::get().total; return kSuccess; }

API int cuDeviceGetAttribute(int* value, int attribute, int)
{
    switch (attribute) {
    case 75: *value = 9; break; // compute capability 9.0
    case 115: *value = 1; break; // memory pools: cuMemAllocAsync works
    default: *value = 0;
    }
    return kSuccess;
}

API int cuDevicePrimaryCtxRetain(void** context, int device)
{
    if (!initialized)
        return kNotInitialized;
    if (contexts > 0 && device != device_of_context)
        return kInvalidDevice;
    ++contexts;
    device_of_context = device;
    *context = &context_of_device;
    return kSuccess;
}

API int cuDevicePrimaryCtxRelease_v2(int)
{
    if (contexts == 0)
        return kInvalidContext;
    --contexts;
    return kSuccess;
}

API int cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }
API int cuCtxSetCurrent(void* context) { current = context; return kSuccess; }
API int cuCtxGetCurrent(void** context) { *context = current; return kSuccess; }
API int cuCtxGetDevice(int* device) { *device = device_of_context; return usable(); }

API int cuCtxSynchronize()
{
    return with_context([](Machine& machine) { return machine.wait_all(), kSuccess; });
}

API int cuMemGetInfo_v2(size_t* free, size_t* total)
{
    return with_context([&](Machine& machine) {
        *total = machine.total;
        *free = machine.total - machine.used;
        return kSuccess;
    });
}

API int cuMemAlloc_v2(Address* address, size_t bytes)
{
    return with_context([&](Machine& machine) {
        if (bytes == 0)
            return kInvalidValue;
        *address = machine.allocate(bytes);
        return *address ? kSuccess : kOutOfMemory;
    });
}

API int cuMemFree_v2(Address address)
{
    return with_context([&](Machine& machine) {
        machine.wait_all();
        if (address)
            machine.free(address);
        return kSuccess;
    });
}

API int cuMemAllocAsync(Address* address, size_t bytes, void* stream)
{
    if (int const code = usable())
        return code;
    Machine::get().stream(stream, "cuMemAllocAsync");
    return cuMemAlloc_v2(address, bytes);
}

API int cuMemFreeAsync(Address address, void* stream)
{
    return queue("cuMemFreeAsync", stream, [=] { Machine::get().free(address); });
}

API int cuMemHostAlloc(void** pointer, size_t bytes, unsigned)
{
    return with_context([&](Machine& machine) {
        *pointer = std::malloc(bytes);
        machine.pin(*pointer, bytes);
        return *pointer ? kSuccess : kOutOfMemory;
    });
}

API int cuMemFreeHost(void* pointer)
{
    return with_context([&](Machine& machine) {
        machine.wait_all();
        if (!machine.unpin(pointer))
            cuda::die("cuMemFreeHost of memory that cuMemHostAlloc did not give");
        std::free(pointer);
        return kSuccess;
    });
}

API int cuMemcpyHtoD_v2(Address to, void const* from, size_t bytes)
{
    return with_context([&](Machine& machine) {
        machine.wait(*machine.stream(nullptr, ""));
        machine.host(from, "cuMemcpyHtoD");
        std::memcpy(machine.at(to, bytes, "cuMemcpyHtoD"), from, bytes);
        return kSuccess;
    });
}

API int cuMemcpyDtoH_v2(void* to, Address from, size_t bytes)
{
    return with_context([&](Machine& machine) {
        machine.wait(*machine.stream(nullptr, ""));
        machine.host(to, "cuMemcpyDtoH");
        std::memcpy(to, machine.at(from, bytes, "cuMemcpyDtoH"), bytes);
        return kSuccess;
    });
}

API int cuMemcpyDtoD_v2(Address to, Address from, size_t bytes)
{
    return with_context([&](Machine& machine) {
        machine.wait(*machine.stream(nullptr, ""));
        std::memmove(machine.at(to, bytes, "cuMemcpyDtoD"), machine.at(from, bytes, "cuMemcpyDtoD"), bytes);
        return kSuccess;
    });
}

// Pageable memory is staged: it is read now. Pinned memory is read when the stream gets there.
API int cuMemcpyHtoDAsync_v2(Address to, void const* from, size_t bytes, void* stream)
{
    return with_context([&](Machine& machine) {
        machine.host(from, "cuMemcpyHtoDAsync");
        machine.at(to, bytes, "cuMemcpyHtoDAsync");
        std::string const staged = machine.is_pinned(from) ? "" : std::string(static_cast<char const*>(from), bytes);
        bool const pinned = machine.is_pinned(from);
        machine.stream(stream, "cuMemcpyHtoDAsync")->work.push_back([=] {
            std::memcpy(Machine::get().at(to, bytes, "cuMemcpyHtoDAsync"), pinned ? from : staged.data(), bytes);
        });
        return kSuccess;
    });
}

// Into pageable memory the call returns when the copy is done.
API int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream)
{
    return with_context([&](Machine& machine) {
        machine.host(to, "cuMemcpyDtoHAsync");
        Stream* const on = machine.stream(stream, "cuMemcpyDtoHAsync");
        on->work.push_back([=] { std::memcpy(to, Machine::get().at(from, bytes, "cuMemcpyDtoHAsync"), bytes); });
        if (!machine.is_pinned(to))
            machine.wait(*on);
        return kSuccess;
    });
}

API int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream)
{
    return queue("cuMemcpyDtoDAsync", stream, [=] {
        Machine& machine = Machine::get();
        std::memmove(machine.at(to, bytes, "cuMemcpyDtoDAsync"), machine.at(from, bytes, "cuMemcpyDtoDAsync"), bytes);
    });
}

API int cuMemsetD8_v2(Address to, unsigned char value, size_t bytes)
{
    return with_context([&](Machine& machine) {
        machine.wait(*machine.stream(nullptr, ""));
        std::memset(machine.at(to, bytes, "cuMemsetD8"), value, bytes);
        return kSuccess;
    });
}

API int cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void* stream)
{
    return queue("cuMemsetD8Async", stream, [=] { std::memset(Machine::get().at(to, bytes, "cuMemsetD8Async"), value, bytes); });
}

API int cuGetErrorName(int code, char const** text)
{
    static std::map<int, char const*> const names = {{kSuccess, "CUDA_SUCCESS"}, {kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
        {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"}, {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED"},
        {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE"}, {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"}};
    auto const found = names.find(code);
    *text = found == names.end() ? "CUDA_ERROR_UNKNOWN" : found->second;
    return kSuccess;
}

API int cuGetErrorString(int code, char const** text) { return cuGetErrorName(code, text); }
