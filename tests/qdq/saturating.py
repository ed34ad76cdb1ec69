"""A processor without VNNI, for exec: saturating.py MODEL INPUTS.npz OUTPUTS.npz. Products of uint8 x int8 keep two neighbours in 16 bits."""

import sys

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


class MatMulInteger(OpRun):
    op_domain = ""

    def _run(self, a, b, a_zero=None, b_zero=None):
        left, right = a.astype(np.int64), b.astype(np.int64)
        a_zero, b_zero = (np.int64(0 if z is None else z) for z in (a_zero, b_zero))
        products = left[:, :, None] * right[None]
        if products.shape[1] % 2:
            products = np.pad(products, ((0, 0), (0, 1), (0, 0)))
        pairs = products[:, 0::2] + products[:, 1::2]
        if a.dtype == np.uint8 and b.dtype == np.int8:
            pairs = pairs.clip(-32768, 32767)
        zeros = left.shape[1] * a_zero * b_zero - a_zero * right.sum(0) - b_zero * left.sum(1)[:, None]
        return ((pairs.sum(1) + zeros).astype(np.int32),)


def main(model, inputs, outputs):
    model = onnx.load(model)
    session = ReferenceEvaluator(model, new_ops=[MatMulInteger])
    names = [o.name for o in model.graph.output]
    np.savez(outputs, **dict(zip(names, session.run(None, dict(np.load(inputs))))))


main(*sys.argv[1:])
