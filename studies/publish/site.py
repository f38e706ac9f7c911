"""The pages of reports/ and how they are linked: a page is added here, and everywhere."""

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
    """The page of a study. It is linked from the others, and in the index, where its data are there.

    Attributes:
        study: its folder in reports/, which holds the folder `data`; and the module in studies/ whose `page`
            has `write(data, output, site)`, which makes the page.
        label: in the navigation.
        title, about: in the index.
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
        "Identical code, ratios known by construction, and other tools beside it.",
    ),
    Page(
        "releases",
        "Releases",
        "What gradient control costs from release to release of PyTorch",
        "The same code under several releases, in turn on one processor, by gradbench versus.",
    ),
    Page(
        "regressions",
        "Regressions",
        "How well regressions are found",
        "Identical, slower and larger commits, and what gradbench versus and asv report of them.",
    ),
)


def navigation(reports: Path, page: Path) -> list[Link]:
    """The links of a page at `page` to those that are there, itself among them."""
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


def rebuild(reports: Path) -> Iterator[Path]:
    """Make the pages of the studies again, from their stored data."""
    for each in present(reports):
        output = reports / each.path
        module = importlib.import_module(f"studies.{each.study}.page")
        module.write(output.with_name("data"), output, navigation(reports, output))
        yield output
