"""usage: scripts/placement_check.py SPEC PROVIDER MODEL...     holds `inspect --placement SPEC` against what ONNX Runtime itself says

For each model (a file with a .npz of its inputs beside it): layerdiff's report, and the assignment and the profile that the
runtime's own Python package gives for PROVIDER (CUDAExecutionProvider, say) of the same file. Every node by its name, and the
kernels that ran by provider. Prints a line a model and exits with 1 where anything is another.

LAYERDIFF names the program; the Python that runs this has the onnxruntime that is asked, and layerdiff must find its library.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnxruntime

PROGRAM = os.environ.get("LAYERDIFF", "target/release/layerdiff")


def runtimes(model, inputs, provider):
    """Provider by node, and kernels by provider, as the runtime tells."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = os.path.join(tempfile.mkdtemp(), "profile")
    options.log_severity_level = 4
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
    groups = session.get_provider_graph_assignment_info()
    assigned = collections.Counter((node.name, group.ep_name) for group in groups for node in group.get_nodes())
    session.run(None, dict(numpy.load(inputs)))
    events = json.loads(Path(session.end_profiling()).read_text())
    # Copies between devices are nodes of the profile, and no kernels in layerdiff's words.
    kernels = [e for e in events if e["cat"] == "Node" and e["name"].endswith("_kernel_time")]
    ran = {e["name"]: e["args"]["provider"] for e in kernels if not e["args"]["op_name"].startswith("Memcpy")}
    return assigned, collections.Counter(ran.values())


def layerdiffs(model, inputs, spec):
    """The same of layerdiff's report."""
    command = [PROGRAM, "inspect", str(model), "--placement", spec, "-i", str(inputs), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    return json.loads(done.stdout)["subject"]["placement"]


def differences(model, spec, provider):
    """What is another, in words; and how many nodes there are."""
    inputs = model.with_suffix(".npz")
    try:
        assigned, kernels = runtimes(model, inputs, provider)
    except Exception as e:  # Whatever the runtime refuses, layerdiff must refuse, too.
        refused = layerdiffs(model, inputs, spec)
        return ([] if isinstance(refused, str) else [f"the runtime refuses it: {e}"]), 0
    placement = layerdiffs(model, inputs, spec)
    if isinstance(placement, str):
        return [placement], 0
    found = []
    for provider in sorted({ep for _, ep in assigned} | {of["provider"] for of in placement["providers"]}):
        of = next((of for of in placement["providers"] if of["provider"] == provider), {})
        theirs = sum(count for (_, ep), count in assigned.items() if ep == provider)
        if of.get("nodes", 0) != theirs:
            found.append(f"{provider}: {of.get('nodes', 0)} nodes, the runtime says {theirs}")
        if (of.get("kernels") or 0) != kernels[provider]:
            found.append(f"{provider}: {of.get('kernels')} kernels, the runtime's profile has {kernels[provider]}")
    asked = placement["asked"]
    elsewhere = collections.Counter((node["node"], node["provider"]) for node in placement["fell_back"])
    theirs = collections.Counter({(name, ep): n for (name, ep), n in assigned.items() if ep != asked and name})
    ours = collections.Counter({key: n for key, n in elsewhere.items() if not key[0].startswith("node_of_")})
    if ours != theirs:
        found.append(f"elsewhere: {sorted((ours - theirs).items())[:3]} against {sorted((theirs - ours).items())[:3]}")
    return found, sum(assigned.values())


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__.splitlines()[0])
    spec, provider, models = sys.argv[1], sys.argv[2], [Path(model) for model in sys.argv[3:]]
    wrong = 0
    for model in models:
        found, nodes = differences(model, spec, provider)
        wrong += bool(found)
        print(f"{'WRONG' if found else 'equal'}  {model.name}  {nodes} nodes  {'; '.join(found)}", flush=True)
    print(f"{len(models) - wrong} of {len(models)} equal")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
