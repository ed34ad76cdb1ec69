#!/usr/bin/env bash
# usage: scripts/benches.sh NAME...     builds layerdiff and these programs of benches/, as target/release/benches/NAME
#
# cargo puts a hash into the names of benches, and a benchmark of whole processes must not time cargo: hence the links.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --bin layerdiff >&2
folder=${CARGO_TARGET_DIR:-target}/release/benches
mkdir -p "$folder"
for name in "$@"; do
    messages=$(cargo build --release --bench "$name" --message-format=json-render-diagnostics)
    program=$(python3 -c '
import json, sys
built = [json.loads(line) for line in sys.stdin]
print(next(m["executable"] for m in built if m.get("executable") and "bench" in m["target"]["kind"]))' <<<"$messages")
    ln -sf "$program" "$folder/$name"
done
