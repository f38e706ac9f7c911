"""The findings of the study, in sentences from its figures."""

from __future__ import annotations

from typing import Any

from gradbench import format
from gradbench.analyse.model import Finding
from gradbench.measure.processor_time import LONG_SECONDS
from gradbench.record.interval import Interval


def findings(numbers: dict[str, Any]) -> list[Finding]:
    """One finding for each part of the study, for any result."""
    parts = (_simulated, _looks, _same, _clocks, _known, _power, _peers, _hidden, _cold)
    return [part(numbers) for part in parts]


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def _simulated(numbers: dict[str, Any]) -> Finding:
    rows = numbers["coverage"]
    holds = [row for row in rows if 0.93 <= row.covered <= 0.97]
    rest = [row for row in rows if row not in holds]
    low, high = min(row.covered for row in holds), max(row.covered for row in holds)
    sentence = (
        f"A 95 % interval holds the truth in {_percent(low)} to {_percent(high)} of {rows[0].runs:,} "
        f"simulated runs, on {len(holds)} of {len(rows)} kinds of machine"
    )
    failed = "; ".join(f"where {row.flaw}, in {_percent(row.covered)}" for row in rest)
    false = _percent(max(row.false for row in rows), 2)
    return Finding(
        f"{sentence}.",
        (f"It fails {failed}. " if rest else "")
        + f"Identical variants are called different in at most {false} of runs.",
    )


def _looks(numbers: dict[str, Any]) -> Finding:
    looks, alike = numbers["stopping"]
    low, high = looks["false_between"]
    covered = looks["covered"].values()
    return Finding(
        f"Runs that choose what they measure by what they found have a false verdict in "
        f"{_percent(looks['false'], 2)} of {looks['runs']:,} simulations ({_percent(low, 2)} to "
        f"{_percent(high, 2)}); 1 % is allowed.",
        f"Their 95 % intervals hold the truth in {_percent(min(covered))} to {_percent(max(covered))}. They "
        f"leave {looks['undecided']:g} verdicts open in the median run. Where every comparison gets the same "
        f"time {alike['undecided']:g} stay open.",
    )


def _clocks(numbers: dict[str, Any]) -> Finding:
    own, rows = "median of paired ratios", numbers["clocks"]["rows"]

    def off(condition: str, clock: str, long: bool) -> list[float]:
        return [
            row["off"][clock][own]
            for row in rows
            if row["condition"] == condition and (row["took"] > LONG_SECONDS) is long
        ]

    return Finding(
        f"Beside busy processes identical calls of milliseconds come out "
        f"{_percent(max(off('busy', 'wall', True)))} apart at worst by the wall clock, and "
        f"{_percent(max(off('busy', 'thread', True)))} by processor time, which times them.",
        f"Short calls in two processes side by side, each on a core, differ by "
        f"{_percent(max(off('side by side', 'wall', False)), 2)} at most, and in one process alone by "
        f"{_percent(max(off('alone', 'wall', False)), 2)}.",
    )


def _same(numbers: dict[str, Any]) -> Finding:
    same = numbers["same"]
    return Finding(
        f"Of {same['comparisons']} real comparisons of a variant with itself {same['alarms']} have p < 0.05 "
        f"(5 % would be {0.05 * same['comparisons']:.0f}). Of {same['runs']} runs made of them, "
        f"{same['false_runs']} call anything different.",
        f"Identical variants came out {_percent(same['median_off'], 3)} apart in the median and "
        f"{_percent(same['worst_off'], 2)} at worst, in {same['passes']} processes of 60 ms each.",
    )


def _known(numbers: dict[str, Any]) -> Finding:
    rows = numbers["known"]["50 µs"]
    many = [row for row in rows if row["times"] >= 10]
    worst = max(many, key=lambda row: abs(row["error"]))
    few = max((row for row in rows if 2 <= row["times"] < 10), key=lambda row: abs(row["error"]))
    # Of longer calls the rest is a small difference of large numbers.
    extra = max(abs(row["extra"]) for row in rows if row["times"] > 1 and row["seconds"] < 3e-6)
    calls = [row["seconds"] / row["times"] for row in many]
    return Finding(
        f"A ratio known by construction is found to within {_percent(abs(worst['error']), 2)}, where ten or "
        "more calls stand in the loop.",
        f"Calls of {format.seconds(min(calls))} to {format.seconds(max(calls))} are compared with one more "
        f"of the same. With {few['times']} calls the error is up to {_percent(abs(few['error']), 1)} (at "
        f"{format.seconds(few['seconds'])}). A turn of the loop takes up to {format.seconds(extra)} that "
        "neither the calls nor the empty loop account for.",
    )


def _power(numbers: dict[str, Any]) -> Finding:
    power = numbers["power"]
    found = " and ".join(f"{hits} of {power['runs']} ({name})" for name, hits in power["found"].items())
    call = " and ".join(format.seconds(seconds) for seconds in power["calls"].values())
    return Finding(
        f"2 % more on a call of {call} is found in {power['seconds']:.0f} seconds in {found} runs.",
        f"Each run has {power['passes']} processes. The same variant, entered again, was called different in "
        f"{power['false']} of {power['false_trials']}.",
    )


def _peers(numbers: dict[str, Any]) -> Finding:
    rows = numbers["peers"]
    few = [row for row in rows if any(each is None or each.low is None for each in row["rms"].values())]
    bounded = [row for row in rows if row["condition"] not in {each["condition"] for each in few}]
    if not bounded:
        return Finding("Other tools answered too few times for an interval on their errors.", "")
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

    evidence = (
        f"The error is the root of the mean square over {ours['n']} repetitions ({condition} machine), "
        f"start-up included, with its 95 % interval. The others are {', '.join(here)}. Identical code shows "
        "only whether the drift of a shared machine falls on both sides. Where variants take turns it does "
        "by design; where one is timed after another nothing makes it so. Most of these tools were made to "
        "measure how long one statement takes. How they do on a steady machine, with more time, or called in "
        "turns was not measured."
    )
    if few:
        counts = [row["n"] for row in few]
        evidence += (
            f" On busy machines there were {min(counts)} to {max(counts)} repetitions, too few for an "
            "interval; they are in the table only."
        )
    return Finding(
        f"At the same budget of wall time, gradbench is off from a ratio known by construction by "
        f"{errors('more')}. From identical code it is off by {errors('again')}.",
        evidence,
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
    return Finding(
        f"The largest bias that a twin cannot show is at least: {listed}; the place in the order "
        f"{_percent(order, 2)}.",
        "Each figure is the end of an interval that is nearer to no difference. So all variants read one "
        "buffer, and their order is drawn anew in every round.",
    )


def _at_least(low: float, high: float) -> float:
    """The least difference from 0 that an interval leaves open."""
    return max(0.0, low, -high)


def _cold(numbers: dict[str, Any]) -> Finding:
    first, last = numbers["in_place"][0], numbers["in_place"][-1]
    low, high = first["added"]["no_grad"].mean, last["added"]["no_grad"].mean
    # The time that has passed does not explain a control that is dearer after reading for less time than the
    # longest computation takes.
    computed = numbers["computed"][-1]
    quicker = [row for row in numbers["evicted"] if row["seconds"] <= computed["seconds"]]
    read = max(quicker, key=lambda row: row["added"]["no_grad after reading"].low)
    after_read = read["added"]["no_grad after reading"]
    after_computing = computed["added"]["no_grad after computing"]
    return Finding(
        f"In place, a no_grad() block costs from {format.seconds(low)} at {first['numel']:,} elements to "
        f"{format.seconds(high)} at {last['numel']:,}, though the block does the same.",
        f"After reading {format.size(read['bytes'])}, in {format.seconds(read['seconds'])}, it costs "
        f"{format.seconds(after_read.mean)}; after computing for {format.seconds(computed['seconds'])} on "
        f"{format.size(computed['bytes'])} it costs {format.seconds(after_computing.mean)}. "
        + (
            "So the time that has passed does not explain the price. What the operation touched, and pushed "
            "out of the caches, explains it."
            if after_computing.high < after_read.low
            else "So these figures do not separate the two explanations, memory touched and time passed."
        ),
    )
