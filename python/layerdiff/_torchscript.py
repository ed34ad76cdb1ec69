"""What an eager run gives for the names of the TorchScript exporter. Those say the module a node is in, and nothing else.

Two things are sure enough to be stored, and nothing is matched by its values:
- the output of a module's call: the only tensor that leaves the nodes of that module, where the operator that makes it is one that
  the module's last operation becomes;
- an operation that becomes one node: where a call of a module holds as many nodes of an operator as it ran operations which
  become that operator, and no other operation of it could have made one.
A BatchNorm that has no node any more was folded into what stands before it: the value there is the BatchNorm's.
"""

from dataclasses import dataclass, field

from . import _model, _values

# The same elements in the same order, under another shape.
VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "flatten", "unflatten"}
SAME = {"clone", "contiguous", "alias", "detach", "lift_fresh"}
RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
NORMS = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
         "_batch_norm_with_update", "miopen_batch_norm", "batch_norm"}

# By operation of PyTorch, the operator that it becomes, alone.
ONE = {
    "_softmax": "Softmax", "_log_softmax": "LogSoftmax", "native_layer_norm": "LayerNormalization", "relu": "Relu",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "gelu": "Gelu", "erf": "Erf", "convolution": "Conv", "mm": "MatMul", "bmm": "MatMul",
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "pow": "Pow",
    "neg": "Neg", "abs": "Abs", "sin": "Sin", "cos": "Cos", "leaky_relu": "LeakyRelu", "where": "Where",
    "mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax", "amin": "ReduceMin", "max_pool2d_with_indices": "MaxPool", "avg_pool2d": "AveragePool", "embedding": "Gather", "cat": "Concat",
    **dict.fromkeys(NORMS, "BatchNormalization"),
}

# By operation, the operators that it may end in; the first of ONE is always among them.
LAST = {
    "addmm": {"Gemm", "Add"}, "linear": {"Gemm", "Add", "MatMul"}, "mm": {"Gemm"}, "bmm": set(), "baddbmm": {"Add"},
    "convolution": {"ConvTranspose"}, "gelu": {"Mul"}, "silu": {"Mul", "Swish"}, "mish": {"Mul", "Mish"}, "hardswish": {"HardSwish"},
    "hardsigmoid": {"HardSigmoid"}, "hardtanh": {"Clip"}, "clamp": {"Clip"}, "clamp_min": {"Clip", "Max"}, "elu": {"Elu"},
    "softplus": {"Softplus"}, "_prelu_kernel": {"PRelu"}, "native_layer_norm": {"Add"}, "native_group_norm": {"Add", "GroupNormalization"},
    "mean": {"GlobalAveragePool"}, "masked_fill": {"Where"}, "arange": {"Range"}, "split": {"Split", "Slice"}, "stack": {"Concat"}, "empty": set(), "ones": {"ConstantOfShape"}, "zeros": {"ConstantOfShape"}, "transpose": {"Transpose"}, "t": {"Transpose"},
    "permute": {"Transpose"}, "rsub": {"Sub"}, "_scaled_dot_product_flash_attention_for_cpu": {"MatMul"},
    "_scaled_dot_product_efficient_attention": {"MatMul"}, "_scaled_dot_product_flash_attention": {"MatMul"},
    "_adaptive_avg_pool2d": {"GlobalAveragePool", "AveragePool"}, "_to_copy": {"Cast"}, "constant_pad_nd": {"Pad"},
    "slice": {"Slice"}, "select": {"Gather"}, "index_select": {"Gather"}, "expand": {"Expand"}, "upsample_nearest2d": {"Resize"},
    "upsample_bilinear2d": {"Resize"}, "rsqrt": {"Reciprocal", "Div"}, "pixel_shuffle": {"DepthToSpace"},
}

# By operation, what it may be made of besides.
INSIDE = {
    "addmm": {"MatMul", "Mul"}, "linear": {"MatMul"}, "baddbmm": {"MatMul", "Mul"}, "gelu": {"Erf", "Add", "Div", "Mul", "Tanh", "Pow", "Sqrt"},
    "silu": {"Sigmoid"}, "mish": {"Tanh", "Softplus"}, "native_layer_norm": {"ReduceMean", "Sub", "Pow", "Sqrt", "Div", "Mul"},
    "native_group_norm": {"InstanceNormalization", "Reshape", "Mul", "Shape", "Gather", "Cast"}, "convolution": {"Add"},
    "_scaled_dot_product_flash_attention_for_cpu": {"Transpose", "Mul", "Add", "Softmax", "Sqrt", "Div", "Where", "Cast", "Slice", "Shape"},
    "_scaled_dot_product_efficient_attention": {"Transpose", "Mul", "Add", "Softmax", "Sqrt", "Div", "Where", "Cast", "Slice", "Shape"},
    "_scaled_dot_product_flash_attention": {"Transpose", "Mul", "Add", "Softmax", "Sqrt", "Div", "Where", "Cast", "Slice", "Shape"},
    "add": {"Mul"}, "sub": {"Mul"}, "rsub": {"Mul"}, "mean": {"Div"}, "hardswish": {"Add", "Clip", "Mul", "Div", "HardSigmoid"},
    "masked_fill": {"Cast", "Expand"}, "expand": {"Where", "Equal", "Mul"}, "arange": {"Cast"}, "stack": {"Unsqueeze"},
}


@dataclass
class Call:
    """One call of a module: its way of scopes, each with the count of calls before, and what it gave."""

    module: object
    way: tuple
    key: tuple
    outputs: list = field(default_factory=list)
    chains: list = field(default_factory=list)
    norm: tuple | None = None


@dataclass
class Operation:
    """One operation of PyTorch: its value, and the shapes under which the same elements went on."""

    name: str
    value: object
    shapes: set


@dataclass
class Run:
    """What was seen in one eager run."""

    calls: list = field(default_factory=list)
    operations: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    parameters: set = field(default_factory=set)


def component(name):
    """A module's part of a node's name: its attribute, with the list it is in: "layer.0" of "encoder.layer.0"."""
    atoms = name.split(".")
    for at in range(len(atoms) - 1, -1, -1):
        if not atoms[at].isnumeric():
            return ".".join(atoms[at:])
    return name


def watch(module, args, kwargs):
    """Runs `module` and writes down every call of a module in it and every operation; gives back the result and the Run."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    run, stack = Run(parameters={name for name, _ in module.named_parameters()}), []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            _operation(run, stack[-1].way if stack else (), function, args, result)
            return result

    def enter(name):
        part = component(name)

        def hook(one, _args):
            parent = stack[-1].way if stack else None
            if parent is None:
                way, key = (), ()
            else:
                key = (parent, part)
                count = run.counts[key] = run.counts.get(key, 0) + 1
                way = (*parent, part if count == 1 else f"{part}_{count - 1}")
            stack.append(Call(one, way, key))

        return hook

    def leave(one, _args, result):
        call = stack.pop()
        for tensor in _values.tensors(result):
            call.outputs.append(_values.array(tensor))
            call.chains.append(getattr(tensor, "_layerdiff_chain", ()))
            tensor._layerdiff_calls = [*getattr(tensor, "_layerdiff_calls", []), call]
        run.calls.append(call)

    handles = []
    for name, one in module.named_modules():
        handles += [one.register_forward_pre_hook(enter(name)), one.register_forward_hook(leave)]
    # Encoder layers of PyTorch compute in one operation otherwise, and call none of their modules.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), Watch():
            return module(*args, **kwargs), run
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()


def _operation(run, way, function, args, result):
    import torch

    name = function.overloadpacket.__name__
    name = name.removesuffix("_") if name != "_" and not name.endswith("__") else name
    first = next((arg for arg in args if isinstance(arg, torch.Tensor)), None)
    outputs = [tensor for tensor in _values.tensors(result)]
    if name in VIEWS | SAME and first is not None and len(outputs) == 1:
        output = outputs[0]
        output._layerdiff_chain = (name, *getattr(first, "_layerdiff_chain", ()))
        source = getattr(first, "_layerdiff_operation", None)
        if source is not None:
            source.shapes.add(tuple(output.shape))
            output._layerdiff_operation = source
        return
    kept = _values.array(outputs[0]) if outputs and name in ONE else None
    operation = Operation(name, kept, {tuple(outputs[0].shape)} if outputs else set())
    run.operations.setdefault(way, []).append(operation)
    for at, output in enumerate(outputs):
        output._layerdiff_chain = (name,)
        output._layerdiff_operation = operation if at == 0 else None
    if name in NORMS and first is not None:
        for call in getattr(first, "_layerdiff_calls", []):
            call.norm = (way, kept)


def match(model, run, shapes):
    """Arrays by name of an ONNX tensor, and why others have none."""
    found, why = {}, {}
    scopes = {id(node): _model.scope(node) for node in model.nodes}
    by_way = {}
    for node in model.nodes:
        if scopes[id(node)] is not None:
            by_way.setdefault(scopes[id(node)], []).append(node)
    unsure = _unsure(run, by_way)
    for call in run.calls:
        if call.way and not _within(call.way, unsure):
            _call(model, run, call, (by_way, shapes), found, why)
    for way, operations in run.operations.items():
        if not _within(way, unsure):
            _one_by_one(way, operations, (model, by_way, shapes), found)
    for way, part in unsure.items():
        for inner, nodes in by_way.items():
            if inner[: len(way)] == way:
                reason = f"{part} runs several times, and which node is of which call is not sure"
                why.update({name: reason for node in nodes for name in node.output})
    return _agreed(found, why), why


def _within(way, unsure):
    return any(way[: len(start)] == start for start in unsure)


def _unsure(run, by_way):
    """Ways whose calls and nodes cannot be told apart, with the module: the exporter numbers the calls that have nodes left."""
    unsure = {}
    for (parent, part), calls in run.counts.items():
        at = len(parent)
        there = {way[at] for way in by_way if len(way) > at and way[:at] == parent}
        siblings = {other for other_parent, other in run.counts if other_parent == parent and other != part}
        numbered = {name for name in there if name.startswith(f"{part}_") and name[len(part) + 1 :].isdigit()}
        mine = numbered | ({part} & there)
        if numbered & siblings or (len(mine) != calls and (numbered or calls > 1)):
            unsure.update(dict.fromkeys([(*parent, name) for name in mine], part))
    return unsure


def _call(model, run, call, graph, found, why):
    by_way, shapes = graph
    inside = [node for way, nodes in by_way.items() if way[: len(call.way)] == call.way for node in nodes]
    ids = {id(node) for node in inside}
    leaving = [
        (name, node) for node in inside for name in node.output
        if name in model.computed and (name in model.outputs or any(id(r) not in ids for r in model.readers.get(name, [])))
    ]
    called = "/".join(call.way)
    for value, chain in zip(call.outputs, call.chains):
        if value is None:
            continue
        same_type = [one for one in leaving if shapes.get(one[0], (None, value.dtype))[1] == value.dtype]
        peers = [other for other in call.outputs if other is not None and other.dtype == value.dtype]
        fits = [one for one in same_type if shapes.get(one[0], (None, None))[0] == value.shape]
        if len(fits) != 1 or len(same_type) > len(peers):
            reason = f"{len(same_type)} tensors leave {called}, which gives {len(peers)}: which is which is not sure"
            for name, _ in same_type if len(same_type) != 1 else []:
                why.setdefault(name, reason)
            continue
        name, node = fits[0]
        if sum(other.shape == value.shape for other in peers) > 1:
            why.setdefault(name, f"{called} gives several tensors of this shape")
            continue
        value, reason = _sure(model, run, call, (node, by_way), value, chain)
        if reason:
            why.setdefault(name, reason)
        else:
            found.setdefault(name, []).append(value)


def _sure(model, run, call, place, value, chain):
    """The value that belongs to what `node` makes, or why that is not known."""
    node, by_way = place
    allowed, base = set(), None
    for name in chain:
        allowed |= RESHAPES if name in VIEWS else set()
        base = name
        if name not in VIEWS | SAME:
            allowed |= LAST.get(name, set()) | ({ONE[name]} if name in ONE else set())
    if call.norm is not None:
        way, normed = call.norm
        if not any(n.op_type == "BatchNormalization" for n in by_way.get(way, [])):
            if base in ("convolution", "addmm", "linear") and node.op_type in ("Conv", "ConvTranspose", "Gemm") and normed is not None:
                return normed, None
            return None, "a BatchNorm behind it has no node, and where it went is not sure"
    if node.op_type not in allowed:
        return None, f"it is made by {node.op_type}, but the module ends in aten.{base or 'nothing'}"
    if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 1:
        weight = node.input[1]
        if weight in model.initializers and weight not in run.parameters:
            return None, f"its weights {weight} are not the module's: something was folded into them"
    return value, None


def _one_by_one(way, operations, graph, found):
    model, by_way, shapes = graph
    nodes = by_way.get(way, [])

    def may_make(operation, op_type):
        name = operation.name
        if name not in ONE and name not in LAST:
            return True
        return op_type in LAST.get(name, set()) | INSIDE.get(name, set()) or ONE.get(name) == op_type

    for op_type in {node.op_type for node in nodes} & set(ONE.values()) - {"Conv", "Gather", "Concat", "BatchNormalization"}:
        sources = [operation for operation in operations if may_make(operation, op_type)]
        mine = [node for node in nodes if node.op_type == op_type]
        if len(sources) != len(mine) or any(ONE.get(operation.name) != op_type for operation in sources):
            continue
        pairs = [(operation, node.output[0], shapes.get(node.output[0], (None, None))) for operation, node in zip(sources, mine)]
        if all(op.value is not None and shape in op.shapes and op.value.dtype == dtype for op, _, (shape, dtype) in pairs):
            for operation, name, (shape, _) in pairs:
                if name in model.computed:
                    found.setdefault(name, []).append(operation.value.reshape(shape))


def _agreed(found, why):
    """One value a name: two ways to a name that give two values show that one of them is wrong."""
    import numpy as np

    sure = {}
    for name, values in found.items():
        if all(value.shape == values[0].shape and np.array_equal(value, values[0], equal_nan=value.dtype.kind == "f") for value in values):
            sure[name] = values[0]
        else:
            why[name] = "two modules give it, with different values"
    return sure
