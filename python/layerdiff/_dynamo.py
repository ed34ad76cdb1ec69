"""What an exported program gives for the names of `torch.onnx.export(dynamo=True)`: ONNX values are called as its nodes are.

The module is exported once more, the same way, and its graph is run node by node. A value is sure where the ONNX node says that
it came from the node of that name, the words for that node are the same on both sides, and so are those of all nodes above it.
"""

import operator
import re

from . import _model, _values


def watch(module, args, kwargs, dynamic_shapes):
    """The exported program's outputs, and by name of a node (value, words, names of nodes above)."""
    import torch

    program = torch.onnx.export(
        module, args, kwargs=kwargs, dynamo=True, optimize=False, verbose=False, dynamic_shapes=dynamic_shapes
    ).exported_program
    flat, _ = torch.utils._pytree.tree_flatten((tuple(args), kwargs))
    nodes, outputs = {}, []

    class Keep(torch.fx.Interpreter):
        def run_node(self, node):
            result = super().run_node(node)
            above = [] if node.op == "placeholder" else [n.name for n in node.all_input_nodes]
            source = node.args[0].name if node.target is operator.getitem else None
            if node.op == "output":
                outputs.extend(_values.tensors(result))
            else:
                nodes[node.name] = (_kept(result), _words(node.format_node() or ""), above, source)
            return result

    with torch.no_grad():
        Keep(program.graph_module).run(*_placeholders(program, flat))
    return outputs, nodes


def _kept(result):
    import torch

    if isinstance(result, torch.Tensor):
        return [_values.array(result)]
    if isinstance(result, (tuple, list)):
        return [_values.array(one) if isinstance(one, torch.Tensor) else None for one in result]
    return []


def _placeholders(program, flat):
    """What the graph is called with: weights and constants by name, and the user's values in order."""
    given, values = iter(flat), []
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            values.append(next(given))
        elif spec.target in program.state_dict:
            values.append(program.state_dict[spec.target])
        else:
            values.append(program.constants[spec.target])
    return values


def _words(text):
    """How a node is written, without how often it is used."""
    return re.sub(r"\[num_users=\d+\] ?", "", text)


def match(model, nodes):
    """Arrays by name of an ONNX tensor, and why others have none."""
    told = {}
    for node in model.nodes:
        text = _model.metadata(node, "fx_node")
        if text and (name := re.match(r"%(\w+)", text)):
            told[name.group(1)] = _words(text)
    trusted = {}
    for name, (_, words, above, _) in nodes.items():
        trusted[name] = told.get(name, words) == words and all(trusted.get(one, False) for one in above)
    found, why = {}, {}
    for name, node in model.computed.items():
        text = _model.metadata(node, "fx_node") or ""
        origin = re.match(r"%(\w+)", text)
        if origin is None:
            why[name] = "PyTorch's exporter says nothing of its node"
            continue
        origin = origin.group(1)
        base, _, index = name.rpartition("__")
        if name in nodes and (origin == name or nodes[name][3] == origin):
            own, values = name, nodes[name][0]
        elif base == origin and base in nodes and index.isdigit():
            own, values = base, nodes[base][0][int(index) :]
        elif origin in nodes:
            operation = re.search(r"target=torch\.ops\.([\w.]+)", text)
            why[name] = f"a step inside {operation.group(1) if operation else origin}, which PyTorch computes as one"
            continue
        else:
            why[name] = f"the module, exported now, has no {origin}"
            continue
        if not trusted[own]:
            why[name] = f"the module, exported now, has another {own} than the model was made from"
        elif not values or values[0] is None:
            why[name] = f"{own} gives no tensor"
        else:
            found[name] = values[0]
    return found, why
