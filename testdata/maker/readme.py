"""The README of testdata, from the cases themselves."""

HEAD = """\
# testdata: small models with a known fault

Made by `python3 testdata/make.py` (numpy 2.4.6, onnx 1.18.0), which writes the same bytes every time;
`make.py --check` says whether the files are still what it writes. Do not edit the files by hand.

A folder is a case: `model.onnx`, `inputs.npz` (or `sample_0.npz`, `sample_1.npz`, ...), perhaps `candidate.onnx`, and
`case.json`: the candidate, extra flags, and the verdict, exit status and culprits that `layerdiff bisect` must find.
A culprit is named by `node`, or by `tensor` where nodes have no names; `subgraph` is `IF_NODE/ATTRIBUTE`, null in the
main graph; a `region` lists all its nodes and `node` is its last. `outputs` gives the status of model outputs.
In a QDQ case the FP32 tensor t is compared with the output of the DequantizeLinear behind t.

| case | pattern | candidate | expected |
|---|---|---|---|
"""

TAIL = """
`bad/` holds files that must be refused in one clear sentence, and `bad/cases.json` the exit statuses allowed (with the
candidate `ort:fp16`) and words that the message must contain.
`valid.onnx` with `inputs.npz` is the healthy pair that the others are made from;
`unknown_field.onnx` is a valid model with one more protobuf field and runs, with a warning.
"""


def text(cases) -> str:
    return HEAD + "".join(row(case) for case in cases) + TAIL


def row(case) -> str:
    candidate = " ".join([case.candidate, *case.args])
    return f"| {case.name} | {case.about} | `{candidate}` | {expected(case)} |\n"


def expected(case) -> str:
    return "; ".join(culprit(c) for c in case.culprits) or case.verdict()[0]


def culprit(c) -> str:
    place = c.get("node") or f"tensor {c['tensor']}"
    inside = f" in {c['subgraph']}" if c["subgraph"] else ""
    if c["kind"] == "region":
        return f"region {c['region'][0]} .. {place}"
    return f"{place}{inside} {c['kind']}"
