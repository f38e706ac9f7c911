"""Simulated machines whose truth is known: does a 95 % interval cover it in 95 % of runs?

A simulated run goes through the code of a real run, from the times of batches to the interval. That code is
`visit_times` for each visit, and `summarise` for the run. Only the clock is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy

from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.stats import p_values
from gradbench.analyse.summary import summarise
from gradbench.measure.visit import visit_times
from gradbench.record.environment import Environment
from gradbench.record.lines import SCHEMA
from gradbench.record.plan import Plan, Request
from gradbench.record.results import FORMAT, Header, Options, Results
from gradbench.record.visits import Visit
from studies.files import Log, new_writer
from studies.instrument.variants import called_different, named, with_twin

Array = numpy.ndarray[Any, Any]

FILENAME = "simulation.jsonl"

# Seconds per call of the variants, and the seconds of the empty loop in each call.
CALL, EMPTY = 350e-9, 6e-9
EFFECT = 1.05
VARIANTS = {"baseline": 1.0, "twin": 1.0, "same": 1.0, "slower": EFFECT}
CALLS = 140


@dataclass(frozen=True)
class Regime:
    """A kind of machine.

    Attributes:
        flaw: the flaw of the machine, in words.
        passes: processes in a run.
        rounds: in a visit.
        noise: per batch, a factor: (rng, rounds x variants) -> array of that shape.
        bias: per process, a factor for each variant: (rng, variants) -> array; its mean log is 0,
            or `shift` for the variant `slower`.
        common: a factor over time that all batches share: (rng, batches) -> array.
        shift: mean of the log bias of the variant `slower`, which is part of the truth.
    """

    name: str
    flaw: str
    passes: int
    noise: Callable[[numpy.random.Generator, tuple[int, int]], Array]
    bias: Callable[[numpy.random.Generator, int], Array] | None = None
    common: Callable[[numpy.random.Generator, int], Array] | None = None
    rounds: int = 60
    shift: float = 0.0


def _small(rng: numpy.random.Generator, shape: tuple[int, int]) -> Array:
    return numpy.exp(rng.normal(0.0, 0.005, shape))


def _tails(rng: numpy.random.Generator, shape: tuple[int, int]) -> Array:
    """Interruptions only ever add; a Pareto tail of index 1.5 has no variance."""
    return 1 + 0.005 * rng.pareto(1.5, shape)


def _bursts(rng: numpy.random.Generator, shape: tuple[int, int]) -> Array:
    hit = rng.random(shape) < 0.1
    return _small(rng, shape) * numpy.where(hit, 1 + rng.exponential(2.0, shape), 1.0)


def _drift(rng: numpy.random.Generator, batches: int) -> Array:
    """A walk between 1 and 1.6, as shared machines show within seconds."""
    walk = numpy.cumsum(rng.normal(0.0, 0.02, batches)) + rng.uniform(0, 2)
    return numpy.exp(math.log(1.6) * numpy.abs((walk % 2.0) - 1.0))


def _stretches(rng: numpy.random.Generator, batches: int) -> Array:
    """Another process takes the core for a while: a fifth of the time everything takes twice as long."""
    length = 15
    blocks = rng.random(-(-batches // length)) < 0.2
    return numpy.where(numpy.repeat(blocks, length)[:batches], 2.0, 1.0)


def _layout(rng: numpy.random.Generator, variants: int) -> Array:
    return numpy.exp(rng.normal(0.0, 0.01, variants))


def _skewed(rng: numpy.random.Generator, variants: int) -> Array:
    return numpy.exp(0.01 * (rng.exponential(1.0, variants) - 1.0))


def _modes(share: float, size: float) -> Callable[[numpy.random.Generator, int], Array]:
    """In a share of the processes the last variant alone is slower, beside a little scatter of all."""

    def bias(rng: numpy.random.Generator, variants: int) -> Array:
        factors = numpy.exp(rng.normal(0.0, 0.003, variants))
        factors[-1] *= 1 + size * (rng.random() < share)
        return factors

    return bias


REGIMES = (
    Regime("quiet", "batches scatter by 0.5 %", 10, _small),
    Regime("drift", "the speed of the machine wanders between 1 and 1.6", 10, _small, common=_drift),
    Regime("stretches", "a fifth of the time all takes twice as long", 10, _small, common=_stretches),
    Regime("bursts", "one batch in ten takes about three times as long", 10, _bursts),
    Regime("heavy tails", "interruptions with a Pareto tail of index 1.5, without variance", 10, _tails),
    Regime("layout", "each process biases each variant by 1 %", 10, _small, _layout),
    Regime("skewed layout", "the same, with an exponential distribution", 10, _small, _skewed),
    Regime("three passes", "layout, and only three passes", 3, _small, _layout),
    Regime("five passes", "layout, and five passes", 5, _small, _layout),
    Regime("two passes", "layout, and only two passes", 2, _small, _layout),
    Regime("two passes, drift", "the same, on a machine whose speed wanders", 2, _small, _layout, _drift),
    Regime("few rounds", "layout, and five rounds a visit", 10, _bursts, _layout, rounds=5),
    Regime("two modes", "in 3 of 10 processes one variant is 3 % slower", 10, _small,
           _modes(0.3, 0.03), shift=0.3 * math.log(1.03)),
    Regime("all at once", "drift, tails and layout together", 10, _tails, _layout, _drift),
    Regime("rare mode", "in 1 of 20 processes one variant is 5 % slower", 10, _small,
           _modes(0.05, 0.05), shift=0.05 * math.log(1.05)),
)  # fmt: skip


class Coverage(msgspec.Struct, frozen=True):
    """The outcome of the simulated runs of a regime.

    Attributes:
        covered: share of the runs whose interval for the variant `slower` holds the truth.
        width: median half width of that interval, as a fraction.
        bias: mean of the estimated log-ratio, less the truth.
        alarms: share of the runs in which the p of the variant `same` is below 0.05, before any correction.
        false: share of the runs in which the variant `same` is called slower or faster.
        found: share of the runs in which the variant `slower` is called slower.
    """

    regime: str
    flaw: str = msgspec.field(name="says")
    runs: int
    passes: int
    covered: float
    width: float
    bias: float
    alarms: float
    false: float
    found: float


_COMPARISON = with_twin("simulated", "", {"same": "", "slower": ""})
HEADER = Header(
    FORMAT, SCHEMA, "", "", "", Request(), Options("simulated", 1, "system", 1.0),
    Environment("", "", "", "", "", 1, 0, "", "", "", "", "", 1, ("cpu",)), Plan((_COMPARISON,)),
)  # fmt: skip


def one_run(regime: Regime, rng: numpy.random.Generator) -> ComparisonSummary:
    """Simulate one run of a regime, and summarise its comparison like that of a real run."""
    results = Results(Path("simulated"), HEADER)
    roles = [each.role for each in _COMPARISON.variants]
    net = CALL * numpy.array([*VARIANTS.values(), 0.0])
    for number in range(1, regime.passes + 1):
        bias = numpy.ones(len(net)) if regime.bias is None else regime.bias(rng, len(net) - 1)
        bias = numpy.append(bias, 1.0)[: len(net)]
        shape = (regime.rounds, len(net))
        times = CALLS * 1e9 * (net * bias + EMPTY) * regime.noise(rng, shape)
        if regime.common is not None:
            # The variants of a round take turns in random order; the common factor follows that order.
            places = rng.permuted(numpy.tile(numpy.arange(len(net)), (regime.rounds, 1)), axis=1)
            times *= numpy.take_along_axis(
                regime.common(rng, regime.rounds * len(net)).reshape(shape), places, axis=1
            )
        variants, error = visit_times(roles, [CALLS] * len(net), numpy.rint(times))
        results.add(
            Visit(number, "simulated", regime.rounds, 1.0, 0.0, error,
                  dict(zip([each.name for each in _COMPARISON.variants], variants, strict=True)))
        )  # fmt: skip
    return summarise(results).comparisons[0]


def _some_runs(name: str, seed: int, runs: int) -> Array:
    """A row for each run of a regime.

    The columns are: low, mean and high of the log-ratio of the variant `slower`, and p of the variant `same`.
    Then come two flags: `same` is called different, and `slower` is called slower.
    """
    regime = next(each for each in REGIMES if each.name == name)
    rng = numpy.random.default_rng([seed, sum(name.encode())])
    rows = []
    for _ in range(runs):
        summary = one_run(regime, rng)
        slower, same = named(summary, "slower"), named(summary, "same")
        p = p_values(numpy.array([list(same.log_ratios.values())]).T)[0]
        ratio = slower.ratio
        ends = (ratio.low, ratio.mean, ratio.high) if ratio is not None else (None, None, None)
        logs = (math.nan if each is None else math.log(each) for each in ends)
        rows.append((*logs, p, called_different(same), slower.verdict == "slower"))
    return numpy.array(rows)


def simulate(regime: Regime, runs: int, pool: ProcessPoolExecutor, parts: int = 8) -> Coverage:
    """Simulate so many runs of a regime."""
    per = -(-runs // parts)
    rows = [pool.submit(_some_runs, regime.name, part, per) for part in range(parts)]
    low, mean, high, p, false, found = numpy.concatenate([each.result() for each in rows]).T
    truth = math.log(EFFECT) + regime.shift
    return Coverage(
        regime=regime.name,
        flaw=regime.flaw,
        runs=len(low),
        passes=regime.passes,
        covered=float(numpy.mean((low <= truth) & (truth <= high))),
        width=float(numpy.median(high - low) / 2),
        bias=float(numpy.mean(mean) - truth),
        alarms=float(numpy.mean(p < 0.05)),
        false=float(numpy.mean(false)),
        found=float(numpy.mean(found)),
    )


def study(data: Path, log: Log, runs: int = 10_000) -> None:
    """Simulate every regime, and write one line of JSON per regime."""
    with closing(new_writer(data / FILENAME)) as writer, ProcessPoolExecutor(2) as pool:
        for regime in REGIMES:
            found = simulate(regime, runs, pool)
            log(f"simulated {found.regime}: {100 * found.covered:.1f} % covered")
            writer.write(found)
