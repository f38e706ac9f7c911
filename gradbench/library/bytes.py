"""The exact bytes of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gradbench import format
from gradbench.guard import memory
from gradbench.guard.calls import expect_callable
from gradbench.library.table import Shown, Table, frame

# The meaning of every figure of `Bytes`, in the order of the table.
MEANINGS = {
    "allocated": "sum of all allocations",
    "peak": "most live at once",
    "retained": "live while the result is held, including its graph",
    "saved": "kept by the graph for a backward, including inputs",
}
FIGURES = tuple(MEANINGS)
# Shown where they are not 0.
BESIDE = {
    "standing": "part of peak and retained: gradients that the call before left",
    "left": "stays after every call, when its result is freed",
}


class Bytes(Shown, memory.Bytes, frozen=True):
    """The exact bytes of tensors that one call adds; memory from before the call does not count.

    The figures are those of `gradbench.guard.Bytes`: `allocated`, `peak`, `retained`, `saved`, `device`,
    `standing`, `left`, `threads`.
    """

    @property
    def figures(self) -> dict[str, int | None]:
        """The bytes, by name; `saved` is None where no hook sees it, as under torch.func."""
        return {name: getattr(self, name) for name in FIGURES}

    @property
    def sentence(self) -> str:
        """The figures in words."""
        sizes = {name: format.size(figure) for name, figure in self.figures.items()}
        where = "" if self.device == "cpu" else f" on {self.device}"
        if self.saved is None:
            kept = "bytes saved for a backward are not visible"
        elif self.saved:
            kept = f"its graph saves {sizes['saved']} for a backward"
        else:
            kept = "no graph saves anything"
        stay = f"it frees {format.size(-self.retained)}" if self.retained < 0 else f"{sizes['retained']} stay"
        sentences = [
            f"A call allocates {sizes['allocated']}{where} in total and holds {sizes['peak']} at its peak; "
            f"while its result is held, {stay}, and {kept}."
        ]
        if self.left > 0:
            sentences.append(
                f"A call leaves {format.size(self.left)} behind when its result is freed: memory grows "
                "with every call."
            )
        if self.standing > 0:
            sentences.append(
                f"The peak includes {format.size(self.standing)} of gradients that the call before left."
            )
        if self.threads > 1:
            sentences.append(f"{self.threads} threads worked; their timing decides the peak.")
        return " ".join(sentences)

    @property
    def table(self) -> Table:
        """A row for every figure; a row for `standing` and `left` only where that is not 0."""
        rows = [(name, _exact(figure), MEANINGS[name]) for name, figure in self.figures.items()]
        beside = {name: getattr(self, name) for name in BESIDE}
        rows += [(name, _exact(figure), BESIDE[name]) for name, figure in beside.items() if figure]
        return Table(
            self.sentence, (f"of one call, on {self.device}", "bytes", ""), tuple(rows), frozenset({0, 2})
        )

    def to_pandas(self) -> Any:
        """A DataFrame of one row: a column for every field, in bytes except `threads` and `device`."""
        whole = (*FIGURES, *BESIDE, "threads")
        row = {name: getattr(self, name) for name in (*whole, "device")}
        return frame([row], tuple(row), whole=whole)


def _exact(figure: int | None) -> str:
    return format.UNKNOWN if figure is None else f"{figure:,}"


def cells(found: Bytes | None) -> list[str]:
    """The cells of a table with these figures; dashes where they are not known."""
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
    A call allocates 800 B in total and holds 800 B at its peak; while its result is held, 400 B stay, and \
its graph saves 800 B for a backward.

    Args:
        setup: called before every call and not counted; the function gets its result.
        device: the device whose memory is counted, such as `cuda:0`. None is the CUDA device in use, where
            the call allocates there, and else the CPU.

    Raises:
        TypeError, ValueError: for an argument that is not callable, and for a device that cannot be used or
            guessed.
        gradbench.measure.memory.Unrepeatable: where two calls do not allocate the same.
        gradbench.measure.memory.Uncounted: where the allocator of the device does not count bytes.
    """
    named = None if device is None else str(device)
    if setup is not None:
        expect_callable("setup", setup)
    found = memory.measure_bytes(function, setup=setup, device=named)
    return Bytes(**msgspec.structs.asdict(found))
