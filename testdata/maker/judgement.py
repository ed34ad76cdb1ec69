"""How tensors of FP32, FP16, float64 and integers are judged: parts, masks, labels, NaN, noise, nothing at all.
Quantised models are in `quantised`."""

import numpy as np
from onnx import TensorProto

from .case import Case, against_file, introduces
from .graph import F16, F32, I64, Graph, Random, model


def cases():
    return [
        concat_healthy(),
        concat_dead_part(),
        suppressed_logits(),
        token_offset(),
        half_side_branch(),
        sigmoid_near_zero(),
        float64_outlier(),
        nan_moved(),
        noise_before_mean(),
        nothing_selected(),
        nan_throughout(),
    ]


def concat_healthy():
    rng, g = Random(60), Graph("detector_head")
    feature = g.input("feature", [1, 12, 8])
    boxes = g.dense("boxes", feature, rng.uniform(-80, 80, 8, 4), rng.uniform(200, 400, 4))
    scores = g.node("scores", "Sigmoid", g.dense("classes", feature, rng.uniform(-1, 1, 8, 3), rng.uniform(-4, -2, 3)))
    joined = g.node("join", "Concat", boxes, scores, axis=2)
    g.output(g.node("columns_first", "Transpose", joined, out="y", perm=[0, 2, 1]), [1, 7, 12])
    return Case(
        "concat_healthy",
        "Right outputs: boxes in pixels and scores below 1 in one tensor, each part within FP16's rounding.",
        model(g),
        [{"feature": rng.uniform(-1, 1, 1, 12, 8)}],
        outputs={"y": "agrees"},
    )


def concat_dead_part():
    rng = Random(59)
    weights, bias, widths = rng.uniform(-80, 80, 8, 4), rng.uniform(200, 400, 4), rng.uniform(1e-4, 3e-4, 1, 12, 2)

    def built(candidate):
        g = Graph("detector_with_anchors")
        boxes = g.dense("boxes", g.input("feature", [1, 12, 8]), weights, bias)
        joined = g.node("join", "Concat", boxes, g.weight("widths", widths * (not candidate)), axis=2)
        columns = g.node("columns_first", "Transpose", joined, perm=[0, 2, 1])
        g.node("flat", "Reshape", columns, g.weight("shape", [6, 12], np.int64), out="y")
        g.output("y", [6, 12])
        return model(g)

    return against_file(
        "concat_dead_part",
        "Wrong outputs beside boxes in pixels: a part of up to 3e-4 is 0, through a Transpose and a Reshape.",
        built,
        {"feature": rng.uniform(-1, 1, 1, 12, 8)},
        [introduces("join")],
        outputs={"y": "diverges"},
    )


def suppressed_logits():
    rng = Random(61)
    fc, right, wrong = rng.uniform(-0.5, 0.5, 8, 16), rng.uniform(-1, 1, 16, 80), rng.uniform(-1, 1, 16, 80)
    bias = rng.uniform(-0.1, 0.1, 80)
    bias[[1, 7, 33, 60]] = -1e9

    def built(candidate):
        g = Graph("suppressed_tokens")
        hidden = g.node("hidden", "Tanh", g.dense("fc", g.input("x", [2, 8]), fc))
        matrix = g.weight("lm_head_w", wrong if candidate else right)
        g.node("lm_head", "Gemm", hidden, matrix, g.weight("lm_head_b", bias), out="logits")
        g.output("logits", [2, 80])
        return model(g)

    return against_file(
        "suppressed_logits",
        "Wrong logits beside four that a bias of -1e9 suppresses: the candidate has another output matrix.",
        built,
        {"x": rng.uniform(-1, 1, 2, 8)},
        [introduces("lm_head")],
        outputs={"logits": "diverges"},
    )


def token_offset():
    rng = Random(62)
    head = rng.uniform(-1, 1, 8, 50)

    def built(candidate):
        g = Graph("vocabulary_shard")
        best = g.node("best", "ArgMax", g.dense("head", g.input("x", [6, 8]), head), axis=-1, keepdims=0)
        g.node("shard_offset", "Add", best, g.weight("first_id", 32001 if candidate else 32000, np.int64), out="token")
        g.output("token", [6], I64)
        return model(g)

    return against_file(
        "token_offset",
        "Other labels: the candidate adds 32001 instead of 32000 to its token ids, one part in 32000.",
        built,
        {"x": rng.uniform(-1, 1, 6, 8)},
        [introduces("shard_offset")],
        outputs={"token": "diverges"},
    )


def half_side_branch():
    rng = Random(63)
    main, side = rng.uniform(-0.5, 0.5, 8, 8), rng.uniform(-0.5, 0.5, 8, 4)

    def built(candidate):
        g = Graph("half_beside")
        x = g.input("x", [3, 8])
        half = g.node("side_half", "Cast", x, to=F16)
        product = g.node("side_fc", "MatMul", half, g.weight("side_w", side, np.float16))
        g.node("side_float", "Cast", product, out="side", to=F32)
        gain = g.weight("gain", 1.25 * (1.009 if candidate else 1))
        g.node("main_scale", "Mul", g.dense("main_fc", x, main), gain, out="main")
        g.output("main", [3, 8])
        g.output("side", [3, 4])
        return model(g)

    return against_file(
        "half_side_branch",
        "Wrong outputs: 0.9 % off in FP32; that both files keep a side branch in FP16 is no excuse.",
        built,
        {"x": rng.uniform(-1, 1, 3, 8)},
        [introduces("main_scale")],
        outputs={"main": "diverges", "side": "agrees"},
    )


def sigmoid_near_zero():
    rng = Random(64)
    weights, bias = rng.uniform(-0.5, 0.5, 8, 4), np.full(4, -9.2)

    def built(candidate):
        g = Graph("detector_at_rest")
        score = g.dense("score", g.input("x", [5, 8]), weights, bias)
        if candidate:
            exact = g.node("sigmoid_exact", "Sigmoid", score)
            g.node("sigmoid_rounded", "Add", exact, g.weight("half_ulp", 2.0**-25), out="p")
        else:
            g.node("sigmoid", "Sigmoid", score, out="p")
        g.output("p", [5, 4])
        return model(g)

    return against_file(
        "sigmoid_near_zero",
        "Right outputs: probabilities of about 1e-4, off by 2^-25, half of FP32's step at 1.",
        built,
        {"x": rng.uniform(-1, 1, 5, 8)},
        [],
        outputs={"p": "agrees"},
    )


def float64_outlier():
    rng, double = Random(65), np.float64
    gains = rng.uniform(0.5, 1.5, 8)
    x = rng.uniform(-1, 1, 4, 8).astype(double)
    x[2, 5] = 1e200

    def built(candidate):
        g = Graph("double_precision")
        x = g.input("x", [4, 8], TensorProto.DOUBLE)
        scaled = g.node("scale", "Mul", x, g.weight("gains", gains, double))
        g.node("shift", "Add", scaled, g.weight("offset", 0.75 if candidate else 0.5, double), out="y")
        g.output("y", [4, 8], TensorProto.DOUBLE)
        return model(g)

    return against_file(
        "float64_outlier",
        "Wrong outputs: all but one are 0.25 off; that one is 1e200, and its square is beyond float64.",
        built,
        {"x": x},
        [introduces("shift")],
        outputs={"y": "diverges"},
    )


def nan_moved():
    rng = Random(66)
    fc = rng.uniform(0.1, 0.5, 8, 3)

    def built(candidate):
        g = Graph("missing_values")
        scaled = g.node("scale", "Mul", g.input("x", [6, 8]), g.weight("gains", np.full(8, 1.5)))
        missing = np.arange(48).reshape(6, 8) == (36 if candidate else 9)
        marked = g.node("mark", "Where", g.weight("missing", missing, bool), g.weight("nan", np.nan), scaled)
        g.dense("mix", marked, fc, out="y")
        g.output("y", [6, 3])
        return model(g)

    return against_file(
        "nan_moved",
        "NaN in another row: as many as there should be, and what is finite on both sides is equal.",
        built,
        {"x": rng.uniform(-1, 1, 6, 8)},
        [introduces("mark")],
        outputs={"y": "diverges"},
    )


def noise_before_mean():
    rng = Random(68)
    wide, narrow = rng.uniform(0.5, 1.5, 500), rng.uniform(-0.5, 0.5, 500, 4)

    def built(candidate):
        g = Graph("mean_and_head")
        x = g.input("x", [2, 500])
        gains = wide.copy()
        gains[120] *= 1.002 if candidate else 1
        noisy = g.node("noisy", "Mul", x, g.weight("gains", gains))
        level = g.node("mean", "ReduceMean", noisy, axes=[-1], keepdims=1)
        gain = g.weight("gain", 1.3 if candidate else 1.0)
        scaled = g.node("scale", "Mul", g.dense("head", x, narrow), gain)
        g.output(g.node("join", "Add", level, scaled, out="y"), [2, 4])
        return model(g)

    return against_file(
        "noise_before_mean",
        "Wrong outputs: a gain 30 % too large. The mean beside it swallows one value of 500 that is 0.2 % off.",
        built,
        {"x": rng.uniform(0.5, 1.5, 2, 500)},
        [introduces("scale")],
        outputs={"y": "diverges"},
    )


def nothing_selected():
    rng = Random(69)

    def built(candidate):
        g = Graph("above_threshold")
        score = g.input("score", [12])
        g.node("above", "Greater", score, g.weight("threshold", 0.5))
        chosen = g.node("choose", "Compress", score, "above_out", axis=0)
        g.node("scale", "Mul", chosen, g.weight("gain", 3.0 if candidate else 2.0), out="y")
        g.output("y", ["n"])
        return model(g)

    return against_file(
        "nothing_selected",
        "Nothing to compare: no score passes the threshold, and the wrong gain behind it is not seen.",
        built,
        {"score": rng.uniform(0, 0.4, 12)},
        [],
        inconclusive=True,
        outputs={"y": "not_compared"},
    )


def nan_throughout():
    rng, g = Random(70), Graph("log_of_negative")
    level = g.node("log", "Log", g.dense("fc", g.input("x", [3, 8]), rng.uniform(-1, -0.5, 8, 6)))
    g.output(g.dense("head", level, rng.uniform(-1, 1, 6, 2), out="y"), [3, 2])
    return Case(
        "nan_throughout",
        "Nothing to compare: every output is the logarithm of a negative number, NaN on both sides.",
        model(g),
        [{"x": rng.uniform(0.5, 1, 3, 8)}],
        inconclusive=True,
        outputs={"y": "not_compared"},
    )
