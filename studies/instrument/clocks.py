"""Identical code by two clocks: in one process alone, in two side by side, and in two beside busy processes.

`python -m studies.instrument.clocks CONDITION SEED` is one process. It prints a line of JSON per statement.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy

from gradbench.measure.process import KEEP_PAGES
from gradbench.measure.processor_time import CLOCKS
from gradbench.measure.processors import physical_cores
from gradbench.record.results import BATCH_SECONDS
from studies.files import Log
from studies.instrument.variants import with_twin

FILENAME = "clocks.jsonl"
# Processes on each core in a condition, and seconds of rounds by each clock.
PROCESSES, SECONDS = 6, 0.8
CONDITIONS = ("alone", "side by side", "busy")

CHAIN = "torch.exp(torch.sin(x ** 2))"
STATEMENTS = {
    "chain, 100 elements": (f"y = {CHAIN}", 100),
    "chain, 10,000": (f"y = {CHAIN}", 10_000),
    "matrix product, 400 × 400": ("y = x.view(400, 400) @ x.view(400, 400)", 160_000),
    "chain, 1,000,000": (f"y = {CHAIN}", 1_000_000),
    "chain and backward, 1,000,000": (f"{CHAIN}.sum().backward()", 1_000_000),
}

Array = numpy.ndarray[Any, Any]
# From rounds of the twin and of the baseline to a log-ratio; the first is the product's.
ESTIMATORS: dict[str, Callable[[Array, Array], float]] = {
    "median of paired ratios": lambda twin, base: float(numpy.median(twin - base)),
    "trimmed mean of paired ratios": lambda twin, base: _trimmed(twin - base),
    "ratio of medians": lambda twin, base: float(numpy.median(twin) - numpy.median(base)),
    "ratio of lowest tenths": lambda twin, base: float(numpy.quantile(twin, 0.1) - numpy.quantile(base, 0.1)),
}


def _trimmed(values: Array) -> float:
    quarter = len(values) // 4
    return float(numpy.mean(numpy.sort(values)[quarter : len(values) - quarter]))


class Clocked(msgspec.Struct, frozen=True):
    """The times of a statement and its twin in one process.

    Attributes:
        machine: its processor.
        seconds: per call, by the median of processor time.
        off: the log-ratio of the twin by clock and estimator; the truth is 0.
    """

    condition: str
    statement: str
    seed: int
    machine: str
    seconds: float
    off: dict[str, dict[str, float]]


def observe(condition: str, seed: int, statement: str) -> Clocked:
    """Time a statement and its twin in turn, in rounds of both clocks."""
    from gradbench.measure.calibration import calibrate
    from gradbench.measure.environment import observe as observe_machine
    from gradbench.measure.variant import ReadyVariant, prepare

    code, numel = STATEMENTS[statement]
    compared = with_twin("clocks", code, {"other": code, "another": code}, numel)
    shared = prepare(compared)
    dice = random.Random(seed)
    variants = [ReadyVariant(each, shared) for each in compared.variants if each.role != "empty"]
    dice.shuffle(variants)
    calls = calibrate(variants[0].long_batch("wall"), BATCH_SECONDS)
    times: dict[str, dict[str, list[float]]] = {
        clock: {each.variant.role: [] for each in variants} for clock in CLOCKS
    }
    gc.disable()
    until = time.perf_counter() + SECONDS * len(CLOCKS)
    while time.perf_counter() < until:
        for clock in CLOCKS:
            dice.shuffle(variants)
            for each in variants:
                times[clock][each.variant.role].append(each.long_batch(clock)(calls) / calls)
    off: dict[str, dict[str, float]] = {}
    seconds = 0.0
    for name, by_role in times.items():
        base, twin = (numpy.log(numpy.maximum(by_role[role], 1e-3)) for role in ("baseline", "twin"))
        off[name] = {each: estimate(twin, base) for each, estimate in ESTIMATORS.items()}
        seconds = float(numpy.exp(numpy.median(base))) / 1e9
    return Clocked(condition, statement, seed, observe_machine().processor, seconds, off)


# Computes on what lies in its caches, and copies what does not.
_BUSY = """\
import numpy
data = numpy.ones(3_000_000)
while True:
    data * 1.0
    sum(range(200_000))
"""


def study(data: Path, log: Log) -> None:
    """Fresh processes in each condition; a line of JSON for each statement."""
    cores = list(physical_cores())[:2]
    with (data / FILENAME).open("w") as file:
        for condition in CONDITIONS:
            log(f"clocks: {condition}")
            crowd = [_bound([sys.executable, "-c", _BUSY], core) for core in cores if condition == "busy"]
            try:
                for seed in range(PROCESSES if condition != "alone" else PROCESSES * len(cores)):
                    at_once = cores[:1] if condition == "alone" else cores
                    made = [_process(condition, seed, core) for core in at_once]
                    for each in made:
                        file.write(each.communicate()[0])
                        assert each.returncode == 0
            finally:
                for each in crowd:
                    each.kill()
                    each.wait()


def _process(condition: str, seed: int, core: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "studies.instrument.clocks", condition, f"{seed}{core}"]
    environment = os.environ | KEEP_PAGES | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(seed)}
    return _bound(command, core, env=environment, stdout=subprocess.PIPE, text=True)


def _bound(command: list[str], core: int, **options: Any) -> subprocess.Popen[Any]:
    made = subprocess.Popen(command, **options)
    os.sched_setaffinity(made.pid, {core})
    return made


def main(condition: str, seed: int) -> None:
    """Observe every statement in this process, in random order."""
    import torch

    torch.set_num_threads(1)
    statements = list(STATEMENTS)
    random.Random(seed).shuffle(statements)
    for statement in statements:
        print(msgspec.json.encode(observe(condition, seed, statement)).decode())


def scatter(found: Sequence[Clocked]) -> dict[tuple[str, str, str, str], float]:
    """The root mean square of the twin's log-ratio, by condition, statement, clock and estimator."""
    rows: dict[tuple[str, str, str, str], list[float]] = {}
    for each, clock, name in itertools.product(found, CLOCKS, ESTIMATORS):
        rows.setdefault((each.condition, each.statement, clock, name), []).append(each.off[clock][name])
    return {key: float(numpy.sqrt(numpy.mean(numpy.square(values)))) for key, values in rows.items()}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
