"""Keeps the nodes that layerdiff named in FP32: a network postprocess script for Polygraphy and TensorRT 10.

    polygraphy run MODEL --trt --fp16 --precision-constraints obey --trt-network-postprocess-script trt_network.py

TensorRT 11, TensorRT-RTX and strongly typed networks take precisions from the model: build model.mixed.onnx there.
"""

import sys

import tensorrt as trt

NODES = [
  "pow",
  "add",
  "top"
]

PREFIX = "[ONNX Layer: "


def postprocess(network):
    if not hasattr(trt.ILayer, "set_output_type") or strongly_typed(network):
        raise RuntimeError(
            "this network is strongly typed (TensorRT 11, TensorRT-RTX or --strongly-typed), where layers have no "
            "precision of their own; build model.mixed.onnx, which has the Casts, without this script"
        )
    wanted, found = set(NODES), set()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        node = node_of(layer, wanted)
        if node is None:
            continue
        found.add(node)
        outputs = [i for i in range(layer.num_outputs) if is_float(layer.get_output(i))]
        if outputs or any(is_float(layer.get_input(i)) for i in range(layer.num_inputs)):
            layer.precision = trt.float32
        for output in outputs:
            layer.set_output_type(output, trt.float32)
    for name in NODES:
        if name not in found:
            print(f"trt_network.py: no layer was made from node {name!r}; is this the right model?", file=sys.stderr)


def strongly_typed(network):
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return flag is not None and network.get_flag(flag)


def node_of(layer, wanted):
    """The wanted ONNX node that the layer was made from, if any: several layers can be made from one node."""
    text = getattr(layer, "metadata", "") or ""
    told = []
    if text.startswith(PREFIX) and text.endswith("]"):
        told = [text[len(PREFIX) : -1], text[len(PREFIX) : -1].split(" | ")[0]]
    return next((name for name in told + [layer.name] if name in wanted), None)


def is_float(tensor):
    return tensor is not None and not tensor.is_shape_tensor and tensor.dtype in FLOATS


FLOATS = [getattr(trt.DataType, name) for name in ("FLOAT", "HALF", "BF16") if hasattr(trt.DataType, name)]
