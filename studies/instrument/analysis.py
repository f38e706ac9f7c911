"""From the study's data to its figures: numbers only, no torch, nothing drawn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy
from scipy.special import stdtrit
from scipy.stats import spearmanr

from gradbench.analyse import stats
from gradbench.analyse.model import RunSummary
from gradbench.analyse.summary import summarise
from gradbench.record.interval import Interval
from gradbench.record.results import Results, read_results
from gradbench.record.visits import Visit
from studies.instrument.order import Carried
from studies.instrument.simulation import Coverage

Table = list[dict[str, Any]]


def binomial(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval on a share."""
    z, share = 1.96, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def coverage(path: Path) -> list[Coverage]:
    """The simulated regimes."""
    return [msgspec.json.decode(line, type=Coverage) for line in path.read_bytes().splitlines()]


def _taken(results: Results, wanted: Iterable[int], copy: str | None = None) -> Results:
    """The results of some passes, and of one copy of each comparison, as if they were a run."""
    passes = set(wanted)
    plan = results.header.plan
    chosen = [each for each in plan.comparisons if copy is None or each.id.rpartition("/")[2] == copy]
    ids = {each.id for each in chosen}
    header = msgspec.structs.replace(
        results.header, plan=msgspec.structs.replace(plan, comparisons=tuple(chosen))
    )
    return replace(
        results,
        header=header,
        visits=[each for each in results.visits if each.number in passes and each.comparison in ids],
        passes=[each for each in results.passes if each.number in passes],
        ends=[],
    )


def same(path: Path, per_run: int = 5) -> dict[str, Any]:
    """Identical variants: how often they are called different, before and after the correction."""
    results = read_results(path)
    numbers = sorted({visit.number for visit in results.visits})
    groups = [numbers[i : i + per_run] for i in range(0, len(numbers) - per_run + 1, per_run)]
    whole = summarise(results)
    ratios = [variant for each in whole.comparisons if (variant := each.variant("same")) and variant.ratio]
    p = stats.p_values(_columns([variant.log_ratios for variant in ratios], numbers))
    copies = sorted({each.id.rpartition("/")[2] for each in results.header.plan.comparisons})
    alarms = [
        any(
            variant.verdict in ("slower", "faster") for c in run.comparisons if (variant := c.variant("same"))
        )
        for group in groups
        for copy in copies
        for run in [summarise(_taken(results, group, copy))]
    ]
    grouped = [
        stats.p_values(_columns([variant.log_ratios for variant in ratios], group)) < 0.05 for group in groups
    ]
    hits, trials = int(numpy.sum(grouped)), int(numpy.size(grouped))
    off = numpy.abs(numpy.log([variant.ratio.mean for variant in ratios if variant.ratio]))
    return {
        "comparisons": len(ratios),
        "passes": len(numbers),
        "alarms": int(numpy.sum(p < 0.05)),
        "alarms_between": binomial(int(numpy.sum(p < 0.05)), len(p)),
        "grouped": hits / trials,
        "grouped_trials": trials,
        "grouped_between": binomial(hits, trials),
        "per_run": per_run,
        "copies": len(copies),
        "runs": len(alarms),
        "false_runs": int(sum(alarms)),
        "false_runs_between": binomial(int(sum(alarms)), len(alarms)),
        "p": [float(each) for each in p],
        "median_off": float(numpy.median(off)),
        "worst_off": float(off.max()),
    }


def _columns(log_ratios: Sequence[dict[int, float]], numbers: Sequence[int]) -> numpy.ndarray[Any, Any]:
    return numpy.array([[each.get(number, math.nan) for each in log_ratios] for number in numbers])


def known(path: Path) -> Table:
    """Variants of k and k + 1 calls: the ratio that was found, and the true one."""
    rows = []
    for each in summarise(read_results(path)).comparisons:
        name, _, times = each.comparison.id.partition(" x ")
        variant, baseline, twin = (each.variant(key) for key in ("more", "baseline", "twin"))
        assert variant is not None
        assert baseline is not None
        assert twin is not None
        if variant.ratio is None or baseline.time is None or twin.ratio is None:
            continue
        truth = (int(times) + 1) / int(times)
        rows.append(
            {
                "call": name,
                "times": int(times),
                "seconds": baseline.time.mean,
                "truth": truth,
                "ratio": variant.ratio,
                "error": variant.ratio.mean / truth - 1,
                "twin": twin.ratio,
                # What the instrument sees per call besides k calls: t(k) = extra + k c, from k and k + 1.
                "extra": baseline.time.mean * (1 - int(times) * (variant.ratio.mean - 1)),
            }
        )
    return rows


def power(paths: Sequence[Path]) -> dict[str, Any]:
    """How often 2 % more was found in ten seconds, and how often nothing was called something."""
    runs = [summarise(read_results(path)) for path in paths]
    found: dict[str, list[bool]] = defaultdict(list)
    ratios: dict[str, list[Interval]] = defaultdict(list)
    false = []
    calls: dict[str, list[float]] = defaultdict(list)
    scatter: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for each in run.comparisons:
            more, equal = each.variant("more"), each.variant("same")
            assert more is not None
            assert equal is not None
            found[each.comparison.id].append(more.verdict == "slower")
            if more.time is not None:
                calls[each.comparison.id].append(more.time.mean)
            if more.ratio is not None:
                ratios[each.comparison.id].append(more.ratio)
            false.append(equal.verdict in ("slower", "faster"))
            scatter[each.comparison.id].append(float(numpy.std(list(more.log_ratios.values()), ddof=1)))
    sd = {name: math.sqrt(float(numpy.mean(numpy.square(values)))) for name, values in scatter.items()}
    walls = [run.wall for run in runs if run.wall]
    per_pass = float(numpy.median([wall / run.passes for wall, run in zip(walls, runs, strict=True)]))
    return {
        "runs": len(runs),
        "seconds": float(numpy.median(walls)),
        "passes": int(numpy.median([run.passes for run in runs])),
        "found": {name: sum(each) for name, each in found.items()},
        "calls": {name: float(numpy.median(each)) for name, each in calls.items()},
        "ratios": {
            name: (min(each.mean for each in values), max(each.mean for each in values))
            for name, values in ratios.items()
        },
        "false": sum(false),
        "false_trials": len(false),
        "curve": {
            name: [(n * per_pass, _visible(value, n)) for n in range(3, 61)] for name, value in sd.items()
        },
    }


def _visible(sd: float, passes: int) -> float:
    """The smallest difference that so many passes find in 80 % of cases, as a fraction."""
    reach = float(stdtrit(passes - 1, 0.975)) + float(stdtrit(passes - 1, stats.POWER))
    return math.expm1(reach * sd / math.sqrt(passes))


def hidden(path: Path) -> Table:
    """Variants that differ in what should not matter: their ratio to the baseline, by size."""
    return [
        {
            "trial": each.comparison.id.partition("/")[0],
            "numel": each.comparison.numel,
            "seconds": baseline.time.mean,
            "ratios": {
                variant.name.rstrip("_"): variant.ratio
                for variant in each.variants
                if variant.role != "baseline"
            },
        }
        for each in summarise(read_results(path)).comparisons
        if (baseline := each.variant("baseline")) is not None and baseline.time is not None
    ]


def in_place(path: Path) -> Table:
    """By size, the seconds that each control adds to one multiplication."""
    return [
        {
            "numel": each.comparison.numel,
            "seconds": baseline.time.mean,
            "added": {
                variant.name: variant.extra
                for variant in each.variants
                if variant.role == "method" and variant.extra
            },
        }
        for each in summarise(read_results(path)).comparisons
        if (baseline := each.variant("baseline")) is not None and baseline.time is not None
    ]


AFTER = {
    "no_grad after reading": ("read, no_grad", "baseline"),
    "no_grad after writing": ("write, no_grad", "write"),
    "no_grad after computing": ("compute, no_grad", "baseline"),
    "detach() after reading": ("read, detach", "baseline"),
    "detach() after computing": ("compute, detach", "baseline"),
}


def after(path: Path) -> Table:
    """What a control costs after an operation, by the bytes that this touches and the time it takes."""
    rows = []
    for each in summarise(read_results(path)).comparisons:
        baseline = each.variant("baseline")
        assert baseline is not None
        if baseline.time is None:
            continue
        added = {}
        for name, (with_control, without) in AFTER.items():
            one, other = each.variant(with_control), each.variant(without)
            if one is None or other is None:
                continue
            # By pass: the baseline's seconds times the difference of two ratios to it.
            added[name] = stats.interval(
                [
                    baseline.time.mean * (math.exp(one.log_ratios[n]) - math.exp(other.log_ratios[n]))
                    for n in sorted(one.log_ratios.keys() & other.log_ratios.keys())
                ]
            )
        rows.append({"bytes": 4 * each.comparison.numel, "seconds": baseline.time.mean, "added": added})
    return rows


def order(path: Path) -> Table:
    """By size, the largest bias that the order leaves in a ratio, and the strongest carry-over."""
    found = [msgspec.json.decode(line, type=Carried) for line in path.read_bytes().splitlines()]
    by_size: dict[int, list[Carried]] = defaultdict(list)
    for each in found:
        by_size[each.numel].append(each)
    rows = []
    for numel, processes in sorted(by_size.items()):
        names = list(processes[0].bias)
        bias = {name: stats.interval([each.bias[name] for each in processes]) for name in names}
        after = {
            (name, other): float(numpy.mean([each.effect[name][other] for each in processes]))
            for name in names
            for other in names
        }
        strongest = max(after, key=lambda pair: abs(after[pair]))
        rows.append(
            {
                "numel": numel,
                "bias": bias,
                "after_copy": after["multiply", "copy"],
                "strongest": strongest,
                "strength": after[strongest],
            }
        )
    return rows


def explained(summary: RunSummary) -> dict[str, Any]:
    """Whether the visits that the telemetry marks are the noisy ones.

    Returns:
        Rank correlations over visits (a visit's error relative to its comparison's median) and the
        median relative error of the half with more switches and of the other half.
    """
    by_comparison: dict[str, list[Visit]] = defaultdict(list)
    for visit in summary.results.visits:
        by_comparison[visit.comparison].append(visit)
    rows = []
    for visits in by_comparison.values():
        middle = float(numpy.median([visit.error for visit in visits]))
        rows += [
            (visit.error / middle, visit.telemetry.others, visit.telemetry.switches / visit.timed_seconds)
            for visit in visits
            if middle > 0 and visit.telemetry.others is not None and visit.telemetry.switches is not None
        ]
    error, others, switches = (numpy.array(column) for column in zip(*rows, strict=True))
    disturbed = switches > numpy.median(switches)
    return {
        "visits": len(rows),
        "others": float(spearmanr(error, others).statistic),
        "switches": float(spearmanr(error, switches).statistic),
        "quiet_error": float(numpy.median(error[~disturbed])),
        "disturbed_error": float(numpy.median(error[disturbed])),
    }
