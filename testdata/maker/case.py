"""A case: the model, its samples and the right answer, as the files of one folder."""

import io
import json
from dataclasses import dataclass, field

import numpy as np
import onnx


@dataclass
class Case:
    name: str
    about: str
    model: onnx.ModelProto
    samples: list[dict]
    culprits: list[dict] = field(default_factory=list)
    candidate: str = "ort:fp16"
    args: list[str] = field(default_factory=list)
    candidate_model: onnx.ModelProto | None = None
    # Status of each model output, where the test should look at it.
    outputs: dict | None = None
    # Nothing can be compared, which is no agreement.
    inconclusive: bool = False
    # Files the model refers to, by name.
    extra: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        made = {"model.onnx": self.model.SerializeToString()}
        if self.candidate_model is not None:
            made["candidate.onnx"] = self.candidate_model.SerializeToString()
        if len(self.samples) == 1:
            made["inputs.npz"] = npz(self.samples[0])
        else:
            made |= {f"sample_{i}.npz": npz(sample) for i, sample in enumerate(self.samples)}
        made |= self.extra
        made["case.json"] = (json.dumps(self.answer(), indent=2) + "\n").encode()
        return {f"{self.name}/{file}": content for file, content in made.items()}

    def answer(self) -> dict:
        verdict, status = self.verdict()
        answer = {
            "about": self.about,
            "candidate": self.candidate,
            "args": self.args,
            "verdict": verdict,
            "exit": status,
            "culprits": self.culprits,
        }
        if self.outputs is not None:
            answer["outputs"] = self.outputs
        return answer

    def verdict(self) -> tuple[str, int]:
        """The verdict and the exit status that goes with it."""
        if self.inconclusive:
            return "inconclusive", 3
        return ("diverged", 1) if self.culprits else ("agreed", 0)


def against_file(name, about, built, sample, culprits, **more):
    """`built(True)`, the candidate's file, against `built(False)`, by the program's own tolerances."""
    files = {"candidate": "ort@candidate.onnx", "candidate_model": built(True)}
    return Case(name, about, built(False), [sample], culprits, **files, **more)


def introduces(node, subgraph=None):
    return {"node": node, "subgraph": subgraph, "kind": "introduces"}


def amplifies(node):
    return {"node": node, "subgraph": None, "kind": "amplifies"}


def region(nodes):
    """The last node is the one whose output diverges."""
    return {"node": nodes[-1], "subgraph": None, "kind": "region", "region": nodes}


def npz(arrays: dict) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
