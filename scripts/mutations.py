"""Spoil a file: bytes -> bytes, by its format. Knows no layerdiff and judges nothing; mutate.py asks what comes of it.

Two depths: bytes that know no format; and the format of protobuf (wire.py), JSON, zip and NumPy's header, so that what is
spoilt still parses up to there. structures.py spoils what stands in an ONNX model. Every function takes a random.Random and is repeated by its seed.
"""

import io
import json
import random
import struct
import zipfile

from wire import NUMBERS, nested, varint, wire

JSON_VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    2**64,
    -(2**63),
    "",
    "x" * 100_000,
    "NaN",
    "\u202e\x1b[31m",
    [],
    {},
    [[]],
    {"a": 1},
]
NEST = 20_000


def spoilt(data, kind, rng):
    """(what was done, the bytes). `kind`: onnx, pb, npz, npy, json or jsonl."""
    ways = {
        "onnx": [wire, wire, wire, wire, nested],
        "pb": [wire],
        "npz": [archive],
        "npy": [header],
        "json": [document],
        "jsonl": [lines],
    }
    known = ways.get(kind, [])
    way = rng.choice([*(len(known) + 1) // 2 * [rough], *known] or [rough])
    for _ in range(5):
        what, changed = way(data, rng)
        if changed != data:
            return what, changed
    return rough(data, rng)


# ---- without a format


def rough(data, rng):
    """One to three changes of bytes."""
    names = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        change = rng.choice([flip, cut, number, swap, repeat, insert, blank])
        data = change(bytearray(data), rng)
        names.append(change.__name__)
    return "+".join(names), bytes(data)


def flip(data, rng):
    for _ in range(rng.choice([1, 1, 2, 8, 32]) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def cut(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def number(data, rng):
    """A number that is too large for something, in place of what is there."""
    at = rng.randrange(len(data) + 1)
    wide = rng.choice([varint(rng.choice(NUMBERS)), struct.pack("<Q", rng.choice(NUMBERS)), b"\xff" * 11])
    data[at : at + len(wide)] = wide
    return data


def span(data, rng, most=64):
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(most + 1))


def swap(data, rng):
    (a, b), (c, d) = sorted([span(data, rng), span(data, rng)])
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def repeat(data, rng):
    start, end = span(data, rng)
    return data[:end] + data[start:end] * rng.choice([1, 1, 2, 100]) + data[end:]


def insert(data, rng):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice([1, 2, 8, 100])) + data[at:]


def blank(data, rng):
    start, end = span(data, rng)
    data[start:end] = bytes([rng.choice([0, 255])]) * (end - start)
    return data


# ---- NumPy


def header(data, rng):
    """Another header on the same array."""
    shapes = [
        "(4611686018427387904, 4)",
        "(-1,)",
        "(0, 18446744073709551615)",
        "()",
        "(1,)*99",
        "(" * 2000,
        "(3.5,)",
        "(1 << 9,)",
    ]
    kinds = [
        "<f4",
        ">f8",
        "|O",
        "<U4000000000",
        "|S0",
        "<M8[ns]",
        "|V3",
        "<f99",
        "bfloat16",
        "<c16",
        "|b1",
        "\u202e",
        "x" * 70_000,
    ]
    fields = {
        "descr": rng.choice([*(repr(k) for k in kinds), "[('a', '<f4')]", "None"]),
        "fortran_order": rng.choice(["False", "True", "2", "None"]),
        "shape": rng.choice(shapes),
    }
    kept = rng.sample(sorted(fields), rng.choice([1, 2, 3, 3, 3]))
    text = (
        "{" + ", ".join(f"'{k}': {fields[k]}" for k in kept) + rng.choice([", }", "}", "", ", 'more': 1}"])
    ).encode()
    version = rng.choice([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    claimed = rng.choice([len(text), len(text), len(text), 0, 65535])
    size = struct.pack("<H" if version[0] == 1 else "<I", min(claimed, 65535))
    return "header", b"\x93NUMPY" + version + size + text + data[-64:]


def archive(data, rng):
    """Another archive of the same arrays: spoilt members, odd names, bombs."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            members = [(name, z.read(name)) for name in z.namelist()]
    except Exception:
        return rough(data, rng)
    index = rng.randrange(len(members))
    name, content = members[index]
    npy_of = lambda shape, size: (
        b"\x93NUMPY\x01\x00v\x00"
        + f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape},), }}".ljust(117).encode()
        + b"\n"
        + bytes(size)
    )
    changes = {
        "member spoilt": lambda: (name, spoilt(content, "npy", rng)[1]),
        "member named oddly": lambda: (
            rng.choice(["../../x.npy", "/etc/x.npy", "n" * 60_000 + ".npy", "\u202e\x1b[2J.npy", ".npy", "x"]),
            content,
        ),
        "member left out": lambda: None,
        "bomb": lambda: (name, npy_of(300_000_000, 300_000_000)),
        "claims much": lambda: (name, npy_of(2**62, 10)),
        "pickle": lambda: (
            name,
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117)
            + b"\n\x80\x04N.",
        ),
    }
    what = rng.choice([*3 * ["member spoilt"], *sorted(changes)] if rng.random() < 0.95 else ["bomb"])
    if what == "bomb" and rng.random() < 0.9:
        what = "member spoilt"
    members[index : index + 1] = [m for m in [changes[what]()] if m]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), compresslevel=1) as z:
        for member in members + (members[:1] if rng.random() < 0.1 else []):
            z.writestr(*member)
    return what, out.getvalue()


# ---- JSON


def document(data, rng):
    """One value of a JSON document: another one, left out, twice, nested deeply, or text that is nearly JSON."""
    if rng.random() < 0.1:
        nested = rng.choice([b"[" * NEST, b'{"a":' * NEST, b"[" * NEST + b"]" * NEST])
        at = data.find(b":") + 1 if rng.random() < 0.5 else 0
        return "nested deeply", data[:at] + nested + data[at:]
    try:
        value = json.loads(data)
    except ValueError:
        return rough(data, rng)
    place = value
    for _ in range(rng.randrange(1, 9)):
        inner = [k for k in keys(place) if isinstance(place[k], (dict, list)) and place[k]]
        if not inner or rng.random() < 0.15:
            break
        place = place[rng.choice(inner)]
    if not isinstance(place, (dict, list)) or not place:
        return rough(data, rng)
    key = rng.choice(keys(place))
    what = rng.choice(["value", "value", "value", "left out", "many", "renamed"])
    if what == "left out":
        del place[key]
    elif what == "many" and isinstance(place, list):
        place.extend([place[key]] * 1000)
    elif what == "renamed" and isinstance(place, dict):
        place[rng.choice(["", "x" * 1000, "\x1b[2J"])] = place.pop(key)
    else:
        place[key] = rng.choice(JSON_VALUES)
    return f"JSON {what}", json.dumps(value).encode()


def keys(place):
    return list(place) if isinstance(place, dict) else list(range(len(place)))


def lines(data, rng):
    """A file of JSON lines: one of them spoilt, cut (inside a character too), twice, elsewhere."""
    rows = data.splitlines(keepends=True)
    index = rng.randrange(len(rows))
    what = rng.choice(
        ["line spoilt", "line spoilt", "cut off", "line twice", "line left out", "first line elsewhere", "no text"]
    )
    if what == "line spoilt":
        rows[index] = document(rows[index].strip(), rng)[1] + b"\n"
    elif what == "cut off":
        rows[index:] = [rows[index][: rng.randrange(len(rows[index]))] + rng.choice([b"", "\u00e9".encode()[:1]])]
    elif what == "line twice":
        rows.insert(index, rows[index])
    elif what == "line left out":
        del rows[index]
    elif what == "first line elsewhere":
        rows.append(rows.pop(0))
    else:
        rows.insert(index, rng.randbytes(50) + b"\n")
    return what, b"".join(rows)


if __name__ == "__main__":
    import sys

    source, kind, seed = sys.argv[1:4]
    sys.stdout.buffer.write(spoilt(open(source, "rb").read(), kind, random.Random(seed))[1])
