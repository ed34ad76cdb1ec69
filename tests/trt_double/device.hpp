// Device memory, through the libcuda.so.1 of this process: the real one or the double.
#pragma once
#include <cstdint>
#include <string>

namespace trtdouble::device {

using Address = unsigned long long;

// All throw std::runtime_error with the name of the call and its code.
void synchronise(void* stream);
std::string read(Address from, size_t bytes);
void write(Address to, std::string const& bytes);

// Memory of a debug tensor: gone with its scope.
class Buffer {
public:
    explicit Buffer(std::string const& content);
    ~Buffer();
    Buffer(Buffer const&) = delete;
    Address address = 0; // 0 for no bytes

private:
    void release() noexcept;
};

} // namespace trtdouble::device
