// Compiled against one set of NVIDIA's headers: does src/run/tensorrt/abi.txt say what g++ says?
// `table.inc` is the column of that table for these headers, as SLOT, ABSENT, DESTRUCTORS and VALUE lines.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "NvInfer.h"
#include "NvOnnxParser.h"

using namespace nvinfer1;
using namespace nvinfer1::apiv;
using nvonnxparser::IParser;
using nvonnxparser::IParserError;
using Severity = ILogger::Severity;

static int compared = 0, wrong = 0;

static void check(char const* what, long long table, long long header)
{
    ++compared;
    if (table != header)
    {
        ++wrong;
        std::printf("%s: the table says %lld, the headers %lld\n", what, table, header);
    }
}

// A pointer to a virtual method holds its offset in the vtable, plus one (Itanium C++ ABI).
template <typename Method>
static long long slot(Method method)
{
    std::ptrdiff_t offset;
    std::memcpy(&offset, &method, sizeof offset);
    return (offset - 1) / static_cast<std::ptrdiff_t>(sizeof(void*));
}

#if NV_TENSORRT_MAJOR == 8
using Deserialize = ICudaEngine* (VRuntime::*) (void const*, std::size_t, IPluginFactory*) noexcept;
// Not there: nothing of theirs is.
struct IProgressMonitor {};
struct IDebugListener {};
enum class ExecutionContextAllocationStrategy {};
using Size = int32_t;
#else
// TensorRT 10 has two forms of it; the one with two arguments is meant.
using Deserialize = ICudaEngine* (VRuntime::*) (void const*, std::size_t) noexcept;
using Size = int64_t;
#endif

static bool destroyed = false, freed = false;

// Calls one slot of an object's vtable, and says whether that destroyed and freed the object.
static bool deletes(void* object, long long slot)
{
    destroyed = freed = false;
    auto* method = reinterpret_cast<void (***)(void*)>(object)[0][slot];
    method(object);
    return destroyed && freed;
}

template <typename Base>
struct Probe : Base
{
    ~Probe() override { destroyed = true; }
    static void operator delete(void*) { freed = true; }
};

struct Logger : Probe<ILogger>
{
    void log(Severity, char const*) noexcept override {}
};
#if NV_TENSORRT_MAJOR != 8
struct Monitor : Probe<IProgressMonitor>
{
    void phaseStart(char const*, char const*, int32_t) noexcept override {}
    bool stepComplete(char const*, int32_t) noexcept override { return true; }
    void phaseFinish(char const*) noexcept override {}
};
struct Listener : Probe<IDebugListener>
{
    bool processDebugTensor(void const*, TensorLocation, DataType, Dims const&, char const*, cudaStream_t) override
    {
        return true;
    }
};
#endif
struct Recorder : Probe<IErrorRecorder>
{
    int32_t getNbErrors() const noexcept override { return 0; }
    ErrorCode getErrorCode(int32_t) const noexcept override { return ErrorCode::kSUCCESS; }
    ErrorDesc getErrorDesc(int32_t) const noexcept override { return ""; }
    bool hasOverflowed() const noexcept override { return false; }
    void clear() noexcept override {}
    bool reportError(ErrorCode, ErrorDesc) noexcept override { return true; }
    RefCount incRefCount() noexcept override { return 0; }
    RefCount decRefCount() noexcept override { return 0; }
};
struct Profiler : Probe<IProfiler>
{
    void reportLayerTime(char const*, float) noexcept override {}
};
struct Allocator : Probe<IOutputAllocator>
{
#if NV_TENSORRT_MAJOR == 8
    void* reallocateOutput(char const*, void*, uint64_t, uint64_t) noexcept override { return nullptr; }
#endif
    void notifyShape(char const*, Dims const&) noexcept override {}
};

static bool deletesProbe(char const* name, long long slot)
{
    if (!std::strcmp(name, "ILogger")) return deletes(new Logger, slot);
#if NV_TENSORRT_MAJOR != 8
    if (!std::strcmp(name, "IProgressMonitor")) return deletes(new Monitor, slot);
    if (!std::strcmp(name, "IDebugListener")) return deletes(new Listener, slot);
#endif
    if (!std::strcmp(name, "IOutputAllocator")) return deletes(new Allocator, slot);
    if (!std::strcmp(name, "IProfiler")) return deletes(new Profiler, slot);
    if (!std::strcmp(name, "IErrorRecorder")) return deletes(new Recorder, slot);
    // IParser is NVIDIA's to implement: its destructors lie between these two.
    return !std::strcmp(name, "IParser") && slot == ::slot(&IParser::clearErrors) + 2
        && slot == ::slot(&IParser::getUsedVCPluginLibraries) - 1;
}

// A public object: `[vtable, implementation]`, deleted by slot 1 of its own vtable.
#define OBJECT(CLASS, MEMBER)                                                                                              \
    {                                                                                                                      \
        struct Object : Probe<CLASS>                                                                                       \
        {                                                                                                                  \
            static std::size_t at() { return offsetof(Object, MEMBER); }                                                   \
        };                                                                                                                 \
        check(#CLASS ", offset of the implementation", sizeof(void*), static_cast<long long>(Object::at()));              \
        check(#CLASS ", slot 1 deletes", 1, deletes(new Object, 1));                                                       \
    }

#define ABSENT(CLASS, METHOD) template <typename T> constexpr bool has_##CLASS##_##METHOD = requires { &T::METHOD; };
#define NO_VALUE(ENUM, NAME) template <typename T> constexpr bool has_##ENUM##_##NAME = requires { T::NAME; };
#define SLOT(CLASS, METHOD, TABLE)
#define OVERLOADED(CLASS, METHOD, TYPE, TABLE)
#define DESTRUCTOR(CLASS, TABLE)
#define VALUE(ENUM, NAME, TABLE)
#include "table.inc"
#undef ABSENT
#undef NO_VALUE
#undef SLOT
#undef OVERLOADED
#undef DESTRUCTOR
#undef VALUE

int main()
{
#define SLOT(CLASS, METHOD, TABLE) check(#CLASS "::" #METHOD, TABLE, slot(&CLASS::METHOD));
#define OVERLOADED(CLASS, METHOD, TYPE, TABLE) check(#CLASS "::" #METHOD, TABLE, slot(static_cast<TYPE>(&CLASS::METHOD)));
#define DESTRUCTOR(CLASS, TABLE) check(#CLASS ", the slot deletes", 1, deletesProbe(#CLASS, TABLE));
#define VALUE(ENUM, NAME, TABLE) check(#ENUM "::" #NAME, TABLE, static_cast<long long>(ENUM::NAME));
#define ABSENT(CLASS, METHOD) check(#CLASS "::" #METHOD " is there", 0, has_##CLASS##_##METHOD<CLASS>);
#define NO_VALUE(ENUM, NAME) check(#ENUM "::" #NAME " is there", 0, has_##ENUM##_##NAME<ENUM>);
#include "table.inc"

    OBJECT(IBuilder, mImpl)
    OBJECT(INetworkDefinition, mImpl)
    OBJECT(IBuilderConfig, mImpl)
    OBJECT(ITimingCache, mImpl)
    OBJECT(IRuntime, mImpl)
    OBJECT(ICudaEngine, mImpl)
    OBJECT(IExecutionContext, mImpl)
    OBJECT(IEngineInspector, mImpl)
    check("ITensor, offset of the implementation", sizeof(void*), sizeof(ITensor) - sizeof(void*));
    check("sizeof Dims", (1 + 8) * sizeof(Size), sizeof(Dims));
    check("offset of Dims::d", sizeof(Size), offsetof(Dims, d));

    std::printf("%d compared, %d wrong\n", compared, wrong);
    return wrong != 0 || compared < 150;
}
