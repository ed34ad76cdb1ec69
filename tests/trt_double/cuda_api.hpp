// What the exported functions of the double of libcuda share.
#pragma once
#include "cuda_machine.hpp"

#define API extern "C" __attribute__((visibility("default")))

namespace cuda {

enum Result {
    kSuccess = 0,
    kInvalidValue = 1,
    kOutOfMemory = 2,
    kNotInitialized = 3,
    kInvalidDevice = 101,
    kInvalidContext = 201,
};

// Everything but the question which devices there are needs a context that is current and alive.
int usable();

// Runs `work(machine)` under the lock, if there is a context.
template <typename Work>
int with_context(Work work)
{
    if (int const code = usable())
        return code;
    std::lock_guard<std::recursive_mutex> const guard(Machine::get().lock);
    return work(Machine::get());
}

inline int queue(char const* call, void* stream, std::function<void()> work)
{
    return with_context([&](Machine& machine) {
        machine.stream(stream, call)->work.push_back(std::move(work));
        return kSuccess;
    });
}

} // namespace cuda
