"""The sentences of the page: the answer, and a finding for each section. The study's figures make them."""

from __future__ import annotations

from typing import Any

from gradbench import format
from gradbench.analyse.model import Finding
from gradbench.measure.processor_time import LONG_SECONDS
from gradbench.record.interval import Interval


def answer(numbers: dict[str, Any]) -> str:
    """The answer of the page in one sentence: how often gradbench is right about power and identical code."""
    power, same = numbers["power"], numbers["same"]
    hits, runs = sum(power["found"].values()), power["runs"] * len(power["found"])
    return (
        f"gradbench found a difference of {_difference(power)} in {hits} of {runs} "
        f"runs of {power['seconds']:.0f} s. It called identical code different in {same['false_runs']} of "
        f"{same['runs']} runs."
    )


def findings(numbers: dict[str, Any]) -> list[Finding]:
    """One finding for each section, in the order of the sections."""
    parts = (_simulated, _looks, _same, _clocks, _known, _power, _peers, _hidden, _cold)
    return [part(numbers) for part in parts]


def _difference(power: dict[str, Any]) -> str:
    """The difference that the runs of the trial of power looked for, by all measured ratios."""
    ratios = [end for ends in power["ratios"].values() for end in ends]
    low, high = (f"{100 * (end - 1):.0f}" for end in (min(ratios), max(ratios)))
    return f"{low if low == high else f'{low} to {high}'} %"


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def _simulated(numbers: dict[str, Any]) -> Finding:
    rows = numbers["coverage"]
    holds = [row for row in rows if 0.93 <= row.covered <= 0.97]
    rest = [row for row in rows if row not in holds]
    low, high = min(row.covered for row in holds), max(row.covered for row in holds)
    failed = "".join(f"It fails where {row.flaw}: {_percent(row.covered)}. " for row in rest)
    false = _percent(max(row.false for row in rows), 2)
    fails = f"; {', '.join(f'{row.regime} {_percent(row.covered)}' for row in rest)}" if rest else ""
    return Finding(
        f"A 95 % interval holds the truth on {len(holds)} of {len(rows)} simulated machines.",
        f"It holds the truth in {_percent(low)} to {_percent(high)} of {rows[0].runs:,} runs on each of "
        "these "
        f"machines. {failed}gradbench calls identical variants different in at most {false} of runs.",
        f"{100 * low:.1f} to {_percent(high)}{fails}",
        "simulated",
    )


def _looks(numbers: dict[str, Any]) -> Finding:
    looks, alike = numbers["stopping"]
    low, high = looks["false_between"]
    covered = looks["covered"].values()
    share = _percent(looks["false"], 2)
    allowed = "keep to" if looks["false"] <= 0.01 else "exceed"
    return Finding(
        f"Simulated runs that choose what they measure {allowed} 1 % of false verdicts.",
        f"At most 1 % of runs may have a false verdict. {share} of {looks['runs']:,} runs have one "
        f"({_percent(low, 2)} to {_percent(high, 2)}). "
        f"Their 95 % intervals hold the truth in {_percent(min(covered))} to {_percent(max(covered))}. They "
        f"leave {looks['undecided']:g} verdicts open in the median run. Where every comparison gets the same "
        f"time, {alike['undecided']:g} stay open.",
        f"{share} of {looks['runs']:,} runs",
        "looks",
    )


def _same(numbers: dict[str, Any]) -> Finding:
    same = numbers["same"]
    return Finding(
        f"{same['alarms']} of {same['comparisons']} comparisons of identical code have p < 0.05, where "
        "chance "
        f"gives {0.05 * same['comparisons']:.0f}.",
        f"{same['false_runs']} of {same['runs']} runs made of these comparisons call anything different. "
        f"Identical variants differed by {_percent(same['median_off'], 3)} in the median and by "
        f"{_percent(same['worst_off'], 2)} at worst, in {same['passes']} processes of 60 ms each.",
        f"{same['false_runs']} of {same['runs']} runs wrong",
        "same",
    )


def _clocks(numbers: dict[str, Any]) -> Finding:
    own, rows = "median of paired ratios", numbers["clocks"]["rows"]

    def off(condition: str, clock: str, long: bool) -> list[float]:
        return [
            row["off"][clock][own]
            for row in rows
            if row["condition"] == condition and (row["took"] > LONG_SECONDS) is long
        ]

    wall, thread = (_percent(max(off("busy", clock, True))) for clock in ("wall", "thread"))
    return Finding(
        "Beside busy processes, gradbench times calls of milliseconds by processor time.",
        f"By processor time, identical calls of milliseconds differ by {thread} at worst beside busy "
        f"processes; by the wall clock, by {wall}. Short calls in two processes side by side, each on a "
        "core, "
        f"differ by {_percent(max(off('side by side', 'wall', False)), 2)} at most. In one process alone, "
        f"short calls differ by {_percent(max(off('alone', 'wall', False)), 2)} at most.",
        f"{thread} off; wall clock {wall}",
        "clocks",
    )


def _known(numbers: dict[str, Any]) -> Finding:
    rows = numbers["known"]["50 µs"]
    many = [row for row in rows if row["times"] >= 10]
    worst = max(many, key=lambda row: abs(row["error"]))
    few = max((row for row in rows if 2 <= row["times"] < 10), key=lambda row: abs(row["error"]))
    # In longer calls the rest is a small difference between large numbers.
    extra = max(abs(row["extra"]) for row in rows if row["times"] > 1 and row["seconds"] < 3e-6)
    calls = [row["seconds"] / row["times"] for row in many]
    return Finding(
        f"From ten calls in the loop on, a known ratio is measured to within "
        f"{_percent(abs(worst['error']), 2)}.",
        f"The known ratio is k + 1 calls against k, with calls of {format.seconds(min(calls))} to "
        f"{format.seconds(max(calls))}. With {few['times']} calls the error is up to "
        f"{_percent(abs(few['error']), 1)} (at {format.seconds(few['seconds'])}). A turn of the loop takes "
        "up "
        f"to {format.seconds(extra)} that belong neither to the calls nor to the empty loop.",
        f"{few['times']} calls: {_percent(abs(few['error']), 1)} off",
        "known",
    )


def _power(numbers: dict[str, Any]) -> Finding:
    power = numbers["power"]
    found = " and ".join(f"{hits} of {power['runs']} ({name})" for name, hits in power["found"].items())
    call = " and ".join(format.seconds(seconds) for seconds in power["calls"].values())
    hits, runs = sum(power["found"].values()), power["runs"] * len(power["found"])
    return Finding(
        f"{hits} of {runs} runs of {power['seconds']:.0f} s find {_difference(power)} more time.",
        f"They are {found}, on a call of {call}. Each run has {power['passes']} processes. The same "
        f"variant, entered twice, was called different in {power['false']} of {power['false_trials']}.",
        f"{power['false']} of {power['false_trials']} false",
        "power",
    )


def _peers(numbers: dict[str, Any]) -> Finding:
    rows = numbers["peers"]
    few = [row for row in rows if any(each is None or each.low is None for each in row["rms"].values())]
    bounded = [row for row in rows if row["condition"] not in {each["condition"] for each in few}]
    if not bounded:
        return Finding("Other tools answered too few times for an interval on their errors.", "", "", "peers")
    condition = bounded[0]["condition"]
    here = {row["tool"]: row for row in bounded if row["condition"] == condition}
    ours = here.pop("gradbench")

    def errors(name: str) -> str:
        parts = []
        for length in ("short", "long"):
            ratio = f"{length}/{name}"
            means = [row["rms"][ratio].mean for row in here.values()]
            low, high = (format.significant(100 * end, 2) for end in (min(means), max(means)))
            parts.append(f"{error(ours['rms'][ratio])} on a {length} call (others {low} to {high} %)")
        return " and ".join(parts)

    known = ("short/more", "long/more")
    theirs = [row["rms"][ratio].mean for row in here.values() for ratio in known]
    low, high = (format.significant(100 * end, 2) for end in (min(theirs), max(theirs)))
    own = " and ".join(format.significant(100 * ours["rms"][ratio].mean, 2) for ratio in known)
    # The sentence names a winner only where no interval of another tool reaches gradbench's interval.
    apart = all(ours["rms"][ratio].high < row["rms"][ratio].low for row in here.values() for ratio in known)
    others = f"{len(here)} other tool{'' if len(here) == 1 else 's'}"
    evidence = (
        f"From a known ratio gradbench is off by {errors('more')}. From identical code it is off by "
        f"{errors('again')}. The error is the root of the mean square over {ours['n']} repetitions "
        f"({condition} machine), start-up included, with its 95 % interval. The others are "
        f"{', '.join(here)}. "
        "Identical code shows only whether the drift of a shared machine falls on both sides. Where variants "
        "take turns, it does so by design. Where a tool times one variant after another, nothing ensures it. "
        "Most of these tools were made to measure how long one statement takes. How they do on a steady "
        "machine, with more time, or called in turns was not measured."
    )
    if few:
        counts = [row["n"] for row in few]
        evidence += (
            f" On busy machines there were {min(counts)} to {max(counts)} repetitions, too few for an "
            "interval. They are only in the table."
        )
    return Finding(
        "At the same budget, gradbench "
        + (f"is closer to a known ratio than {others}." if apart else f"and {others} miss a known ratio."),
        evidence,
        f"{own} % off; others {low} to {high} %",
        "peers",
    )


def error(rms: Interval | None) -> str:
    """A root mean square error with its interval, in per cent."""
    if rms is None or rms.low is None or rms.high is None:
        return format.percent(None if rms is None else rms.mean)
    low, high = (format.significant(100 * end, 2) for end in (rms.low, rms.high))
    return f"{format.percent(rms.mean)} ({low} to {high})"


def _hidden(numbers: dict[str, Any]) -> Finding:
    worst: dict[str, tuple[float, str]] = {}
    for row in numbers["hidden"]["keep"]:
        for name, ratio in row["ratios"].items():
            if ratio is not None and name != "twin":
                off = _at_least(ratio.low - 1, ratio.high - 1), f"{name} at {row['numel']:,} elements"
                worst[row["trial"]] = max(worst.get(row["trial"], off), off)
    listed = ", ".join(
        f"{trial} {_percent(off, 2)} ({where})" if off else f"{trial} nothing"
        for trial, (off, where) in worst.items()
    )
    order = max(_at_least(bias.low, bias.high) for row in numbers["order"] for bias in row["bias"].values())
    most, where = max(worst.values())
    return Finding(
        f"The largest bias that no twin shows: {where}.",
        f"The bias is at least: {listed}; the place in the order {_percent(order, 2)}. Each figure is the "
        "end "
        "of an interval that is nearer to no difference. So all variants read one buffer, and every round "
        "draws their order again.",
        f"at least {_percent(most)}",
        "hidden",
    )


def _at_least(low: float, high: float) -> float:
    """The least difference from 0 that an interval leaves open."""
    return max(0.0, low, -high)


def _cold(numbers: dict[str, Any]) -> Finding:
    first, last = numbers["in_place"][0], numbers["in_place"][-1]
    small, large = first["added"]["no_grad"], last["added"]["no_grad"]
    low, high = format.seconds(small.mean), format.seconds(large.mean)
    grows = "grows" if large.low > small.high else "is not shown to grow"
    # Is the price higher after reading, which takes less time than the longest computation? Then the time
    # that has passed does not explain the price.
    computed = numbers["computed"][-1]
    quicker = [row for row in numbers["evicted"] if row["seconds"] <= computed["seconds"]]
    read = max(quicker, key=lambda row: row["added"]["no_grad after reading"].low)
    after_read = read["added"]["no_grad after reading"]
    after_computing = computed["added"]["no_grad after computing"]
    return Finding(
        f"In place, the price of a no_grad() block {grows} with the data.",
        f"The work of the block stays the same. The block costs {low} at {first['numel']:,} elements and "
        f"{high} at {last['numel']:,}. "
        f"After reading {format.size(read['bytes'])}, in {format.seconds(read['seconds'])}, it costs "
        f"{format.seconds(after_read.mean)}. After computing for {format.seconds(computed['seconds'])} on "
        f"{format.size(computed['bytes'])} it costs {format.seconds(after_computing.mean)}. "
        + (
            "So the time that has passed does not explain the price. The memory that the operation touched, "
            "and pushed out of the caches, explains it."
            if after_computing.high < after_read.low
            else "So these figures do not separate the two explanations, memory touched and time passed."
        ),
        f"{low} to {high}",
        "cold",
    )
