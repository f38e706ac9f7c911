"""The effect of the previous variant on the next one: batches as in the product, with their order recorded.

The product shuffles the variants of every round, so no variant always follows the same other one. One bias
remains: within a round a variant never follows itself. This trial bounds that bias.

Run as `python -m studies.instrument.order NUMEL SECONDS SEED`: one process, one line of JSON.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy

from gradbench.measure.process import KEEP_PAGES
from gradbench.record.results import BATCH_SECONDS
from studies.files import Log
from studies.instrument.variants import comparison, variant

FILENAME = "order.jsonl"
PROCESSES, SECONDS = 8, 2.0
SIZES = (100, 10_000, 1_000_000, 4_000_000)
VARIANTS = {
    "multiply": "y = x * 2.0",
    "multiply, twin": "y = x * 2.0",
    "copy": "y = x.clone()",
    "chain": "y = torch.exp(torch.sin(x ** 2))",
    "no_grad": "with torch.no_grad():\n    y = x * 2.0",
}


class Carried(msgspec.Struct, frozen=True):
    """The effect of predecessors on variants, in one process.

    Attributes:
        effect: by variant and predecessor, the log of a ratio: the median time after the predecessor ÷ the
            variant's median over all.
        bias: by variant, the log-ratio to `multiply` that comes from its predecessors alone.
    """

    numel: int
    seed: int
    effect: dict[str, dict[str, float]]
    bias: dict[str, float]


def observe(numel: int, seconds: float, seed: int) -> Carried:
    """Time batches in random order for so long."""
    from gradbench.measure.calibration import calibrate
    from gradbench.measure.variant import ReadyVariant, prepare

    variants = [variant(name, statement, setup="x = base") for name, statement in VARIANTS.items()]
    shared = prepare(comparison("order", variants, numel))
    batches = {each.name: ReadyVariant(each, shared).batch for each in variants}
    calls = {name: calibrate(batch, BATCH_SECONDS) for name, batch in batches.items()}
    dice = random.Random(seed)
    names = list(batches)
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    before = names[-1]
    gc.disable()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        dice.shuffle(names)
        for name in names:
            times[name, before].append(batches[name](calls[name]))
            before = name
    effect: dict[str, dict[str, float]] = {}
    for name in batches:
        others = {other: numpy.median(times[name, other]) for other in batches if times[name, other]}
        middle = numpy.median([each for other in batches for each in times[name, other]])
        effect[name] = {other: float(numpy.log(value / middle)) for other, value in others.items()}
    # Mean over the predecessors that a variant has in a round: all but itself, equally often.
    mean = {
        name: float(numpy.mean([value for other, value in effects.items() if other != name]))
        for name, effects in effect.items()
    }
    everything = {name: float(numpy.mean(list(effects.values()))) for name, effects in effect.items()}
    left = {name: mean[name] - everything[name] for name in effect}
    return Carried(numel, seed, effect, {name: left[name] - left["multiply"] for name in left})


def study(data: Path, log: Log) -> None:
    """Fresh processes for each size; one line of JSON each."""
    log(f"order: {PROCESSES} processes at each of {len(SIZES)} sizes")
    with (data / FILENAME).open("w") as file:
        for numel, seed in itertools.product(SIZES, range(PROCESSES)):
            subprocess.run(
                [sys.executable, "-m", "studies.instrument.order", str(numel), str(SECONDS), str(seed)],
                env=os.environ | KEEP_PAGES | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(seed)},
                check=True,
                stdout=file,
            )


if __name__ == "__main__":
    numel, seconds, seed = sys.argv[1:]
    print(msgspec.json.encode(observe(int(numel), float(seconds), int(seed))).decode())
