"""timeit and torch.utils.benchmark: libraries, each called by a script that watches the clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from studies.instrument.peers.question import SETUP, STATEMENTS
from studies.instrument.peers.tool import Answer, Settings, Tool, answer_of


class _Script(Tool):
    """A script that gets the time of its end. It shares the time left evenly among the statements left."""

    body = ""

    def prepare(self, folder: Path, settings: Settings) -> None:
        (folder / "question.py").write_text(
            "import json, sys, time\n"
            f"{self.body}"
            "import torch\n"
            f"setup = {SETUP!r}\n"
            f"statements = {STATEMENTS!r}\n"
            "until = float(sys.argv[1])\n"
            "seconds = {}\n"
            "for name, statement in statements.items():\n"
            "    share = (until - time.time()) / (len(statements) - len(seconds))\n"
            "    seconds[name] = measure(statement, setup, share)\n"
            "print(json.dumps(seconds))\n"
        )

    def command(self, settings: Settings, started: float) -> list[str]:
        return [sys.executable, "question.py", str(started + settings["seconds"])]

    def answer(self, folder: Path, printed: str) -> Answer:
        return answer_of(json.loads(printed))


class Timeit(_Script):
    """`timeit.Timer.autorange`, then `repeat`, and the best of the repeats.

    `python -m timeit` does and reports the same, with 5 repeats. Here the share of time decides the number of
    repeats. The documentation advises the minimum.
    """

    name = "timeit"
    body = """\
import timeit
def measure(statement, setup, share):
    began = time.time()
    timer = timeit.Timer(statement, setup)
    number, took = timer.autorange()
    repeats = max(1, round((share - (time.time() - began)) / took))
    return min(timer.repeat(repeats, number)) / number
"""


class TorchBenchmark(_Script):
    """`Timer.blocked_autorange` with the share of time as `min_run_time`, and the median of its blocks.

    The documentation recommends `blocked_autorange` over `timeit`, and the median is what a Measurement
    prints. It has no test for a difference; `Compare` only colours a table.
    """

    name = "torch.utils.benchmark"
    body = """\
def measure(statement, setup, share):
    from torch.utils.benchmark import Timer
    return Timer(statement, setup).blocked_autorange(min_run_time=max(0.01, share)).median
"""
