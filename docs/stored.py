"""What the pages show of stored data: screens and sentences, which gradbench's own code makes during a build.

So no figure stands in a page that a later measurement, or another wording, would make wrong.
"""

from pathlib import Path

import msgspec

from gradbench.analyse.analysis import Analysis, analyse
from gradbench.define.methods import METHODS
from gradbench.record.results import FILENAME, read_results
from gradbench.report.terminal.brief import brief
from gradbench.report.terminal.model import first_screen
from studies.instrument.findings import findings
from studies.instrument.page import numbers
from studies.regressions.page import TOOLS
from studies.releases import page as releases_page
from studies.releases.analysis import read as read_trials

# Columns of a screen: as many as a page has room for.
WIDTH = 96


def model_screen(folder: Path) -> str:
    """What `gradbench model` showed at the end of a stored run, as a block of text."""
    analysis = _analysis(folder)
    if analysis.screen is None:
        raise ValueError(f"{folder}: expected a run of `gradbench model`; store another")
    return _block(first_screen(analysis.screen, WIDTH))


def run_brief(reports: Path) -> str:
    """What `gradbench run` says at the end of the newest published run, as a block of text."""
    newest = max(reports.glob(f"runs/*/{FILENAME}.gz"))
    return _block(brief(_analysis(newest.parent), WIDTH))


def studies(reports: Path) -> dict[str, str]:
    """What each study found, as a list in Markdown."""
    instrument = [each.sentence for each in findings(numbers(reports / "instrument" / "data"))]
    trials = read_trials(reports / "releases" / "data")
    releases = [each.sentence for each in releases_page.answers(trials)]
    variants = [releases_page._finding(each) for each in trials.trials.values()]
    regressions = []
    for name, (kind, part) in TOOLS.items():
        stored = (reports / "regressions" / "data" / f"{name}.json").read_bytes()
        regressions += part(msgspec.json.decode(stored, type=kind)).about
    found = {"instrument": instrument, "releases": releases, "regressions": regressions}
    made = {f"{name}_found": _list(sentences) for name, sentences in found.items()}
    return {**made, "releases_variants": _list(variants)}


def methods_table() -> str:
    """Every method that gradbench measures, as a table in Markdown."""
    rows = ["| method | as written | since torch | what it does |", "| --- | --- | --- | --- |"]
    rows += [
        f"| [`{each.name}`]({each.source}) | {each.label} | {each.since} | {each.effect} |"
        for each in METHODS
    ]
    return "\n".join(rows)


def _analysis(folder: Path) -> Analysis:
    return analyse(read_results(folder))


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def _list(sentences: list[str]) -> str:
    return "\n".join(f"- {each}" for each in sentences)
