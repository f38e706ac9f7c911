"""The page of the study: from the data of the trials to one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gradbench.analyse.model import Finding
from gradbench.errors import ResultsFileError
from gradbench.report.template import Link, put, render
from studies.files import STUDIES
from studies.regressions import asv_trials, figures, versus_trials
from studies.regressions.part import Part

# The trials of a tool and its part of the page, by the name of its data.
TOOLS: dict[str, tuple[type[Any], Callable[[Any], Part]]] = {
    "versus": (versus_trials.Trials, versus_trials.part),
    "asv": (asv_trials.Trials, asv_trials.part),
}


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> str:
    """Build the page from the data of the tools that are there, and return the answer in one sentence.

    The page replaces the old one. The answer is empty without data.
    """
    parts = []
    for name, (kind, part) in TOOLS.items():
        path = data / f"{name}.json"
        if path.is_file():
            try:
                parts.append(part(msgspec.json.decode(path.read_bytes(), type=kind)))
            except msgspec.DecodeError as error:
                raise ResultsFileError(f"{path}: is not what this study writes: {error}") from None
    output.parent.mkdir(parents=True, exist_ok=True)
    found = answer(parts)
    points = [(f"{part.title}: {point.kind}", point) for part in parts for point in part.points]
    page = render(
        "regressions.html",
        Path(__file__).parent,
        STUDIES,
        site=site,
        parts=parts,
        answer=found,
        findings=[_finding(part) for part in parts],
        wide=figures.ratios(points) if points else "",
        narrow=figures.ratios(points, narrow=True) if points else "",
        words=figures.in_words(points),
    )
    put(page, output)
    return found


def answer(parts: Sequence[Part]) -> str:
    """How many regressions every tool found, and its false alarms, in one sentence."""
    if not parts:
        return ""
    found = ", ".join(f"{part.title} {part.score.found} of {part.score.changes}" for part in parts)
    alarms = " and ".join(f"{part.score.alarms} of {part.score.identical}" for part in parts)
    return f"Regressions found: {found}. False alarms on identical commits: {alarms}."


def _finding(part: Part) -> Finding:
    """The score of a tool."""
    score = part.score
    return Finding(
        f"{part.title} reports {score.found} of {score.changes} changes where they were made.",
        f"It raises an alarm on {score.alarms} of {score.identical} identical pairs of commits. "
        f"{part.evidence}",
        f"{score.alarms} of {score.identical} identical pairs with an alarm",
        part.name,
    )
