"""Records what a PyTorch module computes, under the names that its tensors have in the ONNX file exported from it.

    from layerdiff.capture import capture
    print(capture(module.eval(), (x,), onnx="model.onnx"))

    layerdiff bisect model.onnx -c saved:framework.npz -i inputs.npz

The first stage, framework against ONNX, is bisected so as any other. A tensor is stored only where its name says surely what it
is in the module, and where its shape and type are those of the ONNX tensor; what is not stored is listed with the reason. Values
decide nothing.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from . import _dynamo, _eager, _model, _npz, _torchscript, _values


class CaptureError(Exception):
    """The module, the data and the file do not fit together, or would say nothing: what, where, and what to do."""


@dataclass
class Captured:
    """What was stored, and what was not."""

    onnx: str
    out: str
    inputs: str
    exporter: str | None
    stored: list
    not_stored: dict
    notes: list = field(default_factory=list)

    def __str__(self):
        by = {
            "dynamo": "names of the exported program",
            "torchscript": "names of modules",
            None: "its outputs' names only",
        }
        total = len(self.stored) + len(self.not_stored)
        stored = f"{len(self.stored)} of {total} tensors of {self.onnx} have a value of PyTorch"
        lines = [f"{self.out}: {stored}, by {by[self.exporter]}"]
        for why, count in Counter(self.not_stored.values()).most_common():
            names = [name for name, reason in self.not_stored.items() if reason == why]
            lines.append(f"  {count} without: {_some(names)}: {why}")
        lines += [f"  note: {note}" for note in self.notes]
        lines.append(f"next: layerdiff bisect {self.onnx} -c saved:{self.out} -i {self.inputs}")
        return "\n".join(lines)


def capture(
    module, args, onnx="model.onnx", out="framework.npz", inputs="inputs.npz", kwargs=None, dynamic_shapes=None
):
    """Runs `module(*args, **kwargs)`; writes its tensors to `out` and what it was given to `inputs`, under ONNX names.

    `onnx` is the file that torch.onnx.export made of this module, by either exporter. `dynamic_shapes` is what that export
    was given, if it was given any. Raises CaptureError where the module is in training mode or does not fit to the file.
    """
    import torch

    args, kwargs = tuple(args) if isinstance(args, (tuple, list)) else (args,), dict(kwargs or {})
    _no_training(module)
    model = _model.read(onnx)
    feeds = _feeds(model, _values.given(module, args, kwargs))
    with torch.no_grad():
        eager = [_values.array(tensor) for tensor in _values.tensors(module(*args, **kwargs))]
    notes = _other_weights(module, model)
    shapes = _model.shapes(model, feeds)
    found, why = _inside(module, (args, kwargs, dynamic_shapes), model, shapes, (eager, notes))
    if len(eager) == len(model.outputs):
        found.update({name: value for name, value in zip(model.outputs, eager, strict=True) if value is not None})
    else:
        notes.append(f"the module gives {len(eager)} tensors and the model {len(model.outputs)}: no output was stored")
    stored, not_stored = _fit(model, shapes, found, why)
    if not stored:
        raise CaptureError(
            f"no tensor of {onnx} has a value of this module: {next(iter(not_stored.values()), 'it computes nothing')}"
        )
    _npz.write(out, stored)
    _npz.write(inputs, feeds)
    return Captured(str(onnx), str(out), str(inputs), model.exporter, list(stored), not_stored, notes)


def _no_training(module):
    training = [(name, one) for name, one in module.named_modules() if one.training]
    if not training:
        return
    if module.training:
        raise CaptureError(
            f"the module ({type(module).__name__}) is in training mode, where Dropout and BatchNorm compute otherwise than "
            "in an exported model; call module.eval() first"
        )
    shown = _some([f"{name} ({type(one).__name__})" for name, one in training])
    raise CaptureError(f"{shown}: in training mode, and the rest of the module is not; call module.eval() first")


def _feeds(model, given):
    """By name of the model's inputs what the module was given: by the names of forward's parameters, else in order."""
    by_name = {name: tensor for name, tensor in given if name}
    names = [one.name for one in model.inputs]
    if all(name in by_name for name in names):
        chosen = {name: by_name[name] for name in names}
    elif len(given) == len(names):
        chosen = {name: tensor for name, (_, tensor) in zip(names, given, strict=True)}
    else:
        has = ", ".join(name or "?" for name, _ in given)
        raise CaptureError(
            f"{model.path} has the inputs {', '.join(names)}, and the module was given {has}; export it with these arguments, "
            "or with input_names= the names of forward's parameters"
        )
    feeds = {}
    for one in model.inputs:
        value = _values.array(chosen[one.name])
        fits = one.dims is None or (
            len(one.dims) == value.ndim and all(d in (None, n) for d, n in zip(one.dims, value.shape, strict=True))
        )
        if not fits or (one.dtype is not None and np.dtype(one.dtype) != value.dtype):
            wanted, got = _said(one.dtype, one.dims), _said(value.dtype, value.shape)
            raise CaptureError(f"input {one.name} of {model.path} is {wanted}, and the module was given {got}")
        feeds[one.name] = value
    return feeds


def _other_weights(module, model):
    """Notes on initializers that have the name and the shape of a parameter of the module, and hold something else."""
    held, apart = dict(module.state_dict(keep_vars=True)), []
    for name, there in _model.weights(model):
        here = _values.array(held[name]) if name in held else None
        if here is None or (here.shape, here.dtype) != (there.shape, there.dtype):
            continue
        if not np.array_equal(here, there, equal_nan=here.dtype.kind == "f"):
            apart.append(name)
    many = f"{len(apart)} weights of {model.path} are" if len(apart) > 1 else f"a weight of {model.path} is"
    return [f"{many} not the module's: {_some(apart)}"] if apart else []


def _some(words):
    return ", ".join(words[:3]) + (", ..." if len(words) > 3 else "")


def _said(dtype, dims):
    sizes = ", ".join("?" if size is None else str(size) for size in dims or [])
    return f"{np.dtype(dtype).name if dtype is not None else 'of any type'} [{sizes}]"


def _inside(module, call, model, shapes, told):
    """What the exporter's names say of tensors inside, and why nothing of others. `told`: the outputs, and notes."""
    (args, kwargs, dynamic_shapes), (eager, notes) = call, told
    if model.exporter == "torchscript":
        result, run = _eager.watch(module, args, kwargs)
        _same(eager, _values.tensors(result), "the module, watched,", notes)
        return _torchscript.match(model, run, shapes)
    if model.exporter == "dynamo":
        try:
            outputs, nodes = _dynamo.watch(module, args, kwargs, dynamic_shapes)
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            notes.append(f"the module could not be exported again, so tensors inside have no value: {reason}")
            return {}, dict.fromkeys(model.computed, "the module could not be exported again")
        _same(eager, outputs, "the exported program, before it becomes ONNX,", notes)
        return _dynamo.match(model, nodes)
    return {}, dict.fromkeys(model.computed, "nodes have neither names nor metadata of PyTorch's exporters")


def _same(eager, again, who, notes):
    """Notes where the run that was looked into gave something else than the plain one."""
    again = [_values.array(tensor) for tensor in again]
    if len(eager) != len(again):
        notes.append(f"{who} gives {len(again)} outputs, the module alone {len(eager)}")
        return
    for at, (one, other) in enumerate(zip(eager, again, strict=True)):
        if one is None or other is None or one.shape != other.shape:
            notes.append(f"{who} gives another shape for output {at} than the module alone")
        elif not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            with np.errstate(all="ignore"):
                apart = np.nanmax(np.abs(one.astype(np.float64) - other.astype(np.float64)), initial=0)
                size = np.nanmax(np.abs(one.astype(np.float64)), initial=0)
            # Kernels that fuse differently round differently; half precision has 3 digits.
            if not apart <= size * (1e-5 if one.dtype.itemsize > 2 else 1e-2):
                notes.append(f"{who} gives output {at} with a max abs difference of {apart:.2e} to the module alone")


def _fit(model, shapes, found, why):
    """Those of `found` that have shape and type of the ONNX tensor, in the model's order, and why the rest is left out."""
    stored, not_stored = {}, {}
    for name in [*model.computed, *(name for name in model.outputs if name not in model.computed)]:
        value = found.get(name)
        if value is None:
            not_stored[name] = why.get(
                name, "it is no module's output, and no operation of PyTorch is surely this node alone"
            )
            continue
        shape, dtype = shapes.get(name, (None, None))
        half = dtype is not None and np.dtype(dtype).name == "bfloat16" and value.dtype == np.float32
        if shape is None:
            not_stored[name] = "its shape in the model is not known; onnxruntime, if installed, would tell it"
        elif tuple(shape) != value.shape or not (half or np.dtype(dtype) == value.dtype):
            not_stored[name] = (
                f"it is {_said(dtype, shape)} in the model and {_said(value.dtype, value.shape)} in PyTorch"
            )
        else:
            stored[name] = value
    return stored, not_stored


__all__ = ["CaptureError", "Captured", "capture"]
