"""pyperf: a script of its Runner, in many processes."""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.instrument.peers.process import Failed, execute
from studies.instrument.peers.question import GROUPS, SETUP, STATEMENTS
from studies.instrument.peers.tool import DRY, Answer, Reading, Settings, Tool, answer_of


class Pyperf(Tool):
    """`Runner.timeit` in worker processes, and the mean of all values, which it reports.

    Its documentation asks for many processes, 20 by default, with 1 warmup and 3 values each. Every process
    imports torch, which is its real price here. So it gets as many processes as the budget holds. The rest of
    the budget goes into more values. The number of loops follows its rule: the first power of two above its
    `min_time` of 0.1 s. We find it before the study, which saves a process per statement. The verdict is that
    of `pyperf compare_to`, a t-test over all values. It leaves open a difference that is not significant.
    """

    name = "pyperf"
    fixed = 7.0
    counts = True
    dry = (DRY,)
    values = 3
    min_time = 0.1

    def __init__(self) -> None:
        # A guess, until the dry call has measured them.
        self.speeds = {name: (350e-9 if name.startswith("short") else 3e-6) for name in STATEMENTS}

    def calibrate(self, readings: Sequence[Reading]) -> None:
        (found,) = readings
        value = sum(self.loops(name) * speed for name, speed in found.seconds.items())
        values = found.settings["warmups"] + found.settings["values"]
        self.fixed = found.wall / found.settings["processes"] - values * value
        self.speeds = found.seconds

    def loops(self, name: str) -> int:
        """The number of loops of a value."""
        return 1 << max(0, math.ceil(math.log2(self.min_time / self.speeds[name])))

    def _value(self) -> float:
        """Seconds of one value of every statement."""
        return sum(self.loops(name) * speed for name, speed in self.speeds.items())

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        least = fixed + (1 + self.values) * self._value()
        processes = max(1, int(budget / crowd / least))
        left = self.room(budget, fixed, crowd, processes)
        values = int(left / processes / self._value()) - 1
        if values < 1:
            raise Failed(f"{budget:g} s are too few for one process a statement of one value each")
        return {"processes": processes, "values": values, "warmups": 1}

    def measured(self, settings: Settings) -> float:
        return settings["processes"] * (settings["warmups"] + settings["values"]) * self._value()

    def starts(self, settings: Settings) -> float:
        return settings["processes"]

    def prepare(self, folder: Path, settings: Settings) -> None:
        loops = {name: self.loops(name) for name in STATEMENTS}
        # Its workers run the script again, with --worker and the loops that the parent decided on.
        (folder / "question.py").write_text(
            "import pyperf\n"
            "runner = pyperf.Runner()\n"
            "args = runner.parse_args()\n"
            f"for name, statement in {STATEMENTS!r}.items():\n"
            "    if not args.worker:\n"
            f"        args.loops = {loops!r}[name]\n"
            f"    runner.timeit(name, statement, {SETUP!r})\n"
        )

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "question.py", "--quiet", "--output", "answer.json"),
            *("--processes", str(int(settings["processes"])), "--values", str(int(settings["values"]))),
            *("--warmups", str(int(settings["warmups"]))),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        suite = json.loads((folder / "answer.json").read_text())
        found = {each["metadata"]["name"]: each for each in suite["benchmarks"]}
        seconds = {
            name: statistics.fmean(value for each in found[name]["runs"] for value in each.get("values", ()))
            for name in STATEMENTS
        }
        verdicts = [
            self._verdict(folder, suite, found[f"{group}/a"], found[f"{group}/again"]) for group in GROUPS
        ]
        return answer_of(seconds, verdicts)

    @staticmethod
    def _verdict(folder: Path, suite: Any, *pair: Any) -> str:
        files = []
        for number, benchmark in enumerate(pair):
            # Only benchmarks of one name are compared.
            metadata = benchmark["metadata"] | {"name": "statement"}
            files.append(f"{number}.json")
            alone = suite | {"benchmarks": [benchmark | {"metadata": metadata}]}
            (folder / files[-1]).write_text(json.dumps(alone))
        judged = execute([sys.executable, "-m", "pyperf", "compare_to", "--verbose", *files], folder, {})
        if "not significant" in judged.lower():
            return "cannot tell"
        if "Significant" in judged:
            return "different"
        raise Failed("pyperf compare_to gave no verdict")
