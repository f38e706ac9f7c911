"""`gradbench versus` on commits whose truth is known: identical ones, a slower one, and one that saves more.

A temporary clone gets the commits. Each trial runs the command of a user in that clone.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from studies.files import Log, write_json
from studies.regressions.clone import CHANGES, GRADBENCH, MORE_BYTES, Clone, measure_waits
from studies.regressions.part import Part, Point, Score, Table

# versus has to report changes of Square.backward and of its saved tensors in these comparisons.
_SLOW, _LARGE = "square.backward/100/float32/cpu", "square.forward/100/float32/cpu"
# The variant that a slower commit slows.
_FIGURE = f"{_SLOW} function"


class Trial(msgspec.Struct, frozen=True):
    """One trial of two commits.

    Attributes:
        kind: the change in the second commit: identical, slower or larger.
        workloads: the `--workload` of the command; empty for its default.
        seconds: wall time of the command.
        code: its exit code, 1 where a variant is worse.
        ended: the reason: decided, budget or pairs.
        alarms: variants that versus calls slower, faster or different in memory, with the outcome.
        found: whether versus reports the change where it was made; None without a change.
        apart: by variant, the ratio of the two sides.
        calibration_task: the ratio of the same work on both sides.
    """

    kind: str
    workloads: str
    seconds: float
    code: int
    pairs: int
    ended: str
    alarms: dict[str, str]
    found: bool | None
    apart: dict[str, float]
    calibration_task: float


class Trials(msgspec.Struct):
    """All trials, and how they were made; `waits` are nanoseconds by number of elements."""

    started: str
    processor: str
    budget: int
    waits: dict[int, int]
    trials: list[Trial]


def study(output: Path, identical: int, changed: int, budget: int, log: Log) -> None:
    """Make the commits and compare them. It writes versus.json after each trial.

    Trials that are already in the file are not made again.
    """
    path = output / "versus.json"
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder))
        waits = measure_waits(log)
        before = clone.commit("identical", waits)
        commits = {kind: clone.commit(kind, waits) for kind in ("identical", "slower", "larger")}
        kinds = [("identical", "")] * identical
        kinds += [("slower", "")] * changed + [("slower", "square")] * changed + [("larger", "square")]
        if path.is_file():
            # Measure only the trials that the file lacks, with a new wait.
            trials = msgspec.json.decode(path.read_bytes(), type=Trials)
            trials.waits = waits
        else:
            started = datetime.datetime.now().isoformat(timespec="seconds")
            trials = Trials(started, "", budget, waits, [])
        there = Counter((each.kind, each.workloads) for each in trials.trials)
        for number, (kind, workloads) in enumerate(kinds, 1):
            if there[kind, workloads] > 0:
                there[kind, workloads] -= 1
                continue
            data = _versus(clone, before, commits[kind], workloads, budget, number)
            found = trial_of(data, kind, workloads)
            trials.processor = data["processor"]
            trials.trials.append(found)
            write_json(path, trials)
            outcome = found.alarms or "nothing"
            log(f"{number} of {len(kinds)}, {kind} {workloads}: {outcome} after {found.seconds:.0f} s")


def _versus(clone: Clone, before: str, after: str, workloads: str, budget: int, seed: int) -> dict[str, Any]:
    """The data that the command prints on two commits, with its exit code and its wall time."""
    command = [*GRADBENCH, "versus", before, after, "--budget", str(budget), "--seed", str(seed)]
    command += ["--json", "--no-report", *(["--workload", workloads] if workloads else [])]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--output", f"{folder}/trial"], cwd=clone.path, capture_output=True, text=True
        )
        seconds = time.monotonic() - begun
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return {**json.loads(done.stdout), "code": done.returncode, "seconds": seconds}


def trial_of(data: dict[str, Any], kind: str, workloads: str) -> Trial:
    """The trial that printed these data, as `_versus` gives them."""
    variants = {f"{each['comparison']} {each['variant']}": each for each in data["variants"]}
    return Trial(
        kind=kind,
        workloads=workloads,
        seconds=round(data["seconds"], 1),
        code=data["code"],
        pairs=data["pairs"],
        ended=data["ended"],
        alarms={name: alarm for name, variant in variants.items() if (alarm := _alarm(variant))},
        found=_found(kind, variants),
        apart={name: variant["ratio"]["mean"] for name, variant in variants.items() if variant["ratio"]},
        calibration_task=data["calibration_task"]["mean"],
    )


def _alarm(variant: dict[str, Any]) -> str:
    """The outcome of a variant that versus calls different; empty where it does not."""
    words = [variant["outcome"]] if variant["outcome"] in ("slower", "faster", "failed") else []
    if words and (ratio := variant["ratio"]):
        words = [f"{words[0]} {ratio['mean']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"]
    words += [f"{figure} {one} to {other}" for figure, (one, other) in variant["memory"].items()]
    return ", ".join(words)


def _found(kind: str, variants: dict[str, dict[str, Any]]) -> bool | None:
    """Whether versus reports the change where it was made; None where there is no change."""
    if kind == "slower":
        return bool(variants[_FIGURE]["outcome"] == "slower")
    if kind == "larger":
        before, after = variants[f"{_LARGE} function"]["memory"].get("saved", (0, 0))
        return bool(after - before == MORE_BYTES)
    return None


def part(trials: Trials) -> Part:
    """The part of versus on the page."""
    rows = []
    for kind, workloads in dict.fromkeys((each.kind, each.workloads) for each in trials.trials):
        alike = [each for each in trials.trials if (each.kind, each.workloads) == (kind, workloads)]
        loud = sum(bool(each.alarms) for each in alike)
        found = "" if alike[0].found is None else str(sum(each.found is True for each in alike))
        spans = _span([round(each.seconds) for each in alike]), _span([each.pairs for each in alike])
        rows.append((CHANGES[kind], workloads or "the usual", str(len(alike)), str(loud), found, *spans))
    columns = ("change", "workloads", "trials", "with an alarm", "found", "seconds", "pairs")
    return Part(
        "versus",
        "gradbench versus",
        [
            f"Begun {trials.started}, on {trials.processor}. Each trial is gradbench versus on two commits, "
            "in "
            f"at most {trials.budget} s. It measures the usual variants, unless the table names workloads."
        ],
        [Table("Alarms, and changes that were found", columns, rows)],
        Score(
            found=sum(each.found is True for each in trials.trials),
            changes=sum(each.found is not None for each in trials.trials),
            alarms=sum(bool(each.alarms) for each in trials.trials if each.kind == "identical"),
            identical=sum(each.kind == "identical" for each in trials.trials),
        ),
        [
            (
                f"{CHANGES[each.kind]}, {each.workloads or 'the usual'}, after {each.pairs} pairs",
                [f"{variant}: {alarm}" for variant, alarm in each.alarms.items()],
            )
            for each in trials.trials
            if each.alarms
        ],
        _evidence([each for each in trials.trials if each.kind == "identical"]),
        [
            Point(each.kind, each.apart[_FIGURE], _FIGURE in each.alarms)
            for each in trials.trials
            if each.kind in ("identical", "slower") and _FIGURE in each.apart
        ],
    )


def _evidence(identical: list[Trial]) -> str:
    apart = sorted(abs(ratio - 1) for each in identical for ratio in each.apart.values())
    if not apart:
        return ""
    off = max(abs(each.calibration_task - 1) for each in identical)
    return (
        f"Identical code on both sides differed by {apart[len(apart) // 2]:.2%} in the median of "
        f"{len(apart)} variants. One of twenty variants differed by {apart[int(0.95 * len(apart))]:.2%} or "
        f"more. The largest difference was {apart[-1]:.2%}. "
        f"The calibration task differed by {off:.2%} at most."
    )


def _span(values: list[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"
