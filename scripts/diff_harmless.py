"""Changes to a model that change nothing of what it computes: ModelProto -> in place. What exporters and optimisers do all day.

Each takes (model, rng) and gives a word for what it did, or None. Whoever uses them measures that nothing changed.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import AttributeProto, TensorProto, helper, numpy_helper

import truth

COMMUTE = {"Add", "Mul", "And", "Or", "Equal", "Max", "Min", "Sum"}
SLIM = shutil.which("onnxslim")


def holders(model):
    """All graphs, bodies and functions included."""
    stack, found = [model.graph, *model.functions], []
    while stack:
        graph = stack.pop()
        found.append(graph)
        for node in graph.node:
            stack += [a.g for a in node.attribute if a.HasField("g")]
    return found


def version(model, domain=""):
    return next((o.version for o in model.opset_import if o.domain == domain), 1)


def schema(model, node):
    try:
        return onnx.defs.get_schema(node.op_type, version(model, node.domain), node.domain)
    except onnx.defs.SchemaError:
        return None


def defaults_written(model, rng):
    done = 0
    for graph in holders(model):
        for node in graph.node:
            known = schema(model, node)
            have = {a.name for a in node.attribute}
            for name, attribute in (known.attributes if known else {}).items():
                default = attribute.default_value
                if name not in have and default.type != AttributeProto.UNDEFINED and rng.random() < 0.5:
                    node.attribute.add().CopyFrom(default)
                    node.attribute[-1].name = name
                    done += 1
    return done and f"{done} defaults written out"


def defaults_left_out(model, rng):
    done = 0
    for graph in holders(model):
        for node in graph.node:
            known = schema(model, node)
            for a in list(node.attribute):
                default = known.attributes[a.name].default_value if known and a.name in known.attributes else None
                if default is not None and default.type == a.type and value_of(default) == value_of(a):
                    node.attribute.remove(a)
                    done += 1
    return done and f"{done} defaults left out"


def value_of(a):
    return helper.get_attribute_value(a)


def identities(model, rng):
    """On edges, in front of one reader."""
    done = 0
    for graph in holders(model):
        made = {o for n in graph.node for o in n.output if o}
        for node in list(graph.node):
            slots = [s for s, name in enumerate(node.input) if name in made]
            if slots and rng.random() < 0.12:
                slot = rng.choice(slots)
                name = f"{node.name or node.output[0]}/same{slot}"
                same = helper.make_node("Identity", [node.input[slot]], [f"{name}_out"], name=name)
                node.input[slot] = f"{name}_out"
                graph.node.insert(list(graph.node).index(node), same)
                done += 1
    return done and f"{done} Identity"


def constants_moved(model, rng):
    """Constant nodes become initializers of the main graph, and small initializers Constant nodes."""
    graph, done = model.graph, 0
    given = {i.name for i in graph.input}
    for node in list(graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value" and rng.random() < 0.5:
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            graph.node.remove(node)
            done += 1
    for tensor in list(graph.initializer):
        small = np.prod(tensor.dims) < 4096 and tensor.data_location != TensorProto.EXTERNAL
        if small and tensor.name not in given and rng.random() < 0.3:
            value = TensorProto()
            value.CopyFrom(tensor)
            node = helper.make_node("Constant", [], [tensor.name], name=f"{tensor.name}/Const", value=value)
            graph.initializer.remove(tensor)
            graph.node.insert(0, node)
            done += 1
    return done and f"{done} constants moved"


def commuted(model, rng):
    done = 0
    for graph in holders(model):
        for node in graph.node:
            if node.op_type in COMMUTE and len(node.input) == 2 and rng.random() < 0.5:
                a, b = node.input
                node.input[0], node.input[1] = b, a
                done += 1
    return done and f"{done} commuted"


def opset_raised(model, rng):
    own = next((o for o in model.opset_import if o.domain == ""), None)
    if own is None or own.version > 22:
        return None
    own.version += rng.randint(1, min(4, 23 - own.version))
    if own.version >= 19:
        model.ir_version = max(model.ir_version, 10)
    for function in model.functions:
        for o in function.opset_import:
            o.version = own.version if o.domain == "" else o.version
    return f"opset {own.version}"


def stored_transposed(model, rng):
    """Weights of MatMul as an exporter stores them, behind a Transpose."""
    graph, done = model.graph, 0
    stored = {t.name: t for t in graph.initializer}
    for node in list(graph.node):
        name = node.input[1] if node.op_type == "MatMul" else ""
        if name in stored and len(stored[name].dims) == 2 and sum(name in n.input for n in graph.node) == 1 and rng.random() < 0.5:
            value = np.ascontiguousarray(numpy_helper.to_array(stored[name]).T)
            graph.initializer.append(numpy_helper.from_array(value, f"{name}.t"))
            turn = helper.make_node("Transpose", [f"{name}.t"], [f"{name}.tt"], name=f"{name}/Transpose", perm=[1, 0])
            node.input[1] = f"{name}.tt"
            graph.node.insert(0, turn)
            done += 1
    return done and f"{done} stored transposed"


def dead_things(model, rng):
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "nobody.reads"))
    graph.doc_string = "made by somebody else"
    del graph.value_info[:]
    return "dead weight"


def shuffled(model, rng):
    """Another order in which everything is still behind what it reads."""
    graph = model.graph
    nodes, done, order = list(graph.node), set(), []
    made = {o for n in nodes for o in n.output if o}
    reads = {id(n): {i for i in truth.node_inputs(n) if i in made} for n in nodes}
    while nodes:
        ready = [n for n in nodes if reads[id(n)] <= done]
        node = rng.choice(ready[:8])
        nodes.remove(node)
        order.append(node)
        done |= set(node.output)
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in order]
    del graph.node[:]
    graph.node.extend(copies)
    return "another order"


def optimised(model, rng):
    """By ONNX Runtime, or by onnxslim where it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        if rng.random() < 0.5 and SLIM:
            onnx.save(model, before)
            made = subprocess.run([SLIM, before, after], capture_output=True)
            if made.returncode != 0 or not after.exists():
                return None
            how = "slim"
        else:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(after)
            options.log_severity_level = 4
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            how = "basic"
        model.CopyFrom(onnx.load(after))
    return f"optimised ({how})"


def renamed(model, rng):
    """Nodes, and tensors that are neither inputs nor outputs; all of them or some. Gives (old -> new of tensors, of nodes)."""
    kept = {i.name for i in model.graph.input} | {o.name for o in model.graph.output}
    share = rng.choice([0.3, 1.0])
    tensors, nodes = {}, {}
    for graph in holders(model):
        inner = graph is not model.graph
        for node in graph.node:
            for name in node.output:
                if name and name not in kept and name not in tensors and not inner and rng.random() < share:
                    tensors[name] = f"value_{len(tensors)}"
            if node.name and rng.random() < share:
                nodes[node.name] = f"{node.op_type.lower()}.{len(nodes)}"
    for tensor in model.graph.initializer:
        if tensor.name not in kept and rng.random() < share:
            tensors[tensor.name] = f"param_{len(tensors)}"
    rename(model.graph, tensors, nodes, kept)
    for function in model.functions:
        for node in function.node:
            node.name = nodes.get(node.name, node.name)
    return tensors, nodes


def rename(graph, tensors, nodes, kept):
    for node in graph.node:
        node.name = nodes.get(node.name, node.name)
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = tensors.get(name, name)
        for a in node.attribute:
            if a.HasField("g"):
                own = {i.name for i in a.g.input} | {t.name for t in a.g.initializer} | {o for n in a.g.node for o in n.output}
                rename(a.g, {k: v for k, v in tensors.items() if k not in own}, nodes, kept)
    for tensor in list(graph.initializer):
        tensor.name = tensors.get(tensor.name, tensor.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = tensors.get(sparse.values.name, sparse.values.name)
    for info in [*graph.output, *graph.value_info]:
        info.name = tensors.get(info.name, info.name)


KINDS = [defaults_written, defaults_left_out, identities, constants_moved, commuted, opset_raised, stored_transposed, dead_things, shuffled]
