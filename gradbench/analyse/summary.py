"""From a results file to figures: times, ratios, ranks, the noise floor. No torch.

Times and ratios are net of the empty loop of their visit; the device's times come from events. A ratio is
made per pass, from the log-ratios paired by round, and its interval is a t-interval over passes.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy

from gradbench.analyse import stats
from gradbench.analyse.bounds import with_bounds
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.pairs import Pair
from gradbench.analyse.spending import part_at_end
from gradbench.analyse.timeline import split
from gradbench.analyse.visits import (
    Family,
    Net,
    above,
    against_baseline,
    family_of,
    floor_of,
    net_of_loops,
    ranks,
    verdict,
    visible_in,
)
from gradbench.record.interval import Interval
from gradbench.record.plan import Variant
from gradbench.record.results import Results
from gradbench.record.visits import Failure, Timeline


def summarise(results: Results, part: float | None = None) -> RunSummary:
    """The figures of a run, from the records alone.

    `part` is the part of the level that the verdicts may spend; None for the part of the run's end.
    """
    part = part_at_end(results) if part is None else part
    run = net_of_loops(results.header.plan.comparisons, results.visits)
    family, records = family_of(run, stats.FAMILY * part), _Records(results)
    passes = len({visit.number for visit in results.visits})
    comparisons = with_bounds(
        [_comparison(each, family, records, part, passes) for each in run], results.executions
    )
    wall = None if results.interrupted else sum(end.seconds for end in results.ends)
    timed = sum(visit.timed_seconds for visit in results.visits)
    imports = sum(begun.import_seconds for begun in results.passes)
    return RunSummary(
        results=results,
        comparisons=comparisons,
        passes=passes,
        wall=wall,
        outside=None if wall is None else wall - timed - imports,
    )


def worst_precision(results: Results) -> float | None:
    """The widest half width of the intervals on the methods' ratios, as a fraction; None if one has none."""
    widths: list[float] = []
    for comparison in summarise(results).comparisons:
        # More passes do not make a baseline longer.
        for variant in comparison.methods if comparison.has_baseline else ():
            if variant.role == "baseline" or variant.verdict == "no time of its own":
                continue
            # Another variant was timed in its place.
            if variant.bound is not None:
                continue
            if variant.ratio is None or variant.ratio.low is None or variant.ratio.high is None:
                return None
            widths.append((variant.ratio.high - variant.ratio.low) / 2 / variant.ratio.mean)
    return max(widths, default=None)


class _Records:
    """The records of a run besides its visits, by comparison and by variant."""

    def __init__(self, results: Results) -> None:
        self.memory = {(each.comparison, each.variant): each for each in results.memory}
        self.kernels = {(each.comparison, each.variant): each for each in results.kernels}
        self.figures: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for figure in results.figures:
            self.figures[figure.comparison, figure.variant][figure.metric] = figure.value
        self.failures: dict[tuple[str, str | None], list[Failure]] = defaultdict(list)
        # By comparison, the failures of passes that should have timed it.
        self.untimed: dict[str, list[Failure]] = defaultdict(list)
        for failure in results.failures:
            self.failures[failure.comparison, failure.variant].append(failure)
            if failure.number:
                self.untimed[failure.comparison].append(failure)
        self.timelines: dict[str, dict[str, Timeline]] = defaultdict(dict)
        for timeline in results.timelines:
            self.timelines[timeline.comparison][timeline.variant] = timeline


def _comparison(net: Net, family: Family, records: _Records, part: float, passes: int) -> ComparisonSummary:
    floor = floor_of(net)
    shown = above(net, floor, family)
    placed = ranks(net, shown)
    timelines = records.timelines.get(net.comparison.id, {})
    empties = [visit.variants["empty"].seconds for visit in net.visits if "empty" in visit.variants]
    return ComparisonSummary(
        comparison=net.comparison,
        variants=tuple(
            _variant(net, each, shown, placed.get(each.name), records)
            for each in net.comparison.variants
            if each.role != "empty"
        ),
        passes=len(net.passes),
        rounds=sum(visit.rounds for visit in net.visits),
        floor=floor,
        visible=visible_in(net, floor, family),
        empty=float(numpy.median(empties)) if empties else None,
        failures=tuple(records.failures.get((net.comparison.id, None), ())),
        timelines=timelines,
        splits={name: split(timeline) for name, timeline in timelines.items()},
        above=shown,
        part=part,
        passes_per_visit=passes / max(1, len(net.passes)),
    )


def _variant(
    net: Net, definition: Variant, shown: frozenset[Pair], rank: int | None, records: _Records
) -> VariantSummary:
    name, key = definition.name, (net.comparison.id, definition.name)
    indistinct = name in net.indistinct
    logs = net.log_ratios.get(name, {})
    log_ratio = None if indistinct else stats.interval(list(logs.values()))
    failures = tuple(records.failures.get(key, ()))
    # A failure that cost every visit of the comparison also cost this variant its times.
    lost = failures or (() if net.visits else records.untimed.get(net.comparison.id, ()))
    return VariantSummary(
        definition=definition,
        verdict=verdict(definition, log_ratio, indistinct, against_baseline(name, net.baseline, shown), lost),
        time=None if indistinct else _time(net, name, log_ratio),
        ratio=None if log_ratio is None else log_ratio.map(math.exp),
        extra=None if indistinct else stats.interval(_extra(logs, net.seconds.get(net.baseline, {}))),
        rank=rank,
        memory=records.memory.get(key),
        failures=failures,
        log_ratios=logs,
        seconds={} if indistinct else dict(net.seconds.get(name, {})),
        host=net.host.time(name),
        device=net.device.time(name),
        host_ratio=net.host.ratio(name),
        device_ratio=net.device.ratio(name),
        device_idle=net.device.mostly_idle(name),
        device_log_ratios=net.device.by_pass(name),
        kernels=records.kernels.get(key),
        figures=records.figures.get(key, {}),
    )


def _time(net: Net, name: str, log_ratio: Interval | None) -> Interval | None:
    """Seconds per call; where fewer passes timed it than the baseline, the baseline's seconds × its ratio.

    The machine drifts between passes, so that times of different passes would not have that ratio.
    """
    seconds, baseline = net.seconds.get(name, {}), net.seconds.get(net.baseline, {})
    found, base = stats.geometric(list(seconds.values())), stats.geometric(list(baseline.values()))
    if found is None or base is None or log_ratio is None or len(seconds) >= len(baseline):
        return found
    by = base.mean * math.exp(log_ratio.mean) / found.mean
    return found.map(lambda end: end * by)


def _extra(log_ratios: dict[int, float], baseline: dict[int, float]) -> list[float]:
    """By pass, the seconds above the baseline: from the paired ratio, not from two times that drifted."""
    return [
        math.expm1(log_ratios[number]) * baseline[number]
        for number in sorted(log_ratios.keys() & baseline.keys())
    ]
