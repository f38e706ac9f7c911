"""The parts of documents that come from stored data: screens, findings and tables, between two comments.

So a page in the repository shows the same figures as the built page, and `make publish` keeps them current.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from gradbench.define.methods import METHODS
from gradbench.errors import RequestError
from gradbench.record.results import FILENAME
from gradbench.report.terminal.brief import brief
from gradbench.report.terminal.model import first_screen
from studies.files import read_analysis
from studies.publish.large_work import large_work

# Columns of a screen: as many as a page has room for.
WIDTH = 88
BEGINS = re.compile(r"^<!-- (\w+): made by make publish -->$", re.MULTILINE)


def begin(name: str) -> str:
    """The line above a part."""
    return f"<!-- {name}: made by make publish -->"


def end(name: str) -> str:
    """The line below a part."""
    return f"<!-- end of {name} -->"


def splice(text: str, name: str, part: str, where: str) -> str:
    """The text of the document `where`, with this part between its two lines.

    Raises RequestError where a line is missing.
    """
    before, first, rest = text.partition(begin(name))
    _, last, after = rest.partition(end(name))
    if not first or not last:
        raise RequestError(
            f"{where}: expected the lines {begin(name)} and {end(name)}; put them where the {name} belongs"
        )
    return f"{before}{first}\n{part}\n{last}{after}"


def write(docs: Path, reports: Path) -> list[Path]:
    """Fill the pages of a folder again, from its samples and the published reports.

    It returns the pages that have such a part. Raises RequestError where a page has an unknown part.
    """
    filled = {page: fill(page, reports) for page in sorted(docs.glob("*.md"))}
    written = [page for page, text in filled.items() if BEGINS.search(text)]
    for page in written:
        page.write_text(filled[page], encoding="utf-8")
    return written


def fill(page: Path, reports: Path) -> str:
    """The text of a page with all its parts made again. It raises what `write` raises."""
    text = page.read_text(encoding="utf-8")
    for name in BEGINS.findall(text):
        if name not in PARTS:
            raise RequestError(
                f"{page.name}: expected one of {', '.join(PARTS)}; got {name}; correct the name"
            )
        text = splice(text, name, PARTS[name](page.parent, reports), page.name)
    return text


def model_screen(folder: Path) -> str:
    """The last screen of a stored run of `gradbench model`, as a block of text."""
    screen = read_analysis(folder / f"{FILENAME}.gz").screen
    if screen is None:
        raise RequestError(f"{folder}: expected a run of `gradbench model`; store another")
    return _block(first_screen(screen, WIDTH))


def run_brief(reports: Path) -> str:
    """The last lines of the newest published run of `gradbench run`, as a block of text."""
    return _block(brief(read_analysis(_newest(reports)), WIDTH))


def found(page: Path) -> str:
    """The answer of a study's page, and its findings as a list with the figures that decide.

    Raises RequestError where the page has neither.
    """
    text = page.read_text(encoding="utf-8")
    answer = re.search("<h1>(.*?)</h1>", text, re.DOTALL)
    findings = re.findall(
        '<span class="says">(.*?)</span> <span class="deciding">(.*?)</span>', text, re.DOTALL
    )
    if not answer or not findings:
        raise RequestError(f"{page}: expected an answer and findings; publish the page again")
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


# Every part by name, made from the folder of the pages and the published reports.
PARTS: Mapping[str, Callable[[Path, Path], str]] = {
    "run_brief": lambda _, reports: run_brief(reports),
    "net_screen": lambda docs, _: model_screen(docs / "samples" / "net"),
    "resnet18_screen": lambda docs, _: model_screen(docs / "samples" / "resnet18"),
    "methods_table": lambda *_: methods_table(),
    "instrument_found": lambda _, reports: found(reports / "instrument" / "index.html"),
    "releases_found": lambda _, reports: found(reports / "releases" / "index.html"),
    "regressions_found": lambda _, reports: found(reports / "regressions" / "index.html"),
    "large_work": lambda _, reports: large_work(_newest(reports), reports / "instrument" / "figures.json"),
}


def _newest(reports: Path) -> Path:
    """The results of the newest published run."""
    return max(reports.glob(f"runs/*/{FILENAME}.gz"))


def _block(text: str) -> str:
    return f"```text\n{text}\n```"
