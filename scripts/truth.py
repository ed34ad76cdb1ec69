"""The truth about two models, measured without layerdiff: every tensor of the main graph marked, both run by ONNX
Runtime with graph optimisation off, every pair compared by scripts/verdicts.py.

A culprit is a node of the reference that makes a diverging tensor out of compared inputs that all agree, and from which
an unbroken way of diverging or not comparable tensors leads to a diverging model output. A node that is wrong but whose
error is lost on every way is masked. Tensors inside If, Loop and Scan are not looked at.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import verdicts
from verdicts import ATOL, AUTO, GIVEN, RTOL, Rule, ShapesChanged, diverges, sqnr_db

__all__ = ["ATOL", "AUTO", "GIVEN", "RTOL", "Rule", "ShapesChanged", "diverges", "sqnr_db"]


@dataclass
class Findings:
    """What is wrong: node numbers of the reference, and tensors by name."""

    culprits: list = field(default_factory=list)
    masked: list = field(default_factory=list)
    bad_outputs: list = field(default_factory=list)
    bad: set = field(default_factory=set)
    # In the candidate under no such name, or with another shape or type.
    not_comparable: set = field(default_factory=set)


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
        self.labels = {}

    @property
    def tensors(self):
        """How many tensors a search chooses among: every output of every node, Constants too."""
        return len(self.maker)

    def node_of(self, tensor):
        """The node that makes a tensor, None for inputs and weights."""
        return self.model.graph.node[self.maker[tensor]] if tensor in self.maker else None

    def ancestors(self, names):
        """Nodes from which one of the tensors can be reached."""
        seen, stack = set(), [self.maker[n] for n in names if n in self.maker]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack += [self.maker[n] for n in self.reads[node] if n in self.maker]
        return seen

    def descendants(self, node):
        """Nodes that can be reached from this one, itself included."""
        seen = {node}
        for i in range(node + 1, len(self.reads)):
            if any(self.maker.get(name) in seen for name in self.reads[i]):
                seen.add(i)
        return seen

    def parts(self, tensor):
        """Which part of a Concat each element of a tensor is of; None where it is not put together."""
        if tensor not in self.labels:
            known = self.values | self.feeds
            self.labels[tensor] = verdicts.part_labels(self.node_of, known, self.constants, tensor, self.run_alone)
        return self.labels[tensor]

    def run_alone(self, node, feeds, output):
        """One node's output for these inputs, whatever their type."""
        types = {name: onnx.helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in feeds.items()}
        inputs = [onnx.helper.make_tensor_value_info(n, types[n], feeds[n].shape) for n in feeds]
        outputs = [onnx.helper.make_tensor_value_info(output, types[node.input[0]], None)]
        graph = onnx.helper.make_graph([node], "alone", inputs, outputs)
        model = onnx.helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        return plain_session(model.SerializeToString(), 1).run([output], feeds)[0]

    def noise(self, tensor):
        """What FP32 leaves of a result near zero that is made of larger numbers, absolute."""
        node = self.node_of(tensor)
        if node is None:
            return 0.0
        if node.op_type in verdicts.BOUNDED:
            return 4 * verdicts.EPSILON
        if node.op_type not in verdicts.CANCELLING:
            return 0.0
        known = (self.values.get(n, self.feeds.get(n)) for n in node.input[:2])
        sizes = [np.max(np.abs(v[np.isfinite(v)]), initial=0.0) for v in known if v is not None and v.dtype.kind == "f"]
        return 4 * verdicts.EPSILON * float(max(sizes, default=0.0))


def culprits(reference, candidate_values, rule=GIVEN):
    """The node numbers of the culprits, and the names of the diverging outputs. Every tensor must be comparable."""
    found = judge(reference, candidate_values, rule, strict=True)
    return found.culprits, found.bad_outputs


def judge(reference, candidate_values, rule=AUTO, strict=False):
    """Everything that is wrong in the candidate. `strict`: a tensor that cannot be compared raises ShapesChanged."""
    found = Findings()
    for name, value in reference.values.items():
        try:
            if tensor_diverges(reference, name, candidate_values.get(name), rule):
                found.bad.add(name)
        except ShapesChanged:
            if strict:
                raise
            found.not_comparable.add(name)
    # The outputs are what people see: one that cannot be compared is no answer, but a way must end in a wrong one.
    found.bad_outputs = [name for name in reference.outputs if name in found.bad]
    leading = leads_to(reference, found)
    for i in range(len(reference.reads)):
        wrong = found.bad.intersection(reference.model.graph.node[i].output)
        if wrong and all(name not in found.bad for name in compared_inputs(reference, i, found)):
            (found.culprits if wrong & leading else found.masked).append(i)
    return found


def tensor_diverges(reference, name, candidate, rule):
    value, node = reference.values[name], reference.node_of(name)
    step = 1 if node is not None and node.op_type in verdicts.QUANTISING else 0
    if not rule.scaled or candidate is None or value.dtype.kind != "f":
        return diverges(value, candidate, rule, step=step)
    return diverges(value, candidate, rule, reference.parts(name), reference.noise(name), step)


def leads_to(reference, found):
    """Tensors, wrong or not comparable, from which an unbroken way of such leads to a wrong output."""
    open_ways = set(found.bad_outputs)
    for i in reversed(range(len(reference.reads))):
        if open_ways.intersection(reference.model.graph.node[i].output):
            open_ways.update(n for n in reference.reads[i] if n in found.bad or n in found.not_comparable)
    return open_ways


def compared_inputs(reference, node, found):
    """What a node reads; instead of a tensor that cannot be compared, what that one is made of."""
    seen, stack = set(), list(reference.reads[node])
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            if name in found.not_comparable:
                stack += reference.reads[reference.maker[name]]
    return seen - found.not_comparable


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
