// The kernel: groups go to warps, and what lanes, warps and blocks found is joined.

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
    to.odd += from.odd;
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

// `full` groups can take the fast path. `totals` receives 19 words a block, `counts` is added to.
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
    u64 whole[8] = {sums.finite,         rest.mismatched, rest.first,    rest.ref_nonfinite,
                    rest.cand_nonfinite, rest.odd,        rest.overflow, rest.subnormal};
    u64 *to = totals + (u64)blockIdx.x * 19;
    for (int i = 0; i < 11; i++) to[i] = (u64)__double_as_longlong(reals[i]);
    for (int i = 0; i < 8; i++) to[11 + i] = whole[i];
}
