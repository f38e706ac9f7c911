"""`gradbench versus` on commits whose truth is known: identical ones, a slower one, and one that saves more.

A temporary clone gets the commits; each trial is the command as a user types it, in that clone.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from studies.regressions.asv_trials import MORE_BYTES, SLOWER, Clone, larger, slower, waits
from studies.regressions.part import Part, Table

# Where a change of Square.backward, and of what Square saves, has to be told.
_SLOW, _LARGE = "square.backward/100/float32/cpu", "square.forward/100/float32/cpu"


class Trial(msgspec.Struct, frozen=True):
    """One trial of two commits.

    Attributes:
        kind: what the second commit changes: identical, slower or larger.
        seconds: wall time of the command.
        code: its exit code, 1 where something is worse.
        ended: why: decided, budget or pairs.
        alarms: variants that are called slower, faster or different in memory, with what is said of them.
        found: of a change, whether it is told where it was made.
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
    """What was done, and what came of it; `waits` are nanoseconds by number of elements."""

    started: str
    processor: str
    budget: int
    waits: dict[int, int]
    trials: list[Trial]


def study(output: Path, identical: int, changed: int, budget: int, say: Callable[[str], None]) -> None:
    """Make the commits and hold them against each other; versus.json is written anew after each trial.

    Trials that are in the file already are not made again.
    """
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder), budget)
        source = clone.functions.read_text()
        wait = waits(say)
        commits = {
            "start": clone.commit("start", source),
            "identical": clone.commit("identical", source),
            "slower": clone.commit("slower", slower(source, wait)),
            "larger": clone.commit("larger", larger(source)),
        }
        kinds = [("identical", "")] * identical
        kinds += [("slower", "")] * changed + [("slower", "square")] * changed + [("larger", "square")]
        started = datetime.datetime.now().isoformat(timespec="seconds")
        trials = Trials(started, "", budget, wait, [])
        path = output / "versus.json"
        if path.is_file():
            # Gone on with: only what is not there is measured, with a wait of its own.
            trials = msgspec.json.decode(path.read_bytes(), type=Trials)
            trials.waits = wait
        there = Counter((each.kind, each.workloads) for each in trials.trials)
        for number, (kind, workloads) in enumerate(kinds, 1):
            if there[kind, workloads] > 0:
                there[kind, workloads] -= 1
                continue
            data = _versus(clone, commits["start"], commits[kind], workloads, budget, number)
            found = _trial(data, kind, workloads)
            trials.processor = data["processor"]
            trials.trials.append(found)
            path.write_bytes(msgspec.json.format(msgspec.json.encode(trials), indent=1))
            said = found.alarms or "nothing"
            say(f"{number} of {len(kinds)}, {kind} {workloads}: {said} after {found.seconds:.0f} s")


def _versus(clone: Clone, before: str, after: str, workloads: str, budget: int, seed: int) -> dict[str, Any]:
    """What the command says of two commits, with its exit code and its wall time."""
    gradbench = Path(sysconfig.get_path("scripts")) / "gradbench"
    command = [sys.executable, str(gradbench), "versus", before, after, "--budget", str(budget)]
    command += [
        "--seed",
        str(seed),
        "--json",
        "--no-report",
        *(["--workload", workloads] if workloads else []),
    ]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--output", f"{folder}/trial"], cwd=clone.path, capture_output=True, text=True
        )
        seconds = time.monotonic() - begun
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return {**json.loads(done.stdout), "code": done.returncode, "seconds": seconds}


def _trial(data: dict[str, Any], kind: str, workloads: str) -> Trial:
    return Trial(
        kind=kind,
        workloads=workloads,
        seconds=round(data["seconds"], 1),
        code=data["code"],
        pairs=data["pairs"],
        ended=data["ended"],
        alarms={_name(variant): said for variant in data["variants"] if (said := _alarm(variant))},
        found=_found(kind, data["variants"]),
        apart={_name(variant): variant["ratio"]["mean"] for variant in data["variants"] if variant["ratio"]},
        calibration_task=data["calibration_task"]["mean"],
    )


def _name(variant: dict[str, Any]) -> str:
    return f"{variant['comparison']} {variant['variant']}"


def _alarm(variant: dict[str, Any]) -> str:
    """What is said of a variant that is called different; empty where it is not."""
    said = [variant["outcome"]] if variant["outcome"] in ("slower", "faster", "failed") else []
    if said and variant["ratio"]:
        ratio = variant["ratio"]
        said = [f"{said[0]} {ratio['mean']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"]
    said += [f"{figure} {one} to {other}" for figure, (one, other) in variant["memory"].items()]
    return ", ".join(said)


def _found(kind: str, variants: list[dict[str, Any]]) -> bool | None:
    own = {variant["comparison"]: variant for variant in variants if variant["variant"] == "function"}
    if kind == "slower":
        return bool(own[_SLOW]["outcome"] == "slower")
    if kind == "larger":
        before, after = own[_LARGE]["memory"].get("saved", (0, 0))
        return bool(after - before == MORE_BYTES)
    return None


_TOLD = {
    "identical": "none",
    "slower": f"{SLOWER:.0%} of a backward more in Square.backward",
    "larger": f"{MORE_BYTES} bytes more saved by Square",
}


def part(trials: Trials) -> Part:
    """What was found, for the page."""
    rows = []
    for kind, workloads in dict.fromkeys((each.kind, each.workloads) for each in trials.trials):
        own = [each for each in trials.trials if (each.kind, each.workloads) == (kind, workloads)]
        loud = sum(bool(each.alarms) for each in own)
        found = "" if own[0].found is None else str(sum(each.found is True for each in own))
        seconds, pairs = _span([round(each.seconds) for each in own]), _span([each.pairs for each in own])
        rows.append((_TOLD[kind], workloads or "the usual", str(len(own)), str(loud), found, seconds, pairs))
    alike = [each for each in trials.trials if each.kind == "identical"]
    apart = sorted(abs(ratio - 1) for each in alike for ratio in each.apart.values())
    about = [
        f"Begun {trials.started}, on {trials.processor}. Each trial is gradbench versus on two commits, in "
        f"at most {trials.budget} s, of the usual variants unless workloads are named."
    ]
    if apart:
        off = max(abs(each.calibration_task - 1) for each in alike)
        about.append(
            f"Identical code on both sides came out apart by {apart[len(apart) // 2]:.2%} in the median of "
            f"{len(apart)} variants, by {apart[int(0.95 * len(apart))]:.2%} or more in one of twenty, and by "
            f"{apart[-1]:.2%} at most; the calibration task by {off:.2%} at most."
        )
    columns = ("change", "workloads", "trials", "with an alarm", "found", "seconds", "pairs")
    return Part(
        "versus",
        "gradbench versus",
        about,
        [Table("Alarms, and changes that were found", columns, rows)],
        [
            (
                f"{_TOLD[each.kind]}, {each.workloads or 'the usual'}, after {each.pairs} pairs",
                [f"{variant}: {said}" for variant, said in each.alarms.items()],
            )
            for each in trials.trials
            if each.alarms
        ],
    )


def _span(values: list[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"
