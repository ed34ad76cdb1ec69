// All metrics of two tensors in one pass: the arithmetic of compare/pass.rs on a GPU. Compiled at run time by NVRTC, once
// for each element type (FLOAT32, FLOAT16 or BFLOAT16, the types with a fast path, or PLAIN=<C type>).
//
// A warp measures a group of elements, one block of the CPU's pass or two: whether quotients are taken in float is decided
// for the same elements. A group without NaN, infinities and extreme magnitudes takes the fast path, where float arithmetic
// either gives the CPU's result to the bit or only sorts out what need not be computed in double. It is the number of
// instructions that limits it, not memory; registers that spill cost most of all.

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
    u32 mismatched, ref_nonfinite, cand_nonfinite, overflow, subnormal, unused;
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

// ---- the plain path: any element, an element at a time, as the CPU does it

__device__ __forceinline__ void plain(const Element *__restrict__ r, const Element *__restrict__ c, u64 n, u64 start,
                                      u32 lane, const Judge &judge, Sums &sums, Rest &rest, u32 *bins) {
    bool large = false;
    for (u64 i = start + lane; i < n && i < start + BLOCK; i += 32) {
        double x = value(r[i]);
        if (!finite(x)) continue;
        large |= fabs(x) >= 1e30 || finite(value(c[i])) && !(error(r[i], c[i]) < 1e30);
    }
    large = __any_sync(ALL, large);
#pragma unroll 1
    for (u64 i = start + lane; i < n && i < start + BLOCK; i += 32) {
        double x = value(r[i]), y = value(c[i]), size = fabs(x);
        bool finite_x = finite(x), finite_y = finite(y), wrong;
        rest.ref_nonfinite += !finite_x;
        rest.cand_nonfinite += !finite_y;
        rest.overflow += size > HALF_MAX;
        rest.subnormal += x != 0.0 && size < NORMAL;
        if (finite_x) {
            rest.min_r = smaller(rest.min_r, x);
            rest.max_r = larger(rest.max_r, x);
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
            rest.max_e = larger(rest.max_e, e);
            rest.max_rel = larger(rest.max_rel, rel);
            // 2^(1 - floor(log2)), by the exponent bits.
            long long exponent = __double_as_longlong(larger(judge.smallest_normal, size)) & 0x7ff0000000000000ll;
            double twice = e * __longlong_as_double((long long)((2047ull << 52) - (u64)exponent));
            rest.max_scaled = larger(rest.max_scaled, twice);
            atomicAdd(&bins[__float_as_uint((float)e) >> 18], 1u);
            wrong = !accepts(judge, x, e);
        } else {
            wrong = !(x == y || x != x && y != y);
        }
        if (wrong) {
            rest.mismatched++;
            rest.first = rest.first < i ? rest.first : i;
        }
    }
}

// ---- the fast path

#if defined(FLOAT32) || __CUDA_ARCH__ >= 800 && (defined(FLOAT16) || defined(BFLOAT16))
#define FAST 1

#define WORDS 2  // 16-byte words of a lane in a group
#define WORD_ELEMENTS (16 / sizeof(Element))

struct Raw {
    uint4 r[WORDS], c[WORDS];
};

// What the lanes of a warp know of the largest values so far: no more than the largest of their `Sums`.
struct Seen {
    float e, scaled;
};

// The smallest, largest and nearest to zero of a lane's references, over all groups.
struct Range {
    float low, high;
};

// Where the lane's k-th element of a group lies.
__device__ __forceinline__ u64 position(u64 group, u32 lane, u32 k) {
    return group * GROUP + (k / WORD_ELEMENTS * 32 + lane) * WORD_ELEMENTS + k % WORD_ELEMENTS;
}

__device__ __forceinline__ void load(Raw &raw, const Element *r, const Element *c, u64 group, u32 lane) {
#pragma unroll
    for (int j = 0; j < WORDS; j++) {
        u64 at = group * (WORDS * 32) + j * 32 + lane;
        raw.r[j] = __ldcs((const uint4 *)r + at);
        raw.c[j] = __ldcs((const uint4 *)c + at);
    }
}

__device__ __forceinline__ void unpack(const uint4 *raw, float *x) {
#pragma unroll
    for (int j = 0; j < WORDS; j++) {
        u32 words[4] = {raw[j].x, raw[j].y, raw[j].z, raw[j].w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
#if defined(FLOAT32)
            x[j * 4 + k] = __uint_as_float(words[k]);
#elif defined(BFLOAT16)
            x[j * 8 + k * 2] = __uint_as_float(words[k] << 16);
            x[j * 8 + k * 2 + 1] = __uint_as_float(words[k] & 0xffff0000u);
#else
            asm("{.reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}"
                : "=f"(x[j * 8 + k * 2]), "=f"(x[j * 8 + k * 2 + 1])
                : "r"(words[k]));
#endif
        }
    }
}

// The candidates of a group where they are seldom needed: registers are too few to keep those of halves until then.
__device__ __forceinline__ void again(const float *kept, const Element *c, u64 group, u32 lane, float *x) {
#if defined(FLOAT32)
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) x[k] = kept[k];
#else
    uint4 raw[WORDS];
#pragma unroll
    for (int j = 0; j < WORDS; j++) raw[j] = ((const uint4 *)c)[group * (WORDS * 32) + j * 32 + lane];
    unpack(raw, x);
#endif
}

// The smallest, the largest and the smallest magnitude of a lane's references; NaN anywhere shows in the error.
__device__ __forceinline__ void span(const Raw &raw, const float *r, float &bottom, float &top, float &nearest) {
#if defined(FLOAT32)
    bottom = top = r[0];
    nearest = fabsf(r[0]);
#pragma unroll
    for (int k = 1; k < LANE_ELEMENTS; k++) {
        bottom = fminf(bottom, r[k]);
        top = fmaxf(top, r[k]);
        nearest = fminf(nearest, fabsf(r[k]));
    }
#else
    // Two at a time.
#if defined(FLOAT16)
#define HALVES ".f16x2"
#else
#define HALVES ".bf16x2"
#endif
    const u32 words[8] = {raw.r[0].x, raw.r[0].y, raw.r[0].z, raw.r[0].w,
                          raw.r[1].x, raw.r[1].y, raw.r[1].z, raw.r[1].w};
    u32 low = words[0], high = words[0], near = words[0] & 0x7fff7fffu;
#pragma unroll
    for (int k = 1; k < 8; k++) {
        asm("min" HALVES " %0, %0, %1;" : "+r"(low) : "r"(words[k]));
        asm("max" HALVES " %0, %0, %1;" : "+r"(high) : "r"(words[k]));
        asm("min" HALVES " %0, %0, %1;" : "+r"(near) : "r"(words[k] & 0x7fff7fffu));
    }
    bottom = fminf(widen((u16)low), widen((u16)(low >> 16)));
    top = fmaxf(widen((u16)high), widen((u16)(high >> 16)));
    nearest = fminf(widen((u16)near), widen((u16)(near >> 16)));
#endif
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

// |e| / d, rounded to nearest: 2^-20 <= d < 2^20, and neither e nor the quotient is too small or too large. The remainder of
// a float quotient is a float, so that one correction is as good as exact; a d of 11 bits or fewer keeps the quotient so far
// from the middle of two floats that no more is needed.
__device__ __forceinline__ float quotient(float e, float d) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(d));
#if defined(FLOAT32)
    y = __fmaf_rn(y, __fmaf_rn(-d, y, 1.0f), y);
#endif
    float q = __fmul_rn(fabsf(e), y);
    q = __fmaf_rn(__fmaf_rn(-q, d, fabsf(e)), y, q);
#if defined(FLOAT32)
    q = __fmaf_rn(__fmaf_rn(-q, d, fabsf(e)), y, q);
#endif
    return q;
}

// The larger of floats that are not negative, by their bits: that of three is one instruction since compute capability 9.
__device__ __forceinline__ float larger_of_three(float a, float b, float c) {
#if __CUDA_ARCH__ >= 900
    return __int_as_float(__vimax3_s32(__float_as_int(a), __float_as_int(b), __float_as_int(c)));
#else
    return fmaxf(fmaxf(a, b), c);
#endif
}

// Where the histogram's counters for two errors lie, in bytes: their exponents and leading bits, without the sign.
__device__ __forceinline__ u32 counters(float a, float b) {
    return __byte_perm(__float_as_uint(a), __float_as_uint(b), 0x7632) & 0x7ffc7ffcu;
}

__device__ __forceinline__ void count(u32 *bins, u32 byte) { atomicAdd((u32 *)((char *)bins + byte), 1u); }

// Adds the products of a lane's elements and errors to the sums. True if an error had more bits than a float.
__device__ __forceinline__ bool products(const float *r, const float *c, Sums &sums) {
    u32 below = 0;
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) {
        double x = r[k], y = c[k], d = y - x;
        below |= (u32)__double2loint(d);
        sums.e += fabs(d);
        sums.ee = fma(d, d, sums.ee);
        sums.rr = fma(x, x, sums.rr);
        sums.cc = fma(y, y, sums.cc);
        sums.rc = fma(x, y, sums.rc);
    }
    return (below & 0x1fffffffu) != 0;
}

// The same where the errors `e` are exact and small beside the references: c c = r r + 2 r e + e e cancels nothing then.
__device__ __forceinline__ void near_products(const float *r, const float *e, Sums &sums) {
    double rr = 0.0, re = 0.0, ee = 0.0;
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) {
        double x = r[k], d = e[k];
        sums.e += fabs(d);
        ee = fma(d, d, ee);
        rr = fma(x, x, rr);
        re = fma(x, d, re);
    }
    sums.ee += ee;
    sums.rr += rr;
    sums.cc += rr + (2.0 * re + ee);
    sums.rc += rr + re;
}

// No less than what was rounded to `x`, which is exact if it is a power of two.
__device__ __forceinline__ float above(float x) {
    u32 bits = __float_as_uint(x);
    return __uint_as_float(bits + ((bits & 0x7fffffu) != 0));
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

// Measures the group in `raw`, and loads the `next` one meanwhile. False if it is not for the fast path: then nothing was added.
__device__ __forceinline__ bool fast(Raw &raw, const Element *from_r, const Element *from_c, u64 group, u64 next,
                                     u64 full, u32 lane, const Judge &judge, Sums &sums, Rest &rest, Seen &seen,
                                     Range &range, float &max_rel, u32 *bins) {
    float r[LANE_ELEMENTS], c[LANE_ELEMENTS], e[LANE_ELEMENTS];
    unpack(raw.r, r);
    unpack(raw.c, c);
    float max_e = 0.0f, bottom, top, nearest;
    span(raw, r, bottom, top, nearest);
    if (next < full) load(raw, from_r, from_c, next, lane);
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k++) {
        e[k] = __fsub_rn(c[k], r[k]);
        max_e = largest(max_e, fabsf(e[k]));
    }
    // Not to be computed again wherever it is used.
    asm volatile("" : "+f"(max_e));
    const float edge = 1048576.0f;
    bool easy = max_e < 1e12f && (max_e == 0.0f || max_e > 1e-12f) && top < edge && bottom > -edge;
    if (!__all_sync(ALL, easy)) return false;

    sums.finite += LANE_ELEMENTS;
    range.low = fminf(range.low, bottom);
    range.high = fmaxf(range.high, top);
    if (top > HALF_MAX || bottom < -HALF_MAX) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) rest.overflow += fabsf(r[k]) > HALF_MAX;
    }
    if (nearest < NORMAL) {
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) rest.subnormal += r[k] != 0.0f && fabsf(r[k]) < NORMAL;
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
    float top_rel = 0.0f;
#pragma unroll
    for (int k = 0; k < LANE_ELEMENTS; k += 2) {
        float rel = quotient(e[k], fmaxf(fabsf(r[k]), floor));
        float next = quotient(e[k + 1], fmaxf(fabsf(r[k + 1]), floor));
        sums.rel += (double)rel;
        sums.rel += (double)next;
        top_rel = larger_of_three(top_rel, rel, next);
        u32 bytes = counters(e[k], e[k + 1]);
        count(bins, bytes & 0xffffu);
        count(bins, bytes >> 16);
    }
    max_rel = fmaxf(max_rel, top_rel);

    bool rounded = false;
#if defined(FLOAT16)
    // Differences of halves below 1 fit a float.
    bool near = top_rel <= 0.5f && max_e < 1.0f;
#elif defined(BFLOAT16)
    // So do those of floats that are no more than a factor of two apart.
    bool near = top_rel <= 0.5f && nearest >= floor;
#else
    bool near = false;
#endif
    if (__all_sync(ALL, near))
        near_products(r, e, sums);
    else {
        float kept[LANE_ELEMENTS];
        again(c, from_c, group, lane, kept);
        rounded = products(r, kept, sums);
    }

    // Where the relative error is not cut off at the floor, twice of it bounds the units of the last place from above.
    float top_scaled = above(2.0f * top_rel);
    if (nearest < floor) {
        top_scaled = 0.0f;
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++)
            top_scaled = fmaxf(top_scaled, __fmul_rn(fabsf(e[k]), twice_inverse_power(r[k], smallest)));
    }
    // Float errors may have been rounded, and then as much as a look-alike is looked at.
    bool more = rounded ? max_e >= seen.e || top_scaled * 1.000001f >= seen.scaled
                        : max_e > seen.e || top_scaled > seen.scaled;
    if (__any_sync(ALL, more)) {
        float kept[LANE_ELEMENTS];
        again(c, from_c, group, lane, kept);
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) {
            double exact = fabs((double)kept[k] - (double)r[k]);
            rest.max_e = larger(rest.max_e, exact);
            rest.max_scaled = larger(rest.max_scaled, exact * (double)twice_inverse_power(r[k], smallest));
        }
        seen.e = warp_largest(__double2float_rd(rest.max_e));
        seen.scaled = warp_largest(__double2float_rd(rest.max_scaled));
    }

    if (!(top_rel <= judge.rel_below || max_e <= judge.atol_below)) {
        u32 wrong = 0, unsure = 0;
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) {
            float size = fabsf(r[k]);
            bool low = fabsf(e[k]) > __fmaf_rd(judge.rtol_below, size, judge.atol_below);
            bool high = fabsf(e[k]) > __fmaf_ru(judge.rtol_above, size, judge.atol_above);
            wrong |= (u32)high << k;
            unsure |= (u32)low << k;
        }
        unsure &= ~wrong;
        if (unsure != 0) {
            float kept[LANE_ELEMENTS];
            again(c, from_c, group, lane, kept);
#pragma unroll
            for (int k = 0; k < LANE_ELEMENTS; k++)
                if ((unsure >> k & 1) && !accepts(judge, r[k], fabs((double)kept[k] - (double)r[k]))) wrong |= 1u << k;
        }
        rest.mismatched += __popc(wrong);
        // A lane's positions rise.
        if (wrong != 0 && rest.first == NONE) rest.first = position(group, lane, __ffs(wrong) - 1);
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
    to.finite += from.finite;
}

__device__ __forceinline__ void join(Rest &to, const Rest &from) {
    to.max_e = larger(to.max_e, from.max_e);
    to.max_rel = larger(to.max_rel, from.max_rel);
    to.max_scaled = larger(to.max_scaled, from.max_scaled);
    to.min_r = smaller(to.min_r, from.min_r);
    to.max_r = larger(to.max_r, from.max_r);
    to.first = to.first < from.first ? to.first : from.first;
    to.mismatched += from.mismatched;
    to.ref_nonfinite += from.ref_nonfinite;
    to.cand_nonfinite += from.cand_nonfinite;
    to.overflow += from.overflow;
    to.subnormal += from.subnormal;
}

__device__ __forceinline__ Sums of_lane_above(const Sums &sums, int step) {
    Sums from;
    const u32 *words = (const u32 *)&sums;
#pragma unroll
    for (int w = 0; w < sizeof(Sums) / 4; w++) ((u32 *)&from)[w] = __shfl_down_sync(ALL, words[w], step);
    return from;
}

// `full` groups can take the fast path. `totals` receives 18 words a block, `counts` is added to.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    compare(const Element *__restrict__ r, const Element *__restrict__ c, u64 n, u64 full, double atol, double rtol,
            double floor, double smallest_normal, float atol_below, float rtol_below, float atol_above,
            float rtol_above, float rel_below, u64 *totals, u64 *counts) {
    __shared__ u32 bins[BINS];
    __shared__ Rest rests[THREADS];
    __shared__ Sums parts[WARPS];
    Rest &rest = rests[threadIdx.x];
    rest = {0, 0, 0, INFINITE, -INFINITE, NONE, 0, 0, 0, 0, 0, 0};
    for (u32 i = threadIdx.x; i < BINS; i += THREADS) bins[i] = 0;
    __syncthreads();

    const Judge judge = {atol, rtol, floor, smallest_normal, atol_below, rtol_below, atol_above, rtol_above, rel_below};
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u64 groups = (n + GROUP - 1) / GROUP, stride = (u64)gridDim.x * WARPS;
    Sums sums = {0, 0, 0, 0, 0, 0, 0};
    u64 group = (u64)blockIdx.x * WARPS + warp;
#if defined(FAST)
    Seen seen = {0.0f, 0.0f};
    Range range = {__int_as_float(0x7f800000), __int_as_float(0xff800000)};
    float max_rel = 0.0f;
    Raw raw;
    if (group < full) load(raw, r, c, group, lane);
    for (; group < full; group += stride) {
        if (fast(raw, r, c, group, group + stride, full, lane, judge, sums, rest, seen, range, max_rel, bins)) continue;
        for (u32 at = 0; at < GROUP; at += BLOCK) plain(r, c, n, group * GROUP + at, lane, judge, sums, rest, bins);
    }
    rest.min_r = smaller(rest.min_r, range.low);
    rest.max_r = larger(rest.max_r, range.high);
    rest.max_rel = larger(rest.max_rel, max_rel);
#endif
    for (; group < groups; group += stride)
        for (u32 at = 0; at < GROUP; at += BLOCK) plain(r, c, n, group * GROUP + at, lane, judge, sums, rest, bins);

    for (int half = 16; half > 0; half /= 2) join(sums, of_lane_above(sums, half));
    if (lane == 0) parts[warp] = sums;
    __syncthreads();
    for (u32 i = threadIdx.x; i < BINS; i += THREADS)
        if (bins[i] > 0) atomicAdd(&counts[i], (u64)bins[i]);
    for (u32 half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) join(rest, rests[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x > 0) return;
    for (int w = 1; w < WARPS; w++) join(sums, parts[w]);
    double reals[11] = {sums.e,     sums.ee,      sums.rr,         sums.cc,    sums.rc,   sums.rel,
                        rest.max_e, rest.max_rel, rest.max_scaled, rest.min_r, rest.max_r};
    u64 whole[7] = {sums.finite,         rest.mismatched, rest.first,    rest.ref_nonfinite,
                    rest.cand_nonfinite, rest.overflow,   rest.subnormal};
    u64 *to = totals + (u64)blockIdx.x * 18;
    for (int i = 0; i < 11; i++) to[i] = (u64)__double_as_longlong(reals[i]);
    for (int i = 0; i < 7; i++) to[11 + i] = whole[i];
}
