"""From a results file to what can be said: times, ratios, ranks, the noise floor, warnings. No torch.

All times and ratios are net of the empty loop of the same visit; the device's, of its own events. A ratio is
made per pass, from the log-ratios paired by round, and its interval is a t-interval over passes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy

from gradbench.analyse import stats
from gradbench.analyse.failures import failed
from gradbench.analyse.model import (
    ComparisonSummary,
    Pair,
    RunSummary,
    VariantSummary,
    Verdict,
    twin_differences,
)
from gradbench.analyse.warnings import find_warnings, interrupted, unfinished
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison, Variant
from gradbench.record.results import Results
from gradbench.record.visits import Failure, Kernels, Memory, PartTime, Timeline, VariantTime, Visit

# Machines drift by 1.6x, so an empty loop beyond this many times its median over the run is of another kind.
ODD_LOOP = 2.0


# Within this the reader is told "the same": a tenth of the smallest difference that the guide claims.
SAME_MARGIN = 0.01


# A turn of a loop with a body takes up to this many empty turns more or less than the calls in it account
# for, so what is shorter cannot be told from the loop (METHODOLOGY.md, "The shortest call").
LEAST_LOOPS = 5.0


def summarise(results: Results) -> RunSummary:
    """Everything that a report, an export or a verdict needs, from the records alone."""
    visits: dict[str, list[Visit]] = defaultdict(list)
    for visit in results.visits:
        visits[visit.comparison].append(visit)
    memory = {(record.comparison, record.variant): record for record in results.memory}
    kernels = {(record.comparison, record.variant): record for record in results.kernels}
    figures: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for figure in results.figures:
        figures[figure.comparison, figure.variant][figure.metric] = figure.value
    failures: dict[tuple[str, str | None], list[Failure]] = defaultdict(list)
    for failure in results.failures:
        failures[failure.comparison, failure.variant].append(failure)
    plan = results.header.plan.comparisons
    # A loop that reads the clock at each turn is another loop, and so is one that waits for a device.
    kinds: dict[tuple[str, bool], list[Visit]] = defaultdict(list)
    for each in plan:
        kinds[each.device, _per_call(each)].extend(visits[each.id])
    loops = {kind: _loop(own) for kind, own in kinds.items()}
    raw = [_raw(each, visits[each.id], loops[each.device, _per_call(each)]) for each in plan]
    real = _shown(raw)
    tests = max(1, sum(variant.role == "method" for each in raw for variant in each.comparison.variants))
    timelines: dict[str, dict[str, Timeline]] = defaultdict(dict)
    for timeline in results.timelines:
        timelines[timeline.comparison][timeline.variant] = timeline
    comparisons = tuple(
        _comparison(
            each,
            memory,
            kernels,
            failures,
            timelines.get(each.comparison.id, {}),
            real,
            tests,
            len(raw),
            figures,
        )
        for each in raw
    )
    wall = None if interrupted(results) else sum(end.seconds for end in results.ends)
    timed = sum(visit.timed_seconds for visit in results.visits)
    imports = sum(begun.import_seconds for begun in results.passes)
    return RunSummary(
        results=results,
        comparisons=comparisons,
        twins=tuple(twin_differences(comparisons)),
        passes=max((comparison.passes for comparison in comparisons), default=0),
        wall=wall,
        outside=None if wall is None else wall - timed - imports,
        failed=failed(results),
        unfinished=tuple(unfinished(results)),
        warnings=tuple(find_warnings(results, comparisons)),
    )


def worst_precision(results: Results) -> float | None:
    """The widest half width of the intervals on the methods' ratios, as a fraction; None if one has none."""
    widths: list[float] = []
    for comparison in summarise(results).comparisons:
        for variant in comparison.methods:
            if variant.role == "baseline" or variant.verdict == "no time of its own":
                continue
            if variant.ratio is None or variant.ratio.low is None or variant.ratio.high is None:
                return None
            widths.append((variant.ratio.high - variant.ratio.low) / 2 / variant.ratio.mean)
    return max(widths, default=None)


@dataclass
class _Raw:
    """Per pass and variant of one comparison: net seconds and net log-ratios."""

    comparison: Comparison
    visits: list[Visit]
    seconds: dict[str, dict[int, float]]
    log_ratios: dict[str, dict[int, float]]
    indistinct: set[str]
    host: _Part = field(default_factory=lambda: _Part())
    device: _Part = field(default_factory=lambda: _Part())


@dataclass
class _Part:
    """By variant, the host's or the device's seconds, its log-ratios by pass, and how often it was idle."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    log_ratios: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    idle: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def mostly_idle(self, name: str) -> bool:
        """Whether there was nothing of a variant in most visits."""
        seen = self.idle[name]
        return 2 * sum(seen) > len(seen)

    def time(self, name: str) -> Interval | None:
        if self.mostly_idle(name):
            return None
        found = stats.interval([math.log(value) for value in self.seconds[name]])
        return None if found is None else found.map(math.exp)

    def ratio(self, name: str) -> Interval | None:
        found = stats.interval(list(self.by_pass(name).values()))
        return None if found is None else found.map(math.exp)

    def by_pass(self, name: str) -> dict[int, float]:
        """The log-ratios of a variant; none where it is mostly idle."""
        return {} if self.mostly_idle(name) else self.log_ratios[name]


def _per_call(comparison: Comparison) -> bool:
    """Whether each call is timed by itself, since something is made for it outside the clock."""
    return any(variant.setup_per_call for variant in comparison.variants)


def _loop(visits: list[Visit]) -> float:
    """Seconds per turn of the empty loop: the median over the visits."""
    return float(
        numpy.median([v.variants["empty"].seconds for v in visits if "empty" in v.variants] or [0.0])
    )


def _empty(visit: Visit, baseline: VariantTime | None, loop: float) -> VariantTime | None:
    """The empty loop of a visit, or the run's where this one is out of its mind.

    One in a hundred visits has an empty loop that turns three times as slowly, as if a branch were
    mispredicted at each turn. It is not the loop that stands around the other variants.
    """
    empty = visit.variants.get("empty")
    if empty is None or baseline is None or empty.seconds <= ODD_LOOP * loop:
        return empty
    return msgspec.structs.replace(empty, seconds=loop, log_ratio=math.log(loop / baseline.seconds))


def _raw(comparison: Comparison, visits: list[Visit], loop: float) -> _Raw:
    raw = _Raw(comparison, visits, defaultdict(dict), defaultdict(dict), set())
    baseline = next((variant.name for variant in comparison.variants if variant.role == "baseline"), None)
    # By pass, the log of a variant's time to the empty loop's, from rounds in which the drift has cancelled.
    loops: dict[str, list[float]] = defaultdict(list)
    for visit in visits:
        base = visit.variants.get(baseline) if baseline is not None else None
        empty = _empty(visit, base, loop)
        for name, variant in visit.variants.items():
            if name == "empty":
                continue
            if empty is not None:
                loops[name].append(_turns(variant, empty))
            _add_parts(raw, name, visit, baseline)
            net = variant.seconds - (empty.seconds if empty else 0.0)
            if net > 0:
                raw.seconds[name][visit.number] = net
            ratio = None if base is None else _net_ratio(variant, empty)
            if ratio is not None:
                raw.log_ratios[name][visit.number] = math.log(ratio)
    for name, values in loops.items():
        turns = stats.interval(values)
        assert turns is not None
        if math.expm1(turns.mean if turns.low is None else turns.low) <= LEAST_LOOPS:
            raw.indistinct.add(name)
    return raw


def _turns(variant: VariantTime, empty: VariantTime) -> float:
    """The log of a variant's time to the empty loop's: the host's, where the wall time waits for a device."""
    one, other = variant.host, empty.host
    if one is not None and other is not None and one.log_ratio is not None and other.log_ratio is not None:
        return one.log_ratio - other.log_ratio
    return variant.log_ratio - empty.log_ratio


def _add_parts(raw: _Raw, name: str, visit: Visit, baseline: str | None) -> None:
    """Take in the host's and the device's part of a variant in a visit, where there are any."""
    variant, empty = visit.variants[name], visit.variants.get("empty")
    if variant.host is not None:
        loop = None if empty is None else empty.host
        net = variant.host.seconds - (loop.seconds if loop else 0.0)
        if net > 0:
            raw.host.seconds[name].append(net)
        ratio = None if baseline not in visit.variants else _net_ratio(variant.host, loop)
        if ratio is not None:
            raw.host.log_ratios[name][visit.number] = math.log(ratio)
    if variant.device is not None:
        idle = variant.device.seconds <= variant.device.least
        raw.device.idle[name].append(idle)
        if not idle:
            raw.device.seconds[name].append(variant.device.seconds)
        if variant.device.log_ratio is not None:
            raw.device.log_ratios[name][visit.number] = variant.device.log_ratio


def _net_ratio(variant: VariantTime | PartTime, empty: VariantTime | PartTime | None) -> float | None:
    """The variant's ratio to the baseline, both net of the empty loop; None where nothing is left of one.

    From ratios paired by round, in which the drift of the machine has cancelled, and not from times.
    """
    if variant.log_ratio is None:
        return None
    ratio = math.exp(variant.log_ratio)
    if empty is None or empty.log_ratio is None:
        return ratio
    loop = math.exp(empty.log_ratio)
    return (ratio - loop) / (1 - loop) if ratio > loop and loop < 1 else None


def _shown(raw: list[_Raw]) -> set[tuple[str, str]]:
    """The (comparison, variant) that differ from the baseline, after Holm's correction over the run.

    Of runs in which nothing differs, at most 1 in 100 shows anything.
    """
    keys, columns = [], []
    passes = sorted({visit.number for each in raw for visit in each.visits})
    for each in raw:
        for variant in each.comparison.variants:
            if variant.role == "method" and each.log_ratios.get(variant.name):
                keys.append((each.comparison.id, variant.name))
                by_pass = each.log_ratios[variant.name]
                columns.append([by_pass.get(number, math.nan) for number in passes])
    if not columns:
        return set()
    adjusted = stats.holm(stats.p_values(numpy.array(columns).T))
    return {key for key, p in zip(keys, adjusted, strict=True) if p < stats.FAMILY}


def _comparison(
    raw: _Raw,
    memory: dict[tuple[str, str], Memory],
    kernels: dict[tuple[str, str], Kernels],
    failures: dict[tuple[str, str | None], list[Failure]],
    timelines: dict[str, Timeline],
    real: set[tuple[str, str]],
    tests: int,
    comparisons: int,
    figures: dict[tuple[str, str], dict[str, float]],
) -> ComparisonSummary:
    id = raw.comparison.id
    twin = list(raw.log_ratios.get("twin", {}).values())
    twin_interval = stats.interval(twin)
    floor = None
    if twin_interval is not None and twin_interval.low is not None and twin_interval.high is not None:
        floor = max(abs(twin_interval.low), abs(twin_interval.high))
    above = _above(raw, real, floor, comparisons)
    base = next((variant.name for variant in raw.comparison.variants if variant.role == "baseline"), "")
    ranks = _ranks(raw, above)
    baseline = raw.seconds.get(base, {})
    lost = tuple(
        failure for (where, _), own in failures.items() if where == id for failure in own if failure.number
    )
    variants = []
    for variant in raw.comparison.variants:
        if variant.role == "empty":
            continue
        logs = raw.log_ratios.get(variant.name, {})
        times = raw.seconds.get(variant.name, {})
        indistinct = variant.name in raw.indistinct
        log_ratio = None if indistinct else stats.interval(list(logs.values()))
        time = None if indistinct else stats.interval([math.log(value) for value in times.values()])
        own_failures = tuple(failures.get((id, variant.name), ()))
        variants.append(
            VariantSummary(
                definition=variant,
                verdict=_verdict(
                    variant,
                    log_ratio,
                    indistinct,
                    _against(variant.name, base, above),
                    # What cost every visit of the comparison cost this variant its times.
                    own_failures or (() if raw.visits else lost),
                ),
                time=None if time is None else time.map(math.exp),
                ratio=None if log_ratio is None else log_ratio.map(math.exp),
                extra=None if indistinct else stats.interval(_extra(logs, baseline)),
                rank=ranks.get(variant.name),
                memory=memory.get((id, variant.name)),
                failures=own_failures,
                log_ratios=logs,
                host=raw.host.time(variant.name),
                device=raw.device.time(variant.name),
                host_ratio=raw.host.ratio(variant.name),
                device_ratio=raw.device.ratio(variant.name),
                device_idle=raw.device.mostly_idle(variant.name),
                device_log_ratios=raw.device.by_pass(variant.name),
                kernels=kernels.get((id, variant.name)),
                figures=figures.get((id, variant.name), {}),
            )
        )
    empties = [visit.variants["empty"].seconds for visit in raw.visits if "empty" in visit.variants]
    return ComparisonSummary(
        comparison=raw.comparison,
        variants=tuple(variants),
        passes=len({visit.number for visit in raw.visits}),
        rounds=sum(visit.rounds for visit in raw.visits),
        floor=floor,
        visible=_visible(raw, floor, tests),
        empty=float(numpy.median(empties)) if empties else None,
        failures=tuple(failures.get((id, None), ())),
        timelines=timelines,
        above=frozenset(above),
    )


def _visible(raw: _Raw, floor: float | None, tests: int) -> float | None:
    names = [variant.name for variant in raw.comparison.variants if variant.role == "method"]
    known = [
        found
        for name in names
        if (found := stats.smallest_visible(list(raw.log_ratios[name].values()), 1 - stats.FAMILY / tests))
    ]
    return max(float(numpy.median(known)), floor) if known and floor is not None else None


def _extra(log_ratios: dict[int, float], baseline: dict[int, float]) -> list[float]:
    """By pass, the seconds above the baseline: from the paired ratio, not from two times that drifted."""
    return [
        math.expm1(log_ratios[number]) * baseline[number]
        for number in sorted(log_ratios.keys() & baseline.keys())
    ]


def _verdict(
    variant: Variant,
    log_ratio: Interval | None,
    indistinct: bool,
    shown: Literal["slower", "faster"] | None,
    failures: tuple[Failure, ...],
) -> Verdict:
    if indistinct:
        return "no time of its own"
    if log_ratio is None:
        return "failed" if failures else "cannot tell"
    if variant.role == "baseline":
        return "baseline"
    if shown is not None:
        return shown
    if log_ratio.low is not None and log_ratio.high is not None:
        margin = math.log1p(SAME_MARGIN)
        if -margin <= log_ratio.low and log_ratio.high <= margin:
            return "same"
    return "cannot tell"


def _above(raw: _Raw, real: set[tuple[str, str]], floor: float | None, comparisons: int) -> set[Pair]:
    """The pairs of variants of which the first is shown to be slower: one rule for verdicts, ranks and
    findings.

    Against the baseline after Holm's correction over the run (`real`), and among the others over those of
    this comparison, each with its share of the level; and in both by more than the twin leaves open.
    """
    if floor is None:
        return set()
    known = [
        variant
        for variant in raw.comparison.variants
        if variant.role in ("method", "baseline")
        and raw.log_ratios.get(variant.name)
        and variant.name not in raw.indistinct
    ]
    names = [variant.name for variant in known if variant.role == "method"]
    found = set()
    for variant in known:
        if variant.role == "baseline":
            for name in names:
                mean = float(numpy.mean(list(raw.log_ratios[name].values())))
                if (raw.comparison.id, name) in real and abs(mean) > floor:
                    found.add((name, variant.name) if mean > 0 else (variant.name, name))
    passes = sorted({visit.number for visit in raw.visits})
    samples = [[raw.log_ratios[name].get(number, math.nan) for name in names] for number in passes]
    if names and len(passes) > 1:
        pairs = stats.above(numpy.array(samples), stats.FAMILY / comparisons, floor)
        found |= {(names[one], names[other]) for one, other in pairs}
    return found


def _against(name: str, baseline: str, above: set[Pair]) -> Literal["slower", "faster"] | None:
    if (name, baseline) in above:
        return "slower"
    return "faster" if (baseline, name) in above else None


def _ranks(raw: _Raw, above: set[Pair]) -> dict[str, int]:
    """By method, 1 and the number of those that it is shown to be slower than."""
    if len({visit.number for visit in raw.visits}) < 2:
        return {}
    return {
        variant.name: 1 + sum(slower == variant.name for slower, _ in above)
        for variant in raw.comparison.variants
        if variant.role in ("method", "baseline")
        and raw.log_ratios.get(variant.name)
        and variant.name not in raw.indistinct
    }


def between(comparison: ComparisonSummary, one: str, other: str) -> Interval | None:
    """The ratio of one variant's time to another's, from the passes that have both; None without any."""
    a, b = comparison.variant(one), comparison.variant(other)
    if a is None or b is None or a.ratio is None or b.ratio is None:
        return None
    return _between(a.log_ratios, b.log_ratios)


def between_on_device(comparison: ComparisonSummary, one: str, other: str) -> Interval | None:
    """As `between`, of the device's time alone."""
    a, b = comparison.variant(one), comparison.variant(other)
    return None if a is None or b is None else _between(a.device_log_ratios, b.device_log_ratios)


def _between(one: dict[int, float], other: dict[int, float]) -> Interval | None:
    found = stats.interval([one[number] - other[number] for number in sorted(one.keys() & other.keys())])
    return None if found is None else found.map(math.exp)
