"""Makes the files beside it, each with the library whose format it is in.

Needs numpy, ml_dtypes, onnx and polygraphy:  python make_data.py
"""

import pathlib

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from polygraphy.comparator import IterationResult, RunResults
from polygraphy.json import save_json

HERE = pathlib.Path(__file__).parent
counting = np.arange(6, dtype=np.float32).reshape(2, 3)

# NumPy: every type, byte order and memory order, and names that are no file names.
arrays = {
    "f2": counting.astype(np.float16),
    "f4": counting,
    "f8": counting.astype(np.float64),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4)),
    "big": counting.astype(">f4"),
    "big_fortran": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
    "big_complex": np.array([1 + 2j], dtype=">c8"),
    "c8": np.array([1 + 2j, -3j], dtype=np.complex64),
    "c16": np.array([1 + 2j], dtype=np.complex128),
    "b1": np.array([True, False, True]),
    "u1": np.array([255], np.uint8),
    "i8": np.array(-5, np.int64),
    "u8": np.array([2**64 - 1], np.uint64),
    "empty": np.zeros((0, 3), np.float32),
    "U": np.array([["naïve", "b"], ["", "日本"]]),
    "big_U": np.array(["añ"], dtype=">U2"),
    "S": np.array([b"ab", b"c"]),
    "/encoder/layer.0/Add:0": counting,
    "x.npy": counting,
    "日本": counting,
}
np.savez(HERE / "arrays.npz", **arrays)
np.savez_compressed(HERE / "compressed.npz", **arrays)
np.lib.format.write_array(open(HERE / "version2.npy", "wb"), counting, version=(2, 0))
np.lib.format.write_array(open(HERE / "version3.npy", "wb"), counting, version=(3, 0))
np.save(HERE / "bfloat16.npy", counting.astype(ml_dtypes.bfloat16))
np.save(HERE / "object.npy", np.array([None, "a"], dtype=object))

# ml_dtypes: the value of every code of every small type.
small = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
codes = np.arange(256, dtype=np.uint8)
tables = {name: codes.view(getattr(ml_dtypes, name)).astype(np.float32) for name in small}
for name, count in [("float4_e2m1fn", 16), ("int4", 16), ("uint4", 16), ("int2", 4), ("uint2", 4)]:
    tables[name] = codes[:count].view(getattr(ml_dtypes, name)).astype(np.float32)
np.savez_compressed(HERE / "small_types.npz", **tables)

# Polygraphy: two feeds, and the results of two iterations.
feeds = [{"x": counting, "ids": np.array([[1, 2]])}, {"x": counting + 1, "ids": np.array([[3, 4]])}]
save_json(feeds, str(HERE / "feeds.json"))
outputs = [IterationResult({"y": counting * k}, runtime=0.5, runner_name="ort") for k in (1, 2)]
RunResults([("ort", outputs)]).save(str(HERE / "results.json"))
RunResults([("ort", outputs), ("trt", outputs)]).save(str(HERE / "two_runners.json"))

# ONNX: two test data sets, one of them with typed fields instead of raw_data and without names.
for k in (0, 1):
    folder = HERE / f"test_data_set_{k}"
    folder.mkdir(exist_ok=True)
    tensors = [
        helper.make_tensor("a", TensorProto.FLOAT, [2], [1.0, 2.0]),
        helper.make_tensor("b", TensorProto.FLOAT16, [2], [1.0, -2.0]),
        helper.make_tensor("c", TensorProto.BFLOAT16, [2], [1.0, -2.0]),
        helper.make_tensor("d", TensorProto.INT4, [3], [1, -2, 3]),
        helper.make_tensor("e", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("f", TensorProto.INT8, [2], [-1, 2]),
        helper.make_tensor("g", TensorProto.UINT32, [1], [2**32 - 1]),
        helper.make_tensor("h", TensorProto.STRING, [2], [b"one", "zwölf".encode()]),
        helper.make_tensor("i", TensorProto.COMPLEX64, [1], [1 + 2j]),
        helper.make_tensor("j", TensorProto.FLOAT8E4M3FN, [1], [1.5]),
        helper.make_tensor("k", TensorProto.DOUBLE, [], [0.5]),
        helper.make_tensor("l", TensorProto.INT64, [1], [-7]),
    ]
    for i, tensor in enumerate(tensors):
        if k == 1:
            tensor.ClearField("name")
        (folder / f"input_{i}.pb").write_bytes(tensor.SerializeToString())
    output = onnx.numpy_helper.from_array(counting + k, "y" if k == 0 else None)
    (folder / "output_0.pb").write_bytes(output.SerializeToString())
