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
    """A reader's purpose, and how a tie is decided.

    Attributes:
        asks: the purpose, as the page names it.
        prefer: by name of a variant why to take it where it ties, as a clause. The first that ties is
            recommended, so a simpler variant comes earlier.
        against: the name of the variant that a reader uses without advice; empty for the baseline.
        against_words: the name of that variant on the page.
        part: the part of the workload that decides; empty for a workload without parts.
        only: whether variants outside `prefer` serve another purpose, so that none is recommended.
    """

    asks: str
    prefer: Mapping[str, str]
    against: str = ""
    against_words: str = ""
    part: str = ""
    only: bool = False

    def place(self, name: str) -> int:
        """The place of a variant among the preferred ones; a variant that is not named comes last."""
        return list(self.prefer).index(name) if name in self.prefer else len(self.prefer)


_BLOCK = "a block ends by itself"
_LATER = "its tensors may enter training"
_NEVER = "its results never enter training"
_CLEARED = "a cleared flag costs nothing at each call"
_KEEPS = "an optimizer keeps its own state"

# A cleared flag leaves the model frozen, and detach() after it records the whole forward.
_EVALUATE = Purpose(
    "Evaluate a model",
    {
        "no_grad": _LATER,
        "inference_mode": _NEVER,
        "no_grad_decorator": _LATER,
        "set_grad_enabled_false": _LATER,
        "no_grad_prebuilt": _LATER,
    },
    "tracked",
    "recording",
    only=True,
)

# By workload. Another workload goes by its own purpose, and prefers nothing.
PURPOSES: dict[str, Purpose] = {
    "inference": _EVALUATE,
    "attention": _EVALUATE,
    "batch": Purpose(
        "Evaluate batch after batch",
        {"no_grad": _LATER, "inference_mode": _NEVER, "no_grad_each": _BLOCK},
        "tracked",
        "recording",
        only=True,
    ),
    "freeze": Purpose(
        "Fine-tune a head",
        {
            "requires_grad_false": "the training loop stays as it is",
            "no_grad": _BLOCK,
            "detach": "the code says where the graph ends",
        },
        "tracked",
        "training everything",
        part="training",
    ),
    "target": Purpose(
        "Make a training target",
        {
            "no_grad": _BLOCK,
            "detach": "the code says which tensor is the target",
            "requires_grad_false": _CLEARED,
            "inference_mode": _NEVER,
        },
        "tracked",
        "recording",
    ),
    "update": Purpose(
        "Write to parameters",
        {
            "optimizer": _KEEPS,
            "optimizer_foreach": _KEEPS,
            "optimizer_fused": _KEEPS,
            "no_grad_alpha": "it is one line",
            "no_grad": "it is one line",
        },
        "no_grad",
        "p -= lr * g",
    ),
    "zero_grad": Purpose(
        "Clear gradients",
        {"set_to_none": "it is the default", "by_hand": "it is one line"},
        "set_to_zero",
        "zero_grad(set_to_none=False)",
        part="step",
    ),
    "accumulate": Purpose(
        "Add up a loss",
        {"detach": "it does not wait for a GPU", "item": "it keeps a number and no tensor"},
        "tracked",
        "total = total + loss",
        part="evaluation",
    ),
    "custom": Purpose(
        "Write a Function",
        {
            "native": "it needs no Function",
            "composed": "each Function stays small",
            "fused": "it needs no compiler",
            "fused_native": "it holds the least memory",
        },
        "composed",
        "three Functions",
        part="both",
    ),
    "elementwise": Purpose(
        "Keep one tensor out of the graph",
        {"requires_grad_false": _CLEARED, "detach": "x itself stays as it is", "no_grad": _BLOCK},
        "tracked",
        "recording",
    ),
    "chain": Purpose(
        "Keep several operations out of the graph",
        {"no_grad": _BLOCK, "requires_grad_false": _CLEARED, "detach": "x itself stays as it is"},
        "tracked",
        "recording",
    ),
}

# The workloads whose purposes the first screen shows, in its order.
FIRST_SCREEN = ("inference", "freeze", "update", "custom")
