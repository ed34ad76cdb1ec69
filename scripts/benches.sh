#!/usr/bin/env bash
# usage: scripts/benches.sh NAME...     builds layerdiff and these programs of benches/, as target/release/benches/NAME
#
# cargo puts a hash into the names of benches, and a benchmark of whole processes must not time cargo: hence the links. One call
# builds all: benches have features of their own in what they depend on, and a second call would build layerdiff twice.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/release/benches")
mkdir -p "$folder"
messages=$(cargo build --release --bin layerdiff "${@/#/--bench=}" --message-format=json-render-diagnostics)
python3 -c '
import json, pathlib, sys
for message in map(json.loads, sys.stdin):
    if message.get("executable") and "bench" in message["target"]["kind"]:
        link = pathlib.Path(sys.argv[1], message["target"]["name"])
        link.unlink(missing_ok=True)
        link.symlink_to(message["executable"])' "$folder" <<<"$messages"
