// All metrics of two tensors in one pass: the arithmetic of compare/pass.rs on a GPU. Compiled at run time by NVRTC, once
// for each element type (FLOAT32, FLOAT16 or BFLOAT16, the types with a fast path, or PLAIN=<C type>).
//
// A warp measures a group of 256 elements, which is one block of the CPU's pass: whether quotients are taken in float is
// decided for the same elements. A group without NaN, infinities and extreme magnitudes takes the fast path, where float
// arithmetic either gives the CPU's result to the bit or only sorts out what need not be computed in double.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

#define GROUP 256
#define LANE_ELEMENTS 8
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
    float rel_below;        // a relative error up to this is tolerated whatever the reference; -1: none
};

struct Sums {
    double e, ee, rr, cc, rc, rel;
    double max_e, max_rel, max_scaled, min_r, max_r;  // max_scaled: twice the CPU's
    u32 finite, mismatched, ref_nonfinite, cand_nonfinite, overflow, subnormal;
    u64 first;
};

__device__ __forceinline__ double larger(double a, double b) { return b > a ? b : a; }
__device__ __forceinline__ double smaller(double a, double b) { return b < a ? b : a; }
__device__ __forceinline__ bool finite(double x) { return fabs(x) < INFINITE; }

__device__ __forceinline__ bool accepts(const Judge &judge, double r, double e) {
    return e <= __dadd_rn(judge.atol, __dmul_rn(judge.rtol, fabs(r)));
}

// ---- elements

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

// The lane's k-th element of a group: as 16-byte loads bring them.
__device__ __forceinline__ u64 position(u64 group, u32 lane, u32 k) {
    return group * GROUP + (sizeof(Element) == 4 ? (k >> 2) * 128 + lane * 4 + (k & 3) : lane * 8 + k);
}

// ---- the plain path: any element, an element at a time, as the CPU does it

__device__ __forceinline__ void plain(const Element *__restrict__ r, const Element *__restrict__ c, u64 n, u64 group, u32 lane,
                      const Judge &judge, Sums &sums, u32 *bins) {
    bool large = false;
    for (u32 k = 0; k < LANE_ELEMENTS; k++) {
        u64 i = position(group, lane, k);
        if (i >= n) continue;
        double x = value(r[i]);
        if (!finite(x)) continue;
        large |= fabs(x) >= 1e30 || finite(value(c[i])) && !(error(r[i], c[i]) < 1e30);
    }
    large = __any_sync(ALL, large);
#pragma unroll 1
    for (u32 k = 0; k < LANE_ELEMENTS; k++) {
        u64 i = position(group, lane, k);
        if (i >= n) continue;
        double x = value(r[i]), y = value(c[i]), size = fabs(x);
        bool finite_x = finite(x), finite_y = finite(y), wrong;
        sums.ref_nonfinite += !finite_x;
        sums.cand_nonfinite += !finite_y;
        sums.overflow += size > HALF_MAX;
        sums.subnormal += x != 0.0 && size < NORMAL;
        if (finite_x) {
            sums.min_r = smaller(sums.min_r, x);
            sums.max_r = larger(sums.max_r, x);
        }
        if (finite_x && finite_y) {
            double e = error(r[i], c[i]);
            double bottom = larger(judge.floor, size);
            double rel = large ? e / bottom : (double)__fdiv_rn((float)e, (float)bottom);
            sums.finite++;
            sums.e += e;
            sums.ee += e * e;
            sums.rr += x * x;
            sums.cc += y * y;
            sums.rc += x * y;
            sums.rel += rel;
            sums.max_e = larger(sums.max_e, e);
            sums.max_rel = larger(sums.max_rel, rel);
            // 2^(1 - floor(log2)), by the exponent bits.
            long long exponent = __double_as_longlong(larger(judge.smallest_normal, size)) & 0x7ff0000000000000ll;
            double twice = e * __longlong_as_double((long long)((2047ull << 52) - (u64)exponent));
            sums.max_scaled = larger(sums.max_scaled, twice);
            atomicAdd(&bins[__float_as_uint((float)e) >> 18], 1u);
            wrong = !accepts(judge, x, e);
        } else {
            wrong = !(x == y || x != x && y != y);
        }
        if (wrong) {
            sums.mismatched++;
            sums.first = sums.first < i ? sums.first : i;
        }
    }
}

// ---- the fast path

#if defined(FLOAT32) || defined(FLOAT16) || defined(BFLOAT16)
#define FAST 1

struct Raw {
    uint4 r[sizeof(Element) / 2], c[sizeof(Element) / 2];
};

// What the lanes of a warp know of the largest values so far: no more than the largest of their `Sums`.
struct Seen {
    float e, scaled;
};

__device__ __forceinline__ void load(Raw &raw, const Element *r, const Element *c, u64 group, u32 lane) {
#pragma unroll
    for (int j = 0; j < sizeof(Element) / 2; j++) {
        u64 at = group * (GROUP * sizeof(Element) / 16) + j * 32 + lane;
        raw.r[j] = __ldcs((const uint4 *)r + at);
        raw.c[j] = __ldcs((const uint4 *)c + at);
    }
}

__device__ __forceinline__ void unpack(const uint4 *raw, float *x) {
#pragma unroll
    for (int j = 0; j < sizeof(Element) / 2; j++) {
        u32 words[4] = {raw[j].x, raw[j].y, raw[j].z, raw[j].w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
#if defined(FLOAT32)
            x[j * 4 + k] = __uint_as_float(words[k]);
#elif defined(BFLOAT16)
            x[k * 2] = __uint_as_float(words[k] << 16);
            x[k * 2 + 1] = __uint_as_float(words[k] & 0xffff0000u);
#else
            asm("{.reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}"
                : "=f"(x[k * 2]), "=f"(x[k * 2 + 1])
                : "r"(words[k]));
#endif
        }
    }
}

// The larger one, NaN if one is NaN.
__device__ __forceinline__ float largest(float a, float b) {
#if __CUDA_ARCH__ >= 800
    float y;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
#else
    return !(a >= b) ? (a != a ? a : b) : a;
#endif
}

// e / d, rounded to nearest: 2^-20 <= d < 2^20, and neither e nor the quotient is too small or too large.
__device__ __forceinline__ float quotient(float e, float d) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(d));
    y = __fmaf_rn(y, __fmaf_rn(-d, y, 1.0f), y);
    float q = __fmul_rn(e, y);
    q = __fmaf_rn(__fmaf_rn(-q, d, e), y, q);
#if defined(FLOAT32)
    // With 11 bits or fewer in d the quotient is too far from the middle of two floats to need this.
    q = __fmaf_rn(__fmaf_rn(-q, d, e), y, q);
#endif
    return q;
}

// 2^(1 - floor(log2 |r|)) with |r| no smaller than the smallest normal number, by the exponent bits.
__device__ __forceinline__ float twice_inverse_power(float r, float smallest) {
    return __uint_as_float(~__float_as_uint(fmaxf(fabsf(r), smallest)) & 0x7f800000u);
}

__device__ __forceinline__ float warp_largest(float x) {
#if __CUDA_ARCH__ >= 800
    return __uint_as_float(__reduce_max_sync(ALL, __float_as_uint(x)));
#else
    for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, step));
    return x;
#endif
}

// False if the group is not for the fast path: then nothing was added.
__device__ __forceinline__ bool fast(const Raw &raw, u64 group, u32 lane, const Judge &judge, Sums &sums, Seen &seen,
                                     float &low, float &high, float &max_rel, u32 *bins) {
    float r[LANE_ELEMENTS], c[LANE_ELEMENTS];
    unpack(raw.r, r);
    unpack(raw.c, c);
    float max_e = 0.0f, bottom = r[0], top = r[0], nearest = fabsf(r[0]);
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) {
        max_e = largest(max_e, fabsf(__fsub_rn(c[k], r[k])));
        bottom = fminf(bottom, r[k]);
        top = fmaxf(top, r[k]);
        nearest = fminf(nearest, fabsf(r[k]));
    }
    const float edge = 1048576.0f;
    bool easy = max_e < 1e12f && (max_e == 0.0f || max_e > 1e-12f) && top < edge && bottom > -edge;
    if (!__all_sync(ALL, easy)) return false;

    sums.finite += LANE_ELEMENTS;
    low = fminf(low, bottom);
    high = fmaxf(high, top);
    if (top > HALF_MAX || bottom < -HALF_MAX) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) sums.overflow += fabsf(r[k]) > HALF_MAX;
    }
    if (nearest < NORMAL) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) sums.subnormal += r[k] != 0.0f && fabsf(r[k]) < NORMAL;
    }
    if (__all_sync(ALL, max_e == 0.0f)) {
        double rr = 0.0;
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) rr = fma((double)r[k], (double)r[k], rr);
        sums.rr += rr;
        sums.cc += rr;
        sums.rc += rr;
        return true;
    }

    const float floor = (float)judge.floor, smallest = (float)judge.smallest_normal;
    float top_rel = 0.0f, top_scaled = 0.0f;
    u32 below = 0;
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) {
        double x = r[k], y = c[k], d = y - x;
        sums.e += fabs(d);
        sums.ee = fma(d, d, sums.ee);
        sums.rr = fma(x, x, sums.rr);
        sums.cc = fma(y, y, sums.cc);
        sums.rc = fma(x, y, sums.rc);
        below |= (u32)__double2loint(d);
        float e = fabsf(__fsub_rn(c[k], r[k]));
        float rel = quotient(e, fmaxf(fabsf(r[k]), floor));
        sums.rel += (double)rel;
        top_rel = fmaxf(top_rel, rel);
        top_scaled = fmaxf(top_scaled, __fmul_rn(e, twice_inverse_power(r[k], smallest)));
        atomicAdd(&bins[__float_as_uint(e) >> 18], 1u);
    }
    max_rel = fmaxf(max_rel, top_rel);

    // The float maxima are those of rounded errors: `below` tells whether any was rounded.
    bool rounded = (below & 0x1fffffffu) != 0;
    bool more = rounded ? max_e >= seen.e || top_scaled >= seen.scaled : max_e > seen.e || top_scaled > seen.scaled;
    if (__any_sync(ALL, more)) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) {
            double e = fabs((double)c[k] - (double)r[k]);
            sums.max_e = larger(sums.max_e, e);
            sums.max_scaled = larger(sums.max_scaled, e * (double)twice_inverse_power(r[k], smallest));
        }
        seen.e = warp_largest(__double2float_rd(sums.max_e));
        seen.scaled = warp_largest(__double2float_rd(sums.max_scaled));
    }

    if (!(top_rel <= judge.rel_below || max_e <= judge.atol_below)) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) {
            float e = fabsf(__fsub_rn(c[k], r[k]));
            if (e <= __fmaf_rd(judge.rtol_below, fabsf(r[k]), judge.atol_below)) continue;
            if (!accepts(judge, r[k], fabs((double)c[k] - (double)r[k]))) {
                u64 i = position(group, lane, k);
                sums.mismatched++;
                sums.first = sums.first < i ? sums.first : i;
            }
        }
    }
    return true;
}
#endif

// ---- the kernel

// Joins `from` (of a higher lane or warp) to `to`.
__device__ __forceinline__ void join(Sums &to, const Sums &from) {
    to.e += from.e;
    to.ee += from.ee;
    to.rr += from.rr;
    to.cc += from.cc;
    to.rc += from.rc;
    to.rel += from.rel;
    to.max_e = larger(to.max_e, from.max_e);
    to.max_rel = larger(to.max_rel, from.max_rel);
    to.max_scaled = larger(to.max_scaled, from.max_scaled);
    to.min_r = smaller(to.min_r, from.min_r);
    to.max_r = larger(to.max_r, from.max_r);
    to.finite += from.finite;
    to.mismatched += from.mismatched;
    to.ref_nonfinite += from.ref_nonfinite;
    to.cand_nonfinite += from.cand_nonfinite;
    to.overflow += from.overflow;
    to.subnormal += from.subnormal;
    to.first = to.first < from.first ? to.first : from.first;
}

__device__ __forceinline__ Sums of_lane_above(const Sums &sums, int step) {
    Sums from;
    const u32 *words = (const u32 *)&sums;
#pragma unroll
    for (int w = 0; w < sizeof(Sums) / 4; w++) ((u32 *)&from)[w] = __shfl_down_sync(ALL, words[w], step);
    return from;
}

// `full` groups can take the fast path. `totals` receives 18 words a block, `counts` is added to.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    compare(const Element *__restrict__ r, const Element *__restrict__ c, u64 n, u64 full, double atol, double rtol,
            double floor, double smallest_normal, float atol_below, float rtol_below, float rel_below, u64 *totals,
            u64 *counts) {
    __shared__ u32 bins[BINS];
    __shared__ Sums parts[WARPS];
    for (u32 i = threadIdx.x; i < BINS; i += THREADS) bins[i] = 0;
    __syncthreads();

    const Judge judge = {atol, rtol, floor, smallest_normal, atol_below, rtol_below, rel_below};
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u64 groups = (n + GROUP - 1) / GROUP, stride = (u64)gridDim.x * WARPS;
    Sums sums = {0, 0, 0, 0, 0, 0, 0, 0, 0, INFINITE, -INFINITE, 0, 0, 0, 0, 0, 0, NONE};
    u64 group = (u64)blockIdx.x * WARPS + warp;
#if defined(FAST)
    Seen seen = {0.0f, 0.0f};
    float low = __int_as_float(0x7f800000), high = -low, max_rel = 0.0f;
    Raw next;
    if (group < full) load(next, r, c, group, lane);
    for (; group < full; group += stride) {
        Raw raw = next;
        if (group + stride < full) load(next, r, c, group + stride, lane);
        if (!fast(raw, group, lane, judge, sums, seen, low, high, max_rel, bins))
            plain(r, c, n, group, lane, judge, sums, bins);
    }
    sums.min_r = smaller(sums.min_r, low);
    sums.max_r = larger(sums.max_r, high);
    sums.max_rel = larger(sums.max_rel, max_rel);
#endif
    for (; group < groups; group += stride) plain(r, c, n, group, lane, judge, sums, bins);

    for (int step = 16; step > 0; step /= 2) join(sums, of_lane_above(sums, step));
    if (lane == 0) parts[warp] = sums;
    __syncthreads();
    for (u32 i = threadIdx.x; i < BINS; i += THREADS)
        if (bins[i] > 0) atomicAdd(&counts[i], (u64)bins[i]);
    if (threadIdx.x > 0) return;
    for (int w = 1; w < WARPS; w++) join(sums, parts[w]);
    double reals[11] = {sums.e,       sums.ee,      sums.rr,         sums.cc,   sums.rc,    sums.rel,
                        sums.max_e,   sums.max_rel, sums.max_scaled, sums.min_r, sums.max_r};
    u64 whole[7] = {sums.finite,         sums.mismatched, sums.first,    sums.ref_nonfinite,
                    sums.cand_nonfinite, sums.overflow,   sums.subnormal};
    u64 *to = totals + (u64)blockIdx.x * 18;
    for (int i = 0; i < 11; i++) to[i] = (u64)__double_as_longlong(reals[i]);
    for (int i = 0; i < 7; i++) to[11 + i] = whole[i];
}
