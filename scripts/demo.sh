#!/usr/bin/env bash
# usage: scripts/demo.sh     builds layerdiff, fetches ONNX Runtime, and asks why a model of testdata fails in FP16
#
# Needs a Rust toolchain and python3 with pip. A second call builds and fetches nothing. Exit status 0: the answer was found.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
layerdiff=${CARGO_TARGET_DIR:-target}/release/layerdiff
"$layerdiff" setup

case=testdata/layernorm_overflow
report=$(mktemp -d)
command=(bisect "$case/model.onnx" --candidate ort:fp16 --inputs "$case/inputs.npz" -o "$report")
printf '\n$ layerdiff %s\n' "${command[*]}"

# As with diff(1), status 1 says that the runs diverge and that the culprit was found: here that is the expected outcome.
status=0
"$layerdiff" "${command[@]}" || status=$?
if [[ $status -ne 1 ]]; then
    echo "scripts/demo.sh: layerdiff's exit status is $status instead of 1: it did not find the divergence of $case" >&2
    exit 1
fi
