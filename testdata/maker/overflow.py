"""Faults of the FP16 range, seen by `ort:fp16`: overflow, flush to zero, ties after rounding."""

import numpy as np

from .case import Case, introduces
from .graph import BOOL, F32, I64, Graph, Random, model

FLT_MAX = np.finfo(np.float32).max


def cases():
    return [
        layernorm_overflow(),
        flt_max_mask(),
        mask_scaled_twice(),
        matmul_add_sub_65504(),
        large_reduction(),
        subnormal_flush(),
        small_variance(),
        two_faults_two_branches(),
        masked_fault(),
        topk_tie(),
    ]


def layernorm_overflow():
    rng, g = Random(1), Graph("mlp_with_layernorm")
    bias = rng.uniform(-1, 1, 32)
    bias[5] = 700  # an outlier channel, as large transformers have
    x = g.input("x", [4, 16])
    hidden = g.node("relu1", "Relu", g.dense("fc1", x, rng.uniform(-0.5, 0.5, 16, 32), bias))
    normal = g.layer_norm("ln", hidden, rng.uniform(0.5, 1.5, 32), rng.uniform(-0.5, 0.5, 32))
    g.dense("fc2", normal, rng.uniform(-0.5, 0.5, 32, 8), rng.uniform(-1, 1, 8), out="y")
    g.output("y", [4, 8])
    return Case(
        "layernorm_overflow",
        "Finite but wrong outputs: an outlier of 700 squared in a decomposed LayerNorm exceeds 65504.",
        model(g, opset=13, ir=7),
        [{"x": rng.uniform(-1, 1, 4, 16)}],
        [introduces("ln_pow")],
        outputs={"y": "diverges"},
    )


def attention(g, rng, x, mask):
    """One head over [4, 8]; `mask` is added to the scores."""
    q, k, v = (g.dense(p, x, rng.uniform(-0.5, 0.5, 8, 8)) for p in ("q", "k", "v"))
    scores = g.node("scores", "MatMul", q, g.node("k_t", "Transpose", k, perm=[1, 0]))
    scaled = g.node("scale", "Mul", scores, g.weight("inv_sqrt_d", 0.35355338))
    masked = g.node("mask_add", "Add", scaled, mask)
    weights = g.node("softmax", "Softmax", masked, axis=-1)
    context = g.node("context", "MatMul", weights, v)
    g.output(g.dense("proj", context, rng.uniform(-0.5, 0.5, 8, 8), out="y"), [4, 8])


# Row 2 attends to nothing: in FP32 its softmax is uniform, with -Inf everywhere it is NaN.
MASKED = np.array([[0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)


def flt_max_mask():
    rng, g = Random(2), Graph("masked_attention")
    x = g.input("x", [4, 8])
    masked = g.input("masked", [4, 4], BOOL)
    lowest = g.weight("lowest", -FLT_MAX)
    mask = g.node("mask_where", "Where", masked, lowest, g.weight("zero", 0.0))
    attention(g, rng, x, mask)
    return Case(
        "flt_max_mask",
        "NaN in one row: a mask of -FLT_MAX becomes -Inf, and the softmax of an all-masked row is NaN.",
        model(g),
        [{"x": rng.uniform(-1, 1, 4, 8), "masked": MASKED}],
        [introduces("mask_where")],
        outputs={"y": "diverges"},
    )


def mask_scaled_twice():
    rng, g = Random(3), Graph("masked_attention")
    x = g.input("x", [4, 8])
    masked = g.input("masked", [4, 4])
    small = g.node("mask_1e4", "Mul", masked, g.weight("minus_1e4", -1e4))
    mask = g.node("mask_1e8", "Mul", small, g.weight("plus_1e4", 1e4))
    attention(g, rng, x, mask)
    return Case(
        "mask_scaled_twice",
        "NaN in one row: no constant is out of range, but a computed mask of -1e8 is -Inf.",
        model(g),
        [{"x": rng.uniform(-1, 1, 4, 8), "masked": MASKED.astype(np.float32)}],
        [introduces("mask_1e8")],
        outputs={"y": "diverges"},
    )


def matmul_add_sub_65504():
    rng, g = Random(4), Graph("add_sub")
    x = g.input("x", [2, 16])
    product = g.dense("matmul1", x, rng.uniform(1, 3, 16, 16))
    big = g.weight("big", 65504.0)
    back = g.node("sub", "Sub", g.node("add", "Add", product, big), big)
    g.output(g.dense("matmul2", back, rng.uniform(-1, 1, 16, 4), out="y"), [2, 4])
    return Case(
        "matmul_add_sub_65504",
        "NaN: Add takes the values beyond 65504, the Sub behind it would bring them back.",
        model(g, opset=11, ir=6),
        [{"x": rng.uniform(1, 2, 2, 16)}],
        [introduces("add")],
        outputs={"y": "diverges"},
    )


def large_reduction():
    rng, g = Random(5), Graph("sum_pooling")
    x = g.input("x", [2, 4, 16, 32])
    rectified = g.node("relu", "Relu", x)
    total = g.node("sum", "ReduceSum", rectified, g.weight("hw", [2, 3], np.int64), keepdims=0)
    mean = g.node("per_pixel", "Mul", total, g.weight("inv_512", 1 / 512))
    g.output(g.dense("fc", mean, rng.uniform(-0.1, 0.1, 4, 3), out="y"), [2, 3])
    return Case(
        "large_reduction",
        "NaN: the sum of 512 values of about 200 exceeds 65504 before it is divided by 512.",
        model(g, opset=13, ir=7),
        [{"x": rng.uniform(150, 250, 2, 4, 16, 32)}],
        [introduces("sum")],
        outputs={"y": "diverges"},
    )


def subnormal_flush():
    rng, g = Random(6), Graph("scaled_down_and_up")
    x = g.input("x", [2, 8])
    small = g.node("down1", "Mul", x, g.weight("two_m10", 2.0**-10))
    tiny = g.node("down2", "Mul", small, g.weight("two_m18", 2.0**-18))
    mixed = g.dense("mix", tiny, rng.uniform(0.5, 1, 8, 8))
    up = g.node("up1", "Mul", mixed, g.weight("two_p14", 2.0**14))
    g.output(g.node("up2", "Mul", up, "two_p14", out="y"), [2, 8])
    return Case(
        "subnormal_flush",
        "Zeros: values of 2^-28 are below FP16's smallest subnormal; rescaling cannot bring them back.",
        model(g),
        [{"x": rng.uniform(1, 2, 2, 8)}],
        [introduces("down2")],
        outputs={"y": "diverges"},
    )


def small_variance():
    rng, g = Random(7), Graph("rms_norm")
    x = g.input("x", [2, 16])
    small = g.dense("fc1", x, rng.uniform(1e-4, 2e-4, 16, 16))
    mean = g.node("rms_mean", "ReduceMean", g.node("rms_square", "Mul", small, small), axes=[-1], keepdims=1)
    safe = g.node("rms_eps", "Add", mean, g.weight("eps", 1e-12))
    normal = g.node("rms_div", "Div", small, g.node("rms_sqrt", "Sqrt", safe))
    g.output(g.dense("fc2", normal, rng.uniform(-1, 1, 16, 4), out="y"), [2, 4])
    return Case(
        "small_variance",
        "NaN: the squares of values of 1e-4 flush to zero, epsilon 1e-12 too, and the division is by zero.",
        model(g),
        [{"x": rng.uniform(0.04, 0.06, 2, 16)}],
        [introduces("rms_square")],
        outputs={"y": "diverges"},
    )


def two_faults_two_branches():
    rng, g = Random(8), Graph("two_branches")
    x = g.input("x", [3, 8])
    hidden = g.dense("fc", x, np.eye(8) * 1.25, rng.uniform(-0.5, 0.5, 8))
    exp = g.node("softplus_exp", "Exp", hidden)
    softplus = g.node("softplus_log", "Log", g.node("softplus_add", "Add", exp, g.weight("one", 1.0)))
    scaled = g.node("norm_scale", "Mul", hidden, g.weight("thirty", 30.0))
    square = g.node("norm_square", "Mul", scaled, scaled)
    root = g.node("norm_sqrt", "Sqrt", g.node("norm_eps", "Add", square, g.weight("milli", 1e-3)))
    joined = g.node("join", "Concat", softplus, root, axis=-1)
    g.output(g.dense("head", joined, rng.uniform(0.1, 0.5, 16, 4), out="y"), [3, 4])
    return Case(
        "two_faults_two_branches",
        "Inf: Exp overflows in one branch and a square in the other; both reach the output.",
        model(g),
        [{"x": rng.uniform(11, 13, 3, 8)}],
        [introduces("softplus_exp"), introduces("norm_square")],
        outputs={"y": "diverges"},
    )


def masked_fault():
    rng, g = Random(9), Graph("guarded_overflow")
    x = g.input("x", [2, 8])
    exp = g.node("exp", "Exp", x)
    softplus = g.node("log", "Log", g.node("add", "Add", exp, g.weight("one", 1.0)))
    large = g.node("is_large", "Greater", x, g.weight("ten", 10.0))
    guarded = g.node("where", "Where", large, x, softplus)
    square = g.node("square", "Mul", exp, exp)
    capped = g.node("cap", "Min", square, g.weight("hundred", 100.0))
    joined = g.node("join", "Concat", guarded, capped, axis=-1)
    g.output(g.dense("head", joined, rng.uniform(0.1, 0.5, 16, 4), out="y"), [2, 4])
    # Far from the threshold of Where on both sides, far from the cap of Min on both sides.
    x = np.array([[0.5, 1, 12, 13, 0.25, 14, 1.5, 12.5], [12, 0.75, 1.25, 13.5, 14.5, 1, 0.5, 12]], np.float32)
    return Case(
        "masked_fault",
        "Right outputs: Exp and a square overflow, but Where and Min never let the Inf through.",
        model(g),
        [{"x": x}],
        outputs={"y": "agrees"},
    )


def topk_tie():
    g = Graph("top3")
    x = g.input("x", [2, 8])
    # 1.0001 and 1.0002 are both 1 in FP16: the order of equal values is the order of their indices.
    offsets = np.array([0, 0, 1e-4, 0, 0, 2e-4, 0, 0], np.float32)
    scores = g.node("bias", "Add", x, g.weight("offsets", offsets))
    three = g.weight("three", [3], np.int64)
    values, indices = g.node("topk", "TopK", scores, three, out=["values", "indices"], axis=-1, largest=1, sorted=1)
    table = np.arange(8, dtype=np.float32)[:, None] * np.array([[1, 10]], np.float32)
    g.node("lookup", "Gather", g.weight("table", table), indices, out="boxes", axis=0)
    g.output(values, [2, 3], F32)
    g.output(indices, [2, 3], I64)
    g.output("boxes", [2, 3, 2], F32)
    sample = np.array([[0, 0.25, 1, 0.5, 0, 1, 0.125, 0], [0.5, 0, 1, 0, 0.25, 1, 0, 0.75]], np.float32)
    return Case(
        "topk_tie",
        "Other indices, equal values: FP16 rounding makes two scores equal and TopK orders them by index.",
        model(g),
        [{"x": sample}],
        [introduces("topk")],
        outputs={"values": "agrees", "indices": "diverges", "boxes": "diverges"},
    )
