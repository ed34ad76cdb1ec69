#!/usr/bin/env bash
# usage: scripts/ort_cuda.sh [OPTION of layerdiff bisect]...     real models on an NVIDIA GPU: ort-cuda in four precisions
#
# Runs bisect (with reduce and overrides) and prints a Markdown table; beside the lower precisions it runs their emulation on the
# CPU and says how far the errors of the worst output are apart, and for how many of all tensors by no more than 3 times. Needs a GPU, onnxruntime-gpu with its libraries, the models (scripts/models.sh)
# and python3. LAYERDIFF names the program, MODELS the models, PRECISIONS what is run, JOBS how many at a time, LIMIT seconds each.
set -euo pipefail
cd "$(dirname "$0")/.."

layerdiff=${LAYERDIFF:-target/release/layerdiff}
models=${MODELS:-"det rec cls opennsfw nudenet magika silero_vad silero_16k layernorm_overflow"}
precisions=${PRECISIONS:-"fp32 tf32 fp16 bf16"}
out=${OUT_DIR:-$(mktemp -d)}
[[ -x $layerdiff ]] || { echo "$layerdiff is missing: cargo build --release" >&2; exit 2; }

one() {
    local model=$1 candidate=$2 dir="$out/$1-${2//:/-}"
    shift 2
    local file=target/models/$model.onnx inputs=target/models/$model.npz
    [[ -e $file ]] || { file=testdata/$model/model.onnx inputs=testdata/$model/inputs.npz; }
    mkdir -p "$dir"
    timeout "${LIMIT:-300}" "$layerdiff" bisect "$file" -i "$inputs" -c "$candidate" -o "$dir" -q "$@" \
        >"$dir/stdout" 2>"$dir/stderr" || echo "$?" >"$dir/status"
    # Every tensor, for the distance between GPU and emulation.
    timeout "${LIMIT:-300}" "$layerdiff" compare "$file" -i "$inputs" -c "$candidate" -o "$dir/all" -q "$@" \
        >/dev/null 2>&1 || true
    # The reproducer, run again from disk: 1 is what it is for.
    if [[ -e $dir/reduced/repro.sh ]]; then
        local status=0
        LAYERDIFF=$layerdiff timeout 60 sh "$dir/reduced/repro.sh" layerdiff >"$dir/repro.out" 2>&1 || status=$?
        echo "$status" >"$dir/repro"
    fi
}
export -f one
export out layerdiff

for model in $models; do
    for precision in $precisions; do
        echo "$model ort-cuda:$precision"
        [[ $precision == fp32 ]] || echo "$model ort:$precision"
    done
done | xargs -P "${JOBS:-1}" -L 1 bash -c 'words=("${@: -2}"); one "${words[@]}" "${@:1:$#-2}"' _ "$@"

python3 - "$out" "$models" "$precisions" <<'PYTHON'
import json
import sys
from pathlib import Path

out, models, precisions = Path(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()


def report(model, candidate):
    file = out / f"{model}-{candidate.replace(':', '-')}" / "report.json"
    return json.loads(file.read_text()) if file.exists() else None


def number(x):
    return float(x) if x is not None else float("nan")


def error(r):
    """The worst output, as the error's rms over the largest reference value."""
    def share(o):
        size = max(abs(number(o["ref_min"])), abs(number(o["ref_max"])), 1e-30)
        return float("inf") if o["cand_nonfinite"] > o["ref_nonfinite"] else number(o["rmse"]) / size
    return max((share(o) for o in r["outputs"] if o.get("rmse") is not None), default=0.0)


def factor(a, b):
    if a == b:
        return "1.0"
    return f"{max(a, b) / min(a, b):.1f}" if 0 < min(a, b) and max(a, b) < float("inf") else "-"


def tensors(model, precision):
    """Of the tensors that are off on both sides: how many by no more than three times, and the median of the factors."""
    def errors(candidate):
        file = out / f"{model}-{candidate.replace(':', '-')}" / "all" / "report.json"
        found = json.loads(file.read_text())["tensors"] if file.exists() else []
        return {t["name"]: number(t["rmse"]) for t in found if t.get("rmse") is not None}

    gpu, emulated = errors(f"ort-cuda:{precision}"), errors(f"ort:{precision}")
    both = [gpu[n] / emulated[n] for n in gpu if 0 < gpu[n] < float("inf") and 0 < emulated.get(n, 0) < float("inf")]
    if not both:
        return "-"
    near = sum(1 / 3 <= f <= 3 for f in both)
    return f"{near} of {len(both)}, median {sorted(both)[len(both) // 2]:.2f}"


def row(model, precision):
    r = report(model, f"ort-cuda:{precision}")
    folder = out / f"{model}-ort-cuda-{precision}"
    if r is None:
        last = (folder / "stderr").read_text().strip().splitlines()[-1:] or ["no answer in time"]
        return [model, precision, last[0][:300]] + ["-"] * 9
    cure, reduced = r.get("overrides"), r.get("reduced")
    culprits = "; ".join(f"{c['node']['name']} {c['kind']}" for c in r.get("culprits", [])[:2]) or "-"
    cured = price = "-"
    if cure:
        sure = "verified" if cure.get("verified") else "not verified"
        cured = f"{len(cure['nodes'])} of {cure.get('of')}, {sure}"
        before, after = cure.get("latency_before"), cure.get("latency_after")
        price = f"{1e3 * before:.2f} -> {1e3 * after:.2f}" if before and after else "-"
    again = "-"
    if reduced:
        status = (folder / "repro").read_text().strip() if (folder / "repro").exists() else "none"
        again = f"{reduced['nodes']} nodes, {'yes' if reduced['reproduces'] else 'no'}, exit {status}"
    e, same, apart = error(r), "-", "-"
    emulated = report(model, f"ort:{precision}")
    if emulated:
        same = "yes" if emulated["verdict"] == r["verdict"] else emulated["verdict"]
        apart = factor(e, error(emulated))
    seconds = f"{r['seconds']:.1f}"
    near = tensors(model, precision)
    return [model, precision, r["verdict"], culprits, f"{e:.1e}", cured, again, price, seconds, same, apart, near]


head = ["model", "ort-cuda", "verdict", "culprits", "output error", "in FP32", "reproducer", "latency, ms", "s",
        "emulation agrees", "errors apart", "tensors within 3 times"]
for line in [head, ["---"] * len(head)] + [row(m, p) for m in models for p in precisions]:
    print("| " + " | ".join(line) + " |")
PYTHON
