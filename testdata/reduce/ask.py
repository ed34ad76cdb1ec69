"""A check for `layerdiff reduce --check` that looks at the data: exits with the value of a Python expression.

    python3 ask.py {model} {inputs} EXPRESSION

EXPRESSION sees `model`, the file's bytes; `data`, the inputs by name; and `npz(path)`, which reads another file. An array
is a tuple of its float32 values; everything else in a file is left out. Needs no package.
"""

import struct
import sys
import zipfile
from pathlib import Path


def npz(path):
    arrays = {}
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            npy = file.read(name)
            start = 10 + struct.unpack("<H", npy[8:10])[0]
            if b"<f4" in npy[:start]:
                arrays[name.removesuffix(".npy")] = struct.unpack(f"<{(len(npy) - start) // 4}f", npy[start:])
    return arrays


model, data = Path(sys.argv[1]).read_bytes(), npz(sys.argv[2])
sys.exit(int(eval(sys.argv[3])))
