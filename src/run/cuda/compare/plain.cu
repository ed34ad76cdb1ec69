// The plain path: any element, an element at a time, as the CPU does it.

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
            rest.odd += wrong;
        }
        if (wrong) {
            rest.mismatched++;
            rest.first = rest.first < i ? rest.first : i;
        }
    }
}
