#!/usr/bin/env python3
"""Writes src/differ/schemas.tsv: the operators of ONNX in all versions, and ONNX Runtime's own, from the schemas that the two packages hold.

A line an operator and version: domain, operator, version since which, names of the inputs, attributes. A name ends in "?" where the input may
be left out and in "*" where it is the first of any number; an attribute is `name` or `name=default`, the default as JSON. Order within ONNX and
within the packages does not matter: lines are sorted. What no default of an attribute is written for, has none.

usage: scripts/schemas.py > src/differ/schemas.tsv
"""

import venv

if __name__ == "__main__":
    venv.inside("tools")

import json

import onnx
from onnxruntime.capi._pybind_state import get_all_operator_schema

# Attributes that carry whole graphs or values: what is in them is compared there.
VALUES = {"GRAPH", "GRAPHS", "TENSOR", "TENSORS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"}


def value(default):
    """The default of an attribute as text; None where there is none."""
    if isinstance(default, bytes):
        default = onnx.AttributeProto.FromString(default)
    if not default.name:
        return None
    told = onnx.helper.get_attribute_value(default)
    if isinstance(told, bytes):
        return json.dumps(told.decode())
    if isinstance(told, (int, float)):
        return json.dumps(told)
    return json.dumps([t.decode() if isinstance(t, bytes) else t for t in told])


def line(schema, domain, attributes):
    option = {"Optional": "?", "Variadic": "*"}
    inputs = [i.name + option.get(str(i.option).rsplit(".", 1)[-1], "") for i in schema.inputs]
    return "\t".join([domain, schema.name, str(schema.since_version), " ".join(inputs), " ".join(attributes)])


def told(schema):
    for name, attribute in sorted(schema.attributes.items()):
        if str(attribute.type).rsplit(".", 1)[-1] in VALUES:
            continue
        default = value(getattr(attribute, "default_value", None) or getattr(attribute, "_default_value"))
        yield name if default is None else f"{name}={default}".replace(" ", "")


def main():
    lines = set()
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in ("", "ai.onnx.ml") and not schema.deprecated:
            lines.add(line(schema, schema.domain, told(schema)))
    for schema in get_all_operator_schema():
        if schema.domain in ("com.microsoft",):
            lines.add(line(schema, schema.domain, told(schema)))
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
