"""The ONNX file as a capture needs it: which tensors are computed, who makes and who reads them, and what shape they have.

Needs the package onnx, and onnxruntime where shape inference does not say every shape. Values of the model are never looked at:
what the framework gave is stored under a name because of the name, not because it is alike.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# Of nodes that give something else each time: computed, though they read nothing.
RANDOM = {"RandomNormal", "RandomUniform"}


@dataclass
class Input:
    """What the model is fed with: `dims` holds None where a dimension is open, and is None where nothing is said."""

    name: str
    dtype: np.dtype
    dims: list | None


@dataclass
class Model:
    """A file's main graph. `computed` maps every tensor that depends on the inputs to its node, in order."""

    path: Path
    proto: object
    inputs: list
    outputs: list
    nodes: list
    initializers: set
    computed: dict = field(default_factory=dict)
    readers: dict = field(default_factory=dict)

    @property
    def exporter(self):
        """Which exporter of PyTorch the names are of: "dynamo", "torchscript", or None where they are of neither."""
        if any(metadata(node, "fx_node") for node in self.nodes):
            return "dynamo"
        if any(scope(node) is not None for node in self.nodes):
            return "torchscript"
        return None


def metadata(node, key):
    """What PyTorch's exporter wrote beside the node under `pkg.torch.onnx.KEY`, or None."""
    return next((entry.value for entry in node.metadata_props if entry.key == f"pkg.torch.onnx.{key}"), None)


def scope(node):
    """The modules in a name of the TorchScript exporter: ("body", "body.0") of "/body/body.0/Conv_1"; None for other names."""
    way, _, last = node.name.rpartition("/")
    number = last.removeprefix(node.op_type)
    counted = number == "" or (number[0] == "_" and number[1:].isdigit())
    if not node.name.startswith("/") or not last.startswith(node.op_type) or not counted:
        return None
    return tuple(way.split("/")[1:])


def read(path):
    """The model in `path`, its weights left where they are."""
    import onnx

    proto = onnx.load(path, load_external_data=False)
    graph = proto.graph
    initializers = {tensor.name for tensor in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    inputs = [_input(value) for value in graph.input if value.name not in initializers]
    outputs = [value.name for value in graph.output]
    model = Model(Path(path), proto, inputs, outputs, list(graph.node), initializers)
    depends = {one.name for one in inputs}
    for node in model.nodes:
        reads = _reads(node)
        for name in reads:
            model.readers.setdefault(name, []).append(node)
        if node.op_type in RANDOM or any(name in depends for name in reads):
            made = [name for name in node.output if name]
            depends.update(made)
            model.computed.update(dict.fromkeys(made, node))
    return model


def _input(value):
    import onnx

    tensor = value.type.tensor_type
    dims = None
    if tensor.HasField("shape"):
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
    return Input(value.name, dtype, dims)


def _reads(node):
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            own = {name for inner in graph.node for name in inner.output} | {value.name for value in graph.input}
            inner = [name for node in graph.node for name in _reads(node)] + [value.name for value in graph.output]
            names += [name for name in inner if name not in own]
    return names


def weights(model):
    """Name and value of every initializer, one after the other; those that an optimizer says it has rewritten are left out."""
    from onnx import numpy_helper

    rewritten = {name for node in model.nodes if _rewritten(node) for name in node.input}
    for tensor in model.proto.graph.initializer:
        if tensor.name not in rewritten:
            yield tensor.name, numpy_helper.to_array(tensor, str(model.path.parent))


def _rewritten(node):
    return any(
        entry.key == "pkg.onnxscript.rewriter.rule_name" and "Fuse" in entry.value for entry in node.metadata_props
    )


def shapes(model, feeds):
    """By tensor, the shape and element type that it has on `feeds`; those that cannot be known are left out."""
    known = _inferred(model, feeds)
    unknown = [name for name in model.computed if name not in known]
    return known | _measured(model, feeds, unknown) if unknown else known


def _inferred(model, feeds):
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for value in proto.graph.input:
        if value.name in feeds:
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            shape.SetInParent()
            for size in feeds[value.name].shape:
                shape.dim.add().dim_value = size
    # What the exporter says of tensors inside is for the shapes that it exported with.
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception:
        return {}
    known = {}
    for value in [*proto.graph.value_info, *proto.graph.output]:
        found = _input(value)
        if found.dtype is not None and found.dims is not None and None not in found.dims:
            known[value.name] = (tuple(found.dims), np.dtype(found.dtype))
    return known


def _measured(model, feeds, names):
    """By running the model in ONNX Runtime, where that is installed. Only shapes are taken from it."""
    try:
        import onnx
        import onnxruntime as ort
    except ImportError:
        return {}
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    present = {value.name for value in proto.graph.output}
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in present)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(model.path.parent.resolve())
    )
    try:
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = session.run(names, feeds)
    except Exception:
        return {}
    return {
        name: (value.shape, value.dtype)
        for name, value in zip(names, values, strict=True)
        if isinstance(value, np.ndarray)
    }
