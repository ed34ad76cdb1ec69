// A session of ONNX Runtime on the CPU, optimisation off: what "runs" an engine of the doubles.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace trtdouble {

struct Array {
    int type = 0; // an ONNX element type
    std::vector<int64_t> dims;
    std::string data;
    size_t elements() const;
};

// What the operator `Warp` of our own domain does to a tensor.
enum class Warp : int64_t {
    kHalf = 1, // round to FP16
    kBf16 = 2, // round to BF16
    kTf32 = 3, // round to a 10-bit mantissa
    kWrong = 4, // y = 1.5 x + 0.1
    kDrift = 5, // y = f x with another f, 1.001 to 1.097, at each call
    kRows = 6, // as kWrong, for the second row of axis 0 only
};

struct TensorInfo {
    std::string name;
    int type = 0; // 0: not a tensor
    std::vector<int64_t> dims; // -1: only a run can tell
};

class Session {
public:
    Session(std::string const& model, std::string const& folder); // throws what ONNX Runtime said
    ~Session();
    Session(Session const&) = delete;

    std::vector<TensorInfo> inputs, outputs;
    std::vector<Array> run(std::map<std::string, Array> const& given, std::vector<std::string> const& wanted) const;

private:
    void* session_ = nullptr;
};

// A node `Warp` as a field of its graph; `type` is FLOAT, FLOAT16 or BFLOAT16.
std::string warp_node(std::string const& from, std::string const& to, Warp what, int type);

size_t element_bytes(int type);
float from_half(uint16_t half);
uint16_t to_half(float value);

} // namespace trtdouble
