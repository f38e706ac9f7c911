"""The progress of a run: a bar on a terminal, and elsewhere a line from time to time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gradbench.record.plan import Comparison

# Seconds without output after which the reader of a log would think that nothing happens.
SILENCE = 30.0


class Progress:
    """The progress that a run reports. This class prints nothing."""

    def begin(self, memory: int, visits: int | None) -> None:
        """The run begins: visits that count bytes, and those that take time, where their number is known."""

    def starting(self, number: int) -> None:
        """A process starts for pass `number`; it imports torch first."""

    def observing(self) -> None:
        """The observation of the methods begins."""

    def visiting(self, number: int, comparison: Comparison, left: float | None) -> None:
        """A visit begins, in pass `number` (0: memory); seconds left for the run, where known."""

    def visited(self) -> None:
        """A visit ended."""

    def decided(self, says: str) -> None:
        """The run reports its decided part, in a few words."""


@contextmanager
def make_progress(quiet: bool) -> Iterator[Progress]:
    """A bar on standard error where that is a terminal, lines where it is not; nothing for the quiet."""
    if quiet:
        yield Progress()
        return
    if not sys.stderr.isatty():
        yield LineProgress()
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    shown, console = BarProgress(), Console(stderr=True)
    with Bar(*_columns(shown, console), console=console) as bar:
        bar.add_task("")
        yield shown


@contextmanager
def doing(what: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal the work that is in progress."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def _columns(shown: BarProgress, console: Any) -> Iterator[Any]:
    """The columns of a bar, computed at each drawing."""
    from rich.progress import ProgressColumn, Task
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    # The bar of rich is one line in two colours. Without colours it looks full from the beginning.
    coloured = not console.no_color and console.color_system is not None

    class Column(ProgressColumn):
        def __init__(self, draw: Callable[[Task], Any]) -> None:
            super().__init__()
            self._draw = draw

        def render(self, task: Task) -> Any:
            return self._draw(task)

    yield Column(lambda task: Text(shown.doing))
    if coloured:
        yield Column(
            lambda task: ProgressBar(
                shown.total, shown.visits, 30, pulse=shown.total is None, animation_time=task.get_time()
            )
        )
    yield Column(lambda task: Text(shown.done))
    yield Column(lambda task: Text(shown.clock))


class BarProgress(Progress):
    """The progress of a run in words, for a bar or a line."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.visits = 0
        self.total: int | None = None
        self._left: float | None = None
        self.doing = "starting"
        self.says = ""

    def begin(self, memory: int, visits: int | None) -> None:
        self.total = None if visits is None else visits + memory

    def starting(self, number: int) -> None:
        self.doing = f"{_stage(number)}: importing torch"

    def visiting(self, number: int, comparison: Comparison, left: float | None) -> None:
        self._left = left
        self.doing = f"{_stage(number)}: {comparison.workload} {comparison.numel:,}"

    def observing(self) -> None:
        self.doing = "observing what the methods do"

    def visited(self) -> None:
        self.visits += 1

    def decided(self, says: str) -> None:
        self.says = says

    @property
    def done(self) -> str:
        """The number of finished visits, their total, and the decided part."""
        visits = f"{self.visits}" if self.total is None else f"{self.visits}/{self.total}"
        return f"{visits} visits; {self.says}" if self.says else f"{visits} visits"

    @property
    def clock(self) -> str:
        """The elapsed and the remaining time."""
        spent = time.monotonic() - self._began
        left = None
        if self.total is not None and self.visits:
            left = spent / self.visits * (self.total - self.visits)
        if self._left is not None:
            left = self._left if left is None else min(left, self._left)
        return f"{_clock(spent)} elapsed" + ("" if left is None else f", {_clock(left)} left")


def _stage(number: int) -> str:
    return "memory" if number == 0 else f"pass {number}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02}"


class LineProgress(BarProgress):
    """Prints a line after some time without one, so that a log shows the progress."""

    def __init__(self) -> None:
        super().__init__()
        self._last = self._began

    def visiting(self, number: int, comparison: Comparison, left: float | None) -> None:
        super().visiting(number, comparison, left)
        if time.monotonic() - self._last >= SILENCE:
            self._last = time.monotonic()
            print(f"gradbench: {self.doing}; {self.done}, {self.clock}", file=sys.stderr, flush=True)
