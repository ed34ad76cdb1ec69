// The part of ONNX Runtime's C interface that the doubles use: entries of its function table by number, and the operator
// structure. The table only ever grows at its end, so the numbers hold for every release.
#pragma once
#include <cstddef>
#include <cstdint>

namespace trtdouble::ort {

using Status = void*;
using Handle = void*;

struct Base {
    void const* const* (*get_api)(uint32_t version);
    char const* (*version)();
};

enum Entry : size_t {
    GetErrorMessage = 2,
    CreateEnv = 3,
    CreateSessionFromArray = 8,
    Run = 9,
    CreateSessionOptions = 10,
    SetSessionLogSeverityLevel = 22,
    SetSessionGraphOptimizationLevel = 23,
    SetIntraOpNumThreads = 24,
    CreateCustomOpDomain = 26,
    CustomOpDomain_Add = 27,
    AddCustomOpDomain = 28,
    SessionGetInputCount = 30,
    SessionGetOutputCount = 31,
    SessionGetInputTypeInfo = 33,
    SessionGetOutputTypeInfo = 34,
    SessionGetInputName = 36,
    SessionGetOutputName = 37,
    CreateTensorWithDataAsOrtValue = 49,
    GetTensorMutableData = 51,
    CastTypeInfoToTensorInfo = 55,
    GetTensorElementType = 60,
    GetDimensionsCount = 61,
    GetDimensions = 62,
    GetTensorTypeAndShape = 65,
    CreateCpuMemoryInfo = 69,
    AllocatorFree = 76,
    GetAllocatorWithDefaultOptions = 78,
    KernelInfoGetAttribute_int64 = 86,
    KernelContext_GetInput = 90,
    KernelContext_GetOutput = 91,
    ReleaseStatus = 93,
    ReleaseMemoryInfo = 94,
    ReleaseSession = 95,
    ReleaseValue = 96,
    ReleaseTypeInfo = 98,
    ReleaseTensorTypeAndShapeInfo = 99,
    ReleaseSessionOptions = 100,
    ReleaseCustomOpDomain = 101,
    AddSessionConfigEntry = 130,
};

// OrtCustomOp up to version 11; ONNX Runtime reads no more of a structure which says that it is of that version.
struct CustomOp {
    uint32_t version;
    Handle (*create_kernel)(CustomOp const*, void const* const* api, Handle info);
    char const* (*name)(CustomOp const*);
    char const* (*provider)(CustomOp const*);
    int (*input_type)(CustomOp const*, size_t);
    size_t (*inputs)(CustomOp const*);
    int (*output_type)(CustomOp const*, size_t);
    size_t (*outputs)(CustomOp const*);
    void (*compute)(Handle kernel, Handle context);
    void (*destroy)(Handle kernel);
    int (*input_characteristic)(CustomOp const*, size_t);
    int (*output_characteristic)(CustomOp const*, size_t);
    void* later[16];
};

} // namespace trtdouble::ort
