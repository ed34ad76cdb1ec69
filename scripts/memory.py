#!/usr/bin/env python3
"""Anonymous memory of `layerdiff bisect` on a model of 1 GB (16 MatMuls of 4096 x 4096) and on one above 2 GB.

Writes the models into target/memory, plants a fault in the last MatMul, and samples RssAnon of the process while it
searches. Usage: scripts/memory.py [--layerdiff PATH]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 4096


def write(folder: Path, layers: int, external: bool) -> None:
    """model.onnx and candidate.onnx, which doubles its last product; weights inline, or in weights.bin."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    blob = folder / "weights.bin"
    weights, nodes, last = [], [], "x"
    out = blob.open("wb") if external else None
    for i in range(layers):
        values = (rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) / 64).astype(np.float32)
        name = f"w{i}"
        if out:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=values.shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", blob.name), ("offset", out.tell()), ("length", values.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            out.write(values.tobytes())
        else:
            tensor = numpy_helper.from_array(values, name)
        weights.append(tensor)
        nodes.append(helper.make_node("MatMul", [last, name], [f"y{i}"], name=f"matmul{i}"))
        last = f"y{i}"
    if out:
        out.close()
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [8, WIDTH])
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(nodes, "memory", [value("x")], [value(last)], weights)
    (folder / "model.onnx").write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    nodes[-1].output[0] = "raw"
    nodes.append(helper.make_node("Add", ["raw", "raw"], [last], name="planted"))
    graph = helper.make_graph(nodes, "memory", [value("x")], [value(last)], weights)
    (folder / "candidate.onnx").write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    np.savez(folder / "inputs.npz", x=rng.standard_normal((8, WIDTH), dtype=np.float32))


def peak(command: list[str]) -> tuple[int, int, float]:
    """(exit status, largest RssAnon in MB, seconds)"""
    start, most = time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                most = max(most, int(line.split()[1]) // 1024)
        time.sleep(0.002)
    return process.wait(), most, time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layerdiff", default="target/release/layerdiff")
    args = parser.parse_args()
    print("| model | candidate | anonymous memory | time | status |\n|---|---|---|---|---|")
    for name, layers, external in (("1 GB, weights inline", 16, False), ("2.3 GB, external data", 36, True)):
        folder = Path("target/memory") / name.split(",")[0].replace(" ", "")
        if not (folder / "inputs.npz").exists():
            write(folder, layers, external)
        for candidate in (f"ort@{folder}/candidate.onnx", "ort:fp16"):
            command = [args.layerdiff, "bisect", f"{folder}/model.onnx", "-c", candidate, "-i", f"{folder}/inputs.npz"]
            status, most, seconds = peak([*command, "-q", "-o", f"{folder}/out"])
            print(f"| {name} | {candidate.split('@')[0]} | {most} MB | {seconds:.2f} s | {status} |", flush=True)


if __name__ == "__main__":
    main()
