// What a lane does for the fast path: loading, unpacking, quotients, products, maxima.

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

#endif
