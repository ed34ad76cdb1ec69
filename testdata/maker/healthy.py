"""Models with no fault: nothing may be accused."""

import numpy as np

from .case import Case
from .graph import BOOL, Graph, Random, model


def cases():
    return [
        healthy_transformer("healthy_transformer", "ort:fp16"),
        healthy_transformer("healthy_transformer_bf16", "ort:bf16"),
        nan_input_ok(),
    ]


def healthy_transformer(name, candidate):
    """One encoder layer: 6 tokens of width 16, 2 heads, feed-forward 32."""
    rng, g = Random(40), Graph("encoder_layer")
    x = g.input("x", [1, 6, 16])

    def dense(name, source, columns, rows=16):
        return g.dense(name, source, rng.uniform(-0.25, 0.25, rows, columns), rng.uniform(-0.1, 0.1, columns))

    def norm(name, source, out=None):
        return g.layer_norm(name, source, rng.uniform(0.8, 1.2, 16), rng.uniform(0.2, 0.6, 16), out=out)

    heads = g.weight("heads", [1, 6, 2, 8], np.int64)
    split = {}
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        reshaped = g.node(f"{part}_heads", "Reshape", dense(part, x, 16), heads)
        split[part] = g.node(f"{part}_transpose", "Transpose", reshaped, perm=order)
    scores = g.node("scores", "MatMul", split["q"], split["k"])
    scaled = g.node("scale", "Mul", scores, g.weight("inv_sqrt_d", 0.35355338))
    context = g.node("context", "MatMul", g.node("softmax", "Softmax", scaled, axis=-1), split["v"])
    merged = g.node("context_transpose", "Transpose", context, perm=[0, 2, 1, 3])
    merged = g.node("merge_heads", "Reshape", merged, g.weight("merged", [1, 6, 16], np.int64))
    attended = norm("ln1", g.node("residual1", "Add", x, dense("proj", merged, 16)))
    expanded = g.gelu("gelu", dense("ffn1", attended, 32))
    norm("ln2", g.node("residual2", "Add", attended, dense("ffn2", expanded, 16, rows=32)), out="y")
    g.output("y", [1, 6, 16])
    return Case(
        name,
        f"Right outputs: a healthy encoder layer; ordinary {candidate[4:].upper()} rounding accuses nobody.",
        model(g),
        [{"x": rng.uniform(-1, 1, 1, 6, 16)}],
        candidate=candidate,
        outputs={"y": "agrees"},
    )


def nan_input_ok():
    rng, g = Random(41), Graph("nan_through")
    x = g.input("x", [4, 8])
    g.node("where_nan", "IsNaN", x, out="is_nan")
    scaled = g.node("scale", "Mul", x, g.weight("gains", rng.uniform(0.5, 1.5, 8)))
    g.node("shift", "Add", scaled, g.weight("shifts", rng.uniform(-0.5, 0.5, 8)), out="shifted")
    g.dense("mix", scaled, rng.uniform(0.1, 0.5, 8, 3), out="mixed")
    g.output("is_nan", [4, 8], BOOL)
    g.output("shifted", [4, 8])
    g.output("mixed", [4, 3])
    sample = rng.uniform(0.5, 1, 4, 8)
    sample[0, 3], sample[1, 2], sample[2, 5] = np.nan, np.inf, -np.inf
    return Case(
        "nan_input_ok",
        "Right outputs: NaN and both infinities come in, and stand in the same places on both sides.",
        model(g),
        [{"x": sample}],
        outputs={"is_nan": "agrees", "shifted": "agrees", "mixed": "agrees"},
    )
