"""Screens and sentences from stored data, which gradbench's own code makes during a build.

So no page holds a figure that a later measurement, or another wording, would make wrong.
"""

import html
import re
from pathlib import Path

from gradbench.analyse.analysis import Analysis, analyse
from gradbench.define.methods import METHODS
from gradbench.record.results import FILENAME, read_results
from gradbench.report.terminal.brief import brief
from gradbench.report.terminal.model import first_screen

# Columns of a screen: as many as a page has room for.
WIDTH = 88


def model_screen(folder: Path) -> str:
    """The last screen of a stored run of `gradbench model`, as a block of text."""
    analysis = _analysis(folder)
    if analysis.screen is None:
        raise ValueError(f"{folder}: expected a run of `gradbench model`; store another")
    return _block(first_screen(analysis.screen, WIDTH))


def run_brief(reports: Path) -> str:
    """The last lines of the newest published run of `gradbench run`, as a block of text."""
    newest = max(reports.glob(f"runs/*/{FILENAME}.gz"))
    return _block(brief(_analysis(newest.parent), WIDTH))


def studies(reports: Path) -> dict[str, str]:
    """The findings of each study, as lists in Markdown, from the published pages."""
    return {
        "instrument_found": _list(_sentences(reports / "instrument", "short")),
        "releases_found": _list(_sentences(reports / "releases", "question")),
        "releases_variants": _list(_sentences(reports / "releases", "found")),
        "regressions_found": _list(
            [each for tool in ("versus", "asv") for each in _sentences(reports / "regressions", tool)]
        ),
    }


def _sentences(study: Path, section: str) -> list[str]:
    """The items of the first list in a section of a study's page, or its paragraphs before the first table.

    Raises ValueError where the page has no such section.
    """
    page = (study / "index.html").read_text(encoding="utf-8")
    found = re.search(rf'<section id="{section}">(.*?)(?:<h3|<div|</section>)', page, re.DOTALL)
    if not found or not re.search("<(?:li|p)>", found[1]):
        raise ValueError(
            f"{study}/index.html: expected findings in a section {section}; name the one that has them"
        )
    items = re.findall(r"<li>(?:<p>)?(.*?)</(?:p|li)>", found[1], re.DOTALL)
    items = items or re.findall(r"<p>(.*?)</p>", found[1], re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", each)).replace("<", "&lt;") for each in items]


def methods_table() -> str:
    """Every method that gradbench measures, as a table in Markdown."""
    rows = ["| method | what it does | as written | since torch |", "| --- | --- | --- | --- |"]
    rows += [
        f"| [`{each.name}`]({each.source}) | {each.effect} | {each.label} | {each.since} |"
        for each in METHODS
    ]
    return "\n".join(rows)


def _analysis(folder: Path) -> Analysis:
    return analyse(read_results(folder))


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def _list(sentences: list[str]) -> str:
    return "\n".join(f"- {each}" for each in sentences)
