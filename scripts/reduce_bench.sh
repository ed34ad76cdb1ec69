#!/usr/bin/env bash
# usage: scripts/reduce_bench.sh [option of reduce_bench.py ...]     layerdiff reduce against Polygraphy's debug reduce
#
# Builds layerdiff, fetches Polygraphy, writes the encoder, measures both side by side and prints a Markdown table.
# Needs a Rust toolchain, python3 (3.11 or newer) with venv and pip. Run it on a machine with nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/benches.sh floor
python=$(scripts/venv.sh peer)
"$python" scripts/encoder.py >&2
exec "$python" scripts/reduce_bench.py "$@"
