#!/usr/bin/env bash
# usage: scripts/trt_double.sh     makes the test doubles of TensorRT 8.6, 10, 11 and libcuda in target/trt_double
#
# 10/ and 11/   libnvinfer.so.N, libnvonnxparser.so.N and the driver `smoke` of the same headers
# 8/            the same of 8.6, with headers that tests/trt_double/headers8.py makes of those of 10
# cuda/         libcuda.so.1 (and libcuda.so, a link to it)
#
# Needs g++ (C++17), python3 and cargo, which fetches the public headers. Does nothing when all is newer than its sources.
# tests/trt_double/double.hpp says what the doubles do.
set -euo pipefail
cd "$(dirname "$0")/.."

source=$PWD/tests/trt_double
out=$PWD/target/trt_double
mkdir -p "$out/objects" "$out"/8 "$out"/10 "$out"/11 "$out"/cuda
exec 9>"$out/lock"
flock 9

stamp=$out/built
if [[ -f $stamp && -z $(find "$source" scripts/trt_double.sh src/run/tensorrt/abi.txt -newer "$stamp" -type f -print -quit) ]]; then
    exit 0
fi
rm -f "$stamp"

# headers N: the folder of the public headers of TensorRT N. The manifest is copied: no lock file beside the sources.
headers() {
    local copy=$out/headers$1
    mkdir -p "$copy"
    cp "$source/headers$1/Cargo.toml" "$copy"
    cargo metadata --quiet --format-version 1 --manifest-path "$copy/Cargo.toml" | python3 -c '
import glob, json, os, sys
crate, = (p for p in json.load(sys.stdin)["packages"] if p["name"] == "trtx-sys")
root = os.path.join(os.path.dirname(crate["manifest_path"]), "TensorRT-Headers")
print(root)
print(*glob.glob(os.path.join(root, "TRT-Enterprise-" + sys.argv[1] + ".*")))' "$1"
}

flags=(-std=c++17 -O1 -g1 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -fno-gnu-unique -Wall -Wextra
    -Wno-deprecated-declarations -DTENSORRT_BUILD_LIB)
plain=(model ort warp)
infer=(common network compile builder config plan engine context enqueue inspector device)
parser=(common parser)

# compile NAME.cpp OBJECT FLAG...: one line of work for xargs.
compile() { printf '%s\0' "g++ ${*:3} -c '$source/$1' -o '$2'"; }

declare -A include
for n in 10 11 8; do
    if [[ $n == 8 ]]; then
        { read -r root; read -r folder; } < <(headers 10)
        python3 "$source/headers8.py" src/run/tensorrt/abi.txt "$folder" "$out/made8"
        folder=$out/made8
    else
        { read -r root; read -r folder; } < <(headers "$n")
    fi
    # The headers also want cuda_runtime_api.h, of which the crate has what they need.
    include[$n]="-isystem '$folder' -isystem '$root' -I '$out/objects/$n'"
    mkdir -p "$out/objects/$n"
    python3 "$source/stubs.py" "$folder/NvInferImpl.h" >"$out/objects/$n/stubs.hpp"
done
{
    for name in "${plain[@]}"; do compile "$name.cpp" "$out/objects/$name.o" "${flags[@]}"; done
    for name in cuda cuda_streams cuda_machine; do compile "$name.cpp" "$out/objects/$name.o" "${flags[@]}"; done
    for n in 8 10 11; do
        for name in "${infer[@]}" parser; do
            compile "$name.cpp" "$out/objects/$n/$name.o" "${flags[@]}" "-I '$source' ${include[$n]}"
        done
        compile smoke.cpp "$out/objects/$n/smoke.o" "-std=c++17 -O1 -g1 -Wall -Wextra -Wno-deprecated-declarations" "${include[$n]}"
    done
} | xargs -0 -P "$(nproc)" -I{} sh -c '{}'

# objects N NAME...: their files.
objects() {
    local n=$1 name
    shift
    for name in "$@"; do echo "$out/objects/$n/$name.o"; done
}
common=()
for name in "${plain[@]}"; do common+=("$out/objects/$name.o"); done
for n in 8 10 11; do
    g++ -shared -Wl,-z,defs -Wl,-soname,libnvinfer.so.$n -o "$out/$n/libnvinfer.so.$n" $(objects $n "${infer[@]}") "${common[@]}" -ldl
    g++ -shared -Wl,-z,defs -Wl,-soname,libnvonnxparser.so.$n '-Wl,-rpath,$ORIGIN' -o "$out/$n/libnvonnxparser.so.$n" \
        $(objects $n "${parser[@]}") "$out/objects/model.o" "$out/$n/libnvinfer.so.$n"
    g++ '-Wl,-rpath,$ORIGIN' -o "$out/$n/smoke" "$out/objects/$n/smoke.o" \
        "$out/$n/libnvonnxparser.so.$n" "$out/$n/libnvinfer.so.$n" -ldl
done
g++ -shared -Wl,-z,defs -Wl,-soname,libcuda.so.1 -o "$out/cuda/libcuda.so.1" "$out"/objects/cuda*.o
ln -sfn libcuda.so.1 "$out/cuda/libcuda.so"
touch "$stamp"
