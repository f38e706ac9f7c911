"""What the study found, in sentences made from its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradbench.report import format
from gradbench.report.findings import Finding


def findings(numbers: dict[str, Any]) -> list[Finding]:
    """One finding for each part of the study, whatever it came to."""
    asked: list[Callable[[dict[str, Any]], Finding]] = [
        _simulated,
        _same,
        _known,
        _power,
        _peers,
        _hidden,
        _cold,
    ]
    return [ask(numbers) for ask in asked]


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
    failed = "; ".join(f"where {row.says}, in {_percent(row.covered)}" for row in rest)
    false = _percent(max(row.false for row in rows), 2)
    return Finding(
        f"{sentence}.",
        (f"It fails {failed}. " if rest else "")
        + f"Identical lanes are called different in at most {false} of runs.",
    )


def _same(numbers: dict[str, Any]) -> Finding:
    same = numbers["same"]
    return Finding(
        f"Of {same['comparisons']} real comparisons of a lane with itself {same['alarms']} have p < 0.05 "
        f"(5 % would be {0.05 * same['comparisons']:.0f}); of {same['runs']} runs made of them, "
        f"{same['false_runs']} call anything different.",
        f"Identical lanes came out {_percent(same['median_off'], 3)} apart in the median and "
        f"{_percent(same['worst_off'], 2)} at worst, in {same['passes']} processes of 60 ms each.",
    )


def _known(numbers: dict[str, Any]) -> Finding:
    rows = [row for row in numbers["known"]["50 µs"] if row["times"] >= 10]
    worst = max(rows, key=lambda row: abs(row["error"]))
    short = [row for row in numbers["known"]["50 µs"] if row["times"] == 5]
    return Finding(
        f"A ratio known by construction is found to within {_percent(abs(worst['error']), 2)}.",
        "Ten or more calls of 50 ns to 2.3 µs against one more. With five calls the error is "
        + " and ".join(f"{_percent(row['error'], 2)} at {format.seconds(row['seconds'])}" for row in short)
        + ": a turn of the loop around them takes a few nanoseconds that the empty loop does not.",
    )


def _power(numbers: dict[str, Any]) -> Finding:
    power = numbers["power"]
    found = " and ".join(f"{hits} of {power['runs']} ({name})" for name, hits in power["found"].items())
    return Finding(
        f"2 % more on a call of 3 µs is found in ten seconds in {found} runs.",
        f"{power['passes']} processes each. The same lane entered again was called different in "
        f"{power['false']} of {power['false_trials']}.",
    )


LENGTHS = {"short/again": "350 ns", "long/again": "3 µs"}


def _peers(numbers: dict[str, Any]) -> Finding:
    parts = []
    for condition in dict.fromkeys(row["condition"] for row in numbers["peers"]):
        others = [r for r in numbers["peers"] if r["condition"] == condition and r["tool"] != "gradbench"]
        for ratio, length in LENGTHS.items():
            known = [row for row in others if row["times"][ratio] is not None]
            if known:
                best = min(known, key=lambda row: row["times"][ratio])
                parts.append(f"{condition}, {length}: {best['times'][ratio]:.1f} times ({best['tool']})")
    return Finding(
        "At the same budget of wall time, the best other tool's error on identical code is, in multiples of "
        f"gradbench's: {'; '.join(parts)}.",
        "Root mean square over repetitions, start-up included in the budget of each.",
    )


def _hidden(numbers: dict[str, Any]) -> Finding:
    worst: dict[str, tuple[float, str]] = {}
    for row in numbers["hidden"]["keep"]:
        for name, ratio in row["ratios"].items():
            if ratio is not None and name != "twin":
                off = abs(ratio.mean - 1), f"{name} at {row['numel']:,} elements"
                worst[row["trial"]] = max(worst.get(row["trial"], off), off)
    listed = ", ".join(f"{trial} {_percent(off, 2)} ({where})" for trial, (off, where) in worst.items())
    order = max(abs(bias.mean) for row in numbers["order"] for bias in row["bias"].values())
    return Finding(
        f"What a twin cannot show, at its worst: {listed}; the place in the order {_percent(order, 2)}.",
        "So all lanes of a comparison read one buffer, and their order is drawn anew in every round.",
    )


def _cold(numbers: dict[str, Any]) -> Finding:
    first, last = numbers["in_place"][0], numbers["in_place"][-1]
    low, high = first["added"]["no_grad"].mean, last["added"]["no_grad"].mean
    computed = numbers["computed"][-1]
    # What was read in a time like that of the longest computation: the two explanations part there.
    read = min(numbers["evicted"], key=lambda row: abs(row["seconds"] - computed["seconds"]))
    after_read = read["added"]["no_grad after reading"]
    after_computing = computed["added"]["no_grad after computing"]
    told = after_computing.high < after_read.low
    return Finding(
        f"In place, a no_grad() block costs from {format.seconds(low)} at {first['numel']:,} elements to "
        f"{format.seconds(high)} at {last['numel']:,}, though the block does the same.",
        f"After reading {format.size(read['bytes'])}, in {format.seconds(read['seconds'])}, it costs "
        f"{format.seconds(after_read.mean)}; after computing for {format.seconds(computed['seconds'])} on "
        f"{format.size(computed['bytes'])} it costs {format.seconds(after_computing.mean)}. "
        + (
            "So it is what an operation touches that makes the next control dear, not the time it takes."
            if told
            else "So the two explanations, memory touched and time passed, are not told apart here."
        ),
    )
