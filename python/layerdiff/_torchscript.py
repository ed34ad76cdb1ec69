"""What an eager run gives for the names of the TorchScript exporter. Those say the module a node is in, and nothing else.

Two things are sure enough to be stored, and nothing is matched by its values:
- the output of a module's call: the only tensor that leaves the nodes of that module, where the operator that makes it is one
  that the module's last operation becomes;
- an operation that becomes one node: where a call of a module holds as many nodes of an operator as it ran operations which
  become that operator, and no other operation of it could have made one.
A BatchNorm that has no node any more was folded into what stands before it: the value there is the BatchNorm's.
"""

from dataclasses import dataclass, field

import numpy as np

from . import _eager, _model
from ._operations import ONE, may_end, may_make

# What a BatchNorm is folded into: of PyTorch, and of ONNX.
FOLDING, FOLDED = {"convolution", "addmm", "linear"}, {"Conv", "ConvTranspose", "Gemm"}
# Operators of which one may stand for several operations, or for a part of one.
MIXED = {"Conv", "Gather", "Concat", "BatchNormalization"}


@dataclass
class Sides:
    """The model's nodes by the modules that their names say, what was seen in PyTorch, and what came of both."""

    model: _model.Model
    run: _eager.Run
    shapes: dict
    by_way: dict = field(default_factory=dict)
    found: dict = field(default_factory=dict)
    why: dict = field(default_factory=dict)


def match(model, run, shapes):
    """Arrays by name of an ONNX tensor, and why others have none."""
    sides = Sides(model, run, shapes)
    for node in model.nodes:
        way = _model.scope(node)
        if way is not None:
            sides.by_way.setdefault(way, []).append(node)
    unsure = _unsure(sides)

    def sure(way):
        return not any(_inside(way, start) for start in unsure)

    for call in run.calls:
        if call.way and sure(call.way):
            _outputs(sides, call)
    for way, operations in run.operations.items():
        if sure(way):
            _one_by_one(sides, way, operations)
    for start, part in unsure.items():
        reason = f"{part} runs several times, and which node is of which call is not sure"
        sides.why.update((name, reason) for node in _nodes(sides, start) for name in node.output)
    return _agreed(sides), sides.why


def _inside(way, start):
    return way[: len(start)] == start


def _nodes(sides, start):
    """The nodes of a module, those of the modules in it among them."""
    return [node for way, nodes in sides.by_way.items() if _inside(way, start) for node in nodes]


def _unsure(sides):
    """Ways whose calls and nodes cannot be told apart, with the module. The exporter numbers the calls that have nodes left."""
    unsure, counts = {}, sides.run.counts
    for (parent, part), calls in counts.items():
        at = len(parent)
        there = {way[at] for way in sides.by_way if len(way) > at and _inside(way, parent)}
        siblings = {other for other_parent, other in counts if other_parent == parent and other != part}
        numbered = {name for name in there if name.startswith(f"{part}_") and name[len(part) + 1 :].isdigit()}
        mine = numbered | ({part} & there)
        if numbered & siblings or (len(mine) != calls and (numbered or calls > 1)):
            unsure.update({(*parent, name): part for name in mine})
    return unsure


def _outputs(sides, call):
    """What a call gave, where it is sure which of the tensors that leave its nodes that is."""
    nodes, called = _nodes(sides, call.way), "/".join(call.way)
    leaving = [(name, node) for node in nodes for name in node.output if _leaves(sides.model, name, nodes)]
    known = [output for output in call.outputs if output.value is not None]
    for output in known:
        value = output.value
        peers = [other.value for other in known if other.value.dtype == value.dtype]
        # A type that is not known may be this one.
        alike = [one for one in leaving if sides.shapes.get(one[0], (None, value.dtype))[1] == value.dtype]
        fits = [one for one in alike if sides.shapes.get(one[0], (None, None))[0] == value.shape]
        if len(fits) == 1 and len(alike) <= len(peers) and sum(peer.shape == value.shape for peer in peers) == 1:
            name, node = fits[0]
            value, reason = _sure(sides, call, node, output)
            if reason:
                sides.why.setdefault(name, reason)
            else:
                sides.found.setdefault(name, []).append(value)
        elif len(alike) > 1:
            reason = f"{len(alike)} tensors leave {called}, which gives {len(peers)}: which is which is not sure"
            sides.why.update((name, sides.why.get(name, reason)) for name, _ in alike)


def _leaves(model, name, nodes):
    inside = {id(node) for node in nodes}
    read = any(id(reader) not in inside for reader in model.readers.get(name, []))
    return name in model.computed and (read or name in model.outputs)


def _sure(sides, call, node, output):
    """The value that belongs to what `node` makes, or why that is not known."""
    base = output.chain[-1] if output.chain else "nothing"
    if call.norm is not None:
        way, normed = call.norm
        if not any(there.op_type == "BatchNormalization" for there in sides.by_way.get(way, [])):
            if base in FOLDING and node.op_type in FOLDED and normed is not None:
                return normed, None
            return None, "a BatchNorm behind it has no node, and where it went is not sure"
    if node.op_type not in may_end(output.chain):
        return None, f"it is made by {node.op_type}, but the module ends in aten.{base}"
    weight = node.input[1] if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 1 else None
    if weight in sides.model.initializers and weight not in sides.run.parameters:
        return None, f"its weights {weight} are not the module's: something was folded into them"
    return output.value, None


def _one_by_one(sides, way, operations):
    """Operations that became one node each: the first is the first node's, the second the second's."""
    nodes = sides.by_way.get(way, [])
    for op_type in {node.op_type for node in nodes} & set(ONE.values()) - MIXED:
        sources = [operation for operation in operations if may_make(operation.name, op_type)]
        names = [node.output[0] for node in nodes if node.op_type == op_type]
        if len(sources) != len(names) or any(ONE.get(operation.name) != op_type for operation in sources):
            continue
        pairs = [
            (name, *sides.shapes.get(name, (None, None)), source) for name, source in zip(names, sources, strict=True)
        ]
        if all(s.value is not None and shape in s.shapes and s.value.dtype == dtype for _, shape, dtype, s in pairs):
            for name, shape, _, source in pairs:
                if name in sides.model.computed:
                    sides.found.setdefault(name, []).append(source.value.reshape(shape))


def _agreed(sides):
    """One value a name: two ways to a name that give two values show that one of them is wrong."""
    sure = {}
    for name, (first, *others) in sides.found.items():
        exact = first.dtype.kind not in "fc"
        if all(one.shape == first.shape and np.array_equal(one, first, equal_nan=not exact) for one in others):
            sure[name] = first
        else:
            sides.why[name] = "two modules give it, with different values"
    return sure
