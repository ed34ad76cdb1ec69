"""Files that must be refused in one clear sentence: `bad/`, with what is expected of each in `bad/cases.json`."""

import json

import numpy as np
from onnx import TensorProto

from .case import npz
from .graph import Graph, Random, model

GOOD = {"x": np.arange(8, dtype=np.float32).reshape(2, 4) / 8}


def files() -> dict[str, bytes]:
    valid = good().SerializeToString()
    onnx = {
        "valid": valid,
        "truncated": valid[: len(valid) // 2],
        "empty": b"",
        "random": np.random.default_rng(60).bytes(600),
        "cycle": cycle().SerializeToString(),
        "duplicate_output": duplicate_output().SerializeToString(),
        "dangling": dangling().SerializeToString(),
        "missing_external": missing_external().SerializeToString(),
        # Field 1000, a string, behind the fields of ModelProto.
        "unknown_field": valid + bytes([0xC2, 0x3E, 5]) + b"extra",
        "future_ir": good(ir=99).SerializeToString(),
        "unknown_op": good(op="Frobnicate").SerializeToString(),
    }
    inputs = {
        "inputs": npz(GOOD),
        "wrong_dtype": npz({"x": GOOD["x"].astype(np.float64)}),
        "wrong_name": npz({"pixels": GOOD["x"]}),
        "wrong_shape": npz({"x": GOOD["x"][:, :3]}),
        "not_a_zip": b"x = 1, 2, 3\n",
    }
    made = {f"bad/{name}.onnx": content for name, content in onnx.items()}
    made |= {f"bad/{name}.npz": content for name, content in inputs.items()}
    made["bad/cases.json"] = (json.dumps(expectations(), indent=2) + "\n").encode()
    return made


def expectations():
    """`exit`: the statuses allowed; `mentions`: words the message must contain, as the user has to find the place."""
    rows = [
        ("truncated.onnx", "inputs.npz", [2], ["truncated.onnx"]),
        ("empty.onnx", "inputs.npz", [2], ["empty.onnx"]),
        ("random.onnx", "inputs.npz", [2], ["random.onnx"]),
        ("absent.onnx", "inputs.npz", [2], ["absent.onnx"]),
        ("cycle.onnx", "inputs.npz", [2], ["cycle"]),
        ("duplicate_output.onnx", "inputs.npz", [2], ["'h'"]),
        ("dangling.onnx", "inputs.npz", [2], ["'ghost'"]),
        ("missing_external.onnx", "inputs.npz", [2], ["absent.bin"]),
        ("future_ir.onnx", "inputs.npz", [2, 3], ["99"]),
        # What stands in front of the operator is judged, and said.
        ("unknown_op.onnx", "inputs.npz", [3], ["in front of Frobnicate 'act'"]),
        ("valid.onnx", "wrong_dtype.npz", [2], ["'x'", "float64", "float32"]),
        ("valid.onnx", "wrong_name.npz", [2], ["'x'"]),
        ("valid.onnx", "wrong_shape.npz", [2], ["'x'"]),
        ("valid.onnx", "not_a_zip.npz", [2], ["not_a_zip.npz"]),
        ("valid.onnx", "absent.npz", [2], ["absent.npz"]),
        # These two are good: the second with a warning that fields were dropped.
        ("valid.onnx", "inputs.npz", [0], []),
        ("unknown_field.onnx", "inputs.npz", [0], []),
    ]
    return [dict(zip(("model", "inputs", "exit", "mentions"), row)) for row in rows]


def good(ir=8, op="Relu"):
    g = start()
    hidden = g.node("act", op, g.dense("fc1", "x", Random(61).uniform(-0.5, 0.5, 4, 4)))
    g.dense("fc2", hidden, Random(62).uniform(-0.5, 0.5, 4, 3), out="y")
    return model(g, ir=ir)


def start():
    g = Graph("bad")
    g.input("x", [2, 4])
    g.output("y", [2, 3])
    return g


def cycle():
    g = start()
    g.node("first", "Add", "x", "b", out="a")
    g.node("second", "Relu", "a", out="b")
    g.dense("fc", "b", np.ones((4, 3)), out="y")
    return model(g)


def duplicate_output():
    g = start()
    g.node("first", "Relu", "x", out="h")
    g.node("second", "Neg", "x", out="h")
    g.dense("fc", "h", np.ones((4, 3)), out="y")
    return model(g)


def dangling():
    g = start()
    g.node("first", "Add", "x", "ghost", out="h")
    g.dense("fc", "h", np.ones((4, 3)), out="y")
    return model(g)


def missing_external():
    built = good()
    weight = built.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="absent.bin")
    return built
