#!/usr/bin/env python3
"""Kill layerdiff at random instants, and see that nothing is lost and nothing stays behind.

Killed (-9) while it searches, reduces and cures the FP16 overflow of a transformer encoder (encoder.py): `--resume` must give
what a run that nobody killed gives, number by number, and clean up what the killed run left.

Told to stop (SIGTERM, SIGINT, SIGHUP in turn) while the candidate is a slow command with a child of its own (`exec:`), while
`reduce --check` runs one, and while `compare` does: a report.json that fits the schema, status 3, within two seconds; no
process and no temporary folder left one second later. The same processes must be gone when layerdiff itself dies of -9.

Usage: scripts/kills.py                          100 kills and 20 stops: about ten minutes with a release build
       scripts/kills.py --kills 3 --stops 3 --small    a model of 14 nodes in the encoder's place: what the tests run

Exit status: 0 when all went so. --seed repeats the instants.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx

import answers
import encoder
import schema

PATIENCE = 2.0
STOPS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"]
# A command that is slow and has a child. As a candidate it is wrong in everything behind the first half of the model.
SLOW = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
time.sleep(0.3)
if len(sys.argv) == 2:
    child.kill()
    sys.exit(1 if b"Pow" in open(sys.argv[1], "rb").read() else 0)
import numpy, onnx, onnxruntime
model, feeds = sys.argv[1], dict(numpy.load(sys.argv[2]))
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
names = [o.name for o in session.get_outputs()]
values = dict(zip(names, session.run(None, feeds)))
early = {o for n in onnx.load(model).graph.node[:5] for o in n.output}
numpy.savez(sys.argv[3], **{n: v if n in early or v.dtype.kind != "f" else v + 1 for n, v in values.items()})
child.kill()
"""


def main():
    options = arguments()
    if not options.layerdiff.exists():
        sys.exit(f"{options.layerdiff} is missing: run cargo build, or name it with --layerdiff")
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as home:
        wrong = killed(options, Path(home)) + stopped(options, Path(home))
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=20, help="of each of the three commands")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--layerdiff", help="the program; target/release/layerdiff or target/debug/layerdiff unless said"
    )
    options = parser.parse_args()
    options.layerdiff = answers.program(options)
    return options


# ---- kill -9, then --resume


def killed(options, home):
    model, sample = subject(options, home)
    command = [options.layerdiff, "bisect", model, "-i", sample, "-c", "ort:fp16", "-q", "-o", "out"]
    whole = answers.ask(command, home / "whole", 600)
    if whole.status != 1:
        return [f"the run that nobody kills ended with {whole.status}: {whole.stderr}"]
    truth, wrong, started = essence(home / "whole"), [], 0
    for number in range(options.kills):
        instant = random.Random(f"{options.seed}/kill/{number}").uniform(0, whole.seconds)
        folder = home / f"kill{number}"
        first = answers.ask(command, folder, 600, lambda process: die(process, instant, signal.SIGKILL))
        # What is in temporary folders is the next run's to clean.
        stayed = [what for what in first.left if what.startswith("process")]
        journal = (folder / "work/out/journal.jsonl").exists()
        started += journal
        again = answers.ask([*command, "--resume"] if journal else command, folder, 600)
        found = essence(folder) if again.status == 1 else {"status": again.status, "said": answers.sentence(again)}
        problems = stayed + again.left + differences(truth, found)
        wrong += [f"killed after {instant:.2f} s: {problem}" for problem in problems]
        shutil.rmtree(folder)
    print(
        f"{options.kills} kills within {whole.seconds:.1f} s, {started} with a journal to resume from; {len(wrong)} problems"
    )
    return wrong


def subject(options, home):
    if options.small:
        folder = venv.ROOT / "testdata/layernorm_overflow"
        return folder / "model.onnx", folder / "inputs.npz"
    healthy = encoder.write(home / "encoder")
    onnx.save(encoder.with_large_input(healthy), home / "encoder/large.onnx")
    return home / "encoder/large.onnx", home / "encoder/inputs.npz"


def essence(folder):
    """What a report says about the model, without what it says about the run: times, counts of runs, paths."""
    report = json.loads((folder / "work/out/report.json").read_text())
    keys = [
        "verdict",
        "outputs",
        "culprits",
        "tensors",
        "reduced",
        "overrides",
        "ranking",
        "sensitivity",
        "precision_limited",
    ]
    kept = {key: report.get(key) for key in keys}
    reduced, cure = kept["reduced"] or {}, kept["overrides"] or {}
    kept["reduced"] = {key: reduced.get(key) for key in ("names", "nodes", "reproduces", "bytes")}
    kept["overrides"] = {key: value for key, value in cure.items() if key not in ("builds", "seconds", "files")}
    return kept


def differences(truth, found):
    if "said" in found:
        return [f"--resume ended with {found['status']}: {found['said']}"]
    return [
        f"other {key}: {str(found[key])[:150]} for {str(truth[key])[:150]}" for key in truth if truth[key] != found[key]
    ]


def die(process, instant, how):
    time.sleep(instant)
    try:
        os.kill(process.pid, how)
    except ProcessLookupError:
        pass


# ---- told to stop


def stopped(options, home):
    (home / "slow.py").write_text(SLOW)
    folder = venv.ROOT / "testdata/layernorm_overflow"
    run = f"{sys.executable} {home / 'slow.py'} {{model}} {{inputs}} {{outputs}}"
    look = f"{sys.executable} {home / 'slow.py'} {{model}}"
    given = [folder / "model.onnx", "-i", folder / "inputs.npz", "-q", "-o", "out"]
    commands = {
        "exec": ["bisect", *given, "-c", f"exec:{run}", "--strategy", "bisect", "--marks", "1"],
        "--check": ["reduce", *given, "--check", look],
        "compare": ["compare", *given, "-c", f"exec:{run}"],
    }
    fits = json.loads(subprocess.run([options.layerdiff, "report", "--schema"], capture_output=True, check=True).stdout)
    wrong = []
    for name, words in commands.items():
        found = []
        for number in range(options.stops):
            # After the start, of which there is nothing to tell; a command takes 0.3 s and more, so it is in the middle of one.
            instant = random.Random(f"{options.seed}/{name}/{number}").uniform(0.35, 0.8 if name == "compare" else 4.0)
            how = STOPS[number % len(STOPS)]
            folder = home / f"stop{number}"
            problems = stop([options.layerdiff, *words], folder, instant, how, fits)
            found += [f"{name} got {how} after {instant:.2f} s: {problem}" for problem in problems]
            shutil.rmtree(folder)
        print(f"{name}: stopped {options.stops} times; {len(found)} problems")
        wrong += found
    return wrong


def stop(command, folder, instant, how, fits):
    answer = answers.ask(command, folder, instant + 30, lambda process: die(process, instant, getattr(signal, how)))
    late = answer.seconds - instant
    problems = [what for what in answer.left if how != "SIGKILL" or what.startswith("process")]
    if how == "SIGKILL" or answer.status == 1 and late < 0:
        return problems
    if answer.status != 3:
        problems.append(f"status {answer.status}, {answer.signal}: {answer.stderr[:200]}")
    if late > PATIENCE:
        problems.append(f"it went on for {late:.1f} s")
    report = folder / "work/out/report.json"
    try:
        problems += filter(None, [schema.misfit(json.loads(report.read_text(), parse_constant=not_json), fits)])
    except (OSError, ValueError) as e:
        problems.append(f"no report: {e}")
    return problems


def not_json(word):
    raise ValueError(f"{word} is not JSON")


if __name__ == "__main__":
    main()
