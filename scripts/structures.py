"""Spoil an ONNX model as a graph: ModelProto -> ModelProto that parses, and is wrong in one thing. Judges nothing.

What exporters, hand-made tools and hostile files do to models: inputs left out, names that are long or twice there, cycles,
types and shapes that contradict, empty things, unknown operators, bodies within bodies, functions that call themselves,
attributes of another type.
"""

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

DIMS = [-1, 0, 2**31, 2**62, 2**63 - 1, -(2**63)]
TYPES = [0, 1, 6, 7, 8, 9, 10, 16, 17, 22, 99, -1]
# Python's protobuf goes no deeper than 100 messages, three of which are one body; mutations.py nests deeper.
DEPTH = 28


def spoil(model, rng):
    """Changes the model in place and says how. Falls back on another way where one finds nothing to change."""
    for _ in range(20):
        name = rng.choice(sorted(WAYS))
        try:
            if model.graph.node and WAYS[name](model, model.graph, rng) is not False:
                return name
        except ValueError:  # NumPy or protobuf, about what was spoilt before
            continue
    return "nothing"


# ---- nodes


def node_of(graph, rng):
    return rng.choice(graph.node)


def operand_left_out(_, graph, rng):
    node = node_of(graph, rng)
    if not node.input:
        return False
    del node.input[rng.randrange(len(node.input))]


def operand_added(_, graph, rng):
    node_of(graph, rng).input.extend([rng.choice(names(graph))] * rng.choice([1, 1, 300]))


def operand_empty(_, graph, rng):
    node = node_of(graph, rng)
    if not node.input:
        return False
    node.input[rng.randrange(len(node.input))] = ""


def operand_other(_, graph, rng):
    """Cycles and self-loops among them."""
    node = node_of(graph, rng)
    if not node.input:
        return False
    node.input[rng.randrange(len(node.input))] = rng.choice([*names(graph), *node.output, "nowhere"])


def output_changed(_, graph, rng):
    node = node_of(graph, rng)
    change = rng.choice(["out", "twice", "more", "empty"])
    if change == "out":
        del node.output[:]
    elif change == "twice":
        node.output.extend(node.output)
    elif change == "more":
        node.output.extend(f"more{i}" for i in range(rng.choice([1, 3, 300])))
    elif node.output:
        node.output[0] = rng.choice(["", *names(graph)])


def operator_other(_, graph, rng):
    others = (
        "Relu Conv MatMul Resize Reshape Concat Split Loop If Scan TopK Identity Constant Cast NoSuchOperator".split()
    )
    node = node_of(graph, rng)
    node.op_type = rng.choice(others + [n.op_type for n in graph.node] + ["", "x" * 100_000])


def domain_other(_, graph, rng):
    node_of(graph, rng).domain = rng.choice(["com.microsoft", "ai.onnx.ml", "no.such", "x" * 100_000, "\x1b[2J"])


def order_changed(_, graph, rng):
    nodes = list(graph.node)
    rng.shuffle(nodes)
    replace(graph.node, nodes)


def node_copied(_, graph, rng):
    graph.node.add().CopyFrom(node_of(graph, rng))


def node_left_out(_, graph, rng):
    del graph.node[rng.randrange(len(graph.node))]


def attribute_other(_, graph, rng):
    """An attribute of another type or value, or one that nobody knows."""
    able = [n for n in graph.node if n.attribute]
    node = rng.choice(able or list(graph.node))
    tensor = numpy_helper.from_array(np.zeros((2, 0), np.float32))
    values = [
        0,
        -1,
        2**63 - 1,
        -(2**63),
        1.5,
        float("nan"),
        "",
        "x" * 100_000,
        [0] * 9,
        [2**62],
        [1.0, 2.0],
        ["a"],
        tensor,
    ]
    if node.attribute and rng.random() < 0.7:
        old = rng.choice(node.attribute)
        name = old.name
        if rng.random() < 0.3:
            old.type = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 11])
            return None
        node.attribute.remove(old)
    else:
        name = rng.choice(["axis", "axes", "to", "perm", "pads", "value", "body", "kernel_shape", "nosuch"])
    node.attribute.append(helper.make_attribute(name, rng.choice(values)))


def attribute_refers(_, graph, rng):
    """An attribute of a function's caller, in a node that is in no function."""
    node_of(graph, rng).attribute.append(
        AttributeProto(name="alpha", ref_attr_name="outside", type=AttributeProto.FLOAT)
    )


# ---- names


def name_long(_, graph, rng):
    rename(graph, rng.choice(names(graph)), "n" * 100_000)


def name_twice(_, graph, rng):
    one, other = rng.choice(names(graph)), rng.choice(names(graph))
    rename(graph, one, other)


def name_odd(_, graph, rng):
    rename(
        graph,
        rng.choice(names(graph)),
        rng.choice(["\x1b[2J", "a\nb", "\u202ea", "../../x", "a/b", "/", "%s{}", " ", "\0", "'\"`$(x)"]),
    )


def nodes_of_one_name(_, graph, rng):
    name = rng.choice(["", "same", "\x1b[31m"])
    for node in graph.node:
        node.name = name


# ---- types, shapes, weights


def weight_shape(_, graph, rng):
    if not graph.initializer:
        return False
    tensor = rng.choice(graph.initializer)
    change_dims(tensor.dims, rng)


def weight_type(_, graph, rng):
    if not graph.initializer:
        return False
    rng.choice(graph.initializer).data_type = rng.choice(TYPES)


def weight_empty(_, graph, rng):
    if not graph.initializer:
        return False
    tensor = rng.choice(graph.initializer)
    for part in ("raw_data", "float_data", "int64_data", "int32_data", "string_data"):
        tensor.ClearField(part)


def weight_external(_, graph, rng):
    if not graph.initializer:
        return False
    tensor = rng.choice(graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    places = ["", "/etc/passwd", "../x", "model.onnx", "nosuch.bin", "/dev/zero", "n" * 5000, "a\0b", "."]
    for key, value in [
        ("location", rng.choice(places)),
        ("offset", rng.choice(["0", "-1", "99999999999999999999", "x"])),
    ]:
        tensor.external_data.add(key=key, value=value)


def weight_large(_, graph, rng):
    """A value that says how large something is, or divides by it. A loop that runs for years is no spoilt file."""
    trips = {node.input[0] for node in graph.node if node.op_type == "Loop" and node.input}
    whole = (TensorProto.INT64, TensorProto.INT32)
    small = [t for t in graph.initializer if t.data_type in whole and t.name not in trips]
    if not small:
        return False
    tensor = rng.choice(small)
    value = numpy_helper.to_array(tensor).copy()
    if value.size:
        info = np.iinfo(value.dtype)
        value.flat[rng.randrange(value.size)] = rng.choice([0, -1, info.min, info.max, 100_000, -2])
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def input_shape(_, graph, rng):
    value = rng.choice([*graph.input, *graph.output] or [None])
    if value is None:
        return False
    shape = value.type.tensor_type.shape
    change = rng.choice(["dim", "more", "less", "none", "name", "many"])
    if change == "dim" and shape.dim:
        rng.choice(shape.dim).dim_value = rng.choice([*DIMS, 3, 100_000])
    elif change == "more":
        shape.dim.add().dim_value = rng.choice(DIMS)
    elif change == "less" and shape.dim:
        del shape.dim[-1]
    elif change == "name" and shape.dim:
        rng.choice(shape.dim).dim_param = rng.choice(["n", "", "x" * 100_000, "\x1b[2J"])
    elif change == "many":
        for _ in range(1000):
            shape.dim.add().dim_value = 1
    else:
        value.type.tensor_type.ClearField("shape")


def input_type(_, graph, rng):
    values = [*graph.input, *graph.output, *graph.value_info]
    if not values:
        return False
    value = rng.choice(values)
    if rng.random() < 0.2:
        value.ClearField("type")
    elif rng.random() < 0.2:
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1
    else:
        value.type.tensor_type.elem_type = rng.choice(TYPES)


def io_left_out(_, graph, rng):
    part = rng.choice([graph.input, graph.output])
    if not part:
        return False
    if rng.random() < 0.3:
        del part[:]
    else:
        del part[rng.randrange(len(part))]


def output_is(_, graph, rng):
    """An input, a weight or something in the middle is handed out."""
    graph.output.add().name = rng.choice(names(graph))


def change_dims(dims, rng):
    values = list(dims)
    values[rng.randrange(len(values)) if values else 0 : 1] = [rng.choice(DIMS)] * rng.choice([0, 1, 1, 2])
    del dims[:]
    dims.extend(values)


# ---- the model


def emptied(model, graph, rng):
    model.ClearField(rng.choice(["graph", "opset_import", "ir_version", "functions"]))
    if model.HasField("graph") and rng.random() < 0.5:
        graph.ClearField(rng.choice(["node", "input", "output", "initializer"]))


def opset_other(model, _, rng):
    version = rng.choice([-1, 0, 1, 6, 9, 12, 30, 1000, 2**63 - 1])
    if model.opset_import and rng.random() < 0.7:
        rng.choice(model.opset_import).version = version
    else:
        model.opset_import.add(domain=rng.choice(["", "com.microsoft", "no.such"]), version=version)


def bodies_in_bodies(_, graph, rng):
    """An If in an If in an If ..., each of which reads from outside all of them."""
    source = next((i.name for i in graph.input), "")
    condition = numpy_helper.from_array(np.array(True), "deep/condition")
    graph.initializer.append(condition)
    nodes, last = [helper.make_node("Identity", [source], ["deep/0"], "deep/0")], "deep/0"
    for level in range(1, rng.choice([2, 5, 12, DEPTH])):
        body = lambda: helper.make_graph(nodes, "body", [], [helper.make_tensor_value_info(last, 1, None)])
        other = helper.make_graph(
            [helper.make_node("Identity", [source], [f"deep/other{level}"])],
            "other",
            [],
            [helper.make_tensor_value_info(f"deep/other{level}", 1, None)],
        )
        nodes = [
            helper.make_node(
                "If", ["deep/condition"], [f"deep/{level}"], f"deep/{level}", then_branch=body(), else_branch=other
            )
        ]
        last = f"deep/{level}"
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info(last, 1, None))


def function_calls(model, graph, rng):
    """A function that calls itself, another that calls it, or one that does not exist."""
    kind = rng.choice(["itself", "each other", "nothing", "twice"])
    calls = {"itself": ["F"], "each other": ["G", "F"], "nothing": ["Nowhere"], "twice": ["Identity", "Identity"]}[kind]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, callee in zip(["F", "G"] if kind != "twice" else ["F", "F"], calls):
        domain = "" if callee == "Identity" else "own"
        body = [helper.make_node(callee, ["x"], ["y"], "call", domain=domain)]
        model.functions.append(helper.make_function("own", name, ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    source = names(graph)[0]
    graph.node.append(helper.make_node("F", [source], ["of_f"], "f", domain="own"))
    graph.output.add().name = "of_f"


def names(graph):
    found = [v.name for v in graph.input] + [t.name for t in graph.initializer]
    return (found + [o for n in graph.node for o in n.output]) or ["x"]


def rename(graph, old, new):
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = new if value.name == old else value.name
    for node in graph.node:
        replace(node.input, [new if n == old else n for n in node.input])
        replace(node.output, [new if n == old else n for n in node.output])


def replace(repeated, values):
    values = [type(v).FromString(v.SerializeToString()) if hasattr(v, "SerializeToString") else v for v in values]
    del repeated[:]
    repeated.extend(values)


WAYS = {
    way.__name__.replace("_", " "): way
    for way in [
        operand_left_out, operand_added, operand_empty, operand_other, output_changed, operator_other, domain_other,
        order_changed, node_copied, node_left_out, attribute_other, attribute_refers, name_long, name_twice, name_odd,
        nodes_of_one_name, weight_shape, weight_type, weight_empty, weight_external, weight_large, input_shape, input_type,
        io_left_out, output_is, emptied, opset_other, bodies_in_bodies, function_calls,
    ]
}  # fmt: skip
