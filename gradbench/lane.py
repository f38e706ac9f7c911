"""From the text of a lane to something that runs: once for a check, or n times for the clock."""

from __future__ import annotations

import ast
import textwrap
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy
import torch

from gradbench.plan import Comparison, Lane

# Every call starts in the same state: what the one before made has been freed (`y = None`), so its
# memory is the allocator's to give again, and a batch of n calls holds n allocations and n releases
# whatever n is. The names that a statement reads are locals, as they would be in a user's function.
# One call goes before the clock: otherwise the first of n finds the caches as another lane left them, and
# identical lanes that were given n of 5 and 8 differ by 1 %.
_BATCH = """\
def batch(n, {names}):
{first}
    {made} = None
    started = clock()
    for _ in repeat(None, n):
{statement}
        {made} = None
    return clock() - started
"""

Batch = Callable[[int], int]


class ReadyLane:
    """A lane that has been set up: its names, and its batch.

    Attributes:
        batch: runs the statement once, and then n times by the clock; returns nanoseconds.
    """

    def __init__(self, lane: Lane, shared: dict[str, Any]) -> None:
        """Run the lane's setup on the shared inputs of its comparison."""
        self.lane = lane
        self._names: dict[str, Any] = {"torch": torch, **shared}
        exec(compile(lane.setup, f"<setup of {lane.name}>", "exec"), self._names)
        self._statement = compile(lane.statement, f"<{lane.name}>", "exec")
        self.batch = self._make_batch()

    def _make_batch(self) -> Batch:
        read = [name for name in self._statement.co_names if name in self._names and name != "torch"]
        stored = {
            node.id
            for node in ast.walk(ast.parse(self.lane.statement))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        source = _BATCH.format(
            names=", ".join(f"{name}={name}" for name in read),
            made=" = ".join(sorted(stored - self._names.keys() | {"y"})),
            first=textwrap.indent(self.lane.statement, " " * 4),
            statement=textwrap.indent(self.lane.statement, " " * 8),
        )
        names = {**self._names, "repeat": repeat, "clock": time.perf_counter_ns}
        exec(compile(source, f"<batch of {self.lane.name}>", "exec"), names)
        batch: Batch = names["batch"]
        return batch

    @property
    def x(self) -> torch.Tensor | None:
        """The lane's own x; None where it has none (the empty loop)."""
        return self._names.get("x")

    def run(self) -> Any:
        """Execute the statement once; return its `y`, or None where it makes none.

        What else the statement names is gone afterwards, as the locals of a function are.
        """
        names = {name: value for name, value in self._names.items() if name != "y"}
        exec(self._statement, names)
        return names.get("y")

    def run_probe(self) -> Any:
        """Execute the probe; return the grad mode that it saw."""
        names = dict(self._names)
        exec(compile(self.lane.probe, f"<probe of {self.lane.name}>", "exec"), names)
        return names["y"]


def prepare(comparison: Comparison) -> dict[str, Any]:
    """The inputs that all lanes of a comparison share: `base`, and what the workload names."""
    names: dict[str, Any] = {"torch": torch}
    exec(compile(comparison.prepare, f"<inputs of {comparison.id}>", "exec"), names)
    return {name: value for name, value in names.items() if isinstance(value, torch.Tensor)}


def expected_answer(comparison: Comparison, shared: dict[str, Any]) -> numpy.ndarray[Any, Any]:
    """The workload's answer, from NumPy in float64."""
    names: dict[str, Any] = {
        name: value.detach().to("cpu", torch.float64).numpy() for name, value in shared.items()
    }
    names["x"] = names.pop("base")
    answer: numpy.ndarray[Any, Any] = eval(comparison.answer, {"numpy": numpy, **names})
    return answer
