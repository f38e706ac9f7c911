"""What a run shows while it goes on: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gradbench.plan import Comparison
from gradbench.run import Progress


@contextmanager
def make_progress() -> Iterator[Progress]:
    """A bar on standard error where that is a terminal; silence where it is not."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _BarProgress(bar)


class _BarProgress(Progress):
    def __init__(self, bar: object) -> None:
        from rich.progress import Progress as Bar

        assert isinstance(bar, Bar)
        self._bar = bar
        self._task = bar.add_task("starting", total=None)

    def begin(self, memory: int, visits: int | None) -> None:
        self._bar.update(self._task, total=None if visits is None else visits + memory)

    def visiting(self, number: int, comparison: Comparison, left: float | None) -> None:
        stage = "memory" if number == 0 else f"pass {number}"
        self._bar.update(self._task, description=f"{stage}: {comparison.workload} {comparison.numel:,}")

    def visited(self) -> None:
        self._bar.advance(self._task)
