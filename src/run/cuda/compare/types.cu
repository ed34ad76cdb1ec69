// All metrics of two tensors in one pass: the arithmetic of compare/pass.rs on a GPU. Compiled at run time by NVRTC, once
// for each element type (FLOAT32, FLOAT16 or BFLOAT16, the types with a fast path, or PLAIN=<C type>).
//
// A warp measures a group of elements, one block of the CPU's pass or two: whether quotients are taken in float is decided
// for the same elements. A group without NaN, infinities and extreme magnitudes takes the fast path, where float arithmetic
// either gives the CPU's result to the bit or only sorts out what need not be computed in double. It is the number of
// instructions that limits it, not memory; registers that spill cost most of all.
//
// The files are one program, in this order: types.cu, plain.cu, lanes.cu, fast.cu, kernel.cu.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

#define BLOCK 256  // of the CPU's pass
#define LANE_ELEMENTS (GROUP / 32)
#define WARPS (THREADS / 32)
#define ALL 0xffffffffu
#define BINS 8192
#define NONE 0xffffffffffffffffull
#define INFINITE __longlong_as_double(0x7ff0000000000000ll)
#define NORMAL 6.103515625e-5f  // fp16's smallest normal number, 2^-14
#define HALF_MAX 65504.0f

struct Judge {
    double atol, rtol;      // |c - r| <= atol + rtol |r|
    double floor;           // of the denominators of relative errors
    double smallest_normal; // of the element type
    float atol_below, rtol_below;  // a little less than the tolerance
    float atol_above, rtol_above;  // a little more
    float rel_below;        // a relative error up to this is tolerated whatever the reference; -1: none
};

// What every element is added to: in registers.
struct Sums {
    double e, ee, rr, cc, rc, rel;
    u32 finite;
};

// What few elements change: in shared memory.
struct Rest {
    double max_e, max_rel, max_scaled, min_r, max_r;  // max_scaled: twice the CPU's
    u64 first;
    u32 mismatched, ref_nonfinite, cand_nonfinite, odd, overflow, subnormal;  // odd: not finite, and not alike
};

__device__ __forceinline__ double larger(double a, double b) { return b > a ? b : a; }
__device__ __forceinline__ double smaller(double a, double b) { return b < a ? b : a; }
__device__ __forceinline__ bool finite(double x) { return fabs(x) < INFINITE; }

__device__ __forceinline__ bool accepts(const Judge &judge, double r, double e) {
    return e <= __dadd_rn(judge.atol, __dmul_rn(judge.rtol, fabs(r)));
}

// Elements.

#if defined(FLOAT16)
__device__ __forceinline__ float widen(u16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
    return y;
}
#elif defined(BFLOAT16)
__device__ __forceinline__ float widen(u16 x) { return __uint_as_float((u32)x << 16); }
#endif

#if defined(FLOAT32)
typedef float Element;
__device__ __forceinline__ double value(Element x) { return x; }
#elif defined(FLOAT16) || defined(BFLOAT16)
typedef u16 Element;
__device__ __forceinline__ double value(Element x) { return widen(x); }
#elif defined(BOOLEAN)
typedef unsigned char Element;
__device__ __forceinline__ double value(Element x) { return x != 0; }
#else
typedef PLAIN Element;
__device__ __forceinline__ double value(Element x) { return (double)x; }
#endif

__device__ __forceinline__ double error(Element r, Element c) {
#if defined(EXACT)
    // 64-bit integers: the difference fits u64 and is rounded once.
    return (double)(c > r ? (u64)c - (u64)r : (u64)r - (u64)c);
#else
    return fabs(value(c) - value(r));
#endif
}
