"""Small ONNX graphs, one call a node. Knows no case and writes no file."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32, F16, I64, BOOL, STRING = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT64,
    TensorProto.BOOL,
    TensorProto.STRING,
)


class Graph:
    """A graph under construction. Every adding method gives back the name of the tensor it made."""

    def __init__(self, name: str):
        self.name = name
        self.nodes, self.inputs, self.outputs, self.weights = [], [], [], []

    def input(self, name, shape, dtype=F32):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, shape, dtype=F32):
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def weight(self, name, value, dtype=np.float32):
        """An initialiser."""
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, name, op, *inputs, out=None, domain="", **attributes):
        """A node `name` that makes `out`: one name, a list of names, or by default `<name>_out`."""
        outputs = out if isinstance(out, list) else [out or f"{name}_out"]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=name, domain=domain, **attributes))
        return outputs if isinstance(out, list) else outputs[0]

    def dense(self, name, x, weight, bias=None, out=None):
        """MatMul, and Add where there is a bias: nodes `name` and `name_bias`."""
        if bias is None:
            return self.node(name, "MatMul", x, self.weight(f"{name}_w", weight), out=out)
        product = self.node(name, "MatMul", x, self.weight(f"{name}_w", weight))
        return self.node(f"{name}_bias", "Add", product, self.weight(f"{name}_b", bias), out=out)

    def layer_norm(self, name, x, gamma, beta, out=None):
        """LayerNorm over the last axis, decomposed as exporters before opset 17 write it."""
        mean = self.node(f"{name}_mean", "ReduceMean", x, axes=[-1], keepdims=1)
        centred = self.node(f"{name}_sub", "Sub", x, mean)
        square = self.node(f"{name}_pow", "Pow", centred, self.weight(f"{name}_two", 2.0))
        variance = self.node(f"{name}_var", "ReduceMean", square, axes=[-1], keepdims=1)
        safe = self.node(f"{name}_eps_add", "Add", variance, self.weight(f"{name}_eps", 1e-5))
        deviation = self.node(f"{name}_sqrt", "Sqrt", safe)
        normal = self.node(f"{name}_div", "Div", centred, deviation)
        scaled = self.node(f"{name}_mul", "Mul", normal, self.weight(f"{name}_gamma", gamma))
        return self.node(f"{name}_add", "Add", scaled, self.weight(f"{name}_beta", beta), out=out)

    def gelu(self, name, x, out=None):
        """The exact GELU, decomposed: five nodes."""
        scaled = self.node(f"{name}_div", "Div", x, self.weight(f"{name}_sqrt2", 1.4142135))
        erf = self.node(f"{name}_erf", "Erf", scaled)
        shifted = self.node(f"{name}_add", "Add", erf, self.weight(f"{name}_one", 1.0))
        product = self.node(f"{name}_mul", "Mul", x, shifted)
        return self.node(f"{name}_half", "Mul", product, self.weight(f"{name}_point5", 0.5), out=out)

    def proto(self):
        return helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)


def model(graph: Graph, opset=17, ir=8, domains=(), functions=()) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in domains)]
    built = helper.make_model(graph.proto(), opset_imports=imports, functions=list(functions))
    built.ir_version = ir
    return built


class Random:
    """Uniform numbers whose bits are the same on every machine."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def uniform(self, low, high, *shape):
        unit = self.generator.random(shape)
        return (low + unit * (high - low)).astype(np.float32)
