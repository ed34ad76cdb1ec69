#!/usr/bin/env bash
# usage: scripts/fuzz.sh [SECONDS [TARGET]...]     600 seconds a target, and all targets, unless said
#
# Fuzzes every reader (model npy npz polygraphy test_data_set report journal) and mark, cut, reduce and convert on drawn models
# (graph). With a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz), libFuzzer looks for new ways through the code; what
# it finds lies in fuzz/artifacts/TARGET, and `cargo +nightly fuzz run TARGET FILE` shows it again. Else proptest takes as many
# cases as fit, from a seed that is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
shift || true
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=(model npy npz polygraphy test_data_set report journal graph)

if cargo +nightly fuzz --version >/dev/null 2>&1; then
    cp -n Cargo.lock fuzz/Cargo.lock 2>/dev/null || true
    for target in "${targets[@]}"; do
        mkdir -p "fuzz/corpus/$target"
        echo "== $target, $seconds s"
        # Folders behind the first are seeds, never written to; files of another kind than the target's do no harm.
        cargo +nightly fuzz run --sanitizer none "$target" "fuzz/corpus/$target" testdata tests/data fuzz/seeds -- \
            -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536
    done
    exit
fi

echo "cargo-fuzz on a nightly toolchain is not here; proptest on this one instead"
declare -A test=([model]=models [npy]=arrays [npz]=archives [polygraphy]=polygraphys_json
    [test_data_set]=test_data_sets [report]=reports [journal]=journals [graph]=graphs)
for target in "${targets[@]}"; do
    until=$((SECONDS + seconds))
    while ((SECONDS < until)); do
        seed=$RANDOM$RANDOM
        echo "== $target: PROPTEST_RNG_SEED=$seed PROPTEST_CASES=20000 cargo test --locked --test fuzz ${test[$target]}"
        PROPTEST_RNG_SEED=$seed PROPTEST_CASES=20000 cargo test --locked --quiet --test fuzz "${test[$target]}"
    done
done
