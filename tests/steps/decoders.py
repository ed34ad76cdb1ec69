#!/usr/bin/env python3
"""GPT-like decoders with a cache, and the same with a fault that shows from some step on only.

Usage: tests/steps/decoders.py KIND SEED FOLDER    writes model.onnx, candidate.onnx, prompt.npz; prints STEP NODE

Kinds: position (the position embedding of a position is wrong), mask (attention is cut off once the cache is longer than a
size), late (a projection is off once the cache is longer than a size), drift (the cached values are off by a hair in every
step, which no step shows).
"""

import random
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = ["position", "mask", "late", "drift"]
LAYERS, HEADS, WIDTH, VOCABULARY, POSITIONS, PROMPT = 2, 2, 16, 64, 64, 4
F, I = TensorProto.FLOAT, TensorProto.INT64


class Net:
    def __init__(self, seed, style):
        self.rng, self.values = random.Random(seed), np.random.default_rng(seed)
        self.nodes, self.weights, self.style = [], [], style

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name + "_out"], name=name, **attributes))
        return name + "_out"

    def matrix(self, name, rows, columns, scale=1.0):
        values = self.values.standard_normal((rows, columns)) * scale / rows**0.5
        return self.weight(name, values.astype(np.float32))


def build(seed):
    net = Net(seed, seed % 2)
    past, present = ("past_key_values.%d.%s", "present.%d.%s") if net.style == 0 else ("past_%d_%s", "present_%d_%s")
    embed = net.matrix("embed", VOCABULARY, WIDTH, 4.0)
    places = net.matrix("places", POSITIONS, WIDTH, 4.0)
    x = net.node("Gather", [embed, "input_ids"], "tok")
    x = net.node("Add", [x, net.node("Gather", [places, "position_ids"], "pos")], "emb")
    split = net.weight("split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
    merge = net.weight("merge", np.array([0, 0, WIDTH], np.int64))
    # What is after a token is not seen by it, nor what the mask leaves out.
    m = net.node("Cast", ["attention_mask"], "mask/float", to=F)
    m = net.node("Sub", [net.weight("one", np.float32(1)), m], "mask/not")
    m = net.node("Mul", [m, net.weight("low", np.float32(-1e4))], "mask/low")
    m = net.node("Unsqueeze", [m, net.weight("axes", np.array([1, 2], np.int64))], "mask/add")
    total = net.node("Shape", ["attention_mask"], "total/shape")
    total = net.node("Gather", [total, net.weight("last", np.array([1], np.int64))], "total")
    columns = net.node("Range", [net.weight("zero", np.int64(0)), net.node("Squeeze", [total], "total/one"), net.weight("step", np.int64(1))], "columns")
    rows = net.node("Unsqueeze", ["position_ids", net.weight("rank", np.array([1, 3], np.int64))], "rows")
    seen = net.node("LessOrEqual", [columns, rows], "causal")
    m = net.node("Where", [seen, m, net.weight("never", np.float32(-1e4))], "mask")
    caches = []
    for layer in range(LAYERS):
        p = f"layer{layer}"
        q, k, v = (net.node("MatMul", [x, net.matrix(f"{p}.{a}", WIDTH, WIDTH)], f"{p}/{a}") for a in "qkv")
        turn = lambda t, a: net.node("Transpose", [net.node("Reshape", [t, split], f"{p}/{a}/heads")], f"{p}/{a}/turn", perm=[0, 2, 1, 3])
        q, k, v = turn(q, "q"), turn(k, "k"), turn(v, "v")
        for a, t in (("key", k), ("value", v)):
            name = present % (layer, a)
            net.nodes.append(helper.make_node("Concat", [past % (layer, a), t], [name], name=f"{p}/{a}/cache", axis=2))
            caches.append((past % (layer, a), name))
        keys = net.node("Transpose", [present % (layer, "key")], f"{p}/keys", perm=[0, 1, 3, 2])
        s = net.node("Div", [net.node("MatMul", [q, keys], f"{p}/scores"), net.weight(f"{p}.root", np.float32((WIDTH // HEADS) ** 0.5))], f"{p}/scaled")
        s = net.node("Softmax", [net.node("Add", [s, m], f"{p}/masked")], f"{p}/probs", axis=-1)
        c = net.node("MatMul", [s, present % (layer, "value")], f"{p}/mix")
        c = net.node("Reshape", [net.node("Transpose", [c], f"{p}/back", perm=[0, 2, 1, 3]), merge], f"{p}/merged")
        x = net.node("Add", [x, net.node("MatMul", [c, net.matrix(f"{p}.o", WIDTH, WIDTH)], f"{p}/o")], f"{p}/res")
        h = net.node("Relu", [net.node("MatMul", [x, net.matrix(f"{p}.up", WIDTH, 4 * WIDTH)], f"{p}/up")], f"{p}/act")
        x = net.node("Add", [x, net.node("MatMul", [h, net.matrix(f"{p}.down", 4 * WIDTH, WIDTH)], f"{p}/down")], f"{p}/out")
    net.nodes.append(helper.make_node("MatMul", [x, net.matrix("head.w", WIDTH, VOCABULARY)], ["logits"], name="head"))
    cache = lambda name, length: helper.make_tensor_value_info(name, F, ["batch", HEADS, length, WIDTH // HEADS])
    ids = lambda name, length: helper.make_tensor_value_info(name, I, ["batch", length])
    inputs = [ids("input_ids", "seq"), ids("attention_mask", "past + seq"), ids("position_ids", "seq")]
    inputs += [cache(name, "past") for name, _ in caches]
    outputs = [helper.make_tensor_value_info("logits", F, ["batch", "seq", VOCABULARY])]
    outputs += [cache(name, "past + seq") for _, name in caches]
    graph = helper.make_graph(net.nodes, "decoder", inputs, outputs, net.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model, net.rng


def wrong(model, kind, rng):
    """The broken candidate, the step that fails, the node that is wrong."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    layer = rng.randrange(LAYERS)
    step = rng.randint(2, 9)
    length = PROMPT + step - 1  # of the cache in that step
    if kind == "position":
        places = next(w for w in graph.initializer if w.name == "places")
        values = numpy_helper.to_array(places).copy()
        values[length] *= -1
        places.CopyFrom(numpy_helper.from_array(values, "places"))
        return model, step, "pos"
    victim = {"mask": f"layer{layer}/masked", "late": f"layer{layer}/{rng.choice(['up', 'o', 'act'])}", "drift": f"layer{layer}/value/cache"}[kind]
    at = next(i for i, n in enumerate(graph.node) if n.name == victim)
    out = graph.node[at].output[0]
    graph.node[at].output[0] = "right"
    new = []

    def node(op, inputs, name, **attributes):
        new.append(helper.make_node(op, inputs, [f"fault/{name}"], name=f"fault/{name}", **attributes))
        return f"fault/{name}"

    def constant(name, value):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"fault.{name}"))
        return f"fault.{name}"

    if kind == "drift":
        new.append(helper.make_node("Mul", ["right", constant("hair", np.float32(1 + 2e-5))], [out], name="fault/out"))
        # Every step adds to what was there: the cache as a whole, again and again.
        step = None
    else:
        past = graph.input[3].name
        shape = node("Shape", [past], "shape")
        size = node("Gather", [shape, constant("axis", np.int64(2))], "size", axis=0)
        when = node("GreaterOrEqual", [size, constant("length", np.int64(length))], "when")
        change = {"mask": ("Add", -3.0, 0.0), "late": ("Mul", 0.5, 1.0)}[kind]
        amount = node("Where", [when, constant("on", np.float32(change[1])), constant("off", np.float32(change[2]))], "amount")
        if kind == "mask":
            # The first position of the cache is all but forgotten.
            total = node("Shape", ["right"], "total")
            last = node("Gather", [total, constant("last", np.int64(3))], "columns", axis=0)
            column = node("Range", [constant("zero", np.int64(0)), last, constant("step", np.int64(1))], "range")
            first = node("Equal", [column, constant("none", np.int64(0))], "first")
            amount = node("Mul", [amount, node("Cast", [first], "first_float", to=F)], "where")
        new.append(helper.make_node(change[0], ["right", amount], [out], name="fault/out"))
    for offset, one in enumerate(new):
        graph.node.insert(at + 1 + offset, one)
    onnx.checker.check_model(model)
    return model, step, victim


def without_cache(seed):
    """Reads the whole text in every step: the mean of what was said, turned and scored."""
    net = Net(seed, 0)
    x = net.node("Gather", [net.matrix("embed", VOCABULARY, WIDTH, 4.0), "input_ids"], "tok")
    x = net.node("CumSum", [x, net.weight("axis", np.int64(1))], "sum")
    x = net.node("Tanh", [net.node("MatMul", [x, net.matrix("w", WIDTH, WIDTH)], "proj")], "act")
    net.nodes.append(helper.make_node("MatMul", [x, net.matrix("head.w", WIDTH, VOCABULARY)], ["logits"], name="head"))
    ids = helper.make_tensor_value_info("input_ids", I, ["batch", "seq"])
    scores = helper.make_tensor_value_info("logits", F, ["batch", "seq", VOCABULARY])
    graph = helper.make_graph(net.nodes, "plain", [ids], [scores], net.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main(kind, seed, folder):
    if kind == "plain":
        Path(folder).mkdir(parents=True, exist_ok=True)
        model = without_cache(int(seed))
        onnx.save(model, Path(folder) / "model.onnx")
        prompt = np.random.default_rng(int(seed)).integers(0, VOCABULARY, (1, PROMPT))
        np.savez(Path(folder) / "prompt.npz", input_ids=prompt)
        np.savez(Path(folder) / "empty.npz", input_ids=prompt[:, :0])
        said = prompt
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString())
        for _ in range(6):
            best = session.run(None, {"input_ids": said})[0][:, -1].argmax(-1)
            said = np.concatenate([said, best[:, None]], 1)
        return print("tokens", *said[0, PROMPT:])
    model, rng = build(int(seed))
    other, step, victim = wrong(model, kind, rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    onnx.save(other, folder / "candidate.onnx")
    prompt = np.random.default_rng(int(seed)).integers(0, VOCABULARY, (1, PROMPT))
    np.savez(folder / "prompt.npz", input_ids=prompt)
    print(step, victim)


if __name__ == "__main__":
    main(*sys.argv[1:])
