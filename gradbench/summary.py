"""From a results file to what can be said: times, ratios, ranks, the noise floor, warnings. No torch.

All times and ratios are net of the empty loop of the same visit; the device's, of its own events. A ratio is
made per pass, from the log-ratios paired by round, and its interval is a t-interval over passes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import numpy

from gradbench import format, stats
from gradbench.failures import failed, lost_comparisons
from gradbench.nvml import DeviceReading
from gradbench.plan import Comparison, Variant
from gradbench.results import Failure, Kernels, VariantTime, Memory, PartTime, Results, Timeline, Visit
from gradbench.stats import Interval

# Machines drift by 1.6x, so an empty loop beyond this many times its median over the run is of another kind.
ODD_LOOP = 2.0

# Within this the reader is told "the same": a tenth of the smallest difference that the guide claims.
SAME_MARGIN = 0.01

# A layout that one process in five has goes unseen by fewer passes than this in a tenth of all runs.
FEW_PASSES = 10

# A turn of a loop with a body takes up to this many empty turns more or less than the calls in it account
# for, so what is shorter cannot be told from the loop (METHODOLOGY.md, "The shortest call").
LEAST_LOOPS = 5.0

# Two variants, by name.
Pair = tuple[str, str]

Verdict = Literal["baseline", "faster", "slower", "same", "cannot tell", "no time of its own", "failed"]


@dataclass(frozen=True)
class VariantSummary:
    """What is known of one variant; None stands for what is not.

    Attributes:
        time: seconds per call, net of the empty loop; geometric mean over passes.
        ratio: of that to the baseline.
        extra: seconds per call above the baseline: the price of the method in place; mean over passes.
        rank: among the methods of the comparison; 1 + the number shown to be faster.
        log_ratios, device_log_ratios: by pass, of time and of device.
        host, device: on an accelerator, the host's time to issue a call and the device's to do it; time is
            then until the device has done it.
        host_ratio, device_ratio: of those to the baseline's.
        device_idle: the device has nothing to do for it that could be told from nothing.
        kernels: what the profiler saw the device do.
    """

    variant: Variant
    verdict: Verdict
    time: Interval | None
    ratio: Interval | None
    extra: Interval | None
    rank: int | None
    memory: Memory | None
    failures: tuple[Failure, ...]
    log_ratios: dict[int, float]
    host: Interval | None = None
    device: Interval | None = None
    host_ratio: Interval | None = None
    device_ratio: Interval | None = None
    device_idle: bool = False
    device_log_ratios: dict[int, float] = field(default_factory=dict)
    kernels: Kernels | None = None


@dataclass(frozen=True)
class ComparisonSummary:
    """What is known of one comparison.

    Attributes:
        floor: the largest difference (a log-ratio) that the twin's interval leaves open: what identical
            code may seem to differ by, here; None before two passes.
        visible: the difference (a log-ratio) that would be called slower in 80 % of runs like this one, for
            the median method: with its scatter over passes, the run's correction and the twin's floor.
        empty: seconds per turn of the empty loop.
        failures: those that cost a whole visit.
        timelines: by variant, where they were taken.
        above: pairs of variants of which the first is shown to be slower than the second.
    """

    comparison: Comparison
    variants: tuple[VariantSummary, ...]
    passes: int
    rounds: int
    floor: float | None
    visible: float | None
    empty: float | None
    failures: tuple[Failure, ...]
    timelines: dict[str, Timeline]
    above: frozenset[Pair] = frozenset()

    def variant(self, name: str) -> VariantSummary | None:
        """The variant of that name."""
        return next((variant for variant in self.variants if variant.variant.name == name), None)

    @property
    def methods(self) -> list[VariantSummary]:
        """The variants that are methods, the baseline among them."""
        return [variant for variant in self.variants if variant.variant.role in ("method", "baseline")]


@dataclass(frozen=True)
class RunSummary:
    """What is known of a run.

    Attributes:
        twins: by comparison, the twin's ratio to the baseline, less 1 and without sign.
        wall, outside: seconds of wall time of all passes, and those of them neither in timed rounds nor in
            the import of torch; None for a run that did not end by itself.
        failed: what failed, and why; empty where nothing did.
        unfinished: what did not come to its end, the file or the run.
        warnings: these among all that a reader must know before believing the figures.
    """

    results: Results
    comparisons: tuple[ComparisonSummary, ...]
    twins: tuple[float, ...]
    passes: int
    wall: float | None
    outside: float | None
    failed: str = ""
    unfinished: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def devices(self) -> list[str]:
        """The devices that were measured on, in the order of the plan."""
        return list(dict.fromkeys(each.comparison.device for each in self.comparisons))

    def on(self, device: str) -> RunSummary:
        """What is known of one device."""
        own = tuple(each for each in self.comparisons if each.comparison.device == device)
        return replace(self, comparisons=own, twins=tuple(_twins(own)))


def summarise(results: Results) -> RunSummary:
    """Everything that a report, an export or a verdict needs, from the records alone."""
    visits: dict[str, list[Visit]] = defaultdict(list)
    for visit in results.visits:
        visits[visit.comparison].append(visit)
    memory = {(record.comparison, record.variant): record for record in results.memory}
    kernels = {(record.comparison, record.variant): record for record in results.kernels}
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
            each, memory, kernels, failures, timelines.get(each.comparison.id, {}), real, tests, len(raw)
        )
        for each in raw
    )
    wall = None if _interrupted(results) else sum(end.seconds for end in results.ends)
    timed = sum(visit.timed_seconds for visit in results.visits)
    imports = sum(begun.import_seconds for begun in results.passes)
    return RunSummary(
        results=results,
        comparisons=comparisons,
        twins=tuple(_twins(comparisons)),
        passes=max((comparison.passes for comparison in comparisons), default=0),
        wall=wall,
        outside=None if wall is None else wall - timed - imports,
        failed=failed(results),
        unfinished=tuple(unfinished(results)),
        warnings=tuple(_warnings(results, comparisons)),
    )


def _twins(comparisons: Iterable[ComparisonSummary]) -> Iterator[float]:
    for comparison in comparisons:
        variant = comparison.variant("twin")
        if variant is not None and variant.ratio is not None:
            yield abs(math.expm1(variant.ratio.map(math.log).mean))


def parts_apart(comparisons: Iterable[ComparisonSummary]) -> dict[str, list[float]]:
    """What the twins differ from 1 by, without sign, in the host's and in the device's time."""
    twins = [twin for each in comparisons if (twin := each.variant("twin")) is not None]
    return {
        "host": [abs(twin.host_ratio.mean - 1) for twin in twins if twin.host_ratio],
        "device": [abs(twin.device_ratio.mean - 1) for twin in twins if twin.device_ratio],
    }


def moved(comparison: ComparisonSummary) -> Interval | None:
    """How many times as long identical code takes on memory of its own; None where that is within what the
    twin leaves open, or within what is called the same."""
    variant = next((each for each in comparison.variants if each.variant.role == "twin_own_buffer"), None)
    if variant is None or variant.ratio is None or variant.ratio.low is None or comparison.floor is None:
        return None
    log = variant.ratio.map(math.log)
    assert log.low is not None
    assert log.high is not None
    # The whole interval, and not its middle: of many comparisons some would be beyond it by chance.
    beyond = max(log.low, -log.high) > comparison.floor
    return variant.ratio if beyond and variant.verdict != "same" else None


def farthest_moved(comparisons: Iterable[ComparisonSummary]) -> tuple[ComparisonSummary, Interval] | None:
    """The comparison in which memory of its own moves identical code the farthest; None where in none."""
    found = [(each, ratio) for each in comparisons if (ratio := moved(each)) is not None]
    return max(found, key=lambda pair: abs(math.log(pair[1].mean)), default=None)


def worst_precision(results: Results) -> float | None:
    """The widest half width of the intervals on the methods' ratios, as a fraction; None if one has none."""
    widths: list[float] = []
    for comparison in summarise(results).comparisons:
        for variant in comparison.methods:
            if variant.variant.role == "baseline" or variant.verdict == "no time of its own":
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
    return float(numpy.median([v.variants["empty"].seconds for v in visits if "empty" in v.variants] or [0.0]))


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
    """The log of a variant's time to the empty loop's: of the host's, where the wall time waits for a device."""
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
                variant=variant,
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
    """The pairs of variants of which the first is shown to be slower: one rule for verdicts, ranks and findings.

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


def _interrupted(results: Results) -> bool:
    """Whether the last thing that was begun did not come to its end."""
    ended = {end.number for end in results.ends}
    return not results.runs or any(begun.number not in ended for begun in results.passes)


def _warnings(results: Results, comparisons: tuple[ComparisonSummary, ...]) -> list[str]:
    """What a reader must know before believing the figures, each with what to do about it."""
    said = []
    # To go on would fail in the same way where a comparison has failed in all passes.
    lost = lost_comparisons(results)
    passes = min((each.passes for each in comparisons if each.comparison.id not in lost), default=None)
    wanted = 2 * FEW_PASSES * max((each.comparison.every for each in comparisons), default=1)
    if passes is None:
        pass
    elif passes < 2:
        said.append(
            f"{passes} pass{'' if passes == 1 else 'es'}: no interval can be given. "
            f"Go on with --resume --passes {wanted}."
        )
    elif passes < FEW_PASSES:
        said.append(
            f"Only {passes} passes visited some of this: intervals are wide, and effects of the layout of a "
            f"process are little sampled. For a decision go on with --resume --passes {wanted}."
        )
    told = [visit.telemetry for visit in results.visits]
    busy = [each.others for each in told if each.others is not None]
    if busy and float(numpy.median(busy)) > 0.05:
        said.append(
            f"Other processes used {100 * float(numpy.median(busy)):.0f} % of the machine's processor time "
            "while it was measured. Close what can be closed, and measure again."
        )
    stolen = [each.steal for each in told if each.steal is not None]
    if stolen and float(numpy.mean(stolen)) > 0.01:
        said.append(
            f"The host of this machine kept {100 * float(numpy.mean(stolen)):.1f} % of its processor time "
            "for others. Ratios hold, times are too long; a machine with processors of its own would help."
        )
    clocks = [each.frequency for each in told if each.frequency is not None]
    if clocks and min(clocks) < 0.8 * float(numpy.median(clocks)):
        said.append(
            f"The processor's clock fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
            f"{float(numpy.median(clocks)) / 1e9:.2g}: it is throttled or saves power. Set the governor to "
            "performance, or let it cool."
        )
    said.extend(device_warnings([visit for visit in results.visits if visit.telemetry.device is not None]))
    noisy = [each for each in comparisons if each.floor is not None and each.floor > 0.02]
    if noisy:
        worst = max(noisy, key=lambda each: each.floor or 0.0)
        said.append(
            f"In {len(noisy)} of {len(comparisons)} comparisons identical code may seem to differ by more "
            f"than 2 % (worst: {worst.comparison.id}, {format.difference(worst.floor)}). "
            "More passes narrow that: --resume --passes."
        )
    farthest = farthest_moved(comparisons)
    if farthest is not None:
        where, ratio = farthest
        count = sum(moved(each) is not None for each in comparisons)
        # Cold data make nothing faster.
        cause = (
            "cold data, which the methods share and keep warm for each other"
            if ratio.mean > 1
            else ("where the data lie")
        )
        said.append(
            f"In {count} of {len(comparisons)} comparisons identical code on memory of its own takes another "
            f"time (farthest: {where.comparison.id}, {format.ratio_with_ends(ratio)} times): that is "
            f"{cause}, and not the method."
        )
    if failures := failed(results):
        said.append(failures)
    said.extend(unfinished(results))
    for end in results.runs[-1:]:
        if end.asked is not None and (end.reached is None or end.reached > end.asked):
            got = "no interval" if end.reached is None else f"±{100 * end.reached:.2g} %"
            said.append(
                f"A precision of ±{100 * end.asked:.2g} % was asked for; {got} was reached when the "
                f"{end.reason} ended the run. Go on with --resume, the same --precision, a longer --budget."
            )
    return said


def unfinished(results: Results) -> Iterator[str]:
    """What did not come to its end: the file, or the run."""
    if results.cut_off:
        yield f"The last line of the results file is cut off ({results.cut_off} bytes); it was left out."
    if _interrupted(results):
        yield "The run was interrupted; what had been measured is shown. Go on with --resume."


def device_warnings(visits: list[Visit]) -> Iterator[str]:
    """Of accelerators that were held back or shared, or whose clock fell: what was, and what would help."""
    by_device: dict[str, list[DeviceReading]] = defaultdict(list)
    for visit in visits:
        if visit.telemetry.device is not None:
            by_device[visit.comparison.rpartition("/")[2]].append(visit.telemetry.device)
    for device, readings in by_device.items():
        held = [each.throttled for each in readings if each.throttled]
        if held:
            reasons = ", ".join(dict.fromkeys(reason for each in held for reason in each))
            yield (
                f"{device} was held back in {len(held)} of {len(readings)} visits ({reasons}). Ratios hold; "
                "let it cool, or set its clock with nvidia-smi --lock-gpu-clocks."
            )
        shared = sum(bool(each.others) for each in readings)
        if shared:
            yield (
                f"Other processes had work for {device} in {shared} of {len(readings)} visits, taking turns "
                "with what was measured. Measure again without them."
            )
        clocks = [each.clock for each in readings if each.clock]
        if clocks and min(clocks) < 0.8 * float(numpy.median(clocks)):
            yield (
                f"The clock of {device} fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
                f"{float(numpy.median(clocks)) / 1e9:.2g}. Set it with nvidia-smi --lock-gpu-clocks."
            )


@dataclass(frozen=True)
class Split:
    """The memory of a training step, in bytes above its start; None where there is no such line.

    Attributes:
        forward: most live at once before the backward.
        kept: live when the backward begins.
        backward: most live at once in the backward.
        left: live at the end.
    """

    forward: int | None
    kept: int | None
    backward: int | None
    left: int


def split(timeline: Timeline) -> Split:
    """A timeline's bytes before, at and in its backward."""
    live = 0
    forward: list[int] = []
    kept = backward = None
    for stretch in timeline.stretches:
        if kept is None and ".backward(" in stretch.code:
            kept, backward = live, max(stretch.live, default=live)
        elif kept is None:
            forward.extend(stretch.live)
        live = stretch.live[-1] if stretch.live else live
    return Split(max(forward, default=None), kept, backward, live)


def leaders(variants: Iterable[VariantSummary]) -> list[VariantSummary]:
    """Of these variants, those of the least rank; none where none has a rank."""
    ranked = [variant for variant in variants if variant.rank is not None]
    least = min((variant.rank for variant in ranked if variant.rank is not None), default=None)
    return [variant for variant in ranked if variant.rank == least]


def between(comparison: ComparisonSummary, one: str, other: str) -> Interval | None:
    """The ratio of one variant's time to another's, from the passes that have both; None where there is none."""
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
