"""Plausible inputs for every model of scripts/zoo.py: `make(name, folder)` gives {input name: array}.

Pictures are in the range that a model was trained on, ids within the vocabulary, sound within -1..1, graphs are real
graphs. Where a model takes what another one makes (features, a decoder's memory), that other one is run for it.
"""

import numpy as np
import onnxruntime

from zoo_signals import RATE, eeg, face, imagenet, letters, mel, nchw, page, ridges, spectrum, speech, standard

# Real voices for the text to speech model, beside the models.
VOICES = ".voices"


def make(name, folder):
    """The inputs of the model of that name; models that it builds on must lie in the folder already."""
    rng = np.random.default_rng(sum(name.encode()))
    feeds = RECIPES[name](rng, folder)
    return {key: np.ascontiguousarray(value) for key, value in feeds.items()}


def run(folder, name, feeds):
    """All outputs of another model of the zoo."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


# ---- recipes


def spindle(rng, _):
    wave = eeg(rng, 7500, 250)
    t = np.arange(-125, 126) / 250
    bands = [np.convolve(wave, np.exp(2j * np.pi * f * t) * np.hanning(251), "same") for f in np.linspace(6, 20, 15)]
    return {"raw_signal": standard(wave)[None, None], "spectrogram": standard(np.abs(bands))[None]}


def seizure(rng, _):
    power = np.log(spectrum(eeg(rng, 60 * 200, 200), 200, 100, 100) + 1e-6)
    return {"x": standard(power.T)[None]}


def rxnmap(rng, _):
    """Two molecules of a reaction: atoms by number, neighbours, distances along bonds (12 at most), their roles."""
    atoms = np.array([1] + [8, 9, 8, 8, 10, 8, 8, 9] + [1] + [8, 8, 10, 8, 9, 8, 8, 9])
    n = len(atoms)
    distances = np.minimum(np.abs(np.arange(n)[:, None] - np.arange(n)) + 1, 11)
    distances[:9, 9:] = distances[9:, :9] = 12
    roles = np.array([1] + [2] * 8 + [1] + [3] * 8)
    neighbours = np.concatenate([[0], rng.integers(2, 6, 8), [0], rng.integers(2, 6, 8)])
    ids = {"atoms": atoms, "neighbors": neighbours, "roles": roles}
    return {**{k: v[None].astype(np.int64) for k, v in ids.items()}, "distances": distances[None].astype(np.int64)}


def minimol(rng, _):
    """3-phenylpyridine and ethanol, in one batch of two graphs."""
    ring = [(i, (i + 1) % 6) for i in range(6)]
    bonds = ring + [(a + 6, b + 6) for a, b in ring] + [(0, 6)] + [(12, 13), (13, 14)]
    n, graph = 15, np.array([0] * 12 + [1] * 3)
    number = np.array([6] * 12 + [6, 6, 8])
    number[8] = 7
    edges = np.array([e for a, b in bonds for e in ((a, b), (b, a))]).T
    adjacency = np.zeros((n, n))
    adjacency[edges[0], edges[1]] = 1
    degree = adjacency.sum(1)
    feat = np.zeros((n, 85), np.float32)
    aromatic = np.arange(n) < 12
    feat[:, :5] = np.stack([degree, 0 * degree, 0 * degree, aromatic, aromatic], 1)
    feat[np.arange(n), 5 + number - 1] = 1
    feat[np.arange(n), 49 + np.where(number == 6, 13, number + 7)] = 1
    feat[:, 69 + 1] = 1
    feat[np.arange(n), 77 + np.where(number == 6, 4, np.where(number == 7, 3, 2))] = 1
    edge = np.zeros((edges.shape[1], 13), np.float32)
    in_ring = (edges < 12).all(0)
    edge[np.arange(len(edge)), np.where(in_ring, 3, 0)] = 1
    edge[:, 5], edge[:, 12] = 1, in_ring
    values, vectors = np.zeros((n, 8)), np.zeros((n, 8))
    for g in range(2):
        own = np.flatnonzero(graph == g)
        w, v = np.linalg.eigh((np.diag(degree) - adjacency)[np.ix_(own, own)])
        k = min(8, len(own))
        values[own, :k], vectors[own, :k] = w[:k], v[:, :k]
    step, walk = adjacency / degree[:, None], np.eye(n)
    returns = np.zeros((n, 16))
    for k in range(16):
        walk = walk @ step
        returns[:, k] = np.diag(walk)
    floats = {"laplacian_eigvec": vectors, "laplacian_eigval": values, "rw_return_probs": returns}
    feeds = {key: value.astype(np.float32) for key, value in floats.items()}
    feeds.update(feat=feat, edge_feat=edge, edge_index=edges.astype(np.int64))
    return {**feeds, "batch": graph.astype(np.int64), "graph_slots": np.zeros(2, np.float32)}


def caustic(rng, _):
    """A helix of 12 residues with six atoms each, edges within 6 angstroms."""
    residues, each = 12, 6
    i = np.arange(residues * each)
    turn = np.deg2rad(100) * i / each
    pos = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * i / each], 1) + rng.normal(0, 0.8, (len(i), 3))
    distance = np.linalg.norm(pos[:, None] - pos, axis=-1)
    a, b = np.nonzero((distance < 6) & (distance > 0))
    role = np.array([0, 1, 2, 3, 4, 7])[i % each]
    element = np.array([1, 0, 0, 2, 0, 4])[i % each]
    kind = rng.integers(0, 20, residues)
    normal = rng.normal(size=pos.shape) * (i % each == 5)[:, None]
    floats = {
        "bfactor": rng.uniform(8, 40, len(i)),
        "edge_dist": distance[a, b],
        "same_residue": (a // each == b // each),
        "residue_geometry": rng.uniform(-1, 1, (residues, 52)),
        "target_environment": rng.uniform(0, 1, (residues, 6, 15)),
        "temperature_feature": np.full((residues, 1), 0.1),
        "target_atom_rsasa": rng.uniform(0, 0.6, (residues, 6)),
        "pos": pos,
        "node_normal": normal,
        "is_hbond": (rng.random(len(a)) < 0.05),
        "hb_cos": rng.uniform(-1, 0, len(a)),
    }
    ids = {
        "element": element,
        "amino_acid": kind[i // each],
        "atom_role": role,
        "edge_index": np.stack([a, b]),
        "seq_sep": np.abs(a // each - b // each),
        "target_indices": i.reshape(residues, each),
        "residue_types": kind,
    }
    feeds = {key: np.asarray(value, np.float32) for key, value in floats.items()}
    feeds.update({key: np.asarray(value, np.int64) for key, value in ids.items()})
    return {**feeds, "target_mask": np.ones((residues, 6), bool)}


def wake_features(rng, folder, frames):
    """openWakeWord's own way: log mel, then its embedding over windows of 76 frames, 8 apart."""
    wave = (speech(rng, 1280 * (frames + 9)) * 32767)[None].astype(np.float32)
    bands = run(folder, "oww_mel", {"input": wave})[0].reshape(-1, 32) / 10 + 2
    windows = np.stack([bands[8 * i : 8 * i + 76] for i in range(frames)])[..., None]
    return windows.astype(np.float32)


def wake_word(name, frames):
    def recipe(rng, folder):
        features = run(folder, "oww_embedding", {"input_1": wake_features(rng, folder, frames)})[0]
        return {name: features.reshape(1, frames, 96)}

    return recipe


def romanizer_source(rng):
    source = rng.integers(4, 60, (2, 9)).astype(np.int64)
    mask = np.zeros((2, 9), bool)
    source[1, 7:], mask[1, 7:] = 0, True
    return {"src": source, "src_mask": mask}


def romanizer_step(rng, folder):
    memory, mask, hidden = run(folder, "romanizer_encoder", romanizer_source(rng))
    prefix = np.array([[1, 70, 74, 81], [1, 90, 70, 77]], np.int64)
    return {"prefix": prefix, "memory": memory, "src_mask": mask, "hidden": hidden}


def speaker_windows(rng):
    power = spectrum(speech(rng, RATE * 2), 400, 160, 201) ** 2
    return np.log10(mel(power, 40) + 1e-10)[None, :80].astype(np.float32)


def voice_filter(rng, folder):
    speaker = run(folder, "dvector", {"mel_window": speaker_windows(rng)})[0]
    bands = np.log(mel(spectrum(speech(rng, RATE), 640, 160, 321) ** 2, 128) + 1e-5)[:40].astype(np.float32)
    stacked = np.concatenate([np.roll(bands, k, 0) for k in (3, 2, 1, 0)], 1)[None]
    zeros = np.zeros((3, 1, 512), np.float32)
    return {"stacked_logmel": stacked, "dvec": speaker, "h0": zeros, "c0": zeros}


def aecmos(hidden):
    def recipe(rng, _):
        near, far = speech(rng, RATE * 5), speech(rng, RATE * 5)
        signals = [0.5 * far, near + 0.1 * far, near]
        logs = [np.log10(mel(spectrum(s, 512, 256, 257) ** 2, 160) + 1e-6) / 5 for s in signals]
        return {"input": np.stack(logs)[None].astype(np.float32), "h0": np.zeros((4, 1, hidden), np.float32)}

    return recipe


def plcmos(rng, _):
    power = spectrum(speech(rng, RATE * 4), 512, 256, 257) ** 2
    embed = rng.normal(0, 0.3, (1, 64)).astype(np.float32)
    return {"degraded_audio": np.log10(power + 1e-7)[None, None].astype(np.float32) / 4, "rater_embed": embed}


def dnsmos_log_power(rng, _):
    wave = speech(rng, 144160)
    power = spectrum(np.pad(wave, 160), 320, 160, 161)[:901] ** 2
    return {"input_1": (10 * np.log10(np.maximum(power, 1e-12)))[None].astype(np.float32)}


def dnsmos_mel(rng, _):
    power = mel(spectrum(speech(rng, 144160), 320, 160, 161)[:900] ** 2, 120)
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return {"input_1": ((level - level.max() + 40) / 40)[None].astype(np.float32)}


def ids(name, high, shape, low=1, kind=np.int64):
    return lambda rng, _: {name: rng.integers(low, high, shape).astype(kind)}


def cut(kinds, *names):
    """A Thai text: windows of 21 characters and of their kinds, as floats."""

    def recipe(rng, _):
        text, classes = rng.integers(1, 90, 68), rng.integers(0, kinds, 200)
        windows = np.lib.stride_tricks.sliding_window_view(text, 21)
        rows = [windows] + [classes[windows + 3 * k] for k in range(len(names) - 1)]
        return {name: row.astype(np.float32) for name, row in zip(names, rows)}

    return recipe


def attacut(rng, _):
    return {"input": np.stack([rng.integers(2, 100, 60), rng.integers(2, 6000, 60)])[None].astype(np.int64)}


def terrain(rng, _):
    noise = rng.normal(0, 80, (1, 1, 128, 128)).astype(np.float32)
    return {"noisy": noise, "sigma": np.full(1, 80.0, np.float32), "difficulty": np.full(1, 0.4, np.float32)}


def kokoro(rng, folder):
    """Phonemes of a sentence in a real voice, whose style depends on their number."""
    sounds = [46, 57, 56, 56, 51, 133, 51, 65, 43, 16, 61, 47, 53, 43, 51]
    voices = np.load(folder / VOICES)
    style = voices[voices.files[0]].reshape(-1, 256)[len(sounds)][None]
    tokens = np.array([[0, *sounds, 0]], np.int64)
    return {"tokens": tokens, "style": style.astype(np.float32), "speed": np.ones(1, np.float32)}


def table(rows, columns):
    """Rows of numbers about 0, of width one, like a scaled table."""
    return lambda rng, _: {"X": rng.normal(0, 1, (rows, columns)).astype(np.float32)}


def accent(rng, _):
    x = np.zeros((16, 132), np.float32)
    x[:, :20], x[:, 20:] = rng.integers(0, 12, (16, 20)), rng.random((16, 112)) < 0.2
    return {"float_input": x}


RECIPES = {
    "basic_pitch": lambda r, _: {"serving_default_input_2:0": speech(r, 43844, 22050)[None, :, None]},
    "ddddocr": lambda r, _: {"input1": letters(r, 64, 160, 4)[None, None]},
    "ddddocr_int8": lambda r, _: {"input1": letters(r, 64, 160, 4)[None, None]},
    "ddddocr_det": lambda r, _: {"images": nchw(255 * page(r, 416, 416))},
    "dnsmos": lambda r, _: {"input_1": speech(r, 144160)[None]},
    "dnsmos_sig": dnsmos_log_power,
    "dnsmos_p808": dnsmos_mel,
    "aecmos": aecmos(64),
    "aecmos_48k": aecmos(96),
    "plcmos": plcmos,
    "seizure_lstm": seizure,
    "spindle_eeg": spindle,
    "captcha_crnn": lambda r, _: {"image": nchw(255 * np.repeat(letters(r, 60, 160, 5)[..., None], 3, 2))},
    "caustic_gnn": caustic,
    "rxnmap": rxnmap,
    "attacut": attacut,
    "deepcut": cut(12, "input_1", "input_2"),
    "oskut_scads": cut(12, "input1", "input2", "input3"),
    "luscinia_trees": accent,
    "orientation": lambda r, _: {"x": imagenet(page(r, 224, 224))},
    "mtcnn_pnet": lambda r, _: {"input_1": (255 * face(r, 120, 96)[None] - 127.5) * 0.0078125},
    "mtcnn_rnet": lambda r, _: {"input_2": (255 * np.stack([face(r, 24, 24) for _ in range(6)]) - 127.5) / 128},
    "mtcnn_onet": lambda r, _: {"input_3": (255 * np.stack([face(r, 48, 48) for _ in range(4)]) - 127.5) / 128},
    "leader_minutiae": lambda r, _: {"input": ridges(r, 192, 160)[None, :, :, None]},
    "layout_cdla": lambda r, _: {"image": imagenet(page(r, 800, 608))},
    "minimol_gnn": minimol,
    "tashkeel_bilstm": ids("input_ids", 54, (1, 40)),
    "tashkeel_rawi": ids("input", 300, (1, 48), 30),
    "tashkeel_ensemble": ids("input", 230, (1, 48), 30),
    "terrain_unet": terrain,
    "dvector": lambda r, _: {"mel_window": speaker_windows(r)},
    "voicefilter": voice_filter,
    "romanizer_encoder": lambda r, _: romanizer_source(r),
    "romanizer_decoder": romanizer_step,
    "vit_focus": lambda r, _: {"input_image": imagenet(page(r, 224, 224))},
    "kokoro": kokoro,
    "oww_mel": lambda r, _: {"input": (speech(r, 12400) * 32767)[None]},
    "oww_embedding": lambda r, folder: {"input_1": wake_features(r, folder, 4)},
    "hey_jarvis": wake_word("x.1", 16),
    "timer": wake_word("onnx::Flatten_0", 34),
    "forest": table(32, 12),
    "boosting": table(32, 12),
    "lightgbm_rank": table(32, 12),
    "svc_rbf": table(32, 12),
    "mlp_pipeline": table(32, 12),
    "kmeans_pca": table(32, 12),
}
