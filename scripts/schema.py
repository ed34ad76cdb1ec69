"""Does a JSON value fit a JSON Schema? The part of JSON Schema that layerdiff's own schema uses, and an error for the rest."""

KNOWN = {
    "$schema", "$id", "title", "description", "$defs", "$ref", "type", "properties", "required", "additionalProperties",
    "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "enum", "const", "anyOf", "oneOf", "allOf",
    "format", "default", "examples",
}  # fmt: skip
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int, "number": (int, float),
}  # fmt: skip


def misfit(value, schema, root=None, path="$"):
    """One sentence about the first thing that does not fit; None if all of it does."""
    root = root or schema
    if schema is True or schema is False:
        return None if schema else f"{path}: nothing is allowed here"
    if unknown := set(schema) - KNOWN:
        raise ValueError(f"the schema says {sorted(unknown)}, which this does not know")
    if "$ref" in schema and (wrong := misfit(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)):
        return wrong
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type")
    if kinds and not any(is_a(value, kind) for kind in kinds):
        return f"{path}: {type(value).__name__}, not {' or '.join(kinds)}"
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        return f"{path}: {value!r} is none of the values"
    if isinstance(value, (int, float)) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"{path}: {value} is out of bounds"
    for word, enough in [
        ("anyOf", lambda n, _: n > 0),
        ("oneOf", lambda n, _: n == 1),
        ("allOf", lambda n, of: n == of),
    ]:
        if word in schema:
            wrongs = [misfit(value, one, root, path) for one in schema[word]]
            if not enough(wrongs.count(None), len(wrongs)):
                return next((w for w in wrongs if w), f"{path}: fits several of what it must be one of")
    return members(value, schema, root, path)


def members(value, schema, root, path):
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        if missing := [key for key in schema.get("required", []) if key not in value]:
            return f"{path}: without {missing[0]}"
        parts = [(inner, known.get(key, others), f"{path}.{key}") for key, inner in value.items()]
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{path}: {len(value)} items"
        parts = [
            (v, first[i] if i < len(first) else schema.get("items", True), f"{path}[{i}]") for i, v in enumerate(value)
        ]
    else:
        return None
    return next((wrong for part in parts if (wrong := misfit(part[0], part[1], root, part[2]))), None)


def is_a(value, kind):
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind]) or kind == "integer" and isinstance(value, float) and value.is_integer()
