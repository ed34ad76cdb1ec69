#!/usr/bin/env bash
# usage: scripts/providers.sh     fetches real execution providers for the tests: OpenVINO's ONNX Runtime and a plug-in
#
# Through pip, checksummed, into target/providers; quick when everything is there. Needs python3 with pip.
set -euo pipefail
cd "$(dirname "$0")/.."

# package==version  sha256 of its wheel  a file that it brings  Python it is built for
providers="
onnxruntime-openvino==1.24.1 3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8 onnxruntime/capi/libonnxruntime.so.1.24.1 311
onnxruntime-ggml==0.2.0 2342809f3f6dc2d7b6d303f3bcde391ec5ab10177ce45aec9365880aa5914745 onnxruntime_ggml/lib/libonnxruntime_ggml.so 312
"

while read -r package sum file python; do
    [[ -z $package || -e target/providers/$file ]] && continue
    rm -rf target/providers.part && mkdir -p target/providers.part target/providers
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
        --python-version "$python" --platform manylinux_2_28_x86_64 --platform manylinux_2_35_x86_64 \
        -d target/providers.part "$package"
    wheel=$(echo target/providers.part/*.whl)
    echo "$sum  $wheel" | sha256sum --check --quiet
    python3 -m zipfile -e "$wheel" target/providers.part/unpacked
    cp -r target/providers.part/unpacked/. target/providers/
    rm -rf target/providers.part
    echo "fetched $package"
done <<<"$providers"
