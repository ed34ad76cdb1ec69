#!/usr/bin/env python3
"""Writes, for every abstract class `V*` of a public NvInferImpl.h, a class `stub::V*` whose methods all abort by name.

usage: stubs.py NvInferImpl.h > stubs.hpp

A double derives from the stub and overrides what it supports, so that a method nobody wrote is a clear message and never
a shifted slot: the compiler lays the table out from the header alone.
"""
import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
# The public build of the library defines no feature macros.
text = re.sub(r"^#if .*?^#endif", "", text[text.index("namespace apiv"):], flags=re.S | re.M)

print("// Written by stubs.py from the public header.\n#pragma once\n#pragma GCC system_header\n#include \"double.hpp\"\n")
print("namespace trtdouble::stub {\nusing namespace nvinfer1;\n")
for found in re.finditer(r"class (V\w+) : public VRoot\s*\{(.*?)^\};?", text, flags=re.S | re.M):
    name, body = found.groups()
    print(f"class {name} : public apiv::{name} {{\npublic:")
    for method in re.finditer(r"virtual ([^;]+?)\s*=\s*0\s*;", body):
        signature = " ".join(method.group(1).split())
        called = re.search(r"(\w+)\s*\(", signature).group(1)
        print(f"    {signature} override {{ unused(\"{name[1:]}::{called}\"); }}")
    print("};\n")
print("} // namespace trtdouble::stub")
