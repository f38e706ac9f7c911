"""The quick plan's cells for pytest-benchmark: `pytest --benchmark-only` from the root.

A test is one method on one workload at one size. What it gives pytest-benchmark is not a function to be
called in a loop, which would add the price of the loop and of a Python call (tens of nanoseconds) to each
call, but the time per call of batches that were timed as in a run: in a generated loop, net of the empty
one, in turns with the baseline. `extra_info` has what pytest-benchmark has no field for.
"""

import math
from functools import partial

import numpy
import pytest
import torch

from gradbench import format
from gradbench.define.metrics import METRICS, measured_metrics
from gradbench.define.planner import plan_run
from gradbench.guard.interleave import BASELINE, BLOCKS, CANDIDATE, EMPTY, Interleaved, copy_of
from gradbench.measure.checks import check_answer, check_variant
from gradbench.measure.memory import measure_memory
from gradbench.measure.metrics import measure_figure
from gradbench.measure.variant import ReadyVariant, expected_answer, prepare
from gradbench.pytest_plugin import SENTENCE
from gradbench.record.plan import Request

# Of rounds, for each cell; there are about 120.
SECONDS = 0.25

BYTES = [metric.name for metric in METRICS if metric.unit == "B" and metric.exact and not metric.accelerator]
CELLS = {
    (comparison.name, comparison.numel, variant.name): (comparison, variant)
    for comparison in plan_run(Request(preset="quick")).comparisons
    for variant in comparison.variants
    if variant.role in ("baseline", "method")
}


class Replay:
    """The clock that pytest-benchmark reads: it advances by what a call took in each batch."""

    def __init__(self):
        self._now = 0.0

    def read(self):
        return self._now

    def play(self, seconds):
        self._now += next(seconds)


CLOCK = Replay()


@pytest.fixture(autouse=True)
def one_thread():
    """One thread, as in a run without --threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ready():
    """Make variants of a comparison that have shown that they do what they promise, and let go of them."""
    made = []

    def make(comparison, *variants):
        shared = prepare(comparison)
        for variant in variants:
            made.append(ReadyVariant(variant, shared))
            y = check_variant(made[-1], comparison)
            answer = expected_answer(comparison, variant, shared)
            if answer is not None:
                check_answer(y, answer, comparison)
        return made

    yield make
    for each in made:
        each.close()


@pytest.mark.benchmark(timer=CLOCK.read)
@pytest.mark.parametrize(
    ("workload", "elements", "method"), [pytest.param(*cell, id="-".join(map(str, cell))) for cell in CELLS]
)
def test_cell(workload, elements, method, benchmark, ready, ratio_guard, request):
    benchmark.group = f"{workload} {elements:,}"
    comparison, variant = CELLS[workload, elements, method]
    by_role = {each.role: each for each in comparison.variants}
    variants = ready(comparison, variant, by_role["baseline"], by_role["twin"], by_role["empty"])
    if benchmark.disabled:
        benchmark(variants[CANDIDATE].run)
        return
    interleaved = Interleaved(*(partial(copy_of, each.batch) for each in variants), seed=0)
    interleaved.take(max(2 * BLOCKS, round(SECONDS / interleaved.round_seconds)), math.inf)
    times = numpy.array(interleaved.times)
    net = (times[:, CANDIDATE] - numpy.median(times[:, EMPTY])) / 1e9
    benchmark.pedantic(CLOCK.play, args=(iter(net.tolist()),), rounds=len(net))

    blocks = interleaved.blocks()
    found, (floor, _) = blocks.ratio(CANDIDATE, BASELINE, 0.95), blocks.twin()
    memory = measure_memory(variants[CANDIDATE], comparison.id) if variant.counted else None
    benchmark.extra_info |= {
        "statement": variant.statement,
        "setup": variant.setup,
        "dtype": comparison.dtype,
        "elements": comparison.numel,
        "calls": interleaved.calls[CANDIDATE],
        "baseline": by_role["baseline"].name,
        "ratio": found.mean,
        "ratio_low": found.low,
        "ratio_high": found.high,
        "ratio_rounds": len(interleaved.times),
        "ratio_floor": floor,
        "bytes": memory and {name: getattr(memory, name) for name in BYTES},
        **{
            metric.name: measure_figure(metric, variants[CANDIDATE], comparison.id).value
            for metric in measured_metrics()
        },
    }
    # pytest-benchmark's table has times only, and they drift; our plugin lists this above it.
    said = f"{format.ratio_with_ends(found)} times {by_role['baseline'].name}, in turns"
    request.node.user_properties.append((SENTENCE, said))
    ratio_guard(benchmark)
