"""The purposes of users, and the variants that a purpose prefers where time does not decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# A variant that is at most this much slower than the fastest ties with it: other reasons then decide.
MATTERS = 0.03

# The methods between which people choose to keep a model out of the graph.
NO_GRAD_METHODS = ("no_grad", "no_grad_decorator", "inference_mode", "set_grad_enabled_false")


@dataclass(frozen=True)
class Purpose:
    """A reader's purpose, and the rule that decides a tie.

    Attributes:
        asks: the purpose, as the page names it.
        topic: the preset of the page that it belongs to; empty for none.
        prefer: by name of a variant, the reason to take it where it ties, as a clause. The run recommends the
            first one that ties.
        against: the name of the variant that a reader uses without advice; empty for the baseline.
        against_words: what the page calls it.
        part: the part of the workload that decides; empty for a workload without parts.
    """

    asks: str
    topic: str
    prefer: Mapping[str, str]
    against: str = ""
    against_words: str = ""
    part: str = ""

    def place(self, name: str) -> int:
        """The place of a variant among the preferred ones; a variant that is not named comes last."""
        return list(self.prefer).index(name) if name in self.prefer else len(self.prefer)


_BLOCK = "a block ends by itself"
_TRAINING = "its results may enter training later"
_CLEARED = "a cleared flag costs nothing at each call"

_EVALUATE = Purpose(
    "Evaluate a model",
    "evaluate",
    {
        "no_grad": _TRAINING,
        "inference_mode": "it refuses later use in training",
        "no_grad_decorator": _TRAINING,
        "set_grad_enabled_false": _TRAINING,
    },
    "tracked",
    "recording",
)

# By workload. A workload that is not here has the purpose of its definition, and prefers nothing.
PURPOSES: dict[str, Purpose] = {
    "inference": _EVALUATE,
    "attention": _EVALUATE,
    "batch": Purpose(
        "Evaluate batch after batch",
        "evaluate",
        {"no_grad": _TRAINING, "inference_mode": "it refuses later use in training", "no_grad_each": _BLOCK},
        "tracked",
        "recording",
    ),
    "freeze": Purpose(
        "Fine-tune a head",
        "fine-tune",
        {"requires_grad_false": "the training loop stays as it is", "no_grad": _BLOCK},
        "tracked",
        "training everything",
        part="training",
    ),
    "target": Purpose(
        "Make a training target",
        "fine-tune",
        {"no_grad": _BLOCK, "detach": "the code says which tensor is the target"},
        "tracked",
        "recording",
    ),
    "update": Purpose(
        "Write to parameters",
        "write",
        {
            "optimizer_fused": "an optimizer keeps its state",
            "optimizer_foreach": "an optimizer keeps its state",
            "optimizer": "an optimizer keeps its state",
        },
        "no_grad",
        "p -= lr * g",
    ),
    "zero_grad": Purpose(
        "Clear gradients",
        "write",
        {"set_to_none": "it is the default"},
        "set_to_zero",
        "zero_grad(set_to_none=False)",
        part="step",
    ),
    "accumulate": Purpose(
        "Add up a loss",
        "evaluate",
        {"detach": "it does not wait for a GPU"},
        "tracked",
        "total = total + loss",
        part="evaluation",
    ),
    "custom": Purpose(
        "Write a Function",
        "functions",
        {"native": "it needs no code of yours", "fused": "it needs no compiler"},
        "composed",
        "three Functions",
        part="both",
    ),
    "elementwise": Purpose(
        "Keep one tensor out of the graph",
        "evaluate",
        {"requires_grad_false": _CLEARED, "detach": "x itself stays as it is", "no_grad": _BLOCK},
        "tracked",
        "recording",
    ),
    "chain": Purpose(
        "Keep several operations out of the graph",
        "evaluate",
        {"no_grad": _BLOCK, "requires_grad_false": _CLEARED},
        "tracked",
        "recording",
    ),
}

# The workloads whose purposes the first screen shows, in its order.
FIRST_SCREEN = ("inference", "freeze", "update", "custom")
