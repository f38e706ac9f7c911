"""From the visits of a comparison: net times and ratios by pass, pairs that differ, and verdicts.

The times of a visit include a turn of the loop, and gradbench subtracts the empty loop of that visit. The
device's times come from events, and include no loop. Ratios are paired by round, so that the drift of the
machine cancels.

One rule serves verdicts, ranks and findings. A difference counts where a corrected test rules out chance, and
where it is larger than the difference that the twin leaves open.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy

from gradbench.analyse import stats
from gradbench.analyse.model import Verdict
from gradbench.analyse.pairs import Pair
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison, Variant
from gradbench.record.visits import Failure, PartTime, VariantTime, Visit

# Machines drift by 1.6x, so an empty loop beyond this many times its median over the run has another cause.
ODD_LOOP = 2.0

# A turn of a loop differs from the time of its calls by up to this many empty turns. So a shorter call is not
# measurable beside the loop (METHODOLOGY.md, "The shortest call").
LEAST_LOOPS = 5.0

# A difference within this counts as "the same": a tenth of the smallest difference that the guide claims.
SAME_MARGIN = 0.01


@dataclass
class Part:
    """By variant, the host's or the device's seconds, its log-ratios by pass, and how often it was idle."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    log_ratios: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    idle: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def mostly_idle(self, name: str) -> bool:
        """Whether the part was idle for a variant in most visits."""
        idle = self.idle[name]
        return 2 * sum(idle) > len(idle)

    def time(self, name: str) -> Interval | None:
        """Seconds per call of a variant; None where it is mostly idle."""
        return None if self.mostly_idle(name) else stats.geometric(self.seconds[name])

    def ratio(self, name: str) -> Interval | None:
        """The ratio of a variant to the baseline."""
        return stats.geometric_of_logs(list(self.by_pass(name).values()))

    def by_pass(self, name: str) -> dict[int, float]:
        """The log-ratios of a variant; none where it is mostly idle."""
        return {} if self.mostly_idle(name) else self.log_ratios[name]


@dataclass
class Net:
    """One comparison: by variant and pass, net seconds and net log-ratios to the baseline.

    Attributes:
        indistinct: the variants whose time is not measurable beside the empty loop.
        host, device: on an accelerator, these parts of the time.
    """

    comparison: Comparison
    visits: list[Visit]
    seconds: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    log_ratios: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    indistinct: set[str] = field(default_factory=set)
    host: Part = field(default_factory=Part)
    device: Part = field(default_factory=Part)

    @property
    def baseline(self) -> str:
        """The name of the baseline; empty where there is none."""
        return next((each.name for each in self.comparison.variants if each.role == "baseline"), "")

    @property
    def passes(self) -> list[int]:
        """The numbers of the passes that visited it."""
        return sorted({visit.number for visit in self.visits})

    def known(self, name: str) -> bool:
        """Whether the ratio of a variant to the baseline is known in some pass."""
        return bool(self.log_ratios.get(name)) and name not in self.indistinct


def net_of_loops(comparisons: Iterable[Comparison], visits: Iterable[Visit]) -> list[Net]:
    """The comparisons of a run, in their order, with the net figures of their visits."""
    by_comparison: dict[str, list[Visit]] = defaultdict(list)
    for visit in visits:
        by_comparison[visit.comparison].append(visit)
    # A loop that reads the clock at every turn is another loop, by either clock. So is a loop that waits for
    # a device.
    kinds: dict[_Kind, list[Visit]] = defaultdict(list)
    plan = list(comparisons)
    for each in plan:
        for visit in by_comparison[each.id]:
            kinds[_kind(each, visit)].append(visit)
    loops = {kind: _loop(same) for kind, same in kinds.items()}
    return [_net(each, by_comparison[each.id], loops) for each in plan]


# The kind of an empty loop: the device, whether every call is timed separately, and the clock.
_Kind = tuple[str, bool, str]


def _kind(comparison: Comparison, visit: Visit) -> _Kind:
    per_call = any(variant.setup_per_call for variant in comparison.variants)
    return comparison.device, per_call, visit.clock


def _loop(visits: list[Visit]) -> float:
    """Seconds per turn of the empty loop: the median over the visits."""
    return float(
        numpy.median([v.variants["empty"].seconds for v in visits if "empty" in v.variants] or [0.0])
    )


def _empty(visit: Visit, baseline: VariantTime | None, loop: float) -> VariantTime | None:
    """The empty loop of a visit; the loop of the run where the visit's loop is far off.

    One in a hundred visits has an empty loop that turns three times as slowly, as if a branch were
    mispredicted at every turn. The other variants of the visit do not have that slow loop.
    """
    empty = visit.variants.get("empty")
    if empty is None or baseline is None or empty.seconds <= ODD_LOOP * loop:
        return empty
    return msgspec.structs.replace(empty, seconds=loop, log_ratio=math.log(loop / baseline.seconds))


def _net(comparison: Comparison, visits: list[Visit], run_loops: Mapping[_Kind, float]) -> Net:
    net = Net(comparison, visits)
    baseline = net.baseline
    # By pass, the log of a variant's time to the empty loop's, from rounds in which the drift has cancelled.
    loops: dict[str, list[float]] = defaultdict(list)
    for visit in visits:
        base = visit.variants.get(baseline)
        empty = _empty(visit, base, run_loops[_kind(comparison, visit)])
        for name, variant in visit.variants.items():
            if name == "empty":
                continue
            if empty is not None:
                loops[name].append(_turns(variant, empty))
            _add_parts(net, name, visit, base is not None)
            seconds = variant.seconds - (empty.seconds if empty else 0.0)
            if seconds > 0:
                net.seconds[name][visit.number] = seconds
            ratio = None if base is None else _net_ratio(variant, empty)
            if ratio is not None:
                net.log_ratios[name][visit.number] = math.log(ratio)
    net.indistinct = {name for name, values in loops.items() if _is_indistinct(values)}
    if baseline in net.indistinct:
        # A ratio to no time has no meaning. The device's times include no loop.
        net.log_ratios.clear()
        net.host.log_ratios.clear()
    return net


def _is_indistinct(turns: list[float]) -> bool:
    """Whether a variant is no longer than LEAST_LOOPS turns of the loop, by the log of its time in turns."""
    found = stats.interval(turns)
    assert found is not None
    return math.expm1(found.mean if found.low is None else found.low) <= LEAST_LOOPS


def _turns(variant: VariantTime, empty: VariantTime) -> float:
    """The log of a variant's time to the empty loop's: the host's, where the wall time waits for a device."""
    one, other = variant.host, empty.host
    if one is not None and other is not None and one.log_ratio is not None and other.log_ratio is not None:
        return one.log_ratio - other.log_ratio
    return variant.log_ratio - empty.log_ratio


def _add_parts(net: Net, name: str, visit: Visit, has_baseline: bool) -> None:
    """Add the host's and the device's part of a variant in a visit, where there are any."""
    variant, empty = visit.variants[name], visit.variants.get("empty")
    if variant.host is not None:
        loop = None if empty is None else empty.host
        seconds = variant.host.seconds - (loop.seconds if loop else 0.0)
        if seconds > 0:
            net.host.seconds[name].append(seconds)
        ratio = None if not has_baseline else _net_ratio(variant.host, loop)
        if ratio is not None:
            net.host.log_ratios[name][visit.number] = math.log(ratio)
    if variant.device is not None:
        idle = variant.device.seconds <= variant.device.least
        net.device.idle[name].append(idle)
        if not idle:
            net.device.seconds[name].append(variant.device.seconds)
        if variant.device.log_ratio is not None:
            net.device.log_ratios[name][visit.number] = variant.device.log_ratio


def _net_ratio(variant: VariantTime | PartTime, empty: VariantTime | PartTime | None) -> float | None:
    """The variant's ratio to the baseline, both net of the empty loop; None where a net time is 0 or less.

    It comes from ratios paired by round, in which the drift of the machine has cancelled, and not from times.
    """
    if variant.log_ratio is None:
        return None
    ratio = math.exp(variant.log_ratio)
    if empty is None or empty.log_ratio is None:
        return ratio
    loop = math.exp(empty.log_ratio)
    return (ratio - loop) / (1 - loop) if ratio > loop and loop < 1 else None


# Verdicts.


@dataclass(frozen=True)
class Family:
    """The figures of the whole run that decide in one comparison.

    Attributes:
        real: the (comparison, variant) that differ from the baseline after the correction over the run.
        tests: the number of ratios that the correction covers.
        comparisons: their number; every comparison has an equal part of the level for its pairs.
        level: the chance of a false verdict, in the whole run.
    """

    real: frozenset[tuple[str, str]]
    tests: int
    comparisons: int
    level: float = stats.FAMILY


def family_of(run: Sequence[Net], level: float = stats.FAMILY) -> Family:
    """The figures that the comparisons of a run decide together, at this chance of any false verdict."""
    tests = sum(variant.role == "method" for each in run for variant in each.comparison.variants)
    return Family(_real(run, level), max(1, tests), len(run), level)


def _real(run: Sequence[Net], level: float) -> frozenset[tuple[str, str]]:
    """The (comparison, variant) that differ from the baseline, after Holm's correction over the run.

    Among runs in which nothing differs, at most the part `level` shows a difference.
    """
    passes = sorted({number for each in run for number in each.passes})
    columns = {
        (each.comparison.id, variant.name): [by_pass.get(number, math.nan) for number in passes]
        for each in run
        for variant in each.comparison.variants
        if variant.role == "method" and (by_pass := each.log_ratios.get(variant.name))
    }
    if not columns:
        return frozenset()
    adjusted = stats.holm(stats.p_values(numpy.array(list(columns.values())).T))
    return frozenset(key for key, p in zip(columns, adjusted, strict=True) if p < level)


def floor_of(net: Net) -> float | None:
    """The largest difference (a log-ratio) that the twin's interval leaves open; None before two passes."""
    twin = stats.interval(list(net.log_ratios.get("twin", {}).values()))
    if twin is None or twin.low is None or twin.high is None:
        return None
    return max(abs(twin.low), abs(twin.high))


def visible_in(net: Net, floor: float | None, family: Family) -> float | None:
    """The difference (a log-ratio) that 80 % of runs would call slower, for the median method."""
    confidence = 1 - family.level / family.tests
    known = [
        found
        for variant in net.comparison.variants
        if variant.role == "method"
        and (found := stats.smallest_visible(list(net.log_ratios[variant.name].values()), confidence))
    ]
    return max(float(numpy.median(known)), floor) if known and floor is not None else None


def above(net: Net, floor: float | None, family: Family) -> frozenset[Pair]:
    """The pairs of variants of which the first is shown to be slower.

    For the baseline the test has the correction over the run; for the others, that over this comparison. In
    both cases the difference must exceed the one that the twin leaves open.
    """
    if floor is None:
        return frozenset()
    names = [each.name for each in net.comparison.variants if each.role == "method" and net.known(each.name)]
    found = set()
    if net.known(net.baseline):
        for name in names:
            mean = float(numpy.mean(list(net.log_ratios[name].values())))
            if (net.comparison.id, name) in family.real and abs(mean) > floor:
                found.add((name, net.baseline) if mean > 0 else (net.baseline, name))
    if names and len(net.passes) > 1:
        samples = [[net.log_ratios[name].get(number, math.nan) for name in names] for number in net.passes]
        pairs = stats.above(numpy.array(samples), family.level / family.comparisons, floor)
        found |= {(names[one], names[other]) for one, other in pairs}
    return frozenset(found)


def ranks(net: Net, shown: frozenset[Pair]) -> dict[str, int]:
    """By method, 1 + the number of methods that it is shown to be slower than; empty before two passes."""
    if len(net.passes) < 2:
        return {}
    return {
        variant.name: 1 + sum(slower == variant.name for slower, _ in shown)
        for variant in net.comparison.variants
        if variant.role in ("method", "baseline") and net.known(variant.name)
    }


def against_baseline(name: str, baseline: str, shown: frozenset[Pair]) -> Literal["slower", "faster"] | None:
    """Whether a variant is shown to be slower or faster than the baseline."""
    if (name, baseline) in shown:
        return "slower"
    return "faster" if (baseline, name) in shown else None


def verdict(
    variant: Variant,
    log_ratio: Interval | None,
    indistinct: bool,
    shown: Literal["slower", "faster"] | None,
    failures: Sequence[Failure],
) -> Verdict:
    """The verdict on a variant.

    Args:
        log_ratio: to the baseline; None where it is not known.
        indistinct: its time is not measurable beside the empty loop.
        shown: whether it is shown to be slower or faster than the baseline.
        failures: those that cost it its times.
    """
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
