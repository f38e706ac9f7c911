"""The exact bytes of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gradbench import format
from gradbench.guard import memory
from gradbench.guard.calls import expect_callable
from gradbench.library.table import Shown, Table, frame

# What each figure of `Bytes` says, in the order in which it is shown.
MEANINGS = {
    "allocated": "sum of all allocations",
    "peak": "most live at once",
    "retained": "live with the result held, its graph included",
    "saved": "kept by the graph for a backward, inputs among them",
}
FIGURES = tuple(MEANINGS)


class Bytes(Shown, memory.Bytes, frozen=True):
    """What one call does to the memory of tensors, exact; what was there before is not counted.

    The figures are those of `gradbench.guard.Bytes`: `allocated`, `peak`, `retained`, `saved`, `device`.
    """

    @property
    def figures(self) -> dict[str, int]:
        """The bytes, by name."""
        return {name: getattr(self, name) for name in FIGURES}

    @property
    def sentence(self) -> str:
        """What the call does, in words."""
        sizes = {name: format.size(figure) for name, figure in self.figures.items()}
        where = "" if self.device == "cpu" else f" on {self.device}"
        kept = f"its graph saves {sizes['saved']} for a backward" if self.saved else "no graph saves anything"
        return (
            f"A call allocates {sizes['allocated']}{where} in all and holds {sizes['peak']} at its peak; "
            f"while its result is held {sizes['retained']} stay, and {kept}."
        )

    @property
    def table(self) -> Table:
        """A row for each figure."""
        rows = tuple((name, f"{figure:,}", MEANINGS[name]) for name, figure in self.figures.items())
        return Table(self.sentence, (f"of one call, on {self.device}", "bytes", ""), rows, frozenset({0, 2}))

    def to_pandas(self) -> Any:
        """A DataFrame of one row: a column for each figure, and `device`."""
        return frame([{**self.figures, "device": self.device}], (*FIGURES, "device"), whole=FIGURES)


def cells(found: Bytes | None) -> list[str]:
    """The cells of a table that hold these figures; dashes where they are not known."""
    return [format.size(None if found is None else found.figures[name]) for name in FIGURES]


def bytes(
    function: Callable[..., object],
    setup: Callable[[], object] | None = None,
    device: object | None = None,
) -> Bytes:
    """The exact bytes of one call of a function, from a few calls that must agree. Imports torch.

    >>> import torch, gradbench
    >>> x = torch.rand(100, requires_grad=True)
    >>> found = gradbench.bytes(lambda: (x * x).exp())
    >>> found.peak, found.retained, found.saved
    (800, 400, 800)
    >>> print(found.sentence)
    A call allocates 800 B in all and holds 800 B at its peak; while its result is held 400 B stay, and its \
graph saves 800 B for a backward.

    Args:
        setup: called before each call and not counted; what it returns is passed to the function.
        device: whose memory is counted, such as `cuda:0`. None is the CUDA device in use, where the call
            allocates there, and else the CPU.

    Raises:
        TypeError, ValueError: for what cannot be called, and for a device that cannot be used or guessed.
        gradbench.measure.memory.Unrepeatable: where two calls do not allocate the same.
        gradbench.measure.memory.Uncounted: where the allocator of the device does not count bytes.
    """
    named = None if device is None else str(device)
    if setup is not None:
        expect_callable("setup", setup)
    found = memory.measure_bytes(function, setup=setup, device=named)
    return Bytes(**msgspec.structs.asdict(found))
