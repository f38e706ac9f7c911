"""A tool that answers the question: its settings from its budget, its command and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from studies.instrument.peers.process import Failed
from studies.instrument.peers.question import GROUPS, TRUTH

# Seconds of measuring in a dry call: enough for two values of each statement by pyperf.
DRY = 3.0

Settings = dict[str, float]


class Reading(msgspec.Struct, frozen=True):
    """One answer of one tool.

    Attributes:
        repetition: from 1; 0 for a condition that could not be made here.
        wall: seconds of wall time, from the start of the tool's process to its end.
        seconds: per call, by statement.
        ratios: of `again` and `more` to `a`, by statement.
        verdicts: the tool's verdict on `again` against `a`, by statement: `different`, `same`,
            `cannot tell`; None if the tool has no rule.
        settings: the settings of the run.
        error: the reason for a missing answer; None if there is an answer.
    """

    tool: str
    condition: str
    repetition: int
    wall: float
    seconds: dict[str, float] = {}
    ratios: dict[str, float] = {}
    verdicts: dict[str, str | None] = {}
    settings: Settings = {}
    error: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A tool's answer; the fields are those of Reading."""

    seconds: dict[str, float]
    ratios: dict[str, float]
    verdicts: dict[str, str | None]


def answer_of(seconds: dict[str, float], verdicts: Sequence[str | None] = (None, None)) -> Answer:
    """The answer of a tool that times statements one by one: its ratios are quotients of its times.

    Args:
        verdicts: one per group, in the order of the groups.
    """
    ratios = {name: seconds[name] / seconds[f"{name.partition('/')[0]}/a"] for name in TRUTH}
    return Answer(seconds, ratios, dict(zip((f"{group}/again" for group in GROUPS), verdicts, strict=True)))


class Tool:
    """A tool that answers the question.

    Its wall time is `crowd` times `fixed` for each start, and the measuring.

    Attributes:
        fixed: seconds of wall time that one start takes besides measuring, on a free core.
        counts: it does a number of loops fixed beforehand, which take longer on a crowded core; other
            tools watch the clock.
        dry: seconds of measuring in each of its dry calls; a tool that gets the time of its end needs none.
    """

    name = ""
    fixed = 0.3
    counts = False
    dry: tuple[float, ...] = ()

    def calibrate(self, readings: Sequence[Reading]) -> None:
        """Learn `fixed` from the dry calls."""
        self.fixed = self.learn(readings[-1].wall, readings[-1].settings, 1)

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        """Settings that use up the budget. Raises Failed where it is too small for any."""
        return {"seconds": self.room(budget, fixed, crowd)}

    def room(self, budget: float, fixed: float, crowd: int, starts: float = 1.0) -> float:
        """Seconds of measuring that a budget leaves. Raises Failed where it leaves none."""
        room = budget / crowd - starts * fixed if self.counts else budget - crowd * starts * fixed
        if room <= 0:
            raise Failed(f"{budget:g} s are too few: its start takes {crowd * starts * fixed:.1f} s")
        return room

    def measured(self, settings: Settings) -> float:
        """Seconds that the settings take on a free core, start-up aside."""
        return settings["seconds"]

    def starts(self, settings: Settings) -> float:
        """How often the settings pay `fixed`."""
        return 1.0

    def learn(self, wall: float, settings: Settings, crowd: int) -> float:
        """The `fixed` that explains a reading's wall time."""
        measured = self.measured(settings) * (crowd if self.counts else 1)
        return (wall - measured) / (crowd * self.starts(settings))

    def environment(self, folder: Path) -> dict[str, str]:
        """Environment variables that the tool needs besides the inherited ones."""
        return {}

    def prepare(self, folder: Path, settings: Settings) -> None:
        """Write the tool's files. This is no part of its time."""

    def command(self, settings: Settings, started: float) -> list[str]:
        """The command that answers the question, run in the folder; `started` is `time.time()`."""
        raise NotImplementedError

    def answer(self, folder: Path, printed: str) -> Answer:
        """The answer, from the tool's output or its files in the folder."""
        raise NotImplementedError
