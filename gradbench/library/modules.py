"""The bytes that every module keeps for a backward, as a table."""

from __future__ import annotations

from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.screen_modules import by_module
from gradbench.library.table import Shown, Table, frame
from gradbench.record.anatomy import Anatomy, Kept


class Modules(Shown, msgspec.Struct, frozen=True):
    """The unique storages that the graph of a recorded forward keeps, by the module that saved them first.

    Attributes:
        rows: the storages, in the order in which they were saved, in bytes.
        trains: whether the call computed a loss, in the module's mode; else it is an evaluation.
    """

    rows: tuple[Kept, ...]
    trains: bool

    @property
    def saved(self) -> int:
        """Bytes of all rows."""
        return sum(each.bytes for each in self.rows)

    @property
    def sentence(self) -> str:
        """How much a call keeps, and which module keeps most of it."""
        what = "A training step" if self.trains else "A recorded evaluation"
        kept = sum(each.bytes for each in self.rows if each.role == "activation")
        text = f"{what} keeps {format.size(kept)} of activations for the backward"
        largest = next(iter(by_module(self._anatomy)), None)
        if largest is not None and largest.activations:
            text += f"; the largest: {largest.name} with {format.size(largest.activations)}"
        return f"{text}."

    @property
    def table(self) -> Table:
        """A row for every module, the largest first."""
        rows = [
            (
                each.name,
                format.size(each.activations),
                format.size(each.others),
                f"{each.calls[0].operator} {'×'.join(str(length) for length in each.calls[0].shape)}",
                each.calls[0].line,
            )
            for each in by_module(self._anatomy)
        ]
        heads = ("module", "activations", "exist anyway", "largest", "line")
        note = "Parameters, buffers and x exist anyway; the rows add up to all saved bytes."
        return Table(self.sentence, heads, tuple(rows), frozenset({0, 3, 4}), (note,))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every storage, in bytes; needs pandas."""
        columns = ("module", "role", "operator", "shape", "dtype", "line", "bytes")
        rows = [{name: getattr(each, name) for name in columns} for each in self.rows]
        return frame(rows, columns, (), ("bytes",))

    @property
    def _anatomy(self) -> Anatomy:
        return Anatomy(self.trains, self.rows, 0, 0, 0)
