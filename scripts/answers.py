"""Ask layerdiff something and see whether what comes back is an answer: command -> Answer -> complaints.

An answer has a status from 0 to 3, one sentence where the status is 2 or 3, came in time and within bounds of memory, and
left no process and no temporary file. Knows neither models nor what is right: mutate.py, node_tests.py, kills.py and
crashers.py know that. A folder of its own is the working folder of every command, with TMPDIR beside it.
"""

import itertools
import os
import re
import resource
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import venv

SECONDS, MEGABYTES = 10, 1000
# A run away must not take the machine with it. Address space, not memory: libraries and thread stacks reserve much.
ADDRESS_SPACE = 8 << 30
# How long processes and folders may take to go once layerdiff has ended.
GRACE = 1.0
SENTENCE_BYTES = 2000
# The variable that tells which command a process descends from.
MARK = "LAYERDIFF_ASKED"
NUMBERS = itertools.count()


@dataclass
class Answer:
    command: list
    # None where it was stopped for taking too long.
    status: int | None
    # The name of the signal that ended it.
    signal: str | None
    stdout: str
    stderr: str
    seconds: float
    megabytes: float
    # Processes and temporary files that outlived it.
    left: list = field(default_factory=list)

    def shell(self):
        return shlex.join(map(str, self.command))


def program(options):
    """--layerdiff, else the release build, else the debug build."""
    built = [venv.ROOT / "target" / kind / "layerdiff" for kind in ("release", "debug")]
    found = options.layerdiff or next((p for p in built if p.exists()), built[0])
    return Path(found).absolute()


def ask(command, folder, seconds=SECONDS, stop=None):
    """Runs it in `folder`, as `bounded` as this process. `stop` is called with the process once that has started, and may
    wait and signal it."""
    temporary, work = folder / "tmp", folder / "work"
    temporary.mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    mark = f"{temporary}/{next(NUMBERS)}"
    environment = {**os.environ, "TMPDIR": str(temporary), "ORT_DISABLE_TELEMETRY": "1", MARK: mark}
    command = [str(word) for word in command]
    started = time.monotonic()
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    if stop:
        stop(process)
    status, usage = waited(process, started + seconds, mark)
    took = time.monotonic() - started
    left = [] if status is None else remains(mark, temporary, work)
    end_all(mark)
    text = lambda name: (folder / name).read_bytes().decode("utf8", "replace")
    code = None if status is None else os.waitstatus_to_exitcode(status)
    name = signal.Signals(-code).name if code is not None and code < 0 else None
    return Answer(command, code, name, text("stdout"), text("stderr"), took, usage.ru_maxrss / 1024, left)


def complaints(answer, megabytes=MEGABYTES):
    """What makes it no answer, as (kind, detail); nothing is a good sign."""
    found = []
    if answer.status is None:
        found.append(("slow", f"no answer within {answer.seconds:.0f} s"))
    elif answer.signal:
        found.append((answer.signal, last_line(answer.stderr)))
    elif "panicked at" in answer.stderr or answer.status == 101:
        found.append(("panic", first_match(r"panicked at .*(\n.*)?", answer.stderr)))
    elif not 0 <= answer.status <= 3:
        found.append(("status", f"exit status {answer.status}: {last_line(answer.stderr)}"))
    elif answer.status >= 2 and (problem := no_sentence(answer)):
        found.append(("sentence", problem))
    if answer.megabytes > megabytes:
        found.append(("fat", f"{answer.megabytes:.0f} MB"))
    found += [("left", what) for what in answer.left]
    return found


def sentence(answer):
    """What it said about its failure: on stderr, or, where a run was inconclusive, at the top of its summary."""
    said = [line for line in answer.stderr.splitlines() if line.strip()]
    return said[-1] if said else next((line for line in answer.stdout.splitlines() if line.strip()), "")


def no_sentence(answer):
    """Why the words of a failure are not one sentence; None where they are."""
    said = [line for line in answer.stderr.splitlines() if line.strip() and not line.startswith("layerdiff: warning: ")]
    if not said and answer.status == 3 and answer.stdout.strip():
        return None
    if len(said) != 1:
        return f"{len(said)} lines: " + " / ".join(line[:120] for line in said[:4])
    if not said[0].startswith("layerdiff: "):
        return f"not layerdiff's: {said[0][:200]}"
    if len(said[0].encode()) > SENTENCE_BYTES:
        return f"{len(said[0].encode())} bytes: {said[0][:100]}..."
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]", said[0]):
        return f"control characters: {said[0][:200]!r}"
    return None


# ---- processes


def bounded():
    """Bounds this process and all that it starts: once, since a function between fork and exec costs 20 ms a run."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def waited(process, until, mark):
    """The wait status and what it used, its children that it waited for included; no status when it was too slow."""
    pause = 0.002
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return status, usage
        if time.monotonic() > until:
            end_all(mark)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            return None, usage
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)


def remains(mark, temporary, work):
    """Processes with this mark and temporary files that are still there after the time of grace."""
    until = time.monotonic() + GRACE
    while True:
        left = [f"process {pid}: {words}" for pid, words in marked(mark)]
        left += [f"file {path.name}" for path in temporary.iterdir()]
        left += [f"file {p.name}" for p in work.rglob("*") if ".tmp-" in p.name or p.name.startswith(".layerdiff-")]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.02)


def marked(mark):
    """(pid, command line) of what was started from the command with this mark: children inherit it, whatever session or
    group they make of their own."""
    sign = f"{MARK}={mark}\0".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if sign in read(f"/proc/{pid}/environ"):
                yield (
                    int(pid),
                    read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode("utf8", "replace").strip()[:120],
                )
        except OSError:
            continue


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


def end_all(mark):
    for pid, _ in marked(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "nothing on stderr"


def first_match(pattern, text):
    found = re.search(pattern, text)
    return found.group(0).replace("\n", " ")[:300] if found else last_line(text)
