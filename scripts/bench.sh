#!/usr/bin/env bash
# usage: scripts/bench.sh [option of bench.py ...]     layerdiff against Polygraphy and against bare ONNX Runtime
#
# Builds layerdiff, fetches the models and Polygraphy, measures all three side by side and prints Markdown tables.
# Needs a Rust toolchain, python3 (3.11 or newer) with venv and pip. Run it on a machine with nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/benches.sh floor compare_throughput
scripts/models.sh >&2
python=$(scripts/venv.sh peer)
exec "$python" scripts/bench.py "$@"
