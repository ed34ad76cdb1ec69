"""If, Loop, Scan and local functions, healthy and not."""

import numpy as np
from onnx import TensorProto, helper

from .case import Case, introduces
from .graph import BOOL, I64, Graph, Random, model


def cases():
    return [if_branch_fault(), if_branch_not_taken(), loop_body(), scan_ok(), function_model()]


def branching(rng):
    """then: sqrt((40 h)^2), which overflows; else: |h|. Taken is `then` where the mean of x is positive."""
    then = Graph("then")
    scaled = then.node("then_scale", "Mul", "hidden", then.weight("forty", 40.0))
    square = then.node("then_square", "Mul", scaled, scaled)
    then.output(then.node("then_sqrt", "Sqrt", square), [2, 8])
    other = Graph("else")
    other.output(other.node("else_abs", "Abs", "hidden"), [2, 8])

    g = Graph("branching")
    x = g.input("x", [2, 8])
    g.node("hidden_add", "Add", x, g.weight("half", 0.5), out="hidden")
    mean = g.node("mean", "ReduceMean", x, keepdims=0)
    positive = g.node("positive", "Greater", mean, g.weight("zero", 0.0))
    taken = g.node("if_node", "If", positive, then_branch=then.proto(), else_branch=other.proto())
    g.output(g.dense("fc", taken, rng.uniform(0.1, 0.5, 8, 4), out="y"), [2, 4])
    return model(g)


def if_branch_fault():
    rng = Random(20)
    return Case(
        "if_branch_fault",
        "Inf: a square overflows in the branch of If that is taken.",
        branching(rng),
        [{"x": rng.uniform(8, 12, 2, 8)}],
        [introduces("then_square", subgraph="if_node/then_branch")],
        outputs={"y": "diverges"},
    )


def if_branch_not_taken():
    rng = Random(20)
    return Case(
        "if_branch_not_taken",
        "Right outputs: the branch of If that would overflow is not taken.",
        branching(rng),
        [{"x": rng.uniform(-12, -8, 2, 8)}],
        outputs={"y": "agrees"},
    )


def loop_body():
    rng = Random(21)
    fc, head, x = rng.uniform(-0.5, 0.5, 8, 8), rng.uniform(-0.5, 0.5, 8, 4), rng.uniform(-1, 1, 2, 8)

    def built(decay):
        body = Graph("step")
        body.input("i", [], I64)
        body.input("go", [], BOOL)
        state = body.input("state", [2, 8])
        body.output(body.node("body_go", "Identity", "go"), [], BOOL)
        faded = body.node("body_decay", "Mul", state, body.weight("decay", decay))
        body.output(body.node("body_add", "Add", faded, "drive"), [2, 8])
        body.output(body.node("body_square", "Mul", "body_add_out", "body_add_out"), [2, 8])
        g = Graph("recurrence")
        g.dense("fc", g.input("x", [2, 8]), fc, out="drive")
        trips, go = g.weight("trips", 3, np.int64), g.weight("go_on", True, np.bool_)
        last, squares = g.node("loop", "Loop", trips, go, "drive", out=["last", "squares"], body=body.proto())
        energy = g.node("energy", "ReduceMean", squares, axes=[0], keepdims=0)
        joined = g.node("join", "Add", last, energy)
        g.output(g.dense("head", joined, head, out="y"), [2, 4])
        return model(g)

    return Case(
        "loop_body",
        "Wrong outputs: the candidate's Loop body multiplies its state by 0.625 instead of 0.5.",
        built(0.5),
        [{"x": x}],
        [introduces("loop")],
        candidate="ort@candidate.onnx",
        args=["--atol", "1e-5", "--rtol", "1e-3"],
        candidate_model=built(0.625),
        outputs={"y": "diverges"},
    )


def scan_ok():
    rng = Random(22)
    body = Graph("accumulate")
    total, row = body.input("total", [4]), body.input("row", [4])
    body.output(body.node("body_sum", "Add", total, row), [4])
    body.output(body.node("body_scale", "Mul", "body_sum_out", body.weight("quarter", 0.25)), [4])
    g = Graph("running_sum")
    x = g.input("x", [5, 4])
    start = g.weight("start", np.zeros(4))
    final, sums = g.node("scan", "Scan", start, x, out=["final", "sums"], body=body.proto(), num_scan_inputs=1)
    g.dense("fc", sums, rng.uniform(0.1, 0.5, 4, 3), out="y")
    g.output("final", [4])
    g.output("y", [5, 3])
    return Case(
        "scan_ok",
        "Right outputs: a healthy Scan, rounded to FP16 in every step.",
        model(g),
        [{"x": rng.uniform(0.5, 1.5, 5, 4)}],
        outputs={"final": "agrees", "y": "agrees"},
    )


def function_model():
    rng = Random(23)
    quick_gelu = helper.make_function(
        "layerdiff.test",
        "QuickGelu",
        ["x"],
        ["y"],
        [
            helper.make_node("Constant", [], ["k"], name="k_const", value=constant(1.702)),
            helper.make_node("Mul", ["x", "k"], ["kx"], name="k_mul"),
            helper.make_node("Sigmoid", ["kx"], ["gate"], name="gate_sigmoid"),
            helper.make_node("Mul", ["x", "gate"], ["y"], name="gate_mul"),
        ],
        [helper.make_opsetid("", 17)],
    )
    g = Graph("mlp_of_functions")
    x = g.input("x", [2, 8])
    first = g.node("act1", "QuickGelu", g.dense("fc1", x, rng.uniform(-0.5, 0.5, 8, 8)), domain="layerdiff.test")
    second = g.node("act2", "QuickGelu", g.dense("fc2", first, rng.uniform(-0.5, 0.5, 8, 8)), domain="layerdiff.test")
    g.output(g.dense("fc3", second, rng.uniform(-0.5, 0.5, 8, 4), out="y"), [2, 4])
    built = model(g, domains=[("layerdiff.test", 1)], functions=[quick_gelu])
    return Case(
        "function_model",
        "Right outputs: two calls of a local function (ModelProto.functions), the candidate is the same model.",
        built,
        [{"x": rng.uniform(-1, 1, 2, 8)}],
        candidate="ort@candidate.onnx",
        args=["--atol", "1e-5", "--rtol", "1e-3"],
        candidate_model=built,
        outputs={"y": "agrees"},
    )


def constant(value):
    return helper.make_tensor("value", TensorProto.FLOAT, [], [value])
