"""From the study's data to its figures. This module has only numbers: no torch, and no drawing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy
from scipy.special import stdtrit
from scipy.stats import binomtest, spearmanr

from gradbench.analyse import stats
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.summary import summarise
from gradbench.measure.processor_time import CLOCKS
from gradbench.record.interval import Interval
from gradbench.record.results import Results
from gradbench.record.visits import Visit
from studies.files import read_analysis, read_records
from studies.instrument.clocks import CONDITIONS, ESTIMATORS, SECONDS, STATEMENTS, Clocked, scatter
from studies.instrument.order import Carried
from studies.instrument.stopping import Stopped
from studies.instrument.variants import called_different, named

Table = list[dict[str, Any]]


def share_interval(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval on a share."""
    found = binomtest(hits, trials).proportion_ci(stats.CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def _timed(path: Path) -> Iterator[tuple[ComparisonSummary, float]]:
    """The comparisons of a run whose baseline was timed, with the baseline's seconds."""
    for each in read_analysis(path).comparisons:
        time = named(each, "baseline").time
        if time is not None:
            yield each, time.mean


def _part_of(results: Results, passes: Iterable[int], copy: str) -> Results:
    """The results of some passes and of one copy of each comparison, as a run."""
    plan = results.header.plan
    chosen = tuple(each for each in plan.comparisons if each.id.rpartition("/")[2] == copy)
    numbers, ids = set(passes), {each.id for each in chosen}
    header = msgspec.structs.replace(results.header, plan=msgspec.structs.replace(plan, comparisons=chosen))
    return replace(
        results,
        header=header,
        visits=[each for each in results.visits if each.number in numbers and each.comparison in ids],
        passes=[each for each in results.passes if each.number in numbers],
        ends=[],
    )


def same(results: Results, per_run: int = 5) -> dict[str, Any]:
    """Identical variants: how often they are called different, before and after the correction."""
    numbers = sorted({visit.number for visit in results.visits})
    groups = [numbers[i : i + per_run] for i in range(0, len(numbers) - per_run + 1, per_run)]
    copies = sorted({each.id.rpartition("/")[2] for each in results.header.plan.comparisons})
    variants = [
        (variant.log_ratios, variant.ratio.mean)
        for each in summarise(results).comparisons
        if (variant := named(each, "same")).ratio is not None
    ]

    def p_values(passes: Sequence[int]) -> Any:
        return stats.p_values(
            numpy.array([[logs.get(number, math.nan) for logs, _ in variants] for number in passes])
        )

    p = p_values(numbers)
    grouped = numpy.array([p_values(group) for group in groups]) < 0.05
    false_runs = [
        any(called_different(named(each, "same")) for each in summarise(run).comparisons)
        for group in groups
        for copy in copies
        for run in [_part_of(results, group, copy)]
    ]
    alarms = int(numpy.sum(p < 0.05))
    off = numpy.abs(numpy.log([ratio for _, ratio in variants]))
    return {
        "comparisons": len(variants),
        "passes": len(numbers),
        "alarms": alarms,
        "alarms_between": share_interval(alarms, len(p)),
        "grouped": float(numpy.mean(grouped)),
        "grouped_trials": grouped.size,
        "grouped_between": share_interval(int(numpy.sum(grouped)), grouped.size),
        "per_run": per_run,
        "copies": len(copies),
        "runs": len(false_runs),
        "false_runs": sum(false_runs),
        "false_runs_between": share_interval(sum(false_runs), len(false_runs)),
        "p": p.tolist(),
        "median_off": float(numpy.median(off)),
        "worst_off": float(off.max()),
    }


def known(path: Path) -> Table:
    """Variants of k and k + 1 calls: the ratio that was found, and the true one."""
    rows = []
    for each, seconds in _timed(path):
        call, _, count = each.comparison.id.partition(" x ")
        times, ratio, twin = int(count), named(each, "more").ratio, named(each, "twin").ratio
        if ratio is None or twin is None:
            continue
        truth = (times + 1) / times
        rows.append(
            {
                "call": call,
                "times": times,
                "seconds": seconds,
                "truth": truth,
                "ratio": ratio,
                "error": ratio.mean / truth - 1,
                "twin": twin,
                # The time per turn besides k calls: t(k) = extra + k c, from k and k + 1.
                "extra": seconds * (1 - times * (ratio.mean - 1)),
            }
        )
    return rows


def power(paths: Sequence[Path]) -> dict[str, Any]:
    """How often ten seconds find 2 % more, and how often they call identical code different."""
    runs = [read_analysis(path) for path in paths]
    cases: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for run in runs:
        for each in run.comparisons:
            cases[each.comparison.id].append(each)
    more = {name: [named(each, "more") for each in found] for name, found in cases.items()}
    ratios = {name: [each.ratio.mean for each in found if each.ratio] for name, found in more.items()}
    same = [named(each, "same") for found in cases.values() for each in found]
    walls = [run.wall for run in runs if run.wall]
    per_pass = float(numpy.median([wall / run.passes for wall, run in zip(walls, runs, strict=True)]))
    return {
        "runs": len(runs),
        "seconds": float(numpy.median(walls)),
        "passes": int(numpy.median([run.passes for run in runs])),
        "found": {name: sum(each.verdict == "slower" for each in found) for name, found in more.items()},
        "calls": {
            name: float(numpy.median([each.time.mean for each in found if each.time]))
            for name, found in more.items()
        },
        "ratios": {name: (min(found), max(found)) for name, found in ratios.items()},
        "false": sum(map(called_different, same)),
        "false_trials": len(same),
        "curve": {
            name: [(n * per_pass, _visible(sd, n)) for n in range(3, 61)]
            for name, found in more.items()
            for sd in [_scatter([list(each.log_ratios.values()) for each in found])]
        },
    }


def _scatter(runs: Sequence[Sequence[float]]) -> float:
    """The standard deviation within a run, over several runs."""
    return math.sqrt(float(numpy.mean([numpy.var(values, ddof=1) for values in runs])))


def _visible(sd: float, passes: int) -> float:
    """The smallest difference that so many passes find in 80 % of cases, as a fraction."""
    reach = float(stdtrit(passes - 1, 0.975)) + float(stdtrit(passes - 1, stats.POWER))
    return math.expm1(reach * sd / math.sqrt(passes))


def hidden(path: Path) -> Table:
    """Variants whose difference should not matter: their ratio to the baseline, by size."""
    return [
        {
            "trial": each.comparison.id.partition("/")[0],
            "numel": each.comparison.numel,
            "seconds": seconds,
            "ratios": {
                variant.name.rstrip("_"): variant.ratio
                for variant in each.variants
                if variant.role != "baseline"
            },
        }
        for each, seconds in _timed(path)
    ]


def in_place(path: Path) -> Table:
    """By size, the seconds that each control adds to one multiplication."""
    return [
        {
            "numel": each.comparison.numel,
            "seconds": seconds,
            "added": {
                variant.name: variant.extra
                for variant in each.variants
                if variant.role == "method" and variant.extra
            },
        }
        for each, seconds in _timed(path)
    ]


AFTER = {
    "no_grad after reading": ("read, no_grad", "baseline"),
    "no_grad after writing": ("write, no_grad", "write"),
    "no_grad after computing": ("compute, no_grad", "baseline"),
    "detach() after reading": ("read, detach", "baseline"),
    "detach() after computing": ("compute, detach", "baseline"),
}


def after(path: Path) -> Table:
    """The price of a control after an operation, by the bytes that the operation touches and its time."""
    return [
        {
            "bytes": 4 * each.comparison.numel,
            "seconds": seconds,
            "added": {
                name: _added(seconds, named(each, with_control).log_ratios, named(each, without).log_ratios)
                for name, (with_control, without) in AFTER.items()
                if each.variant(with_control) is not None
            },
        }
        for each, seconds in _timed(path)
    ]


def _added(seconds: float, one: dict[int, float], other: dict[int, float]) -> Interval | None:
    """By pass: the baseline's seconds times the difference of two ratios to it."""
    passes = sorted(one.keys() & other.keys())
    return stats.interval([seconds * (math.exp(one[n]) - math.exp(other[n])) for n in passes])


def order(path: Path) -> Table:
    """By size, the largest bias that the order leaves in a ratio, and the strongest carry-over."""
    by_size: dict[int, list[Carried]] = defaultdict(list)
    for each in read_records(path, Carried):
        by_size[each.numel].append(each)
    rows = []
    for numel, processes in sorted(by_size.items()):
        names = list(processes[0].bias)
        # A process with few batches may lack a pair of variants.
        seen: dict[tuple[str, str], list[float]] = defaultdict(list)
        for each in processes:
            for name in names:
                for other, effect in each.effect[name].items():
                    seen[name, other].append(effect)
        after = {pair: float(numpy.mean(effects)) for pair, effects in seen.items()}
        strongest = max(after, key=lambda pair: abs(after[pair]))
        rows.append(
            {
                "numel": numel,
                "bias": {name: stats.interval([each.bias[name] for each in processes]) for name in names},
                "after_copy": after["multiply", "copy"],
                "strongest": strongest,
                "strength": after[strongest],
            }
        )
    return rows


def explained(results: Results) -> dict[str, Any]:
    """Whether the visits that the telemetry marks are the noisy ones.

    Returns:
        Rank correlations over visits with a visit's error, relative to its comparison's median. Also the
        median relative error of the half with more switches, and of the other half.
    """
    by_comparison: dict[str, list[Visit]] = defaultdict(list)
    for visit in results.visits:
        by_comparison[visit.comparison].append(visit)
    rows = []
    for visits in by_comparison.values():
        middle = float(numpy.median([visit.error for visit in visits]))
        rows += [
            (visit.error / middle, visit.telemetry.others, visit.telemetry.switches / visit.timed_seconds)
            for visit in visits
            if middle > 0 and visit.telemetry.others is not None and visit.telemetry.switches is not None
        ]
    error, others, switches = numpy.array(rows).T
    disturbed = switches > numpy.median(switches)
    return {
        "visits": len(rows),
        "others": float(spearmanr(error, others).statistic),
        "switches": float(spearmanr(error, switches).statistic),
        "quiet_error": float(numpy.median(error[~disturbed])),
        "disturbed_error": float(numpy.median(error[disturbed])),
    }


def clocks(found: Sequence[Clocked]) -> dict[str, Any]:
    """How far twins were off by each clock and estimator, for each statement and condition."""
    off = scatter(found)
    rows = [
        {
            "statement": statement,
            "condition": condition,
            "took": float(numpy.median([each.seconds for each in found if each.statement == statement])),
            "off": {
                clock: {name: off[condition, statement, clock, name] for name in ESTIMATORS}
                for clock in CLOCKS
            },
        }
        for statement in STATEMENTS
        for condition in CONDITIONS
    ]
    return {
        "rows": rows,
        "estimators": list(ESTIMATORS),
        "processes": len({each.seed for each in found}),
        "seconds": SECONDS,
        "machine": found[0].machine,
    }


def stopping(found: Sequence[Stopped]) -> list[dict[str, Any]]:
    """The outcome of each design, with the interval of its false verdicts."""
    return [
        {
            **msgspec.to_builtins(each),
            "false_between": share_interval(round(each.false * each.runs), each.runs),
        }
        for each in found
    ]
