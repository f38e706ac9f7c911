"""The pages of reports/ and how they are linked: a page is added here, and everywhere."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gradbench.record.results import FILENAME
from gradbench.report.template import Link


@dataclass(frozen=True)
class Page:
    """A page beside the runs. It is linked from the others, and in the index, where it is there.

    Attributes:
        label: in the navigation.
        path: from reports/.
        title, about: in the index.
        module: has `write(data, output, site)`, which makes the page from the folder `data` beside it; empty
            for a page that another tool makes.
    """

    label: str
    path: str
    title: str
    about: str
    module: str = ""


PAGES = (
    Page(
        "The instrument",
        "instrument/index.html",
        "How small a difference it sees, and how often it is wrong",
        "Identical code, ratios known by construction, and other tools beside it.",
        "studies.instrument.page",
    ),
    Page(
        "Releases",
        "releases/index.html",
        "What gradient control costs from release to release of PyTorch",
        "The same code under several releases, in turn on one processor, by gradbench versus.",
        "studies.releases.page",
    ),
    Page(
        "Regressions",
        "regressions/index.html",
        "Regressions that are made, and looked for",
        "Identical, slower and larger commits: what gradbench versus and asv say of them.",
        "studies.regressions.page",
    ),
)


def newest(reports: Path) -> Path | None:
    """The page of the newest run; None where none is published."""
    copy = max(reports.glob(f"runs/*/{FILENAME}.gz"), default=None)
    return None if copy is None else copy.with_name("index.html")


def navigation(reports: Path, page: Path) -> list[Link]:
    """The links of a page at `page` to those that are there, itself among them."""
    run = page if page.parent.parent == reports / "runs" else newest(reports)
    wanted = [("All reports", reports / "index.html")]
    if run is not None:
        wanted.append(("This run" if run == page else "Newest run", run))
    wanted += [(each.label, reports / each.path) for each in PAGES if _there(reports, each)]
    return [
        Link(label, quote(Path(os.path.relpath(target, page.parent)).as_posix()), target == page)
        for label, target in wanted
    ]


def _there(reports: Path, each: Page) -> bool:
    """Whether a page is there, or is made whenever the site is."""
    return (reports / each.path).is_file() or _data(reports, each).is_dir()


def _data(reports: Path, each: Page) -> Path:
    return (reports / each.path).parent / "data"


def present(reports: Path) -> Sequence[Page]:
    """The pages beside the runs that are there."""
    return [each for each in PAGES if _there(reports, each)]


def rebuild(reports: Path) -> None:
    """Make the pages beside the runs again, from their stored data."""
    for each in present(reports):
        if each.module and _data(reports, each).is_dir():
            output = reports / each.path
            module = importlib.import_module(each.module)
            module.write(_data(reports, each), output, navigation(reports, output))
