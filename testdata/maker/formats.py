"""Unusual files: external data, dynamic shapes, old IR, FP16, strings, no names, no elements."""

import numpy as np
from onnx import TensorProto, numpy_helper

from .case import Case, introduces
from .graph import F16, STRING, Graph, Random, model


def cases():
    return [
        external_data(),
        dynamic_batch(),
        ir3_weights_are_inputs(),
        unnamed_nodes(),
        fp16_file(),
        string_model(),
        empty_tensor(),
    ]


def external_data():
    rng, g = Random(50), Graph("external_weights")
    second = rng.uniform(-0.1, 0.1, 256, 16)
    second[:, 3] = 4096  # fits in FP16; the sums over 256 rows do not
    hidden = g.node("relu1", "Relu", g.dense("fc1", g.input("x", [2, 128]), rng.uniform(-0.05, 0.1, 128, 256)))
    head = g.dense("fc2", hidden, second, rng.uniform(-1, 1, 16))
    g.output(g.node("probability", "Softmax", head, out="y", axis=-1), [2, 16])
    built = model(g)
    # The first tensor starts at an unaligned offset, the second on a page.
    blob = move_out(built.graph.initializer, {"fc1_w": 100, "fc2_w": 135168}, "weights.bin")
    return Case(
        "external_data",
        "NaN: a MatMul overflows on large weights, which lie in weights.bin beside the model.",
        built,
        [{"x": rng.uniform(0, 1, 2, 128)}],
        [introduces("fc2")],
        outputs={"y": "diverges"},
        extra={"weights.bin": blob},
    )


def move_out(initializers, offsets, file):
    """Moves the initialisers named in `offsets` to these offsets of an external file, and gives its bytes."""
    blob = bytearray()
    for tensor in initializers:
        if tensor.name not in offsets:
            continue
        raw, offset = tensor.raw_data, offsets[tensor.name]
        blob.extend(b"\0" * (offset - len(blob)))
        blob.extend(raw)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": file, "offset": offset, "length": len(raw)}.items():
            tensor.external_data.add(key=key, value=str(value))
    return bytes(blob)


def dynamic_batch():
    rng, g = Random(51), Graph("any_batch")
    hidden = g.dense("fc1", g.input("x", ["batch", 8]), np.eye(8) * 1.5, rng.uniform(-0.5, 0.5, 8))
    energy = g.node("energy", "ReduceSum", g.node("square", "Mul", hidden, hidden), g.weight("last", [-1], np.int64))
    norm = g.node("norm", "Sqrt", g.node("safe", "Add", energy, g.weight("eps", 1e-3)))
    g.output(g.node("normalise", "Div", hidden, norm, out="y"), ["batch", 8])
    healthy, failing = rng.uniform(-2, 2, 2, 8), rng.uniform(-2, 2, 5, 8)
    failing[3] = [400, -300, 350, 200, 300, 250, -400, 300]
    return Case(
        "dynamic_batch",
        "Zeros in one row: a square overflows in the second sample only; the batch sizes differ.",
        model(g),
        [{"x": healthy}, {"x": failing}],
        [introduces("square")],
        outputs={"y": "diverges"},
    )


def ir3_weights_are_inputs():
    rng, g = Random(52), Graph("ir3")
    hidden = g.dense("fc1", g.input("x", [2, 8]), rng.uniform(0.5, 1, 8, 8))
    square = g.node("square", "Mul", hidden, hidden)
    g.output(g.dense("fc2", g.node("sqrt", "Sqrt", square), rng.uniform(-1, 1, 8, 4), out="y"), [2, 4])
    for tensor in g.weights:
        g.input(tensor.name, list(tensor.dims), tensor.data_type)
    return Case(
        "ir3_weights_are_inputs",
        "NaN: a square overflows; IR 3, so the initialisers are also graph inputs and must not be asked for.",
        model(g, opset=8, ir=3),
        [{"x": rng.uniform(60, 80, 2, 8)}],
        [introduces("square")],
        outputs={"y": "diverges"},
    )


def unnamed_nodes():
    rng, g = Random(53), Graph("unnamed")
    hidden = g.dense("fc1", g.input("x", [2, 8]), rng.uniform(0.5, 1, 8, 8), rng.uniform(-1, 1, 8))
    square = g.node("square", "Mul", hidden, hidden)
    g.output(g.dense("fc2", g.node("sqrt", "Sqrt", square), rng.uniform(-1, 1, 8, 4), out="y"), [2, 4])
    for node in g.nodes:
        node.ClearField("name")
    return Case(
        "unnamed_nodes",
        "NaN: a square overflows; no node has a name, so the answer goes by the tensor.",
        model(g),
        [{"x": rng.uniform(60, 80, 2, 8)}],
        [{"tensor": "square_out", "subgraph": None, "kind": "introduces"}],
        outputs={"y": "diverges"},
    )


def fp16_file():
    rng = Random(54)
    fc1, fc2, bias = rng.uniform(-0.5, 0.5, 8, 8), rng.uniform(-0.5, 0.5, 8, 4), rng.uniform(0.5, 1, 8)

    def built(gain):
        g = Graph("half_mlp")
        half = lambda name, value: g.weight(name, value, np.float16)
        product = g.node("fc1", "MatMul", g.input("x", [2, 8], F16), half("fc1_w", fc1))
        active = g.node("relu", "Relu", g.node("fc1_bias", "Add", product, half("fc1_b", bias)))
        scaled = g.node("gain", "Mul", active, half("gain_k", gain))
        g.output(g.node("fc2", "MatMul", scaled, half("fc2_w", fc2), out="y"), [2, 4], F16)
        return model(g)

    return Case(
        "fp16_file",
        "Wrong outputs: both files are natively FP16, and the candidate's gain is 1.5 instead of 1.25.",
        built(1.25),
        [{"x": rng.uniform(-1, 1, 2, 8).astype(np.float16)}],
        [introduces("gain")],
        candidate="ort@candidate.onnx",
        args=["--atol", "1e-3", "--rtol", "1e-2"],
        candidate_model=built(1.5),
        outputs={"y": "diverges"},
    )


def string_model():
    rng, g = Random(55), Graph("bag_of_words")
    words = g.input("words", [6], STRING)
    g.node("drop", "StringNormalizer", words, out="kept", is_case_sensitive=1, locale="C", stopwords=["the"])
    keys = {"cat": 1.25, "dog": 2.5, "sat": 0.75}
    labels = {"keys_strings": list(keys), "values_floats": list(keys.values()), "default_float": 0.1}
    encoded = g.node("encode", "LabelEncoder", "kept", domain="ai.onnx.ml", **labels)
    column = g.node("column", "Unsqueeze", encoded, g.weight("one", [1], np.int64))
    g.dense("embed", column, rng.uniform(0.5, 1, 1, 4), out="y")
    g.weights.append(numpy_helper.from_array(np.array(["cat"], object), "cat"))
    g.node("equal", "Equal", words, "cat", out="is_cat")
    g.output("kept", ["kept"], STRING)
    g.output("y", ["kept", 4])
    g.output("is_cat", [6], TensorProto.BOOL)
    return Case(
        "string_model",
        "Right outputs: strings in and out, through StringNormalizer, Equal and LabelEncoder.",
        model(g, opset=19, ir=9, domains=[("ai.onnx.ml", 2)]),
        [{"words": np.array(["the", "cat", "sat", "the", "Hündin", ""])}],
        outputs={"kept": "agrees", "y": "agrees", "is_cat": "agrees"},
    )


def empty_tensor():
    rng, g = Random(56), Graph("no_boxes")
    boxes = g.node("scale", "Mul", g.input("boxes", ["n", 4]), g.weight("gains", rng.uniform(0.5, 2, 4)), out="scaled")
    joined = g.node("join", "Concat", boxes, g.weight("anchors", rng.uniform(0, 1, 3, 4)), axis=0)
    g.dense("head", joined, rng.uniform(0.1, 0.5, 4, 2), out="y")
    g.output("scaled", ["n", 4])
    g.output("y", ["m", 2])
    return Case(
        "empty_tensor",
        "Right outputs: an input, a tensor and an output have no elements at all, so that this output shows nothing.",
        model(g),
        [{"boxes": np.zeros((0, 4), np.float32)}],
        outputs={"scaled": "not_compared", "y": "agrees"},
    )
