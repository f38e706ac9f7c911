"""pytest-benchmark: a test for each statement."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from studies.instrument.peers.question import SETUP, STATEMENTS, function, identifier
from studies.instrument.peers.tool import DRY, Answer, Reading, Settings, Tool, answer_of

_WITHOUT_RAW_DATA = """\
def pytest_benchmark_update_json(config, benchmarks, output_json):
    for benchmark in output_json['benchmarks']:
        del benchmark['stats']['data']
"""


class PytestBenchmark(Tool):
    """A test with the `benchmark` fixture for each statement, its median, `max_time` to fill the share.

    The call of the function that the fixture gets is part of its times. Its warmup is on. Without warmup,
    one cold call decides the number of rounds, and a function of 3 µs gets a thirtieth of `max_time`. A hook
    leaves the raw data out of the JSON file, since writing them takes time from measuring. The tool has no
    test for a difference.
    """

    name = "pytest-benchmark"
    fixed = 2.0
    counts = True
    dry = (DRY / 4, DRY)
    # Seconds of wall time for a second of `max_time`: rounds of 5 µs take time, and so does sorting them.
    stretch = 1.3

    def calibrate(self, readings: Sequence[Reading]) -> None:
        less, more = readings
        apart = len(STATEMENTS) * (more.settings["max_time"] - less.settings["max_time"])
        self.stretch = max(1.0, (more.wall - less.wall) / apart)
        super().calibrate(readings)

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        return {"max_time": self.room(budget, fixed, crowd) / self.stretch / len(STATEMENTS)}

    def measured(self, settings: Settings) -> float:
        return self.stretch * len(STATEMENTS) * settings["max_time"]

    def prepare(self, folder: Path, settings: Settings) -> None:
        tests = [
            f"def test_{identifier(name)}(benchmark):\n"
            + textwrap.indent(function("def statement(x=x):", statement), "    ")
            + "    benchmark(statement)\n"
            for name, statement in STATEMENTS.items()
        ]
        (folder / "test_question.py").write_text("\n".join([SETUP, *tests]))
        (folder / "conftest.py").write_text(_WITHOUT_RAW_DATA)

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", ".", "--benchmark-only", "--benchmark-json", "answer.json"),
            *("--benchmark-max-time", str(settings["max_time"])),
            *("--benchmark-warmup=on", "--benchmark-warmup-iterations=1000", "test_question.py"),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        found = json.loads((folder / "answer.json").read_text())["benchmarks"]
        medians = {each["name"]: each["stats"]["median"] for each in found}
        return answer_of({name: medians[f"test_{identifier(name)}"] for name in STATEMENTS})
