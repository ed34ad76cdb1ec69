"""An eager run of a module, written down: every call of a module in it, what that gave, and every operation."""

from dataclasses import dataclass, field

from . import _values
from ._operations import NORMS, ONE, SAME, VIEWS


@dataclass
class Call:
    """One call of a module. `way`: the modules around it and itself, as the exporter names and numbers them.

    `norm`: the way of the BatchNorm that read its output, and what that gave.
    """

    way: tuple
    outputs: list = field(default_factory=list)
    norm: tuple | None = None


@dataclass
class Output:
    """A tensor that a call gave, and the operations that it comes of, the last first: views of something, and that something."""

    value: object
    chain: tuple


@dataclass
class Operation:
    """One operation of PyTorch: its value, and the shapes under which the same elements went on."""

    name: str
    value: object
    shapes: set


@dataclass
class Mark:
    """What is remembered of a tensor as long as it lives: where it comes from."""

    chain: tuple = ()
    operation: Operation | None = None
    calls: list = field(default_factory=list)


@dataclass
class Run:
    """What was seen in one eager run. `counts`: calls by the way around them and their name."""

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

    marks, stack = torch.utils.weak.WeakTensorKeyDictionary(), []
    run = Run(parameters={name for name, _ in module.named_parameters()})

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            _operation(run, marks, stack[-1].way if stack else (), (function, args, result))
            return result

    def enter(name):
        part = component(name)

        def hook(one, _args):
            way = ()
            if stack:
                parent = stack[-1].way
                count = run.counts[parent, part] = run.counts.get((parent, part), 0) + 1
                way = (*parent, part if count == 1 else f"{part}_{count - 1}")
            stack.append(Call(way))

        return hook

    def leave(one, _args, result):
        call = stack.pop()
        for tensor in _values.tensors(result):
            mark = marks.setdefault(tensor, Mark())
            mark.calls.append(call)
            call.outputs.append(Output(_values.array(tensor), mark.chain))
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


def _operation(run, marks, way, done):
    import torch

    function, args, result = done
    # What works in place is the same operation, with an underscore behind its name.
    name = function.overloadpacket.__name__.removesuffix("_")
    first = next((arg for arg in args if isinstance(arg, torch.Tensor)), None)
    source = marks.get(first, Mark()) if first is not None else Mark()
    outputs = _values.tensors(result)
    if name in VIEWS | SAME and len(outputs) == 1:
        if source.operation is not None:
            source.operation.shapes.add(tuple(outputs[0].shape))
        marks[outputs[0]] = Mark((name, *source.chain), source.operation)
        return
    kept = _values.array(outputs[0]) if outputs and name in ONE else None
    operation = Operation(name, kept, {tuple(outputs[0].shape)} if outputs else set())
    run.operations.setdefault(way, []).append(operation)
    if name in NORMS:
        for call in source.calls:
            call.norm = (way, kept)
    for at, output in enumerate(outputs):
        marks[output] = Mark((name,), operation if at == 0 else None)
