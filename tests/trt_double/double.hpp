// Test doubles of TensorRT 8.6, 10.16 and 11.4 (libnvinfer and libnvonnxparser) and of the CUDA driver (libcuda).
//
// What is real: the public headers. Every object derives from the header's own `I*` class and `apiv::V*` class, so the
// compiler decides which slot a method has; whoever calls by slot number is proven right or crashes here. The semantics
// that callers trip over are kept: plans of another version are refused, dynamic inputs need profiles, debug states are
// off, addresses given to a debug listener die with the callback, unfused tensors come under internal names.
//
// What is doubled: there is no GPU, no kernel, no tactic. A "plan" is the ONNX bytes with what was asked of the builder;
// an engine runs on ONNX Runtime on the CPU (LAYERDIFF_DOUBLE_ORT names its library), optimisation off. Device pointers
// are only touched through cuMemcpy{DtoH,HtoD}_v2, cuMemAlloc_v2 and cuMemFree_v2 of the libcuda.so.1 of the process, so
// the doubles of TensorRT run with real CUDA memory too. Methods that nobody needs abort and say their name.
//
// The headers of 8.6 are in no crate: its double is compiled against those of 10.16, rewritten by headers8.py to what
// src/run/tensorrt/abi.txt says of 8.6. It shows that a caller follows that table, not that the table is right. Its parser
// wants an explicit batch and makes 32-bit integers of 64-bit ones; it has no debug marks, no progress and no bfloat16.
//
// Model of the precision: TensorRT 8.6 and 10 with kFP16 or kBF16 rounds the float outputs of every node, but for those with
// precision or output type kFLOAT under kOBEY_ or kPREFER_PRECISION_CONSTRAINTS. Strongly typed networks run as they are.
// kTF32, on by default, rounds the inputs of MatMul, Gemm and Conv to 10 bits.
// Model of fusion: MatMul, Gemm or Conv and the pointwise nodes behind it are one layer, until a tensor has two readers
// or is a network output or marked for debug.
//
// A profiler hears of every layer, in order, at the end of a run: 0.25 ms, 0.5 ms, 0.75 ms, ...
//
// Environment
//   LAYERDIFF_DOUBLE_ORT    path of libonnxruntime
//   LAYERDIFF_DOUBLE_LOG    file: one JSON line is appended for every build, also for failed ones
//   LAYERDIFF_DOUBLE_LEAKS  file: libcuda appends the bytes not freed when a process ends; FILE.objects has the count of
//                           TensorRT objects not deleted
//   LAYERDIFF_DOUBLE_MEMORY bytes of device memory of the libcuda double, 8 GiB without it
//   LAYERDIFF_DOUBLE_GPUS   devices of the libcuda double, 1 without it; a process may use one of them
//   LAYERDIFF_DOUBLE_FAULT  faults, `;` between them, read when the engine is built. NODE is a node's name and may hold `*`.
//     wrong=NODE            its float outputs become 1.5 x + 0.1, always
//     wrong_fused=NODE      only when none of its outputs is an output or debug mark (the unfused mark keeps it wrong)
//     wrong_pair=A+B        B is wrong only when both are in one layer: an output or debug mark between them cures it
//     wrong_marked=NODE     only when one of its outputs is an output or debug mark
//     perturb_marked=NODE   when one of its outputs is marked, the next node goes wrong
//     nondeterministic=NODE multiplied by 1.001 to 1.097, by another number at each run
//     rows=NODE             the second row of axis 0 differs
//     precision=NODE        wrong only when it runs in half precision
//     ignore_obey=NODE      runs in half precision although FP32 was requested
//     route=KNOB:NODE       wrong unless the build route has -KNOB=off (11 only)
//     slow_build=SECONDS    with progress steps every 50 ms
//     fail_build=TEXT       the build fails and logs TEXT
//     unlogged              errors go to the error recorder alone
//     unsupported=OP        the parser refuses nodes of this type
//     crash_build  crash_run  crash_if_marked=TENSOR   abort()
#pragma once

#include "NvInfer.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace trtdouble {

#if NV_TENSORRT_MAJOR == 8
using DimsArgument = nvinfer1::Dims; // of an optimisation profile
#else
using DimsArgument = nvinfer1::Dims const&;
#endif

extern char const* const kLibrary; // each library says its own name

// A method that the doubles do not support.
[[noreturn]] void unused(char const* method) noexcept;

// Where an object's messages go.
struct Voice {
    nvinfer1::ILogger* logger = nullptr;
    nvinfer1::IErrorRecorder* recorder = nullptr;

    void error(nvinfer1::ErrorCode code, std::string const& text) const noexcept;
    void say(nvinfer1::ILogger::Severity severity, std::string const& text) const noexcept;
    void record_to(nvinfer1::IErrorRecorder* next) noexcept; // counts references
};

// Counts public objects, for LAYERDIFF_DOUBLE_LEAKS.
struct Counted {
    Counted() noexcept;
    ~Counted() noexcept;
    Counted(Counted const&) = delete;
};

// ONNX element types are TensorProto's numbers, here and everywhere in the doubles.
constexpr int kOnnxFloat = 1, kOnnxBool = 9, kOnnxHalf = 10, kOnnxDouble = 11, kOnnxBf16 = 16;
bool tensorrt_type(int onnx, nvinfer1::DataType& type) noexcept; // false: TensorRT has none
nvinfer1::Dims dims_of(std::vector<int64_t> const& dims) noexcept;
std::vector<int64_t> vector_of(nvinfer1::Dims const& dims);
std::string text_of(std::vector<int64_t> const& dims); // "1x3x-1"
std::string quoted(std::string const& text); // a JSON string
std::string quoted(std::vector<std::string> const& texts); // a JSON array

// LAYERDIFF_DOUBLE_FAULT, as it is now.
class Faults {
public:
    Faults();
    bool has(std::string const& kind) const { return found_.count(kind) > 0; }
    std::vector<std::string> values(std::string const& kind) const;
    bool hits(std::string const& kind, std::string const& name) const; // `name` matches a value

    static bool matches(std::string const& pattern, std::string const& name);

private:
    std::multimap<std::string, std::string> found_;
};

} // namespace trtdouble
