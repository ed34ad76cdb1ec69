"""Faults of a second model file: `ort@candidate.onnx` against the model."""

import numpy as np

from .case import Case, against_file, amplifies, introduces, region
from .graph import Graph, Random, model

STRICT = ["--atol", "1e-5", "--rtol", "1e-3"]


def cases():
    return [
        qdq(
            "qdq_bad_scale",
            "Saturated activations: one INT8 scale of the QDQ model is 50 times too small. "
            "The tensor relu1_out is judged as DequantizeLinear gives it back.",
            {"relu1_out": 1 / 50},
            [introduces("relu1")],
            "diverges",
        ),
        qdq("qdq_healthy", "Right outputs: the same QDQ model with the right scales.", {}, [], "agrees"),
        gelu_chain_amplify(),
        wrong_attribute(),
        wrong_axis(),
        renamed_tensors(),
        folded_norm("folded_norm", "Right outputs: two BatchNormalizations folded under the Convs' names.", 1.0, []),
        folded_norm(
            "folded_norm_and_fault",
            "Wrong outputs: two BatchNormalizations folded under the Convs' names, and a gain of 1.3 behind them.",
            1.3,
            [introduces("gain")],
        ),
    ]


class Quantiser:
    """Adds nodes to a graph as they are, or with the Q/DQ pairs and the names of ONNX Runtime's static quantiser."""

    def __init__(self, graph, on, scales):
        self.g, self.on, self.scales = graph, on, scales

    def activation(self, tensor, is_output=False):
        """`tensor` as its consumers read it: int8, symmetric, per tensor."""
        if not self.on:
            return tensor
        scale, zero = self.scale(tensor, self.scales[tensor], np.int8)
        source = f"{tensor}_QuantizeLinear_Input" if is_output else tensor
        target = tensor if is_output else f"{tensor}_DequantizeLinear_Output"
        quantised = f"{tensor}_QuantizeLinear_Output"
        self.g.node(f"{tensor}_QuantizeLinear", "QuantizeLinear", source, scale, zero, out=quantised)
        return self.g.node(f"{tensor}_DequantizeLinear", "DequantizeLinear", quantised, scale, zero, out=target)

    def weight(self, name, value):
        if not self.on:
            return self.g.weight(name, value)
        step = np.float32(np.abs(value).max() / np.float32(127))
        return self.dequantised(name, np.clip(np.rint(value / step), -127, 127), step, np.int8)

    def bias(self, name, value, weight, source):
        if not self.on:
            return self.g.weight(name, value)
        step = np.float32(self.scales[source] * (np.abs(weight).max() / np.float32(127)))
        return self.dequantised(name, np.rint(value / step), step, np.int32)

    def dequantised(self, name, value, step, dtype):
        scale, zero = self.scale(name, step, dtype)
        stored = self.g.weight(f"{name}_quantized", value, dtype)
        out = f"{name}_DequantizeLinear_Output"
        return self.g.node(f"{name}_DequantizeLinear", "DequantizeLinear", stored, scale, zero, out=out)

    def scale(self, tensor, step, dtype):
        return self.g.weight(f"{tensor}_scale", step), self.g.weight(f"{tensor}_zero_point", 0, dtype)


# The largest magnitude of each activation over the sample below, rounded up.
RANGES = {"x": 1.0, "relu1_out": 2.4, "relu2_out": 1.7, "pool_out": 0.6, "logits": 1.7}


def qdq(name, about, spoiled, culprits, output_status):
    rng = Random(30)
    conv1, bias1 = rng.uniform(-0.4, 0.4, 8, 3, 3, 3), rng.uniform(-0.1, 0.1, 8)
    conv2, bias2 = rng.uniform(-0.3, 0.3, 8, 8, 3, 3), rng.uniform(-0.1, 0.1, 8)
    fc, x = rng.uniform(-1, 1, 8, 5), rng.uniform(-1, 1, 1, 3, 8, 8)
    scales = {t: np.float32(limit / 127 * spoiled.get(t, 1)) for t, limit in RANGES.items()}

    def built(quantised):
        g = Graph("convnet")
        q = Quantiser(g, quantised, scales)
        source, tensor = q.activation(g.input("x", [1, 3, 8, 8])), "x"
        for i, (kernel, bias) in enumerate([(conv1, bias1), (conv2, bias2)], start=1):
            weight, offset = q.weight(f"conv{i}_w", kernel), q.bias(f"conv{i}_b", bias, kernel, tensor)
            feature = g.node(f"conv{i}", "Conv", source, weight, offset, pads=[1, 1, 1, 1])
            tensor = g.node(f"relu{i}", "Relu", feature)
            source = q.activation(tensor)
        source = q.activation(g.node("pool", "GlobalAveragePool", source))
        flat = g.node("flatten", "Flatten", source)
        weight = q.weight("fc_w", fc)
        g.node("fc", "MatMul", flat, weight, out="logits_QuantizeLinear_Input" if quantised else "logits")
        q.activation("logits", is_output=True)
        g.output("logits", [1, 5])
        return model(g)

    return Case(
        name,
        about,
        built(False),
        [{"x": x}],
        culprits,
        candidate="ort@candidate.onnx",
        candidate_model=built(True),
        outputs={"logits": output_status},
    )


def gelu_chain_amplify():
    rng = Random(31)
    fc, head, x = rng.uniform(-1e-3, 1e-3, 8, 8), rng.uniform(-1, 1, 8, 4), rng.uniform(-1, 1, 2, 8)

    def built(bias):
        g = Graph("gelu_and_centre")
        active = g.gelu("gelu", g.dense("fc", g.input("x", [2, 8]), fc, np.full(8, bias)))
        centred = g.node("centre", "Sub", active, g.weight("ten", 10.0))
        scaled = g.node("rescale", "Mul", centred, g.weight("hundred", 100.0))
        g.output(g.dense("head", scaled, head, out="y"), [2, 4])
        return model(g)

    return Case(
        "gelu_chain_amplify",
        "Wrong outputs, no wrong node: a bias off by 1e-5 of itself agrees until a Sub cancels nearly all of it.",
        built(10.0),
        [{"x": x}],
        [amplifies("centre")],
        candidate="ort@candidate.onnx",
        args=["--atol", "1e-6", "--rtol", "1e-4"],
        candidate_model=built(10.0001),
        outputs={"y": "diverges"},
    )


def wrong_attribute():
    rng = Random(32)
    fc1, fc2, x = rng.uniform(-0.5, 0.5, 8, 8), rng.uniform(-0.5, 0.5, 8, 4), rng.uniform(-1, 1, 2, 8)

    def built(alpha):
        g = Graph("leaky_mlp")
        active = g.node("leaky", "LeakyRelu", g.dense("fc1", g.input("x", [2, 8]), fc1), alpha=alpha)
        g.output(g.dense("fc2", active, fc2, out="y"), [2, 4])
        return model(g, opset=16)

    return Case(
        "wrong_attribute",
        "Wrong outputs: the candidate's LeakyRelu has alpha 0.1 instead of 0.01.",
        built(0.01),
        [{"x": x}],
        [introduces("leaky")],
        candidate="ort@candidate.onnx",
        args=STRICT,
        candidate_model=built(0.1),
        outputs={"y": "diverges"},
    )


def wrong_axis():
    rng = Random(33)
    fc, x = rng.uniform(-0.5, 0.5, 4, 4), rng.uniform(-2, 2, 2, 4, 4)

    def built(axis):
        g = Graph("softmax_axis")
        weights = g.node("softmax", "Softmax", g.dense("fc", g.input("x", [2, 4, 4]), fc), axis=axis)
        g.output(g.node("mix", "MatMul", weights, "x", out="y"), [2, 4, 4])
        return model(g)

    return Case(
        "wrong_axis",
        "Wrong outputs of the right shape: the candidate's Softmax runs along axis 1 instead of the last one.",
        built(-1),
        [{"x": x}],
        [introduces("softmax")],
        candidate="ort@candidate.onnx",
        args=STRICT,
        candidate_model=built(1),
        outputs={"y": "diverges"},
    )


def renamed_tensors():
    rng = Random(34)
    fc1, fc2, x = rng.uniform(-0.5, 0.5, 8, 8), rng.uniform(-0.5, 0.5, 8, 4), rng.uniform(-2, 2, 2, 8)

    def built(rewritten):
        g = Graph("gelu_rewritten")
        hidden = g.dense("fc1", g.input("x", [2, 8]), fc1)
        if rewritten:
            scaled = g.node("quick_scale", "Mul", hidden, g.weight("quick_k", 1.702))
            active = g.node("quick_mul", "Mul", hidden, g.node("quick_gate", "Sigmoid", scaled), out="gelu_half_out")
        else:
            active = g.gelu("gelu", hidden)
        g.output(g.dense("fc2", active, fc2, out="y"), [2, 4])
        return model(g)

    return Case(
        "renamed_tensors",
        "Wrong outputs: the candidate has x*sigmoid(1.702x) for GELU; none of the tensors inside is in both files.",
        built(False),
        [{"x": x}],
        [region(["gelu_div", "gelu_erf", "gelu_add", "gelu_mul", "gelu_half"])],
        candidate="ort@candidate.onnx",
        args=STRICT,
        candidate_model=built(True),
        outputs={"y": "diverges"},
    )


def folded_norm(name, about, gain, culprits):
    rng = Random(67)
    layers = [
        (rng.uniform(-0.4, 0.4, 6, rows, 3, 3), rng.uniform(0.5, 3, 6), *(rng.uniform(-0.5, 0.5, 6) for _ in range(2)))
        for rows in (3, 6)
    ]
    variances, head, x = rng.uniform(0.2, 2, 2, 6), rng.uniform(-1, 1, 6, 4), rng.uniform(-1, 1, 1, 3, 6, 6)

    def built(candidate):
        g = Graph("conv_and_norm")
        source = g.input("x", [1, 3, 6, 6])
        for i, ((kernel, gamma, beta, mean), variance) in enumerate(zip(layers, variances), start=1):
            factor = gamma / np.sqrt(variance + np.float32(1e-5))
            if candidate:
                weights = kernel * factor[:, None, None, None], beta - mean * factor
                operands = [g.weight(f"conv{i}_{part}", value) for part, value in zip("wb", weights)]
                normal = g.node(f"conv{i}", "Conv", source, *operands, pads=[1, 1, 1, 1])
            else:
                feature = g.node(f"conv{i}", "Conv", source, g.weight(f"conv{i}_w", kernel), pads=[1, 1, 1, 1])
                statistics = {"gamma": gamma, "beta": beta, "mean": mean, "var": variance}
                operands = [g.weight(f"bn{i}_{part}", value) for part, value in statistics.items()]
                normal = g.node(f"bn{i}", "BatchNormalization", feature, *operands)
            source = g.node(f"relu{i}", "Relu", normal)
        scaled = g.node("gain", "Mul", source, g.weight("gain_k", gain if candidate else 1.0))
        flat = g.node("flatten", "Flatten", g.node("pool", "GlobalAveragePool", scaled))
        g.output(g.dense("head", flat, head, out="y"), [1, 4])
        return model(g)

    status = "diverges" if culprits else "agrees"
    return against_file(name, about, built, {"x": x}, culprits, outputs={"y": status})
