"""Run a script inside the project's own virtual environment: `inside("tools")` before importing what it holds."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def python(kind):
    """The interpreter of an environment of scripts/venv.sh, made when it is missing."""
    made = subprocess.run([ROOT / "scripts/venv.sh", kind], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        sys.exit(f"scripts/venv.sh {kind} failed; its messages are above")
    return made.stdout.strip()


def inside(kind):
    """Starts this script over in that environment, unless it is there already."""
    if os.environ.get("LAYERDIFF_INSIDE_VENV") != kind:
        os.environ["LAYERDIFF_INSIDE_VENV"] = kind
        interpreter = python(kind)
        os.execv(interpreter, [interpreter, *sys.argv])
