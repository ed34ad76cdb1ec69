"""A model as another exporter would have written it: ModelProto -> in place, and how data of the first one fit the other.

Names are changed throughout, nodes that are one become several and back, weights are stored otherwise, and sometimes an input is
laid out otherwise. What it computes stays the same, but for the last bits; whoever uses this measures that.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from onnx import helper, numpy_helper

import diff_harmless
from faults import get

# Changes that leave every node what it is.
HARMLESS = [diff_harmless.defaults_written, diff_harmless.defaults_left_out, diff_harmless.identities, diff_harmless.constants_moved]
HARMLESS += [diff_harmless.commuted, diff_harmless.opset_raised, diff_harmless.stored_transposed, diff_harmless.dead_things]
SHARE = 0.5
# Of the pairs: an input is laid out otherwise.
LAID_OUT, LAID = 0.1, "input laid out otherwise"


@dataclass
class Forms:
    """How a model was written otherwise."""

    told: list = field(default_factory=list)
    # Outputs of nodes that were written as one.
    groups: list = field(default_factory=list)
    # Inputs and outputs: the first model's name -> the other one's; and how a value of the first becomes the other's.
    ends: dict = field(default_factory=dict)
    laid: dict = field(default_factory=dict)

    def feeds(self, feeds):
        return {self.ends.get(n, n): self.laid[n](v) if n in self.laid else v for n, v in feeds.items()}

    def output(self, name, values):
        return values[self.ends.get(name, name)]


class Writer:
    """The main graph of the model that is changed; `values` by the names that it had at first."""

    def __init__(self, model, values, rng):
        self.model, self.graph, self.values, self.rng = model, model.graph, values, rng
        self.forms = Forms()

    def stored(self, name):
        """A float weight of the main graph."""
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        return None

    def store(self, name, value):
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def constant(self, name, value):
        """A small one, as exporters write it: a Constant, or a weight."""
        if self.rng.random() < 0.5:
            return self.store(name, np.asarray(value))
        self.put(0, helper.make_node("Constant", [], [name], name=f"{name}/Constant", value=numpy_helper.from_array(np.asarray(value), "")))
        return name

    def put(self, at, *nodes):
        for node in reversed(nodes):
            self.graph.node.insert(at, node)

    def readers(self, name):
        outputs = [o.name for o in self.graph.output]
        found = [n for g in diff_harmless.holders(self.model) for n in g.node if name in n.input]
        inner = [o.name for g in diff_harmless.holders(self.model)[1:] for o in g.output if hasattr(o, "name")]
        return found + [None] * (outputs.count(name) + inner.count(name))

    def replace(self, node, *others):
        at = next(i for i, n in enumerate(self.graph.node) if n is node)
        self.graph.node.remove(node)
        self.put(at, *others)

    def of(self, *kinds):
        return [n for n in self.graph.node if n.op_type in kinds and n.domain in ("", "ai.onnx")]

    def rank(self, name):
        return self.values[name].ndim if name in self.values else None

    def opset(self):
        return diff_harmless.version(self.model)


# ---- nodes that are one and several


def gemm_apart(w, node):
    weight = w.stored(node.input[1])
    plain = get(node, "alpha", 1.0) == 1.0 and get(node, "beta", 1.0) == 1.0 and not get(node, "transA", 0)
    if node.op_type != "Gemm" or weight is None or not plain or len(node.input) < 3:
        return None
    out = node.output[0]
    turned = w.store(f"{out}_matrix", weight.T if get(node, "transB", 0) else weight)
    product = helper.make_node("MatMul", [node.input[0], turned], [f"{out}_mm"], name=f"{out}_mm")
    w.replace(node, product, helper.make_node("Add", [f"{out}_mm", node.input[2]], [out], name=f"{out}_add"))
    return []


def gemm_made(w, node):
    if node.op_type != "MatMul" or w.rank(node.output[0]) != 2 or w.rank(node.input[0]) != 2:
        return None
    weight, readers = w.stored(node.input[1]), w.readers(node.output[0])
    if weight is None or weight.ndim != 2 or len(readers) != 1 or readers[0] is None or readers[0].op_type != "Add":
        return None
    add = readers[0]
    other = [name for name in add.input if name != node.output[0]]
    bias = w.stored(other[0]) if len(other) == 1 else None
    if bias is None or bias.ndim != 1 or bias.shape[0] != weight.shape[1] or not any(n is add for n in w.graph.node):
        return None
    turned = w.store(f"{add.output[0]}_rows", weight.T)
    gemm = helper.make_node("Gemm", [node.input[0], turned, other[0]], [add.output[0]], name=add.name, transB=1)
    group = [node.output[0], add.output[0]]
    w.graph.node.remove(node)
    w.replace(add, gemm)
    return group


def gemm_turned(w, node):
    weight = w.stored(node.input[1])
    if node.op_type != "Gemm" or weight is None:
        return None
    turned = 1 - get(node, "transB", 0)
    node.input[1] = w.store(f"{node.output[0]}_turned", weight.T)
    for a in [a for a in node.attribute if a.name == "transB"]:
        node.attribute.remove(a)
    node.attribute.append(helper.make_attribute("transB", turned))
    return []


def norm_folded(w, node):
    """A batch normalisation into the Conv in front of it."""
    maker = [n for n in w.of("Conv") if node.input[0] in n.output]
    if node.op_type != "BatchNormalization" or len(maker) != 1 or len(w.readers(node.input[0])) != 1 or len(node.output) != 1:
        return None
    conv = maker[0]
    weight, parts = w.stored(conv.input[1]), [w.stored(name) for name in node.input[1:5]]
    bias = w.stored(conv.input[2]) if len(conv.input) > 2 else 0.0
    if weight is None or bias is None or any(part is None for part in parts):
        return None
    scale, shift, mean, variance = (part.astype(np.float64) for part in parts)
    factor = scale / np.sqrt(variance + get(node, "epsilon", 1e-5))
    out = node.output[0]
    folded = (weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).astype(weight.dtype)
    conv_inputs = [conv.input[0], w.store(f"{out}_folded", folded), w.store(f"{out}_shift", ((bias - mean) * factor + shift).astype(weight.dtype))]
    group = [conv.output[0], out]
    del conv.input[:]
    conv.input.extend(conv_inputs)
    conv.output[0] = out
    w.graph.node.remove(node)
    return group


def bias_apart(w, node):
    if node.op_type != "Conv" or len(node.input) < 3:
        return None
    bias, rank = w.stored(node.input[2]), w.rank(node.output[0])
    if bias is None or rank is None:
        return None
    out = node.output[0]
    name = w.store(f"{out}_bias", bias.reshape(1, -1, *[1] * (rank - 2)))
    del node.input[2:]
    node.output[0] = f"{out}_conv"
    at = next(i for i, n in enumerate(w.graph.node) if n is node)
    w.put(at + 1, helper.make_node("Add", [f"{out}_conv", name], [out], name=f"{out}_add"))
    return []


def activation_apart(w, node):
    x, out = (node.input[0], node.output[0]) if node.input else ("", "")
    dtype = w.values[out].dtype if out in w.values else None
    if node.op_type not in ("HardSwish", "HardSigmoid") or dtype is None:
        return None
    alpha, beta = (1 / 6, 0.5) if node.op_type == "HardSwish" else (get(node, "alpha", 0.2), get(node, "beta", 0.5))
    if node.op_type == "HardSwish":
        gate = helper.make_node("HardSigmoid", [x], [f"{out}_gate"], name=f"{out}_gate", alpha=alpha, beta=beta)
        w.replace(node, gate, helper.make_node("Mul", [x, f"{out}_gate"], [out], name=f"{out}_mul"))
        return []
    if w.opset() < 11:
        return None
    names = [w.constant(f"{out}_{what}", np.array(value, dtype)) for what, value in [("alpha", alpha), ("beta", beta), ("low", 0), ("high", 1)]]
    parts = [helper.make_node("Mul", [x, names[0]], [f"{out}_mul"], name=f"{out}_mul")]
    parts.append(helper.make_node("Add", [f"{out}_mul", names[1]], [f"{out}_add"], name=f"{out}_add"))
    w.replace(node, *parts, helper.make_node("Clip", [f"{out}_add", *names[2:]], [out], name=f"{out}_clip"))
    return []


def layernorm_apart(w, node):
    if node.op_type != "LayerNormalization" or get(node, "axis", -1) != -1 or len(node.output) != 1 or len(node.input) < 3:
        return None
    (x, scale, shift), out = node.input[:3], node.output[0]
    dtype = w.values[out].dtype

    def mean(source, target):
        if w.opset() < 18:
            return helper.make_node("ReduceMean", [source], [target], name=target, axes=[-1])
        return helper.make_node("ReduceMean", [source, w.constant(f"{target}_axes", np.array([-1]))], [target], name=target)

    def step(kind, inputs, what):
        return helper.make_node(kind, inputs, [f"{out}_{what}"], name=f"{out}_{what}")

    two, epsilon = w.constant(f"{out}_two", np.array(2, dtype)), w.constant(f"{out}_eps", np.array(get(node, "epsilon", 1e-5), dtype))
    parts = [mean(x, f"{out}_mean"), step("Sub", [x, f"{out}_mean"], "off"), step("Pow", [f"{out}_off", two], "square")]
    parts += [mean(f"{out}_square", f"{out}_var"), step("Add", [f"{out}_var", epsilon], "var_eps"), step("Sqrt", [f"{out}_var_eps"], "std")]
    parts += [step("Div", [f"{out}_off", f"{out}_std"], "norm"), step("Mul", [f"{out}_norm", scale], "scaled")]
    w.replace(node, *parts, helper.make_node("Add", [f"{out}_scaled", shift], [out], name=f"{out}_add"))
    return []


def pool_as_mean(w, node):
    if node.op_type != "GlobalAveragePool" or w.rank(node.output[0]) != 4:
        return None
    x, out = node.input[0], node.output[0]
    if w.opset() < 18:
        w.replace(node, helper.make_node("ReduceMean", [x], [out], name=f"{out}_mean", axes=[2, 3]))
    else:
        axes = w.constant(f"{out}_axes", np.array([2, 3]))
        w.replace(node, helper.make_node("ReduceMean", [x, axes], [out], name=f"{out}_mean"))
    return []


STRUCTURES = {"Gemm apart": gemm_apart, "Gemm made": gemm_made, "transB": gemm_turned, "norm folded": norm_folded, "bias apart": bias_apart}
STRUCTURES |= {"activation apart": activation_apart, "layer norm apart": layernorm_apart, "pool as mean": pool_as_mean}


def structures(w):
    """Each kind, by chance, at every node where it fits: an exporter does it everywhere."""
    for kind, change in STRUCTURES.items():
        if w.rng.random() > SHARE:
            continue
        done = 0
        for node in list(w.graph.node):
            if not any(node is n for n in w.graph.node) or node.domain not in ("", "ai.onnx") or not node.input:
                continue
            group = change(w, node) if len(node.input) > 1 or change in (activation_apart, pool_as_mean) else None
            if group is not None:
                w.forms.groups += [group] if group else []
                done += 1
        if done:
            w.forms.told.append(f"{kind}: {done}")


# ---- ends


def laid_out(w):
    """An input with its channels last, or without its batch."""
    outer = [i for i in w.graph.input if w.stored(i.name) is None and i.name in w.values]
    able = [info for info in outer if w.rank(info.name) in (3, 4) and w.values[info.name].dtype == np.float32]
    if not able:
        return
    info = w.rng.choice(able)
    name, value = info.name, w.values[info.name]
    if [d.dim_value for d in info.type.tensor_type.shape.dim] != list(value.shape):
        return
    batch = value.shape[0] == 1 and w.rng.random() < 0.5
    if not batch and (value.ndim != 4 or value.shape[1] == 1):
        return
    inner = f"{name}_inside"
    for graph in diff_harmless.holders(w.model):
        for node in graph.node:
            node.input[:] = [inner if n == name else n for n in node.input]
    ours, theirs = ([0, 3, 1, 2], [0, 2, 3, 1])
    if batch:
        there, kind, extra, attributes = lambda v: v[0], "Unsqueeze", [], {"axes": [0]}
        if w.opset() >= 13:
            extra, attributes = [w.constant(f"{name}_axes", np.array([0]))], {}
    else:
        there, kind, extra, attributes = lambda v: np.ascontiguousarray(v.transpose(theirs)), "Transpose", [], {"perm": ours}
    node = helper.make_node(kind, [name, *extra], [inner], name=f"{name}_laid", **attributes)
    w.put(next((i for i, n in enumerate(w.graph.node) if n.op_type != "Constant"), 0), node)
    info.CopyFrom(helper.make_tensor_value_info(name, info.type.tensor_type.elem_type, there(value).shape))
    w.forms.laid[name] = there
    w.forms.told.append(f"{LAID}: {name} {'without batch' if batch else 'channels last'}")


# ---- names


def renamed(w):
    """Every name, in the way of some exporter; inputs and outputs by chance."""
    style = w.rng.choice([at_random, underscores, as_dynamo, as_torchscript])
    given = {i.name for i in w.graph.input} | {o.name for o in w.graph.output}
    ends = given if w.rng.random() < SHARE else set()
    kept = given - ends
    tensors, nodes, used = {}, {}, set(kept)

    def call(old, new):
        while new in used:
            new += "_"
        used.add(new)
        tensors[old] = new

    for n, tensor in enumerate(w.graph.initializer):
        if tensor.name not in kept:
            call(tensor.name, style(w.rng, tensor.name, n, None))
    for n, node in enumerate(w.graph.node):
        for name in node.output:
            if name and name not in kept and name not in tensors:
                call(name, style(w.rng, name, n, node))
        if node.name:
            nodes[node.name] = style(w.rng, node.name, n, node) + "_node"
    for n, info in enumerate(w.graph.input):
        if info.name in ends and info.name not in tensors:
            call(info.name, f"arg{n}_1")
    diff_harmless.rename(w.graph, tensors, nodes, kept)
    for info in w.graph.input:
        info.name = tensors.get(info.name, info.name)
    w.forms.ends = {old: tensors[old] for old in ends if old in tensors}
    w.forms.told.append(f"names {style.__name__}: {len(tensors)}")
    if ends:
        w.forms.told.append(f"ends renamed: {len(w.forms.ends)}")


def at_random(rng, name, n, node):
    return f"{rng.getrandbits(40):010x}"


def underscores(rng, name, n, node):
    return re.sub(r"[^0-9A-Za-z]", "_", name).strip("_") + "_"


def as_dynamo(rng, name, n, node):
    return f"p_layers_{n}_weight" if node is None else f"{node.op_type.lower()}_{n}"


def as_torchscript(rng, name, n, node):
    return f"onnx::{n}" if node is None else f"/net/layer.{n}/{node.op_type}_output_0"


def written(model, values, rng):
    """Changes the model; `values` of all its tensors, inputs included."""
    w = Writer(model, values, rng)
    structures(w)
    for change in HARMLESS:
        told = change(model, rng) if rng.random() < SHARE else None
        if told:
            w.forms.told.append(f"{change.__name__}: {told}")
    if rng.random() < LAID_OUT:
        laid_out(w)
    if rng.random() < SHARE:
        w.forms.told.append(f"shuffled: {diff_harmless.shuffled(model, rng)}")
    del model.graph.value_info[:]
    renamed(w)
    return w.forms
