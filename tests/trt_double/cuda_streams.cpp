// libcuda.so.1, the double: streams and events.
#include "cuda_api.hpp"

using namespace cuda;

API int cuStreamCreate(void** stream, unsigned flags)
{
    return with_context([&](Machine& machine) { return *stream = machine.create_stream(flags), kSuccess; });
}

API int cuStreamCreateWithPriority(void** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }

API int cuStreamDestroy_v2(void* stream)
{
    return with_context([&](Machine& machine) {
        machine.destroy_stream(machine.stream(stream, "cuStreamDestroy"));
        return kSuccess;
    });
}

API int cuStreamSynchronize(void* stream)
{
    return with_context([&](Machine& machine) { return machine.wait(*machine.stream(stream, "cuStreamSynchronize")), kSuccess; });
}

API int cuStreamQuery(void* stream) { return cuStreamSynchronize(stream); }

API int cuStreamIsCapturing(void*, int* status) { *status = 0; return kSuccess; }

API int cuStreamWaitEvent(void* stream, void* event, unsigned)
{
    return with_context([&](Machine& machine) {
        Event const recorded = *static_cast<Event*>(event);
        if (recorded.stream)
            machine.stream(stream, "cuStreamWaitEvent")->work.push_back([=] {
                // A stream that was destroyed meanwhile has run all it had.
                if (Machine::get().alive(recorded.stream))
                    Machine::get().run(*recorded.stream, recorded.position);
            });
        return kSuccess;
    });
}

API int cuEventCreate(void** event, unsigned)
{
    return with_context([&](Machine& machine) {
        auto* const made = new Event;
        machine.events.insert(made);
        *event = made;
        return kSuccess;
    });
}

API int cuEventRecord(void* event, void* stream)
{
    return with_context([&](Machine& machine) {
        Stream* const on = machine.stream(stream, "cuEventRecord");
        *static_cast<Event*>(event) = {on, on->queued()};
        return kSuccess;
    });
}

API int cuEventSynchronize(void* event)
{
    return with_context([&](Machine& machine) {
        auto const* const recorded = static_cast<Event*>(event);
        if (recorded->stream)
            machine.run(*recorded->stream, recorded->position);
        return kSuccess;
    });
}

API int cuEventQuery(void* event) { return cuEventSynchronize(event); }
API int cuEventElapsedTime(float* milliseconds, void*, void*) { *milliseconds = 0.001f; return usable(); }
API int cuEventElapsedTime_v2(float* milliseconds, void*, void*) { *milliseconds = 0.001f; return usable(); }

API int cuEventDestroy_v2(void* event)
{
    return with_context([&](Machine& machine) {
        machine.events.erase(static_cast<Event*>(event));
        delete static_cast<Event*>(event);
        return kSuccess;
    });
}
