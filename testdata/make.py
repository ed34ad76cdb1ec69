#!/usr/bin/env python3
"""Writes every file of this folder: small ONNX models with a known fault, their inputs, and the right answer.

    python3 testdata/make.py            write the files
    python3 testdata/make.py --check    write nothing; exit 1 if a file on disk differs from what would be written

Needs numpy 2.4.6 and onnx 1.18.0; other versions may write other bytes. The output depends on nothing else: seeded
random bits and exact arithmetic only, no clock, no BLAS.
"""

import sys

sys.dont_write_bytecode = True

import shutil
from pathlib import Path

from maker import bad, control_flow, deployed, formats, healthy, judgement, overflow, quantised, readme, second_file

HERE = Path(__file__).resolve().parent


def main() -> int:
    parts = (overflow, control_flow, second_file, healthy, formats, judgement, quantised, deployed)
    cases = [case for part in parts for case in part.cases()]
    files = {}
    for case in cases:
        assert not any(name.startswith(case.name + "/") for name in files), f"two cases are called {case.name}"
        files |= case.files()
    files |= bad.files()
    files["README.md"] = readme.text(cases).encode()
    return check(files) if "--check" in sys.argv[1:] else write(files)


def write(files: dict[str, bytes]) -> int:
    for folder in sorted({name.split("/")[0] for name in files if "/" in name}):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    for name, content in files.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(content)
    print(f"{len(files)} files, {sum(map(len, files.values())) // 1024} KiB")
    return 0


def check(files: dict[str, bytes]) -> int:
    stale = [name for name, content in files.items() if not same(HERE / name, content)]
    for name in stale:
        print(f"testdata/{name} is not what make.py writes", file=sys.stderr)
    return 1 if stale else 0


def same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main())
