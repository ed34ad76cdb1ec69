"""Made pictures and sounds that look and sound like what models are trained on; every run makes the same."""

import numpy as np

RATE = 16000
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)


# ---- pictures


def page(rng, height, width):
    """A shaded page with rows of dark strokes and a coloured disc: HWC in 0..1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    tone = np.stack([0.95 - 0.25 * x / width * (c + 1) / 3 - 0.15 * y / height for c in range(3)], -1)
    glyphs = rng.random((height // 2 + 1, width // 3 + 1)) < 0.5
    written = (y % 24 >= 6) & (y % 24 < 18) & (x % 12 < 9) & (x > 8) & (x < width - 8)
    stroke = written & glyphs[(y // 2).astype(int) % (height // 2), (x // 3).astype(int)]
    tone[stroke] = (0.10, 0.15, 0.20)
    disc = np.hypot(y - height * 0.7, x - width * 0.8) < height * 0.15
    tone[disc] = (0.9, 0.6, 0.3)
    return np.clip(tone + rng.uniform(-0.03, 0.03, tone.shape), 0, 1).astype(np.float32)


def face(rng, height, width):
    """An oval of skin with eyes, nose and mouth before a wall: HWC in 0..1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
    out = np.full((height, width, 3), (0.35, 0.45, 0.40), np.float32) + 0.2 * y[..., None]
    out[np.hypot(x / 0.34, y / 0.44) < 1] = (0.86, 0.66, 0.55)
    out[np.hypot(x / 0.36, (y + 0.38) / 0.16) < 1] = (0.20, 0.12, 0.08)
    for side in (-0.15, 0.15):
        out[np.hypot((x - side) / 0.07, (y + 0.10) / 0.04) < 1] = (0.95, 0.95, 0.95)
        out[np.hypot((x - side) / 0.03, (y + 0.10) / 0.03) < 1] = (0.10, 0.08, 0.05)
    out[(np.abs(x) < 0.03) & (y > -0.08) & (y < 0.10)] = (0.75, 0.52, 0.44)
    out[np.hypot(x / 0.13, (y - 0.22) / 0.04) < 1] = (0.70, 0.25, 0.25)
    return np.clip(out + rng.uniform(-0.02, 0.02, out.shape), 0, 1).astype(np.float32)


def ridges(rng, height, width):
    """A fingerprint: ridges of 9 pixels around a core, with minutiae where the phase turns; HW in 0..255."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = np.hypot(x - width * 0.5, (y - height * 0.45) * 0.8)
    for _ in range(12):
        cy, cx = rng.uniform(0.2, 0.8, 2) * (height, width)
        phase += rng.choice([-1, 1]) * 9 / (2 * np.pi) * np.arctan2(y - cy, x - cx)
    value = 128 + 100 * np.sin(2 * np.pi * phase / 9) + rng.normal(0, 8, phase.shape)
    value[np.hypot((x / width - 0.5) / 0.45, (y / height - 0.5) / 0.48) > 1] = 250
    return np.clip(value, 0, 255).astype(np.float32)


def letters(rng, height, width, count):
    """A captcha: dark letter-like strokes on light ground: HW in 0..1."""
    out = np.full((height, width), 0.92, np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for i in range(count):
        cx = (i + 0.5) * width / count
        for _ in range(4):
            a = np.array([rng.uniform(0.2, 0.8) * height, cx + rng.uniform(-0.35, 0.35) * width / count])
            b = np.array([rng.uniform(0.2, 0.8) * height, cx + rng.uniform(-0.35, 0.35) * width / count])
            d = b - a
            t = np.clip(((y - a[0]) * d[0] + (x - a[1]) * d[1]) / (d @ d + 1e-6), 0, 1)
            out[np.hypot(y - a[0] - t * d[0], x - a[1] - t * d[1]) < height / 22] = 0.15
    return np.clip(out + rng.normal(0, 0.02, out.shape), 0, 1).astype(np.float32)


def nchw(picture):
    return picture.transpose(2, 0, 1)[None].astype(np.float32)


def imagenet(picture):
    return nchw((picture - IMAGENET[0]) / IMAGENET[1])


# ---- sound


def speech(rng, samples, rate=RATE):
    """Vowels with gliding pitch and formants, pauses between them, in faint noise."""
    t = np.arange(samples) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * t)) / rate
    f1, f2 = 550 + 200 * np.sin(2 * np.pi * 1.3 * t), 1500 + 600 * np.sin(2 * np.pi * 0.9 * t + 1)
    wave = np.zeros(samples)
    for k in range(1, 30):
        near = np.exp(-(((k * 120 - f1) / 150) ** 2)) + 0.6 * np.exp(-(((k * 120 - f2) / 200) ** 2))
        wave += (0.02 + 0.2 * near) * np.sin(k * pitch)
    wave *= np.clip(1.3 * np.sin(2 * np.pi * 2.1 * t) + 0.5, 0, 1)
    return np.clip(0.5 * wave + rng.normal(0, 0.002, samples), -1, 1).astype(np.float32)


def spectrum(wave, window, hop, bins):
    """Magnitudes of windowed FFTs: frames x bins."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop] * np.hanning(window)
    return np.abs(np.fft.rfft(frames, axis=-1))[:, :bins]


def mel(power, bands):
    """Band energies of a spectrum, on a scale that widens with frequency."""
    bins = power.shape[1]
    edges = bins * (np.exp(np.linspace(0, np.log(16), bands + 2)) - 1) / 15
    k = np.arange(bins)
    up = (k - edges[:-2, None]) / np.maximum(edges[1:-1] - edges[:-2], 1)[:, None]
    down = (edges[2:, None] - k) / np.maximum(edges[2:] - edges[1:-1], 1)[:, None]
    weights = np.clip(np.minimum(up, down), 0, 1)
    weights[np.arange(bands), np.minimum(edges[1:-1].astype(int), bins - 1)] += 0.1
    return power @ weights.T


def eeg(rng, samples, rate):
    """Slow waves with bursts of 13 Hz: the sleep spindles that a detector looks for."""
    t = np.arange(samples) / rate
    wave = 40 * np.sin(2 * np.pi * 0.8 * t) + np.cumsum(rng.normal(0, 1.0, samples)) * 0.5
    for start in np.arange(3, samples / rate - 2, 6.5):
        wave += 25 * np.exp(-(((t - start) / 0.4) ** 2)) * np.sin(2 * np.pi * 13 * t)
    return wave


def standard(values, axis=-1):
    return ((values - values.mean(axis, keepdims=True)) / (values.std(axis, keepdims=True) + 1e-6)).astype(np.float32)
