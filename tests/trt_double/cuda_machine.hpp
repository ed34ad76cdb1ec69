// The machine behind the double of libcuda: device memory, streams that run when somebody waits, events.
//
// Device addresses lie in a range that is reserved and mapped to nothing. A device pointer used as host memory faults; a
// host pointer given where a device pointer belongs aborts with a message. A new allocation is full of 0xCD.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace cuda {

using Address = unsigned long long;

[[noreturn]] void die(std::string const& what);

// Work is done when somebody waits for it, never earlier: who forgets to wait reads 0xCD.
struct Stream {
    unsigned flags = 0; // 1: does not wait for the null stream
    uint64_t done = 0; // how many of all pieces of work ever queued
    std::deque<std::function<void()>> work;
    uint64_t queued() const { return done + work.size(); }
};

struct Event {
    Stream* stream = nullptr;
    uint64_t position = 0;
};

class Machine {
public:
    static Machine& get();

    Address allocate(uint64_t bytes); // 0: out of memory
    void free(Address address);
    char* at(Address address, uint64_t bytes, char const* call); // dies unless it lies in one allocation
    void host(void const* pointer, char const* call) const; // dies for a device address
    void pin(void* pointer, uint64_t bytes) { pinned_[pointer] = bytes; }
    bool unpin(void* pointer) { return pinned_.erase(pointer) > 0; }
    bool is_pinned(void const* pointer) const;

    Stream* stream(void* handle, char const* call); // null: the null stream
    bool alive(Stream* stream) const { return stream == &null_ || streams_.count(stream) > 0; }
    Stream* create_stream(unsigned flags);
    void destroy_stream(Stream* stream);
    void run(Stream& stream, uint64_t until);
    void wait(Stream& stream); // for the null stream: also for those that are not apart from it
    void wait_all();

    std::recursive_mutex lock;
    uint64_t total = 0, used = 0;
    std::set<Event*> events;

private:
    Machine();
    ~Machine();

    struct Block {
        uint64_t size = 0;
        std::vector<char> bytes;
    };
    char* base_ = nullptr;
    uint64_t next_ = 0;
    std::map<Address, Block> blocks_;
    std::map<void const*, uint64_t> pinned_;
    std::set<Stream*> streams_;
    Stream null_;
};

} // namespace cuda
