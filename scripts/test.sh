#!/usr/bin/env bash
# usage: scripts/test.sh [ARGUMENT OF cargo test]...     sets up what the tests need, and runs them all
#
# Needs a Rust toolchain and python3 with pip and venv. Fetches ONNX Runtime into the user's cache; real models, execution providers,
# TensorRT-RTX, the ONNX checker, Polygraphy and ONNX's own tests into target/; all once. The dev profile (opt-level 1) takes the least time to
# compile and run.
set -euo pipefail
cd "$(dirname "$0")/.."

# The models come down while the compiler works.
(bash scripts/models.sh && bash scripts/providers.sh && bash scripts/tensorrt.sh && bash scripts/trt_double.sh >/dev/null \
    && bash scripts/venv.sh peer >/dev/null && python3 scripts/node_tests.py --fetch >/dev/null) &
models=$!
trap 'kill "$models" 2>/dev/null || true' EXIT

cargo build --locked
"${CARGO_TARGET_DIR:-target}/debug/layerdiff" setup
wait "$models"
trap - EXIT

cargo test --locked "$@"
