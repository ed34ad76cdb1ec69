#!/usr/bin/env python3
"""Models that kill ONNX Runtime 1.31, each in a way of its own, and layerdiff's answers about them.

The crash sits in the reference (the user's model), in the candidate alone, in what only a cut of the model does (the culprit
alone, a smaller case, a cure). Where a whole model crashes, the answer is a report.json, status 3, and a sentence that says
which side died, of which signal (and of which node, where the library had come so far). Where only a trial crashes, the
search goes on: status 1, the culprit named, a reproducer.

Models are tiny and made here, most of them found by giving every operator odd attributes and shapes. That the library really
dies of them is tried first, in a process of its own: another version may have mended one ("lives").

Usage: scripts/crashers.py [--only NAME...] [--keep DIR]     prints a table; exit status 0 when every answer is right
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import answers
import crashes


def main():
    options = arguments()
    if not options.layerdiff.exists():
        sys.exit(f"{options.layerdiff} is missing: run cargo build, or name it with --layerdiff")
    answers.bounded()
    asked = [crash for crash in crashes.catalogue() if not options.only or crash.name in options.only]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for crash in asked:
            rows.append((crash, *examine(crash, Path(options.keep or temporary).absolute() / crash.name, options)))
    sys.exit(0 if summary(rows) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--keep", help="where models and reports stay")
    parser.add_argument(
        "--layerdiff", help="the program; target/release/layerdiff or target/debug/layerdiff unless said"
    )
    options = parser.parse_args()
    options.layerdiff = answers.program(options)
    return options


# ---- one crash


def examine(crash, folder, options):
    """(how the library died, layerdiff's status, the problems)"""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    onnx.save(crash.model, work / "model.onnx")
    np.savez(work / "inputs.npz", **crash.feeds)
    spec = crash.candidate
    if crash.other is not None:
        onnx.save(crash.other, work / "other.onnx")
        spec = f"{crash.candidate}@other.onnx"
    whole = crash.place in ("reference", "candidate")
    tried = crash.model if crash.place == "reference" else crash.other
    died = death(tried, crash.feeds) if whole and tried else "-"
    given = ["-i", "inputs.npz"] if crash.feeds else []
    command = [options.layerdiff, "bisect", "model.onnx", *given, "-c", spec, "-q", "-o", "out"]
    answer = answers.ask(command, folder, 30)
    problems = [f"{kind}: {detail}" for kind, detail in answers.complaints(answer)]
    if died == "lives":
        return died, answer, problems
    try:
        report = json.loads((work / "out/report.json").read_text())
    except (OSError, ValueError):
        return died, answer, [*problems, "no report.json"]
    said = " ".join([report.get("why") or "", *report.get("warnings", []), answer.stderr])
    problems += whole_model(crash, answer, said) if whole else trial(crash, answer, report)
    return died, answer, problems


def whole_model(crash, answer, said):
    """A whole model died: which side, of what, at which node."""
    problems = [] if answer.status == 3 else [f"status {answer.status}, not 3"]
    wanted = [crash.place, *([crash.signal] if crash.signal != "panic" else []), *([crash.node] if crash.node else [])]
    missing = [word for word in wanted if word not in said]
    return problems + ([f"the sentence lacks {', '.join(missing)}: {said[:150]!r}"] if missing else [])


def trial(crash, answer, report):
    """Only a trial died: the answer is there all the same."""
    problems = [] if answer.status == 1 else [f"status {answer.status}, not 1"]
    names = [culprit["node"]["name"] for culprit in report["culprits"]]
    if crash.culprit not in names:
        problems.append(f"the culprits are {names}, and '{crash.culprit}' is none of them")
    if not (report["reduced"] or {}).get("reproduces"):
        problems.append("no reproducer")
    return problems


def death(model, feeds):
    """How a process ends that loads and runs it as the reference does: a signal, or `lives`."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.alarm(20)
            plain = onnxruntime.SessionOptions()
            plain.log_severity_level, plain.intra_op_num_threads = 4, 1
            plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(model.SerializeToString(), plain, providers=["CPUExecutionProvider"])
            session.run(None, {name: np.asarray(value) for name, value in feeds.items()})
        except BaseException:
            pass
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return signal.Signals(-status).name if status < 0 else "lives"


def summary(rows):
    print("| crash | in the | the library alone | layerdiff | right? |")
    print("|---|---|---|---|---|")
    for crash, died, answer, problems in rows:
        verdict = "; ".join(problems)[:300] or "yes"
        status = answer.signal or f"status {answer.status}"
        print(f"| {crash.name} | {crash.place} | {died} | {status} | {verdict} |")
    right = sum(not problems for *_, problems in rows)
    dead = sum(died.startswith("SIG") for _, died, *_ in rows)
    print(f"\n{right} of {len(rows)} answers are right; {dead} whole models kill the library of this Python")
    for crash, _, answer, problems in rows:
        if not problems and answer.status == 3:
            print(f"{crash.name}: {answers.sentence(answer)[:250]}")
    return right == len(rows)


if __name__ == "__main__":
    main()
