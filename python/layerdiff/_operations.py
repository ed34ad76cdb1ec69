"""What operations of PyTorch become in ONNX by the TorchScript exporter. One that is in no table may become anything."""

# The same elements in the same order, under another shape.
VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "flatten", "unflatten"}
SAME = {"clone", "contiguous", "alias", "detach", "lift_fresh"}
RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
NORMS = {
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "_batch_norm_with_update",
    "miopen_batch_norm",
    "batch_norm",
}

# By operation of PyTorch, the operator that it becomes, alone.
ONE = {
    "_softmax": "Softmax",
    "_log_softmax": "LogSoftmax",
    "native_layer_norm": "LayerNormalization",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "gelu": "Gelu",
    "erf": "Erf",
    "convolution": "Conv",
    "mm": "MatMul",
    "bmm": "MatMul",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "pow": "Pow",
    "neg": "Neg",
    "abs": "Abs",
    "sin": "Sin",
    "cos": "Cos",
    "leaky_relu": "LeakyRelu",
    "where": "Where",
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "amax": "ReduceMax",
    "amin": "ReduceMin",
    "max_pool2d_with_indices": "MaxPool",
    "avg_pool2d": "AveragePool",
    "embedding": "Gather",
    "cat": "Concat",
    **dict.fromkeys(NORMS, "BatchNormalization"),
}

# By operation, the operators that it may end in; the first of ONE is always among them.
LAST = {
    "addmm": {"Gemm", "Add"},
    "linear": {"Gemm", "Add", "MatMul"},
    "mm": {"Gemm"},
    "bmm": set(),
    "baddbmm": {"Add"},
    "convolution": {"ConvTranspose"},
    "gelu": {"Mul"},
    "silu": {"Mul", "Swish"},
    "mish": {"Mul", "Mish"},
    "hardswish": {"HardSwish"},
    "hardsigmoid": {"HardSigmoid"},
    "hardtanh": {"Clip"},
    "clamp": {"Clip"},
    "clamp_min": {"Clip", "Max"},
    "elu": {"Elu"},
    "softplus": {"Softplus"},
    "_prelu_kernel": {"PRelu"},
    "native_layer_norm": {"Add"},
    "native_group_norm": {"Add", "GroupNormalization"},
    "mean": {"GlobalAveragePool"},
    "masked_fill": {"Where"},
    "arange": {"Range"},
    "split": {"Split", "Slice"},
    "stack": {"Concat"},
    "empty": set(),
    "ones": {"ConstantOfShape"},
    "zeros": {"ConstantOfShape"},
    "transpose": {"Transpose"},
    "t": {"Transpose"},
    "permute": {"Transpose"},
    "rsub": {"Sub"},
    "_scaled_dot_product_flash_attention_for_cpu": {"MatMul"},
    "_scaled_dot_product_efficient_attention": {"MatMul"},
    "_scaled_dot_product_flash_attention": {"MatMul"},
    "_adaptive_avg_pool2d": {"GlobalAveragePool", "AveragePool"},
    "_to_copy": {"Cast"},
    "constant_pad_nd": {"Pad"},
    "slice": {"Slice"},
    "select": {"Gather"},
    "index_select": {"Gather"},
    "expand": {"Expand"},
    "upsample_nearest2d": {"Resize"},
    "upsample_bilinear2d": {"Resize"},
    "rsqrt": {"Reciprocal", "Div"},
    "pixel_shuffle": {"DepthToSpace"},
}

# What the inside of a fused attention becomes.
ATTENTION = {"Transpose", "Mul", "Add", "Softmax", "Sqrt", "Div", "Where", "Cast", "Slice", "Shape"}

# By operation, what it may be made of besides.
INSIDE = {
    "addmm": {"MatMul", "Mul"},
    "linear": {"MatMul"},
    "baddbmm": {"MatMul", "Mul"},
    "gelu": {"Erf", "Add", "Div", "Mul", "Tanh", "Pow", "Sqrt"},
    "silu": {"Sigmoid"},
    "mish": {"Tanh", "Softplus"},
    "native_layer_norm": {"ReduceMean", "Sub", "Pow", "Sqrt", "Div", "Mul"},
    "native_group_norm": {"InstanceNormalization", "Reshape", "Mul", "Shape", "Gather", "Cast"},
    "convolution": {"Add"},
    "_scaled_dot_product_flash_attention_for_cpu": ATTENTION,
    "_scaled_dot_product_efficient_attention": ATTENTION,
    "_scaled_dot_product_flash_attention": ATTENTION,
    "add": {"Mul"},
    "sub": {"Mul"},
    "rsub": {"Mul"},
    "mean": {"Div"},
    "hardswish": {"Add", "Clip", "Mul", "Div", "HardSigmoid"},
    "masked_fill": {"Cast", "Expand"},
    "expand": {"Where", "Equal", "Mul"},
    "arange": {"Cast"},
    "stack": {"Unsqueeze"},
}


def may_make(operation, op_type):
    """May a node of `op_type` come of the operation?"""
    if operation not in ONE and operation not in LAST:
        return True
    return op_type in LAST.get(operation, set()) | INSIDE.get(operation, set()) or ONE.get(operation) == op_type


def may_end(chain):
    """The operators of which one makes what a chain of operations gives, the last operation first."""
    allowed = set()
    for operation in chain:
        if operation in VIEWS:
            allowed |= RESHAPES
        elif operation not in SAME:
            allowed |= LAST.get(operation, set()) | ({ONE[operation]} if operation in ONE else set())
    return allowed
