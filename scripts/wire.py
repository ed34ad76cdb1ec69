"""Spoil a message of protobuf without knowing its schema: bytes -> bytes. Every field is found by the wire format alone."""

NUMBERS = [0, 1, 2, 127, 128, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def wire(data, rng):
    """One field of a message, at any depth: left out, twice, another number, another length, of another kind."""
    fields = message(data)
    if not fields:
        return "nothing", data
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
