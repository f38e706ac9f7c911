"""The progress of a trial: a line after each pair on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gradbench.analyse.memory_difference import in_words
from gradbench.versus.judge import judge_trial
from gradbench.versus.records import Trial
from gradbench.versus.trial import Watcher
from gradbench.versus.verdict import where

if TYPE_CHECKING:
    from rich.live import Live


@contextmanager
def make_watcher() -> Iterator[Watcher]:
    """A line on standard error if that is a terminal; otherwise nothing."""
    if not sys.stderr.isatty():
        yield Watcher()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with Live(console=console, transient=True) as live:
        yield _Line(live)


class _Line(Watcher):
    def __init__(self, live: Live) -> None:
        self._live = live
        live.update("starting both sides")

    def began(self, trial: Trial) -> None:
        # Bytes are exact, so their differences need not wait for the clock.
        for each in judge_trial(trial).variants:
            if each.memory:
                self._live.console.print(f"memory: {where(each)}: {in_words(each.memory)}")
        self._live.update("memory counted; timing")

    def paired(self, trial: Trial, elapsed: float) -> None:
        judged = judge_trial(trial)
        counts = ", ".join(
            f"{sum(each.outcome == word for each in judged.variants)} {word}"
            for word in ("slower", "faster", "same", "cannot tell")
        )
        budget = trial.header.options.budget
        self._live.update(f"pair {len(trial.pairs)}, {elapsed:.0f} of at most {budget:.0f} s: {counts}")
