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
    """The answer and the findings of each study, as Markdown, from the published pages."""
    return {
        f"{name}_found": found(reports / name / "index.html")
        for name in ("instrument", "releases", "regressions")
    }


def found(page: Path) -> str:
    """The answer of a study's page, and its findings as a list with the figures that decide.

    Raises ValueError where the page has neither.
    """
    text = page.read_text(encoding="utf-8")
    answer = re.search("<h1>(.*?)</h1>", text, re.DOTALL)
    findings = re.findall(
        '<span class="says">(.*?)</span> <span class="deciding">(.*?)</span>', text, re.DOTALL
    )
    if not answer or not findings:
        raise ValueError(f"{page}: expected an answer and findings; publish the page again")
    rows = [f"- {says}{f' ({figure})' if figure else ''}" for says, figure in findings]
    plain = re.sub(r"<[^>]+>", "", "\n".join([f"**{answer[1]}**", "", *rows]))
    return html.unescape(plain).replace("<", "&lt;")


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
