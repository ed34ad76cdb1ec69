#!/usr/bin/env bash
# usage: scripts/overrides_bench.sh [option of overrides_bench.py ...]     layerdiff's overrides against ModelOpt AutoCast
#
# Builds layerdiff, fetches ModelOpt and the models, writes the encoder, measures both and prints a Markdown table.
# Needs a Rust toolchain, python3 (3.11 or newer) with venv and pip. Run it on a machine with nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."

# ModelOpt without PyTorch: AutoCast imports it and never uses it, so overrides_bench.py puts an empty module in its place.
modelopt=(nvidia-modelopt==0.47.0)
needs=(
    onnx==1.21.0 onnxruntime==1.24.4 onnx-graphsurgeon==0.6.1 onnxconverter-common==1.16.0 onnxscript==0.7.2
    onnxslim==0.1.98 polygraphy==0.53.6 lief==1.0.0 ml_dtypes==0.6.0 numpy==2.4.6 scipy==1.17.1 nvidia-ml-py==13.615.71
    omegaconf==2.4.0 pulp==3.3.2 pydantic==2.14.3 PyYAML==6.0.3 regex==2026.11.15 rich==15.0.0 safetensors==0.8.0
    setuptools==84.2.1 tqdm==4.70.1
)

cargo build --release --locked --bin layerdiff >&2
bash scripts/models.sh >&2
python=$(scripts/venv.sh tools)
[[ -f target/encoder/encoder.onnx ]] || "$python" scripts/encoder.py >&2

venv=target/venv-modelopt
stamp="$venv/.installed"
pins="${modelopt[*]} ${needs[*]}"
if [[ ! -f $stamp || "$(<"$stamp")" != "$pins" ]]; then
    python3 -m venv "$venv" >&2
    pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all:)
    "${pip[@]}" --no-deps "${modelopt[@]}" >&2
    # pip says that PyTorch and ninja are missing, and installs the rest.
    "${pip[@]}" "${needs[@]}" >&2
    echo "$pins" >"$stamp"
fi
exec "$python" scripts/overrides_bench.py --autocast "$venv/bin/python" "$@"
