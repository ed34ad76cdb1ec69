// The five driver calls that an engine of the double needs.
#include "device.hpp"

#include <dlfcn.h>
#include <stdexcept>

namespace trtdouble::device {
namespace {

template <typename... Args>
void call(char const* name, Args... args)
{
    static void* const library = [] {
        void* loaded = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
        return loaded ? loaded : dlopen("libcuda.so.1", RTLD_NOW);
    }();
    if (!library)
        throw std::runtime_error("CUDA initialization failure with error: 35 (no libcuda.so.1)");
    void* const found = dlsym(library, name);
    if (!found)
        throw std::runtime_error(std::string("libcuda.so.1 has no ") + name);
    int const code = reinterpret_cast<int (*)(Args...)>(found)(args...);
    if (code)
        throw std::runtime_error(std::string("Cuda failure: ") + name + " gave " + std::to_string(code));
}

} // namespace

void synchronise(void* stream) { call("cuStreamSynchronize", stream); }

std::string read(Address from, size_t bytes)
{
    std::string out(bytes, '\0');
    if (bytes)
        call("cuMemcpyDtoH_v2", static_cast<void*>(out.data()), from, bytes);
    return out;
}

void write(Address to, std::string const& bytes)
{
    if (!bytes.empty())
        call("cuMemcpyHtoD_v2", to, static_cast<void const*>(bytes.data()), bytes.size());
}

Buffer::Buffer(std::string const& content)
{
    if (content.empty())
        return;
    call("cuMemAlloc_v2", &address, content.size());
    try {
        write(address, content);
    } catch (...) {
        release();
        throw;
    }
}

Buffer::~Buffer() { release(); }

void Buffer::release() noexcept
{
    try {
        if (address)
            call("cuMemFree_v2", address);
    } catch (std::exception const&) {
        // The context is gone; so is its memory.
    }
    address = 0;
}

} // namespace trtdouble::device
