#!/usr/bin/env python3
"""ONNX's own backend tests: every operator, as tiny models with data, given to bisect, inspect and convert.

The tests come with the wheel onnx 1.18.0 (fetched once by pip into target/node_tests; 1,590). Each is asked three
things: `bisect -i test_data_set_0` against the default candidate of a machine without a GPU (ort:fp16), `inspect`, and
`convert --to fp16`. All must be answers (answers.py): no crash, status 0 to 3, a reason in one sentence where it is 2 or 3.
What convert writes must load in ONNX Runtime if the model does, or convert must have said that it does not.

Usage: scripts/node_tests.py                    all of them: some minutes on two cores
       scripts/node_tests.py --sample 60        every so many-th, as the tests run it
       scripts/node_tests.py --only test_if     those whose names begin so; prints every answer

Prints the refusals by reason, then what was no answer. Exit status: 0 when all were answers.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import collections
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import onnxruntime

import answers

WHEEL = "onnx==1.18.0"
FOLDER = venv.ROOT / "target/node_tests"
INSIDE = "onnx/backend/test/data/"


@dataclass
class Result:
    name: str
    # By command: the status and what was said.
    said: dict = field(default_factory=dict)
    # (command, kind, detail)
    problems: list = field(default_factory=list)


def main():
    options = arguments()
    if options.fetch:
        print(f"{len(fetched())} tests in {FOLDER}")
        return
    if not options.layerdiff.exists():
        sys.exit(f"{options.layerdiff} is missing: run cargo build, or name it with --layerdiff")
    answers.bounded()
    tests = [test for test in fetched() if test.name.startswith(options.only)]
    if options.sample:
        tests = tests[:: max(1, len(tests) // options.sample)][: options.sample]
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(examine, tests, [options] * len(tests), chunksize=4))
    sys.exit(0 if summary(results, options) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="this many, spread over all of them")
    parser.add_argument("--only", default="", metavar="PREFIX")
    parser.add_argument("--fetch", action="store_true", help="fetch the tests and do nothing else")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--layerdiff", help="the program; target/release/layerdiff or target/debug/layerdiff unless said"
    )
    options = parser.parse_args()
    options.layerdiff = answers.program(options)
    return options


def fetched():
    """The folders of the tests."""
    if not FOLDER.exists():
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as temporary:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "-d",
                temporary,
            ]
            # The tests are the same in every wheel.
            platform = ["--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux_2_17_x86_64"]
            if subprocess.run([*pip, *platform, WHEEL], stdout=sys.stderr).returncode != 0:
                sys.exit(f"pip cannot fetch {WHEEL}; its messages are above")
            with zipfile.ZipFile(next(Path(temporary).glob("onnx-*.whl"))) as wheel:
                names = [
                    name for name in wheel.namelist() if name.startswith(INSIDE) and name.endswith((".onnx", ".pb"))
                ]
                wheel.extractall(Path(temporary) / "wheel", names)
            (Path(temporary) / "wheel" / INSIDE).rename(FOLDER)
    return sorted(path.parent for path in FOLDER.glob("*/*/model.onnx"))


# ---- one test


def examine(test, options):
    result = Result(f"{test.parent.name}/{test.name}")
    model = test / "model.onnx"
    data = ["-i", test / "test_data_set_0"] if (test / "test_data_set_0/input_0.pb").exists() else []
    questions = {
        "bisect": ["bisect", model, *data, "-q", "-o", "out"],
        "inspect": ["inspect", model],
        "convert": ["convert", model, "--to", "fp16", "-q", "-o", "out.onnx"],
    }
    for command, words in questions.items():
        with tempfile.TemporaryDirectory() as folder:
            answer = answers.ask([options.layerdiff, *words], Path(folder))
            result.said[command] = (answer.status, answers.sentence(answer) if answer.status in (2, 3) else "")
            result.problems += [(command, kind, detail) for kind, detail in answers.complaints(answer)]
            if command == "convert" and answer.status == 0:
                refused = refusal(Path(folder) / "work/out.onnx")
                if refused and "ONNX Runtime" not in answer.stderr and not refusal(model):
                    result.problems.append((command, "does not load", refused))
    return result


def refusal(model):
    """Why ONNX Runtime does not load it, asked in a process that may die; None if it does."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            quiet = onnxruntime.SessionOptions()
            quiet.log_severity_level = 4
            onnxruntime.InferenceSession(str(model), quiet, providers=["CPUExecutionProvider"])
        except BaseException as refused:
            os.write(write, str(refused).encode()[:2000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode("utf8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"it dies of {signal.Signals(-status).name}" if status < 0 else said or None


# ---- the summary


def summary(results, options):
    print(f"{len(results)} tests of {WHEEL}\n")
    print("| command | status 0 | 1 | 2 | 3 |")
    print("|---|---|---|---|---|")
    for command in ("bisect", "inspect", "convert"):
        counts = collections.Counter(r.said[command][0] for r in results)
        print(f"| {command} | " + " | ".join(str(counts[s]) for s in range(4)) + " |")
    print("\nrefusals, by reason:")
    reasons = collections.defaultdict(list)
    for r in results:
        for command, (status, said) in r.said.items():
            if said:
                reasons[(command, status, kind_of(said))].append((r.name, said))
    for (command, status, _), cases in sorted(reasons.items(), key=lambda kv: -len(kv[1])):
        name, said = cases[0]
        print(f"{len(cases):4} {command}, status {status}: {said[:220]}   ({name})")
    problems = [(r.name, *problem) for r in results for problem in r.problems]
    print("\n" + (f"{len(problems)} without an answer:" if problems else "all were answers"))
    for name, command, kind, detail in problems:
        print(f"{kind}: {command} {FOLDER / name / 'model.onnx'}: {detail[:300]}")
    if options.only:
        for r in results:
            print(r.name, r.said)
    return not problems


def kind_of(said):
    """The sentence without what is of one model."""
    said = re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*|\([^)]*\)", "_", said)
    return re.sub(r"\d+|\[[^\]]*\]", "0", said)[:100]


if __name__ == "__main__":
    main()
