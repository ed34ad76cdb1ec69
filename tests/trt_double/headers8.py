#!/usr/bin/env python3
"""Writes headers for the double of TensorRT 8.6 from the public headers of 10, which a crate ships, as none ships those of 8.6.

usage: headers8.py abi.txt FOLDER_OF_10 OUT

What the table says of 8.6 is put in: methods get the slots of its column, flags its numbers. So are the facts that are not in the
table: 32-bit dimensions, the arguments of three methods, and the classes that callers implement. A double of these headers shows
that a caller follows the table; that the table is right, only scripts/check_trt_abi.sh shows, with NVIDIA's own headers of 8.6.
"""
import os
import re
import shutil
import sys

table, source, out = sys.argv[1:]

slots, values = {}, {}
for line in open(table, encoding="utf-8"):
    if line.startswith(("slot ", "value ")):
        what, owner, name, cell = line.split()[:4]
        known = (slots if what == "slot" else values).setdefault(owner, {})
        if cell != "-":
            known[name] = int(cell)


def read(name):
    return open(os.path.join(out, name), encoding="utf-8").read()


def write(name, text):
    open(os.path.join(out, name), "w", encoding="utf-8").write(text)


def change(text, *changes):
    """Replaces each text, which must be there, wherever it is."""
    for before, after in changes:
        assert re.search(before, text), before
        text = re.sub(before, after, text)
    return text


def ordered(owner, body):
    """The methods of a class of the implementation, those of the table in their slots."""
    methods = re.findall(r"(?:TRT_\w+ )?virtual [^;]*?;", body)
    called = {method: re.search(r"(\w+)\s*\(", re.sub(r"^.*?virtual ", "", method)).group(1) for method in methods}
    places = {}
    for method in methods:
        slot = slots.get(owner, {}).get(called[method])
        if slot is not None and slot not in places:
            places[slot] = method
    missing = set(slots.get(owner, {})) - set(called.values())
    assert not missing, (owner, missing)
    rest = [method for method in methods if method not in places.values()]
    lines, slot = [], 2  # behind the destructors
    while rest or any(place >= slot for place in places):
        placed = places.get(slot) or (rest.pop(0) if rest else f"virtual void filler{slot}() noexcept {{}}")
        lines.append("    " + placed)
        slot += 1
    return "\n".join(lines)


def implementation(text):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    text = change(
        text,
        (r"setDimensions\(char const\* inputName, OptProfileSelector select, Dims const& dims\)",
         "setDimensions(char const* inputName, OptProfileSelector select, Dims dims)"),
        (r"createExecutionContext\(ExecutionContextAllocationStrategy strategy\)", "createExecutionContext()"),
        (r"deserializeCudaEngine\(void const\* blob, std::size_t size\)",
         "deserializeCudaEngine(void const* blob, std::size_t size, void* factory)"),
    )

    def reorder(found):
        owner, body = found.groups()
        return f"class {owner} : public VRoot\n{{\npublic:\n{ordered(owner, body)}\n}};" if owner in slots else found.group(0)

    return re.sub(r"class (V\w+) : public VRoot\s*\{\s*public:(.*?)^\};", reorder, text, flags=re.S | re.M)


def flags(text):
    """Those of the table get its numbers, all others what is left."""
    known = values["BuilderFlag"]
    free = (number for number in range(32) if number not in known.values())
    body = re.search(r"enum class BuilderFlag : int32_t\s*\{(.*?)^\};", text, flags=re.S | re.M).group(1)

    def number(found):
        value = known.get(found.group(1))
        return f"{found.group(1)} = {next(free) if value is None else value},"

    changed = re.sub(r"^    (k\w+)(?: TRT_DEPRECATED_ENUM)? = \d+,", lambda f: "    " + number(f), body, flags=re.M)
    return text.replace(body, changed)


shutil.rmtree(out, ignore_errors=True)
shutil.copytree(source, out)
version = read("NvInferVersion.h")
for what, number in (("MAJOR", 8), ("MINOR", 6), ("PATCH", 1), ("BUILD", 6)):
    version = change(version, (rf"#define TRT_{what}_ENTERPRISE \d+", f"#define TRT_{what}_ENTERPRISE {number}"))
write("NvInferVersion.h", version)
write("NvInferLegacyDims.h", change(read("NvInferLegacyDims.h"), (r"int64_t", "int32_t")))
write("NvInferImpl.h", implementation(read("NvInferImpl.h")))
write("NvInfer.h", flags(read("NvInfer.h")))
write("NvInferRuntimeBase.h", change(
    read("NvInferRuntimeBase.h"),
    (r"\(major\) \*10000L", "(major) *1000L"),
    (r"int64_t d\[MAX_DIMS\]", "int32_t d[MAX_DIMS]"),
    (r"class IErrorRecorder : public IVersionedInterface\n\{", "class IErrorRecorder\n{"),
    (r"    InterfaceInfo getInterfaceInfo\(\) const noexcept override\s*\{\s*return InterfaceInfo\{\"IErrorRecorder\", 1, 0\};\s*\}", ""),
    (r"~IErrorRecorder\(\) noexcept override", "virtual ~IErrorRecorder() noexcept"),
))
write("NvInferRuntime.h", change(
    read("NvInferRuntime.h"),
    (r"class IOutputAllocator : public IVersionedInterface\n\{", "class IOutputAllocator\n{"),
    (r"    InterfaceInfo getInterfaceInfo\(\) const noexcept override\s*\{\s*return \{\"IOutputAllocator\", 1, 0\};\s*\}",
     "    virtual int32_t getInterfaceVersion() const noexcept { return 1; }"),
    (r"virtual void\* reallocateOutputAsync", "void* reallocateOutputAsync"),
    (r"(virtual void notifyShape\(char const\* tensorName, Dims const& dims\) noexcept = 0;)",
     r"\1\n    virtual ~IOutputAllocator() = default;"),
    (r"mImpl->createExecutionContext\(strategy\)", "mImpl->createExecutionContext()"),
    (r"mImpl->deserializeCudaEngine\(blob, size\)", "mImpl->deserializeCudaEngine(blob, size, nullptr)"),
))
# `destroy`, which 10 has no more.
write("NvOnnxParser.h", change(
    read("NvOnnxParser.h"),
    (r"(virtual bool supportsOperator\([^;]*;)", r"\1\n    virtual void destroy() noexcept {}"),
))
