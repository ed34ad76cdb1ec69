#!/usr/bin/env bash
# usage: scripts/tensorrt.sh     fetches TensorRT for the tests: TensorRT-RTX 1.7.1 with its ONNX parser, and the lean runtime 11.4
#
# Through pip, checksummed, into target/tensorrt; quick when everything is there. Needs python3 with pip, and 600 MB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."

# package==version  sha256 of its wheel  a file that it brings
packages="
onnxruntime-ep-nv-tensorrt-rtx-cu13==0.5.0 32f575c633d171b4edf4b53d3bb22b72a6c9c0a850d2982ce9a788a5d40d3298 onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.7.1
tensorrt-lean-cu13-libs==11.4.0.106 e022b8d0e21f19258657aec6760e1de8b454ed176f76217e3f7ec2036c5a9410 tensorrt_lean_libs/libnvinfer_lean.so.11
"

while read -r package sum file; do
    [[ -z $package || -e target/tensorrt/$file ]] && continue
    rm -rf target/tensorrt.part && mkdir -p target/tensorrt.part target/tensorrt
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
        --platform manylinux_2_28_x86_64 -d target/tensorrt.part "$package"
    wheel=$(echo target/tensorrt.part/*.whl)
    echo "$sum  $wheel" | sha256sum --check --quiet
    python3 -m zipfile -e "$wheel" target/tensorrt.part/unpacked
    # Only the libraries that the tests load: the rest is another 80 MB.
    rm -f target/tensorrt.part/unpacked/*/lib{tensorrt_plugins,tensorrt_shim,onnxruntime_providers_nv_tensorrt_rtx}.so
    cp -r target/tensorrt.part/unpacked/. target/tensorrt/
    rm -rf target/tensorrt.part
    echo "fetched $package"
done <<<"$packages"
