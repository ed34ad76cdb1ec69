#!/usr/bin/env bash
# usage: scripts/capture_test.sh [WORD]...     python/layerdiff/capture.py against real PyTorch; WORDs choose tests by name
#
# No part of scripts/test.sh: PyTorch takes 5.5 GB (scripts/venv.sh torch). TORCH_PYTHON names another Python that has torch (2.9
# and 2.15 pass), onnx, onnxscript and onnxruntime. LAYERDIFF names the program; without it, it is built. About two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${TORCH_PYTHON:-$(bash scripts/venv.sh torch)}
if [[ -z ${LAYERDIFF:-} ]]; then
    cargo build --quiet
    LAYERDIFF=$PWD/target/debug/layerdiff
fi
export LAYERDIFF PYTHONPATH="$PWD/python"
exec "$python" tests/capture/capture_test.py "$@"
