#!/usr/bin/env python3
"""Candidates that are surely wrong, to look for a false "agreed": operators behind an output destroy a little of it.

Kinds: `part` (the smallest part of a Concat, or one channel, is zero), `rows` (two rows are zero), `label` (one
integer is one more), `top1` (in one row another class wins, clearly), `nan` (one element is NaN), `moved` (both sides
have one infinity in a mask of -inf, in the candidate at the neighbour's place), `sentinel` (both sides have a few
logits at -1e9, in the candidate the living ones are halved). They stand on what ONNX Runtime's optimiser made of the
model, and on its healthy quantised and FP16 variants, whose tolerance is wider. Output names stay.

Writes NAME.BASE.KIND.onnx into OUT, references of their own as NAME.KIND.reference.onnx, and OUT/broken.json.

usage: scripts/broken.py MODELS VARIANTS HEALTH.json OUT [--only NAME ...]
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import truth

BASES = ["all", "dynamic", "qdq", "qoperator", "fp16"]
# The margin of a decision that is no near-tie, as a fraction of the output's rms.
CLEAR = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("models", "variants", "health", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    health = json.loads(options.health.read_text())
    record = options.out / "broken.json"
    cases = json.loads(record.read_text()) if record.exists() else []
    for model in sorted(options.models.glob("*.onnx")):
        if options.only and model.stem not in options.only:
            continue
        cases = [c for c in cases if c["model"] != model.stem]
        made = list(cases_of(model, options.variants, health.get(model.stem, {}), options.out))
        cases += made
        record.write_text(json.dumps(cases, indent=1) + "\n")
        print(model.stem, len(made), flush=True)


def cases_of(model, variants, health, out):
    reference = truth.Reference(model, model.with_suffix(".npz"), 1)
    for base in BASES:
        path = variants / f"{model.stem}.{base}.onnx"
        if not health.get(base, {}).get("healthy"):
            if base != "all":
                continue
            base, path = "original", model
        session = truth.plain_session(path, 1)
        names = [o.name for o in session.get_outputs()]
        taken = {i.name for i in session.get_inputs()}
        values = dict(zip(names, session.run(names, {k: v for k, v in reference.feeds.items() if k in taken})))
        for kind, plant in KINDS.items():
            for number, output in enumerate(reference.outputs):
                value = values.get(output)
                if not isinstance(value, np.ndarray) or number > 3:
                    continue
                planted = plant(reference, output, value, base in ("all", "original"))
                if planted is None:
                    continue
                own, ops, why = planted
                candidate = onnx.load(path)
                if not append(candidate, output, ops, value):
                    continue
                tag = kind if number == 0 else f"{kind}{number}"
                file, against = out / f"{model.stem}.{base}.{tag}.onnx", model
                onnx.save(candidate, file)
                if own:
                    against = out / f"{model.stem}.{tag}.reference.onnx"
                    healthy = onnx.load(model)
                    append(healthy, output, own, value)
                    onnx.save(healthy, against)
                if not differs(file, reference.feeds, output, against):
                    file.unlink()
                    continue
                case = {"model": model.stem, "base": base, "kind": kind, "output": output, "why": why}
                yield {**case, "reference": str(against), "candidate": str(file), "inputs": str(reference.inputs)}
                break


def differs(file, feeds, output, against):
    """The fault must show at the output, in the run that counts."""
    found = []
    for path in (against, file):
        session = truth.plain_session(path, 1)
        taken = {i.name for i in session.get_inputs()}
        found.append(session.run([output], {k: v for k, v in feeds.items() if k in taken})[0])
    return found[0].shape == found[1].shape and not np.array_equal(*found, equal_nan=found[0].dtype.kind == "f")


def append(model, output, steps, value):
    """Puts operators with one constant each between a tensor and the output of its name."""
    graph = model.graph
    if not any(output in node.output for node in graph.node):
        return False
    inner = f"{output}__whole"
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == output:
                    names[i] = inner
    previous = inner
    for i, (op, constant) in enumerate(steps):
        result = output if i == len(steps) - 1 else f"{output}__step{i}"
        name = f"{output}__with{i}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(constant, value.dtype), name))
        graph.node.append(helper.make_node(op, [previous, name], [result], name=f"{output}__{op}{i}"))
        previous = result
    return True


# ---- what is destroyed: (steps of the reference, steps of the candidate, what was done) or None


def part(reference, output, value, exact):
    if not floats(value, 8):
        return None
    labels, faint = reference.parts(output), 1e-4
    if labels is None or labels.max() == 0:
        if value.ndim < 2 or value.shape[-1] < 2:
            return None
        labels = np.broadcast_to(np.arange(value.shape[-1]), value.shape)
        # What is no part of a Concat shares its scale with the rest: a faint channel may drown in a wide tolerance.
        faint = 1e-4 if exact else 0.5
    sizes = {k: np.sqrt(np.mean(value[labels == k].astype(np.float64) ** 2)) for k in np.unique(labels)}
    whole = max(sizes.values())
    # Alive, and hidden as well as can be behind the others.
    alive = [k for k in sizes if sizes[k] > faint * max(whole, 1.0) and np.ptp(value[labels == k]) > 0]
    if len(sizes) < 2 or not alive:
        return None
    k = min(alive, key=sizes.get)
    why = f"part {k} of {len(sizes)}, rms {sizes[k]:.3g} beside {whole:.3g}, is zero"
    return [], [("Mul", np.where(labels == k, 0, 1))], why


def rows(reference, output, value, exact):
    if not floats(value, 8) or value.ndim < 2:
        return None
    table = value.reshape(-1, value.shape[-1])
    if len(table) < 6:
        return None
    strength = np.abs(table).max(1)
    chosen = np.argsort(strength)[-len(table) // 3 :][:2]
    if strength[chosen].min() < 0.5 * np.sqrt(np.mean(table**2)):
        return None
    mask = np.ones_like(table)
    mask[chosen] = 0
    why = f"rows {sorted(map(int, chosen))} of {len(table)} are zero"
    return [], [("Mul", mask.reshape(value.shape))], why


def label(reference, output, value, exact):
    if value.dtype.kind not in "iu" or value.size == 0:
        return None
    place = value.size // 2
    return [], [("Add", one_at(value, place, 1))], f"element {place} is one more"


def top1(reference, output, value, exact):
    if not floats(value, 2) or value.ndim < 2 or value.shape[-1] < 2:
        return None
    table = value.reshape(-1, value.shape[-1]).astype(np.float64)
    order = np.sort(table, 1)
    margin = order[:, -1] - order[:, -2]
    row = int(np.argmax(margin))
    rms = np.sqrt(np.mean(table**2))
    if not margin[row] > CLEAR * rms:
        return None
    second = int(np.argsort(table[row])[-2])
    place = row * table.shape[1] + second
    why = f"row {row}: class {second} wins over {int(table[row].argmax())}"
    return [], [("Add", one_at(value, place, 2 * margin[row]))], why


def nan(reference, output, value, exact):
    if not floats(value, 2):
        return None
    place = value.size // 3
    return [], [("Add", one_at(value, place, np.nan))], f"element {place} is NaN"


def moved(reference, output, value, exact):
    if not floats(value, 4):
        return None
    mask, other = one_at(value, 1, -np.inf), one_at(value, 2, -np.inf)
    return [("Add", mask)], [("Add", other)], "-inf stands at element 2, not 1"


def sentinel(reference, output, value, exact):
    if not floats(value, 16):
        return None
    flat = np.zeros(value.size)
    flat[:: max(value.size // 8, 8)][:8] = -1e9
    live = np.where(flat == 0, 0.5, 1.0).reshape(value.shape)
    mask = ("Add", flat.reshape(value.shape))
    return [mask], [mask, ("Mul", live)], f"{np.sum(flat != 0)} of {flat.size} at -1e9 on both sides, the others halved"


KINDS = {"part": part, "rows": rows, "label": label, "top1": top1, "nan": nan, "moved": moved, "sentinel": sentinel}


def floats(value, least):
    return value.dtype == np.float32 and value.size >= least and np.isfinite(value).all()


def one_at(value, place, number):
    flat = np.zeros(value.size, np.float64 if value.dtype.kind == "f" else value.dtype)
    flat[place] = number
    return flat.reshape(value.shape)


if __name__ == "__main__":
    main()
