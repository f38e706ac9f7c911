"""The readings: every tool answers the question, in every condition, in turns."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from studies.files import Log, new_writer
from studies.instrument.peers.asv import Asv
from studies.instrument.peers.conditions import CONDITIONS, busy, missing
from studies.instrument.peers.gradbench import Gradbench
from studies.instrument.peers.process import Failed, execute
from studies.instrument.peers.pyperf import Pyperf
from studies.instrument.peers.pytest_benchmark import PytestBenchmark
from studies.instrument.peers.scripts import Timeit, TorchBenchmark
from studies.instrument.peers.tool import Reading, Settings, Tool

FILENAME = "peers.jsonl"
TOOLS: tuple[type[Tool], ...] = (Timeit, TorchBenchmark, PytestBenchmark, Pyperf, Asv, Gradbench)

# Seconds for one question, and questions to each tool; together about half an hour.
BUDGET = 14.0
REPETITIONS = {"quiet": 8, "other core busy": 4, "same core busy": 2}
# The share of the budget that tools which do not watch the clock aim at: a busy moment makes their start-up
# longer, never shorter.
AIM = 0.96


def ask(tool: Tool, condition: str, repetition: int, budget: float, fixed: float) -> Reading:
    """One reading; `budget` as in `study`, `fixed` as in Tool, for this condition."""
    kind = CONDITIONS[condition]
    budget *= kind.crowd
    wall = 0.0
    settings: Settings = {}
    try:
        settings = tool.settings(budget * (AIM if tool.dry else 1.0), fixed, kind.crowd)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tool.prepare(folder, settings)
            with busy(kind.busy):
                started = time.time()
                command = tool.command(settings, started)
                try:
                    printed = execute(command, folder, tool.environment(folder), 60 + 4 * budget, kind.core)
                finally:
                    wall = time.time() - started
            answer = tool.answer(folder, printed)
    except Failed as error:
        return Reading(tool.name, condition, repetition, wall, settings=settings, error=str(error))
    except (OSError, LookupError, ValueError, msgspec.MsgspecError) as error:
        why = f"its answer cannot be read: {type(error).__name__}"
        return Reading(tool.name, condition, repetition, wall, settings=settings, error=why)
    return Reading(
        *(tool.name, condition, repetition, wall, answer.seconds, answer.ratios, answer.verdicts, settings)
    )


def dry_calls(tools: Sequence[Tool], log: Log) -> None:
    """Learn the start-up time of each tool that does not watch the clock."""
    for tool in tools:
        found = [ask(tool, "quiet", 0, tool.fixed + room, tool.fixed) for room in tool.dry]
        wrong = next((reading.error for reading in found if reading.error is not None), None)
        if wrong is not None:
            log(f"dry call of {tool.name}: {wrong}")
        elif found:
            tool.calibrate(found)
            log(f"dry call of {tool.name}: {tool.fixed:.1f} s besides measuring")


def study(data: Path, log: Log, budget: float = BUDGET, repetitions: Mapping[str, int] = REPETITIONS) -> None:
    """Ask every tool in each condition, and write one line of JSON per reading.

    Conditions take turns. The tools within a condition take turns in a new order every time. So the drift of
    the machine is the same for all. A condition that cannot be made here is recorded once.

    Args:
        budget: seconds of wall time for one question, start-up included. On a shared core it is multiplied
            by the number of processes, because some tools could not even start in the budget.
        repetitions: by condition; a condition that is left out is not made.
    """
    tools = [kind() for kind in TOOLS]
    dry_calls(tools, log)
    fixed = {(tool.name, condition): tool.fixed for tool in tools for condition in CONDITIONS}
    with closing(new_writer(data / FILENAME)) as writer:
        for condition, repetition in _turns(repetitions):
            why = missing(CONDITIONS[condition])
            if why is not None and repetition > 1:
                continue
            random.Random(f"{condition}/{repetition}").shuffle(tools)
            for tool in tools:
                key = tool.name, condition
                if why is None:
                    reading = ask(tool, condition, repetition, budget, fixed[key])
                else:
                    reading = Reading(tool.name, condition, 0, 0.0, error=why)
                writer.write(reading)
                log(f"{condition} {repetition}: {tool.name}: {reading.error or f'{reading.wall:.1f} s'}")
                if reading.error is None:
                    learned = tool.learn(reading.wall, reading.settings, CONDITIONS[condition].crowd)
                    fixed[key] = (fixed[key] + learned) / 2


def _turns(repetitions: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Conditions and the number of their repetition, in turns."""
    for repetition in range(1, max(repetitions.values(), default=0) + 1):
        yield from ((name, repetition) for name, times in repetitions.items() if repetition <= times)
