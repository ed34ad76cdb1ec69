// The fast path: a group without NaN, infinities and extreme magnitudes.

#if defined(FAST)
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
