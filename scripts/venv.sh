#!/usr/bin/env bash
# usage: scripts/venv.sh tools|peer|openvino|torch ...     makes virtual environments and prints the Python of each
#
# tools     target/venv            onnx, onnxruntime, numpy: what corpus.py and healthy.py need
# peer      target/venv            the same with Polygraphy, for bench.py
# openvino  target/venv-openvino   onnxruntime-openvino, whose library cannot share a process with onnxruntime's
# torch     target/venv-torch      PyTorch with its exporters, for capture_test.sh: 5.5 GB, since PyTorch's library for Linux does not
#                                  load without those of CUDA
#
# Needs python3 (3.11 or newer) with venv and pip. Every version is pinned; a second call costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=(onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6)
peer=(polygraphy==0.53.6 onnx_graphsurgeon==0.6.1)
openvino=(onnxruntime-openvino==1.24.1 numpy==2.4.6)
torch=(torch==2.15.0 onnxscript==0.7.2 "${tools[@]}")

# ensure DIR STAMP PACKAGE...: makes the environment and installs the packages, once for each list of pins.
ensure() {
    local dir=$1 stamp="$1/.installed-$2"
    shift 2
    if [[ ! -x $dir/bin/python ]]; then
        python3 -m venv "$dir" >&2
    fi
    if [[ ! -f $stamp || "$(<"$stamp")" != "$*" ]]; then
        "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$@" >&2
        echo "$*" >"$stamp"
    fi
}

if [[ $# -eq 0 ]]; then
    echo "usage: scripts/venv.sh tools|peer|openvino|torch ..." >&2
    exit 2
fi
for kind in "$@"; do
    case $kind in
        tools) dir=target/venv; ensure "$dir" tools "${tools[@]}" ;;
        peer) dir=target/venv; ensure "$dir" tools "${tools[@]}"; ensure "$dir" peer "${peer[@]}" ;;
        openvino) dir=target/venv-openvino; ensure "$dir" openvino "${openvino[@]}" ;;
        torch) dir=target/venv-torch; ensure "$dir" torch "${torch[@]}" ;;
        *) echo "scripts/venv.sh: '$kind' is none of tools, peer, openvino, torch" >&2; exit 2 ;;
    esac
    echo "$PWD/$dir/bin/python"
done
