#!/usr/bin/env python3
"""The shape of the sources, tests left out: how long functions and files are, how deep blocks nest, how many parameters
and fields there are. Prints the numbers and whoever is beyond a limit; exits with 1 if anybody is.

Reads text, not syntax trees: comments, strings and `#[cfg(test)]` items are taken out, and what is left is counted.
A level of nesting is a block of if, else, match, for, while, loop, unsafe, a closure or an arm; the body of the function
itself and the braces of values and macros are none. `self` is a parameter; what C calls has the parameters that C says.
Structs that are read or written as a whole (serde, prost, clap) or hold nothing but numbers are plain data and may have as
many fields as there is to say.
"""

import argparse
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES, NESTING, PARAMETERS, FIELDS = 84, 5, 6, 14
PLAIN = re.compile(r"derive\([^)]*\b(Serialize|Deserialize|Message|Args|Parser)\b")
NUMBER = re.compile(r":\s*(?:Option<\s*)?(?:[fiu]\d+|[iu]size|bool)\b")
COMMENT_OR_TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(\#*)".*?"\1|\bb?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\])'""",
    re.DOTALL | re.VERBOSE,
)
TEST_FILE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+);")
TEST_ITEM = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*[^;{]*\{")
FUNCTION = re.compile(r"(\bextern\s+\"[^\"]*\"\s+)?\bfn\s+(\w+)")
STRUCT = re.compile(r"((?:#\[[^\]]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?struct\s+(\w+)[^;{(]*\{")
# What stands before the brace of a block that counts.
OPENS = re.compile(
    r"""(?:\b(?:else|loop|unsafe|move|const)|=>|\|(?:\s*->\s*[^{|]+)?)\s*$      # a keyword, an arm, a closure
        |\b(?:if|match|for|while)\b(?:(?!=>).)*$""",                           # a condition, as long as it may be
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Function:
    name: str
    place: str
    lines: int
    parameters: int
    nesting: int


@dataclass
class Struct:
    name: str
    place: str
    fields: int
    plain: bool


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "src")
    folder = parser.parse_args().folder
    files = {path: without_tests(bare(path.read_text())) for path in sources(folder)}
    functions = [f for path, text in files.items() for f in functions_of(path, text)]
    structs = [s for path, text in files.items() for s in structs_of(path, text)]
    beyond = report(files, functions, structs)
    print("\n".join(beyond) if beyond else "nothing is beyond a limit")
    sys.exit(1 if beyond else 0)


def report(files, functions, structs):
    """Prints the numbers; gives a line for everybody beyond a limit."""
    lengths = [text.count("\n") for text in files.values()]
    longest = max(functions, key=lambda f: f.lines)
    deepest = max(functions, key=lambda f: f.nesting)
    widest = max(functions, key=lambda f: f.parameters)
    wide = [s for s in structs if s.fields > FIELDS]
    print(f"files            {len(files)}, median {statistics.median(lengths):.0f} lines, longest {max(lengths)}")
    print(f"lines            {sum(lengths)}, tests left out")
    print(f"functions        {len(functions)}, median {statistics.median(f.lines for f in functions):.0f} lines")
    print(f"longest          {longest.lines} lines: {longest.name}, {longest.place} (limit {LINES})")
    print(f"deepest nesting  {deepest.nesting}: {deepest.name}, {deepest.place} (limit {NESTING})")
    print(f"most parameters  {widest.parameters}: {widest.name}, {widest.place} (limit {PARAMETERS})")
    print(f"structs          {len(structs)}, {len(wide)} of more than {FIELDS} fields:")
    for s in sorted(wide, key=lambda s: -s.fields):
        print(f"    {s.fields:3} {s.name}, {s.place}{' (plain data)' if s.plain else ''}")
    limits = [("lines", LINES), ("nesting", NESTING), ("parameters", PARAMETERS)]
    beyond = [(f, what, getattr(f, what), limit) for f in functions for what, limit in limits]
    beyond += [(s, "fields", s.fields, FIELDS) for s in structs if not s.plain]
    return [f"{who.place}: {who.name}: {what} {n}" for who, what, n, limit in beyond if n > limit]


# ---- texts


def sources(folder):
    """Without files that only tests are made of."""
    paths = sorted(folder.rglob("*.rs"))
    tests = set()
    for path in paths:
        home = path.parent if path.name in ("lib.rs", "main.rs", "mod.rs") else path.with_suffix("")
        tests |= {home / name for name in TEST_FILE.findall(path.read_text())}
    return [p for p in paths if not any(t == p.with_suffix("") or t in p.parents for t in tests)]


def bare(text):
    """Comments and the insides of strings as blanks; lines stay where they are."""
    blank = lambda m: re.sub(r"[^\n]", " ", m[0]) if m[0][0] == "/" else '"' + re.sub(r"[^\n]", " ", m[0][1:-1]) + '"'
    return COMMENT_OR_TEXT.sub(blank, text)


def without_tests(text):
    while found := TEST_ITEM.search(text):
        text = text[: found.start()] + text[closing(text, found.end() - 1) + 1 :]
    return text


def closing(text, at):
    """Where the bracket at `at` is closed."""
    pairs, depth = {"{": "}", "(": ")"}[text[at]], 0
    for i in range(at, len(text)):
        depth += (text[i] == text[at]) - (text[i] == pairs)
        if depth == 0:
            return i
    return len(text) - 1


def place(path, text, at):
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{text.count(chr(10), 0, at) + 1}"


# ---- what is counted


def functions_of(path, text):
    for found in FUNCTION.finditer(text):
        start = parameters_at(text, found.end())
        if start is None:
            continue
        end = closing(text, start)
        body = re.compile(r"[{;]").search(text, end)
        if not body or body[0] == ";":
            continue
        last = closing(text, body.start())
        lines = text.count("\n", found.start(), last) + 1
        inside = text[body.start() + 1 : last]
        parameters = 0 if found[1] else entries(text[start + 1 : end])
        yield Function(found[2], place(path, text, found.start()), lines, parameters, nesting(inside))


def parameters_at(text, at):
    """The bracket of the parameters, behind generics if there are any."""
    depth = 0
    for i in range(at, len(text)):
        arrow = text[i] == ">" and text[i - 1] in "-="
        depth += (text[i] == "<") - (text[i] == ">" and not arrow)
        if text[i] == "(" and depth == 0:
            return i
        if text[i] in "{;":
            return None
    return None


def structs_of(path, text):
    for found in STRUCT.finditer(text):
        inside = re.sub(r"#\[[^\]]*\]", "", text[found.end() : closing(text, found.end() - 1)])
        fields = entries(inside)
        plain = bool(PLAIN.search(found[1])) or len(NUMBER.findall(inside)) == fields
        yield Struct(found[2], place(path, text, found.start(2)), fields, plain)


def entries(text):
    """How many things stand between the commas that are in no bracket."""
    depth, count, some = 0, 0, False
    for i, c in enumerate(text):
        arrow = c == ">" and text[i - 1 : i] in ("-", "=")
        depth += (c in "([{<") - (c in ")]}" or c == ">" and not arrow)
        if c == "," and depth == 0:
            count, some = count + some, False
        elif not c.isspace():
            some = True
    return count + some


def nesting(body):
    """The most blocks inside each other."""
    stack, most = [], 0
    for i, c in enumerate(body):
        if c == "{":
            stack.append(bool(OPENS.search(head(body, i))))
            most = max(most, sum(stack))
        elif c == "}" and stack:
            stack.pop()
    return most


def head(body, at):
    """What stands before a brace: back to where its statement, arm or argument begins."""
    depth = 0
    for i in range(at - 1, -1, -1):
        c = body[i]
        # Behind a block that is over, a word begins something new; behind a pattern or a value in braces, none does.
        if depth == 0 and (c in ",;([{" or c == "}" and re.match(r"\s*\w", body[i + 1 : at + 1])):
            return body[i + 1 : at]
        depth += (c in ")]}") - (c in "([{")
    return body[:at]


if __name__ == "__main__":
    main()
