"""Spoil a file: bytes -> bytes, by its format. Knows no layerdiff and judges nothing; mutate.py asks what comes of it.

Three depths: bytes that know no format; the wire format of protobuf, JSON and zip, so that what is spoilt still parses up
to there; and whole ONNX models through `structures`. Every function takes a random.Random and is repeated by its seed.
"""

import io
import json
import random
import struct
import zipfile

NUMBERS = [0, 1, 2, 127, 128, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
JSON_VALUES = [None, True, 0, -1, 1e308, 2**64, -(2**63), "", "x" * 100_000, "NaN", "\u202e\x1b[31m", [], {}, [[]], {"a": 1}]
NEST = 20_000


def spoilt(data, kind, rng):
    """(what was done, the bytes). `kind`: onnx, pb, npz, npy, json or jsonl."""
    ways = {"onnx": [wire, wire, wire, wire, nested], "pb": [wire], "npz": [archive], "npy": [header], "json": [document], "jsonl": [lines]}
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


# ---- protobuf


def wire(data, rng):
    """One field of a message, at any depth: left out, twice, another number, another length, of another kind."""
    fields = message(data)
    if not fields:
        return rough(data, rng)
    index = rng.randrange(len(fields))
    field, kind, value = fields[index]
    if kind == 2 and rng.random() < 0.75 and len(value) > 1 and message(value):
        what, inner = wire(value, rng)
        return what, b"".join(written(*f) for f in [*fields[:index], (field, kind, inner), *fields[index + 1 :]])
    changes = {
        "field left out": [],
        "field twice": [written(field, kind, value)] * 2,
        "field many times": [written(field, kind, value)] * (300 if kind != 2 or len(value) < 1000 else 3),
        "other field": [written(rng.randrange(1, 30), kind, value)],
        "huge number": [written(field, 0, rng.choice(NUMBERS))],
        "wrong length": [varint(field << 3 | 2) + varint(rng.choice(NUMBERS)) + (value if kind == 2 else b"")],
        "empty": [written(field, 2, b"")],
        "odd bytes": [written(field, 2, rng.randbytes(rng.choice([1, 4, 8, 1000])))],
        "long name": [written(field, 2, b"n" * 100_000)],
        "control characters": [written(field, 2, "a\x1b[2J\u202eb\r\n\0".encode())],
        "group": [varint(field << 3 | 3) * rng.choice([1, 200, 50_000])],
    }
    what = rng.choice(sorted(changes))
    before, after = fields[:index], fields[index + 1 :]
    return what, b"".join([*(written(*f) for f in before), *changes[what], *(written(*f) for f in after)])


def nested(data, rng):
    """One more node: an If whose branch holds an If, deeper than readers and stacks like."""
    node = written(1, 2, b"deep") + written(2, 2, b"deep_out") + written(4, 2, b"Identity")
    for _ in range(rng.choice([10, 30, 34, 90, 1000, 20_000])):
        graph = written(1, 2, node) + written(2, 2, b"body") + written(12, 2, written(1, 2, b"deep_out"))
        attribute = written(1, 2, b"then_branch") + written(20, 0, 5) + written(6, 2, graph)
        node = written(1, 2, b"deep") + written(2, 2, b"deep_out") + written(4, 2, b"If") + written(5, 2, attribute)
    # A field that comes twice is merged: this adds to the graph that is there.
    return "bodies nested deeply", data + written(7, 2, written(1, 2, node))


def message(data):
    """The (field, wire type, value) of a message; nothing if it is none."""
    fields, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key is None or not key >> 3:
            return []
        kind = key & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = read_varint(data, at)
            value = None if size is None or at + size > len(data) else data[at : at + size]
            at += size or 0
        else:
            return []
        if value is None or at > len(data):
            return []
        fields.append((key >> 3, kind, value))
    return fields


def read_varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return None, at
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    return None, at


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def written(field, kind, value):
    key = varint(field << 3 | kind)
    if kind == 0:
        return key + varint(value)
    return key + (varint(len(value)) if kind == 2 else b"") + value


# ---- NumPy


def header(data, rng):
    """Another header on the same array."""
    shapes = ["(4611686018427387904, 4)", "(-1,)", "(0, 18446744073709551615)", "()", "(1,)*99", "(" * 2000, "(3.5,)", "(1 << 9,)"]
    kinds = ["<f4", ">f8", "|O", "<U4000000000", "|S0", "<M8[ns]", "|V3", "<f99", "bfloat16", "<c16", "|b1", "\u202e", "x" * 70_000]
    fields = {
        "descr": rng.choice([*(repr(k) for k in kinds), "[('a', '<f4')]", "None"]),
        "fortran_order": rng.choice(["False", "True", "2", "None"]),
        "shape": rng.choice(shapes),
    }
    kept = rng.sample(sorted(fields), rng.choice([1, 2, 3, 3, 3]))
    text = ("{" + ", ".join(f"'{k}': {fields[k]}" for k in kept) + rng.choice([", }", "}", "", ", 'more': 1}"])).encode()
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
    npy_of = lambda shape, size: b"\x93NUMPY\x01\x00v\x00" + f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape},), }}".ljust(117).encode() + b"\n" + bytes(size)
    changes = {
        "member spoilt": lambda: (name, spoilt(content, "npy", rng)[1]),
        "member named oddly": lambda: (rng.choice(["../../x.npy", "/etc/x.npy", "n" * 60_000 + ".npy", "\u202e\x1b[2J.npy", ".npy", "x"]), content),
        "member left out": lambda: None,
        "bomb": lambda: (name, npy_of(300_000_000, 300_000_000)),
        "claims much": lambda: (name, npy_of(2**62, 10)),
        "pickle": lambda: (name, b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n\x80\x04N."),
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
    what = rng.choice(["line spoilt", "line spoilt", "cut off", "line twice", "line left out", "first line elsewhere", "no text"])
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
