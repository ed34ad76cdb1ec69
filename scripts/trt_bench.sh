#!/usr/bin/env bash
# usage: scripts/trt_bench.sh [option of trt_bench.py ...]     what the TensorRT path costs: at start-up, and in builds
#
# Builds layerdiff and the test doubles of TensorRT 10 and 11, measures both and prints Markdown tables. Needs a Rust toolchain,
# g++, python3 (3.11 or newer) with venv and pip, and `layerdiff setup`.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/benches.sh choose_cost
scripts/trt_double.sh >&2
python=$(scripts/venv.sh tools)
exec "$python" scripts/trt_bench.py "$@"
