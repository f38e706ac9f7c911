"""The pages of reports/ and their links. A page that is added here is linked from all others."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gradbench.record.results import FILENAME
from gradbench.report.template import Link


@dataclass(frozen=True)
class Page:
    """The page of a study. The other pages and the index link to it if its data are there.

    Attributes:
        study: its folder in reports/, which holds the folder `data`; also its module in studies/. There
            `page.write(data, output, site)` makes the page and returns its answer in one sentence.
        label: its name in the navigation.
        title, about: its words in the index.
    """

    study: str
    label: str
    title: str
    about: str

    @property
    def path(self) -> str:
        """The page, from reports/."""
        return f"{self.study}/index.html"


PAGES = (
    Page(
        "instrument",
        "The instrument",
        "How small a difference it sees, and how often it is wrong",
        "We tried it on identical code and on ratios known by construction, side by side with other tools.",
    ),
    Page(
        "releases",
        "Releases",
        "The cost of gradient control from release to release of PyTorch",
        "gradbench versus ran the same code under several releases, in turn on one processor.",
    ),
    Page(
        "regressions",
        "Regressions",
        "How well regressions are found",
        "gradbench versus and asv compared identical, slower and larger commits.",
    ),
)


def navigation(reports: Path, page: Path) -> list[Link]:
    """The links of the page at this path to all pages that are there, and to itself."""
    newest = max(reports.glob(f"runs/*/{FILENAME}.gz"), default=None)
    run = page if page.parent.parent == reports / "runs" else newest and newest.with_name("index.html")
    wanted = [("All reports", reports / "index.html")]
    if run is not None:
        wanted.append(("This run" if run == page else "Newest run", run))
    wanted += [(each.label, reports / each.path) for each in present(reports)]
    return [
        Link(label, quote(Path(os.path.relpath(target, page.parent)).as_posix()), target == page)
        for label, target in wanted
    ]


def present(reports: Path) -> list[Page]:
    """The pages of the studies whose data are there."""
    return [each for each in PAGES if (reports / each.study / "data").is_dir()]


@dataclass(frozen=True)
class Study:
    """A study whose page is made.

    Attributes:
        path: of the page.
        answer: of the study, in one sentence; empty if there are no data to answer with.
    """

    page: Page
    path: Path
    answer: str


def rebuild(reports: Path) -> Iterator[Study]:
    """Make the pages of the studies again, from their stored data."""
    for each in present(reports):
        output = reports / each.path
        module = importlib.import_module(f"studies.{each.study}.page")
        answer = module.write(output.with_name("data"), output, navigation(reports, output))
        yield Study(each, output, answer)
