#!/usr/bin/env python3
"""usage: python3 scripts/schema_types.py > src/precision/convert/float_types.txt

Which parameters of each operator take float16 and bfloat16, from the schemas of the `onnx` package.
"""

import onnx
from onnx import defs

DOMAINS = {"": "", "ai.onnx.ml": "ai.onnx.ml:"}


def letter(schema, parameter):
    """`-` takes no float32; else what it takes besides float32: `x` neither, `h` float16, `b` bfloat16, `a` both."""
    constraints = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    allowed = constraints.get(parameter.type_str, [parameter.type_str])
    if "tensor(float)" not in allowed:
        code = "-"
    else:
        code = {(0, 0): "x", (1, 0): "h", (0, 1): "b", (1, 1): "a"}["tensor(float16)" in allowed, "tensor(bfloat16)" in allowed]
    variadic = parameter.option == defs.OpSchema.FormalParameterOption.Variadic
    return code + "*" * variadic


def main():
    operators = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain in DOMAINS:
            sides = ["".join(letter(schema, p) for p in side) for side in (schema.inputs, schema.outputs)]
            name = DOMAINS[schema.domain] + schema.name
            operators.setdefault(name, {})[schema.since_version] = ">".join(sides)
    print(f"# Made by scripts/schema_types.py from onnx {onnx.__version__} (opset {defs.onnx_opset_version()}).")
    print("# operator, then for each version that changed: opset inputs>outputs, one letter a parameter:")
    print("# - no float32; besides float32: x neither, h float16, b bfloat16, a both; * repeats")
    for name, versions in sorted(operators.items()):
        if all(set(code) <= set("->*") for code in versions.values()):
            continue
        words, last = [name], None
        for since, code in sorted(versions.items()):
            if code != last:
                words += [str(since), code]
            last = code
        print(" ".join(words))


main()
