// Memory and streams of the double of libcuda.
#include "cuda_machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

namespace cuda {
namespace {

constexpr uint64_t kRange = uint64_t{1} << 40;
constexpr uint64_t kAlignment = 256;

} // namespace

void die(std::string const& what)
{
    std::fprintf(stderr, "cuda double: %s\n", what.c_str());
    std::abort();
}

Machine& Machine::get()
{
    static Machine machine;
    return machine;
}

Machine::Machine()
{
    void* range = mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        die("cannot reserve a range of addresses");
    base_ = static_cast<char*>(range);
    char const* memory = std::getenv("LAYERDIFF_DOUBLE_MEMORY");
    total = memory ? std::strtoull(memory, nullptr, 10) : uint64_t{8} << 30;
}

Machine::~Machine()
{
    char const* file = std::getenv("LAYERDIFF_DOUBLE_LEAKS");
    if (!file)
        return;
    if (FILE* out = std::fopen(file, "a")) {
        std::fprintf(out, "%llu bytes in %zu allocations not freed\n", static_cast<Address>(used), blocks_.size());
        std::fclose(out);
    }
}

Address Machine::allocate(uint64_t bytes)
{
    uint64_t const room = (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment; // a gap behind each
    if (bytes > total - used || room > kRange - next_)
        return 0;
    auto const address = reinterpret_cast<Address>(base_ + next_);
    next_ += room;
    used += bytes;
    blocks_[address] = {bytes, std::vector<char>(bytes, static_cast<char>(0xcd))};
    return address;
}

void Machine::free(Address address)
{
    auto const found = blocks_.find(address);
    if (found == blocks_.end())
        die("cuMemFree of " + std::to_string(address) + ", which is no allocation (freed twice?)");
    used -= found->second.size;
    blocks_.erase(found);
}

char* Machine::at(Address address, uint64_t bytes, char const* call)
{
    auto found = blocks_.upper_bound(address);
    if (found == blocks_.begin())
        die(std::string(call) + ": " + std::to_string(address) + " is no device memory");
    --found;
    uint64_t const offset = address - found->first;
    if (offset >= found->second.size)
        die(std::string(call) + ": " + std::to_string(address) + " is no device memory (a host pointer, or freed)");
    if (bytes > found->second.size - offset)
        die(std::string(call) + ": " + std::to_string(bytes) + " bytes at " + std::to_string(offset)
            + " of an allocation of " + std::to_string(found->second.size));
    return found->second.bytes.data() + offset;
}

void Machine::host(void const* pointer, char const* call) const
{
    auto const* p = static_cast<char const*>(pointer);
    if (!p || (p >= base_ && p < base_ + kRange))
        die(std::string(call) + ": a device pointer, or null, where host memory belongs");
}

bool Machine::is_pinned(void const* pointer) const
{
    auto found = pinned_.upper_bound(pointer);
    if (found == pinned_.begin())
        return false;
    --found;
    return static_cast<char const*>(pointer) < static_cast<char const*>(found->first) + found->second;
}

Stream* Machine::stream(void* handle, char const* call)
{
    auto* const given = static_cast<Stream*>(handle);
    if (!given)
        return &null_;
    if (!streams_.count(given))
        die(std::string(call) + ": no such stream (destroyed?)");
    return given;
}

Stream* Machine::create_stream(unsigned flags)
{
    auto* const made = new Stream;
    made->flags = flags;
    streams_.insert(made);
    return made;
}

void Machine::destroy_stream(Stream* stream)
{
    run(*stream, stream->queued());
    for (Event* event : events)
        if (event->stream == stream)
            event->stream = nullptr;
    streams_.erase(stream);
    delete stream;
}

void Machine::run(Stream& stream, uint64_t until)
{
    while (stream.done < until && !stream.work.empty()) {
        std::function<void()> const work = std::move(stream.work.front());
        stream.work.pop_front();
        ++stream.done;
        work();
    }
}

void Machine::wait(Stream& stream)
{
    bool const joined = &stream == &null_ || stream.flags == 0;
    if (joined) {
        run(null_, null_.queued());
        for (Stream* other : streams_)
            if (other->flags == 0)
                run(*other, other->queued());
    }
    run(stream, stream.queued());
}

void Machine::wait_all()
{
    run(null_, null_.queued());
    for (Stream* stream : streams_)
        run(*stream, stream->queued());
}

} // namespace cuda
