"""The truth about two models, measured without layerdiff: every tensor of the main graph marked, both run by ONNX
Runtime with graph optimisation off, every pair compared.

A culprit is a node of the reference that makes a diverging tensor out of inputs that all agree, and from which a way of
diverging tensors leads to a diverging model output. Tensors inside If, Loop and Scan are not looked at.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

ATOL, RTOL = 1e-5, 1e-3


class Reference:
    """A healthy model, its inputs and the value of each of its tensors."""

    def __init__(self, path, inputs, threads=0):
        self.path, self.inputs, self.threads = Path(path), Path(inputs), threads
        self.model = onnx.load(path)
        self.feeds = dict(np.load(inputs))
        nodes = self.model.graph.node
        self.reads = [node_inputs(node) for node in nodes]
        self.maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
        self.outputs = [o.name for o in self.model.graph.output]
        self.values = run_marked(self.model, self.feeds, threads)
        self.constants = {t.name: onnx.numpy_helper.to_array(t) for t in self.model.graph.initializer}
        made = (n.output[0] for n in nodes if n.op_type == "Constant")
        self.constants.update((name, self.values[name]) for name in made if name in self.values)

    @property
    def tensors(self):
        """How many tensors a search chooses among: every output of every node, Constants too."""
        return len(self.maker)

    def ancestors(self, names, along=None):
        """Nodes from which one of the tensors can be reached, through no other tensors than those `along` the way."""
        seen, stack = set(), [self.maker[n] for n in names if n in self.maker]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack += [self.maker[n] for n in self.reads[node] if n in self.maker and (along is None or n in along)]
        return seen

    def descendants(self, node):
        """Nodes that can be reached from this one, itself included."""
        seen = {node}
        for i in range(node + 1, len(self.reads)):
            if any(self.maker.get(name) in seen for name in self.reads[i]):
                seen.add(i)
        return seen


class ShapesChanged(Exception):
    """A tensor has another shape or type in the candidate, or is not there."""


def culprits(reference, candidate_values):
    """The node numbers of the culprits, and the names of the diverging model outputs."""
    bad = {name for name, r in reference.values.items() if diverges(r, candidate_values.get(name))}
    bad_outputs = [name for name in reference.outputs if name in bad]
    guilty = [
        i
        for i in sorted(reference.ancestors(bad_outputs, bad))
        if not bad.intersection(reference.reads[i])
    ]
    return guilty, bad_outputs


def diverges(r, c):
    """Is |c - r| > atol + rtol |r| anywhere? NaN agrees with NaN, an infinity with itself."""
    if c is None or r.shape != c.shape or r.dtype != c.dtype:
        raise ShapesChanged
    if r.dtype.kind not in "fiu":
        return not np.array_equal(r, c)
    if r.tobytes() == c.tobytes():
        return False
    r, c = r.astype(np.float64), c.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.isfinite(r) & np.isfinite(c) & (np.abs(c - r) <= ATOL + RTOL * np.abs(r))
    return not np.all(near | (r == c) | (np.isnan(r) & np.isnan(c)))


def run_marked(model, feeds, threads=0):
    """Every tensor of the main graph by name."""
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    present = {o.name for o in marked.graph.output}
    extra = [name for node in marked.graph.node for name in node.output if name and name not in present]
    marked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(extra))
    session = plain_session(marked.SerializeToString(), threads)
    names = [o.name for o in session.get_outputs()]
    values = session.run(names, feeds)
    return {name: value for name, value in zip(names, values) if isinstance(value, np.ndarray)}


def plain_session(model, threads=0):
    """A session on the CPU with graph optimisation off, for a path or the bytes of a model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def node_inputs(node):
    """The tensors that a node reads, those that its subgraphs take from outside too."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            inside = {i.name for i in graph.input} | {i.name for i in graph.initializer}
            inside |= {name for n in graph.node for name in n.output}
            outside = [name for n in graph.node for name in node_inputs(n)] + [o.name for o in graph.output]
            names += [name for name in outside if name not in inside]
    return list(dict.fromkeys(names))
