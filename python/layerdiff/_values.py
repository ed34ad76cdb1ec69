"""Tensors of PyTorch as arrays, and what a module takes and gives as flat lists of tensors."""

from collections.abc import Mapping


def array(tensor):
    """A copy as a numpy array. BF16, which numpy has not, becomes FP32: every BF16 number is one."""
    import torch

    tensor = tensor.detach()
    if tensor.is_sparse or tensor.is_quantized or tensor.is_complex():
        return None
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy().copy()


def tensors(value):
    """All tensors in a structure of tuples, lists, dicts and whatever PyTorch can flatten, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for inner in value.values() for tensor in tensors(inner)]
    if isinstance(value, (tuple, list)):
        return [tensor for inner in value for tensor in tensors(inner)]
    flat, _ = torch.utils._pytree.tree_flatten(value)
    return [leaf for leaf in flat if isinstance(leaf, torch.Tensor)]


def given(module, args, kwargs):
    """The tensors a call of `module` is given, in order, each with the name of forward's parameter if it is alone in it."""
    import inspect

    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {f"#{at}": value for at, value in enumerate([*args, *kwargs.values()])}
    found = []
    for name, value in bound.items():
        inside = tensors(value)
        if isinstance(value, Mapping):
            found += [(key, tensor) for key, inner in value.items() for tensor in tensors(inner)]
        else:
            found += [(name if len(inside) == 1 else None, tensor) for tensor in inside]
    return found
