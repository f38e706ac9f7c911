"""Progress of a long fit: a bar on a terminal, or calls of a callback."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress

# A callback that takes the number of an epoch, from 1, and its loss.
Progress = Callable[[int, float], object]

# Seconds until a fit counts as long, and from one drawing of its bar to the next.
PATIENCE = 2.0
INTERVAL = 0.1


@contextmanager
def watching(epochs: int, progress: Progress | None) -> Iterator[Progress]:
    """The callback after each epoch: `progress` if given, else a bar if standard error is a terminal."""
    if progress is not None:
        yield progress
    elif sys.stderr is None or not sys.stderr.isatty():
        yield lambda epoch, loss: None
    else:
        bar = Bar(epochs)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """A bar on standard error that appears once a fit has taken PATIENCE seconds."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        # An epoch may take microseconds. Between two drawings the bar only reads the clock.
        self._due = time.monotonic() + PATIENCE
        self._last = (0, math.nan)
        self._shown: rich.progress.Progress | None = None

    def __call__(self, epoch: int, loss: float) -> None:
        self._last = epoch, loss
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + INTERVAL
        if self._shown is None:
            self._shown = self._start()
        self._draw(self._shown)

    def close(self) -> None:
        """Draw the last epoch, and release the terminal."""
        if self._shown is not None:
            self._draw(self._shown)
            self._shown.stop()

    def _draw(self, shown: rich.progress.Progress) -> None:
        epoch, loss = self._last
        shown.update(shown.task_ids[0], completed=epoch, loss=loss)

    def _start(self) -> rich.progress.Progress:
        # Most fits end before a bar is due, and rich takes a while to import.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch"), MofNCompleteColumn(), BarColumn(),
            TextColumn("loss {task.fields[loss]:.6f}"), TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        shown = Progress(*columns, console=Console(stderr=True))
        shown.add_task("", total=self._epochs, loss=math.nan)
        shown.start()
        return shown
