"""The page of the study: from the data of the trials to one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gradbench.errors import ResultsFileError
from gradbench.report.template import Link, put, render
from studies.regressions import asv_trials, versus_trials
from studies.regressions.part import Part

# By the name of its data: the trials of a tool, and its part of the page.
TOOLS: dict[str, tuple[type[Any], Callable[[Any], Part]]] = {
    "versus": (versus_trials.Trials, versus_trials.part),
    "asv": (asv_trials.Trials, asv_trials.part),
}


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the page from the data of those tools that there are; replaces it as a whole."""
    parts = []
    for name, (kind, part) in TOOLS.items():
        path = data / f"{name}.json"
        if path.is_file():
            try:
                parts.append(part(msgspec.json.decode(path.read_bytes(), type=kind)))
            except msgspec.DecodeError as error:
                raise ResultsFileError(f"{path}: is not what this study writes: {error}") from None
    output.parent.mkdir(parents=True, exist_ok=True)
    put(render("regressions.html", Path(__file__).parent, site=site, parts=parts), output)
