// What `Warp` computes. ONNX Runtime cannot fold or cancel an operator it does not know, unlike a pair of Casts.
#include "warp.hpp"
#include "ort.hpp"
#include "wire.hpp"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace trtdouble {
namespace {

using namespace ort;

void const* const* table = nullptr;

float bits_float(uint32_t bits)
{
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

uint32_t float_bits(float value)
{
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

// Keeps the upper 32 - `drop` bits, round to nearest, ties to even.
float cut(float value, int drop)
{
    if (!std::isfinite(value))
        return value;
    uint32_t const bits = float_bits(value);
    uint32_t const half = (1u << (drop - 1)) - 1 + (bits >> drop & 1);
    return bits_float((bits + half) & ~((1u << drop) - 1));
}

// Starts anywhere, so that two processes differ as two runs do.
std::atomic<uint32_t> drift{std::random_device{}() % 97};

struct Kernel {
    Warp what;
    int type;
    float factor = 1; // of kDrift, for one call

    float apply(float x, size_t index, size_t row) const
    {
        switch (what) {
        case Warp::kHalf: return from_half(to_half(x));
        case Warp::kBf16: return cut(x, 16);
        case Warp::kTf32: return cut(x, 13);
        case Warp::kWrong: return x * 1.5f + 0.1f;
        case Warp::kDrift: return x * factor;
        case Warp::kRows: return row && index / row == 1 ? x * 1.5f + 0.1f : x;
        }
        return x;
    }
};

float load(char const* data, int type, size_t i)
{
    if (type == 1)
        return reinterpret_cast<float const*>(data)[i];
    uint16_t const bits = reinterpret_cast<uint16_t const*>(data)[i];
    return type == 10 ? from_half(bits) : bits_float(static_cast<uint32_t>(bits) << 16);
}

void store(char* data, int type, size_t i, float value)
{
    if (type == 1)
        reinterpret_cast<float*>(data)[i] = value;
    else
        reinterpret_cast<uint16_t*>(data)[i]
            = type == 10 ? to_half(value) : static_cast<uint16_t>(float_bits(cut(value, 16)) >> 16);
}

template <typename... Args>
void call(Entry entry, Args... args)
{
    if (reinterpret_cast<Status (*)(Args...)>(table[entry])(args...)) {
        std::fprintf(stderr, "trt_double: ONNX Runtime refused entry %zu inside an operator\n", size_t{entry});
        std::abort();
    }
}

void compute(Handle handle, Handle context)
{
    auto& kernel = *static_cast<Kernel*>(handle);
    Handle input = nullptr, output = nullptr, info = nullptr;
    char *from = nullptr, *to = nullptr;
    call(KernelContext_GetInput, context, size_t{0}, &input);
    call(GetTensorTypeAndShape, input, &info);
    size_t rank = 0;
    call(GetDimensionsCount, info, &rank);
    std::vector<int64_t> dims(rank);
    call(GetDimensions, info, dims.data(), rank);
    reinterpret_cast<void (*)(Handle)>(table[ReleaseTensorTypeAndShapeInfo])(info);
    call(KernelContext_GetOutput, context, size_t{0}, dims.data(), rank, &output);
    call(GetTensorMutableData, input, reinterpret_cast<void**>(&from));
    call(GetTensorMutableData, output, reinterpret_cast<void**>(&to));
    size_t count = 1;
    for (int64_t d : dims)
        count *= static_cast<size_t>(d);
    kernel.factor = 1.0f + 0.001f * static_cast<float>(1 + drift++ % 97);
    size_t const row = !dims.empty() && dims[0] > 1 ? count / static_cast<size_t>(dims[0]) : 0;
    for (size_t i = 0; i < count; ++i)
        store(to, kernel.type, i, kernel.apply(load(from, kernel.type, i), i, row));
}

// The name tells the type: the operators of one domain have different names.
struct Op : CustomOp {
    int type;
    char const* text;
};

Op make(int type, char const* text)
{
    Op op{};
    op.version = 11;
    op.type = type;
    op.text = text;
    op.create_kernel = [](CustomOp const* self, void const* const*, Handle info) -> Handle {
        int64_t what = 0;
        call(KernelInfoGetAttribute_int64, info, "what", &what);
        return new Kernel{static_cast<Warp>(what), static_cast<Op const*>(self)->type};
    };
    op.name = [](CustomOp const* self) { return static_cast<Op const*>(self)->text; };
    op.provider = [](CustomOp const*) -> char const* { return nullptr; };
    op.input_type = [](CustomOp const* self, size_t) { return static_cast<Op const*>(self)->type; };
    op.inputs = [](CustomOp const*) { return size_t{1}; };
    op.output_type = op.input_type;
    op.outputs = op.inputs;
    op.compute = compute;
    op.destroy = [](Handle kernel) { delete static_cast<Kernel*>(kernel); };
    op.input_characteristic = [](CustomOp const*, size_t) { return 0; };
    op.output_characteristic = op.input_characteristic;
    return op;
}

} // namespace

std::vector<CustomOp*> warp_ops(void const* const* api)
{
    static Op ops[] = {make(1, "Warp1"), make(10, "Warp10"), make(16, "Warp16")};
    table = api;
    return {&ops[0], &ops[1], &ops[2]};
}

std::string warp_node(std::string const& from, std::string const& to, Warp what, int type)
{
    std::string attribute, node, field;
    put(attribute, 1, std::string_view("what"));
    put(attribute, 3, static_cast<uint64_t>(what));
    put(attribute, 20, uint64_t{2}); // an integer
    put(node, 1, from);
    put(node, 2, to);
    put(node, 3, to + "/warp" + std::to_string(static_cast<int64_t>(what)));
    put(node, 4, "Warp" + std::to_string(type));
    put(node, 5, attribute);
    put(node, 7, std::string_view(kDomain));
    put(field, 1, node);
    return field;
}

float from_half(uint16_t half)
{
    uint32_t const sign = static_cast<uint32_t>(half & 0x8000) << 16;
    uint32_t const exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 31)
        return bits_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent)
        return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float const small = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -small : small;
}

uint16_t to_half(float value)
{
    auto const sign = static_cast<uint16_t>(float_bits(value) >> 16 & 0x8000);
    float const size = std::fabs(value);
    if (std::isnan(value))
        return sign | 0x7e00;
    if (size >= 65520.0f)
        return sign | 0x7c00;
    if (size < 0x1p-14f) // subnormal: multiples of 2^-24, ties to even as the mode of the machine is
        return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(size, 24))));
    uint32_t const cut_bits = float_bits(cut(size, 13));
    return static_cast<uint16_t>(sign | ((cut_bits >> 13) - (112u << 10)));
}

} // namespace trtdouble
