#!/usr/bin/env bash
# usage: scripts/check_trt_abi.sh [FOLDER]     checks src/run/tensorrt/abi.txt against NVIDIA's public headers, with g++
#
# The headers lie in two crates: TensorRT 10.16 in trtx-sys 0.5.0; 11.4 and TensorRT-RTX 1.3 to 1.7 in 0.9.1. Cargo fetches them.
# No crate has those of 8.6: they are checked where FOLDER has them, which are `include` of NVIDIA/TensorRT at release/8.6 and
# NvOnnxParser.h of onnx/onnx-tensorrt at 8.6-GA.
# Prints one line a set of headers. Needs g++ 10 or newer and cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
table=src/run/tensorrt/abi.txt
work=target/trt_abi

# headers_of FOLDER: where the crate named by tests/trt_abi/FOLDER has its headers
headers_of() {
    local manifest=$work/$1/Cargo.toml target metadata
    target=$(rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$work/$1" && cp "tests/trt_abi/$1/Cargo.toml" "tests/trt_abi/$1/empty.rs" "$work/$1/"
    metadata() { cargo metadata "$@" --format-version 1 --filter-platform "$target" --manifest-path "$manifest" 2>/dev/null; }
    metadata=$(metadata --offline || { cargo fetch -q --target "$target" --manifest-path "$manifest" && metadata; })
    grep -o '"manifest_path":"[^"]*/trtx-sys-[^"]*"' <<<"$metadata" | sed 's/.*":"//; s/Cargo.toml"$/TensorRT-Headers/'
}

# column NUMBER VERSION: that column of the table for the probe
column() {
    awk -v column="$1" -v version="$2" '
        function since(cell,   part, want, have) {
            if (split(cell, part, ">=") < 2) return 1
            split(part[2], want, "."); split(version, have, ".")
            return have[1] > want[1] || (have[1] == want[1] && have[2] >= want[2])
        }
        $1 == "slot" || $1 == "value" {
            cell = $(column + 3); absent = cell == "-" || !since(cell); sub(/>=.*/, "", cell)
            if ($3 == "~D1" || ($3 == "~D0" && absent)) next
            if ($3 == "~D0") printf "DESTRUCTOR(%s, %s)\n", $2, cell
            else if ($1 == "value") printf(absent ? "NO_VALUE(%s, %s)\n" : "VALUE(%s, %s, %s)\n", $2, $3, cell)
            else if (absent) printf "ABSENT(%s, %s)\n", $2, $3
            else if ($3 == "deserializeCudaEngine") printf "OVERLOADED(%s, %s, Deserialize, %s)\n", $2, $3, cell
            else printf "SLOT(%s, %s, %s)\n", $2, $3, cell
        }' "$table"
}

# check HEADERS COLUMN VERSION
check() {
    local build=$work/$3
    mkdir -p "$build"
    column "$2" "$3" >"$build/table.inc"
    g++ -std=c++20 -w -O0 -I "$build" -I "$1" -I "$ten" -o "$build/probe" tests/trt_abi/probe.cpp
    local said right=0
    said=$("$build/probe") || right=1
    echo "$(basename "$1"): $said"
    return $right
}

ten=$(headers_of headers_10)
rest=$(headers_of headers_11)
status=0
if [[ $# -gt 0 ]]; then
    grep -q 'NV_TENSORRT_MAJOR 8' "$1/NvInferVersion.h" && grep -q 'NV_TENSORRT_MINOR 6' "$1/NvInferVersion.h" ||
        { echo "$1 has not the headers of TensorRT 8.6" >&2; exit 2; }
    check "$1" 1 8.6 || status=1
else
    echo "TensorRT 8.6: not checked, no folder with its headers was given"
fi
check "$ten/TRT-Enterprise-10.16" 2 10.16 || status=1
check "$rest/TRT-Enterprise-11.4" 4 11.4 || status=1
for version in 1.3 1.4; do check "$rest/TRT-RTX-$version" 5 $version || status=1; done
for version in 1.5 1.6 1.7; do check "$rest/TRT-RTX-$version" 6 $version || status=1; done
exit $status
