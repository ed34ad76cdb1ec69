#!/usr/bin/env python3
"""What the TensorRT path costs. First: looking for TensorRT, and choosing a candidate, where there is none (medians of
many calls; must be under 5 ms, and print nothing). Second: engines built to find one planted fault among 600 nodes (or --nodes)
with 16 marks, on the test doubles of TensorRT 10 and 11, in every mode of fault, beside Polygraphy's arithmetic: its precision
bisection halves the layers, one build each time. Prints Markdown tables.

A build of a real engine takes minutes: builds are the cost, and seconds on a double mean nothing.

Exit status: 0 when start-up is cheap enough, every fault is found, and no search among N nodes takes more than
ceil(log17(N)) + 2 builds: 5 of 600.
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

import bench

MARKS, MOST_MS = 16, 5.0
# A fault that hides when it is marked is found as a region: what was fused.
MOST_NODES = 3
WIDTH = 8


def faults(nodes):
    """What is told, the double's words for it, and the node that is wrong."""
    at = lambda op, share: f"{op}_{int(share * (nodes // 3 - 1))}"
    first, early, late, last = at("matmul", 0), at("add", 0.29), at("relu", 0.75), at("relu", 1)
    plain = (first, early, at("relu", 0.5), at("matmul", 0.67), last)
    fused = (at("add", 0.05), at("relu", 0.44), at("add", 0.95))
    return [
        *((f"wrong kernel, {node}", f"wrong={node}", node) for node in plain),
        *((f"away when marked, {node}", f"wrong_fused={node}", node) for node in fused),
        (f"marking plants a second one, {early}", f"wrong={early};wrong_marked=matmul_0*", early),
        (f"marking disturbs all, {late}", f"wrong={late};perturb_marked=relu_*", late),
    ]


def most_builds(nodes):
    return math.ceil(math.log(nodes, MARKS + 1)) + 2


def main():
    options = arguments()
    print(bench.machine(), end="\n\n")
    cheap = startup(options)
    with tempfile.TemporaryDirectory() as folder:
        found = builds(options, Path(folder))
    sys.exit(0 if cheap and found else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="calls of which the median is taken")
    parser.add_argument("--nodes", type=int, default=600, help="of the model that a fault is planted into")
    parser.add_argument("--observe", default="auto", help="as of layerdiff bisect")
    parser.add_argument("--release", default=venv.ROOT / "target/release", help="folder of the built programs")
    parser.add_argument("--doubles", default=venv.ROOT / "target/trt_double", help="what scripts/trt_double.sh made")
    options = parser.parse_args()
    options.release, options.doubles = Path(options.release).absolute(), Path(options.doubles).absolute()
    return options


# ---- start-up


def startup(options):
    """Prints what looking and choosing cost; says whether it is cheap and silent."""
    ran = subprocess.run(
        [options.release / "examples/choose_cost", str(options.repeats)],
        env=bare(),
        capture_output=True,
        text=True,
        check=True,
    )
    told = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    if told["found"] != "nothing":
        sys.exit(f"there is a TensorRT here, {told['found']}: this measures where there is none")
    rows = {
        "looking for TensorRT, first call of a process": told["first"],
        "looking for TensorRT": told["find"],
        "choosing a candidate, which looks for TensorRT too": told["choose"],
    }
    print(f"| no TensorRT here, medians of {options.repeats} calls | ms |\n|---|---|")
    for what, milliseconds in rows.items():
        print(f"| {what} | {float(milliseconds):.2f} |")
    chatter = ran.stderr.strip()
    print(f"\nprinted: {chatter or 'nothing'}\n")
    return not chatter and all(float(milliseconds) < MOST_MS for milliseconds in rows.values())


def bare():
    """The environment without what would lead to a TensorRT."""
    leads = ("LAYERDIFF_TENSORRT", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in leads}


# ---- builds


def builds(options, folder):
    """Prints the builds of each search; says whether all found their fault, with few enough."""
    nodes, bound = options.nodes, most_builds(options.nodes)
    write_model(folder, nodes)
    # Each of Polygraphy's builds halves what is left.
    peer, wrong = math.ceil(math.log2(nodes)), []
    print(f"| fault among {nodes} nodes | TensorRT | found | search | before | proof | engines made | Polygraphy |")
    print("|---|---|---|---|---|---|---|---|")
    for what, fault, node in faults(nodes):
        for version in (10, 11):
            report, made = bisect(options, folder, version, fault)
            accused, search = told(report), report["search"]
            right = len(accused) == 1 and node in accused[0] and len(accused[0]) <= MOST_NODES
            found = "no" if not right else "node" if len(accused[0]) == 1 else f"{len(accused[0])} nodes"
            counts = [search["candidate_builds"], search["trust_builds"], search["proof_builds"]]
            print(f"| {what} | {version} | {found} | {' | '.join(map(str, counts))} | {made} | {peer} |", flush=True)
            if not right or counts[0] > bound:
                wrong.append(f"{what} on TensorRT {version}: accused {accused}, {counts[0]} builds")
    print(
        f"\nsearch: builds to the culprit, {MARKS} marks each (bound: {bound}); before: the candidate's own trust; proof: "
        "the accused alone; engines made: as the double counts them. Polygraphy: the arithmetic of `debug precision` "
        f"by bisection, ceil(log2({nodes})), which asks for a cure, not for a culprit."
    )
    print("\n" + ("; ".join(wrong) or "good: every fault found, with few enough builds"))
    return not wrong


def bisect(options, folder, version, fault):
    """The report of layerdiff on a double with that fault, and how many engines the double made."""
    log = folder / "engines"
    log.unlink(missing_ok=True)
    runtime = os.environ.get("ORT_DYLIB_PATH") or installed(options)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(options.doubles / "cuda"),
        "LAYERDIFF_DOUBLE_ORT": runtime,
        "LAYERDIFF_DOUBLE_FAULT": fault,
        "LAYERDIFF_DOUBLE_LOG": str(log),
        "ORT_DISABLE_TELEMETRY": "1",
    }
    command = [options.release / "layerdiff", "bisect", folder / "deep.onnx", "-i", folder / "deep.npz", "--quiet"]
    command += ["--candidate", "trt", "--trt-library", options.doubles / str(version), "--marks", str(MARKS)]
    command += ["--observe", options.observe, "--no-reduce", "-o", folder / "out", "--timing-cache", folder / f"timing{version}", "--json"]
    ran = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if ran.returncode not in (0, 1, 3):
        sys.exit(f"layerdiff ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout), len(log.read_text().splitlines())


def installed(options):
    """ONNX Runtime's library, as layerdiff finds it."""
    doctor = subprocess.run([options.release / "layerdiff", "doctor", "--json"], capture_output=True, text=True)
    findings = json.loads(doctor.stdout)["findings"]
    return next(finding["path"] for finding in findings if finding["name"] == "ONNX Runtime")


def told(report):
    """The nodes of each culprit: one, or those of its region."""
    region = lambda culprit: culprit["region"] if culprit["kind"] == "region" else [culprit["node"]["name"]]
    return [region(culprit) for culprit in report["culprits"]]


# ---- the model, as in tests/trt_search/network.rs


def write_model(folder, count):
    """Blocks of MatMul, Add and LeakyRelu that lose no error on the way; every ninth also reads the one three before (of
    more than 600 nodes fewer do, or values would overflow)."""
    nodes, weights, last = [], [], "x"
    # As much is lost and gained on the way through a deep one as through 200 blocks.
    deeper = max(count // 600, 1)
    alpha = 0.99 ** (1 / deeper)
    for block in range(count // 3):
        weights.append(numpy_helper.from_array(turn(block), f"w_{block}"))
        bias = numpy.array([(block * 5 + i * 3) % 7 * 0.01 - 0.03 for i in range(WIDTH)], numpy.float32)
        weights.append(numpy_helper.from_array(bias, f"b_{block}"))
        other = f"relu_out_{block - 3}" if block % (9 * deeper) == 8 else f"b_{block}"
        product, total, out = f"matmul_out_{block}", f"add_out_{block}", f"relu_out_{block}"
        nodes.append(helper.make_node("MatMul", [last, f"w_{block}"], [product], f"matmul_{block}"))
        nodes.append(helper.make_node("Add", [product, other], [total], f"add_{block}"))
        nodes.append(helper.make_node("LeakyRelu", [total], [out], f"relu_{block}", alpha=alpha))
        last = out
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, WIDTH])
    graph = helper.make_graph(nodes, "deep", [value("x")], [value(last)], weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "deep.onnx")
    x = numpy.array([(i * 29 % 17 - 8) / 5 for i in range(2 * WIDTH)], numpy.float32).reshape(2, WIDTH)
    numpy.savez(folder / "deep.npz", x=x)


def turn(block):
    """Turns pairs of values by an angle of the block's own: nothing shrinks, nothing grows."""
    w = numpy.zeros((WIDTH, WIDTH), numpy.float32)
    for pair in range(WIDTH // 2):
        angle = 0.3 + 0.1 * ((block * 7 + pair * 3) % 11)
        i, j = pair, WIDTH - 1 - pair
        w[i, i] = w[j, j] = math.cos(angle)
        w[i, j], w[j, i] = math.sin(angle), -math.sin(angle)
    return w


if __name__ == "__main__":
    main()
