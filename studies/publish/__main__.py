"""Publish a run into reports/: `python -m studies.publish RUN`.

Without a run everything published is made again, from the data that are stored with it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gradbench.analyse.analysis import Analysis, analyse
from gradbench.analyse.claims import counted
from gradbench.errors import GradbenchError, RequestError
from gradbench.record.results import FILENAME, locate, read_results
from gradbench.report.glance import glance_of
from gradbench.report.glance import headline as in_short
from gradbench.report.page import write_report
from gradbench.report.template import put, render
from studies.files import compress, read_analysis
from studies.publish import pictures, site

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REPORTS = ROOT / "reports"
README = ROOT / "README.md"
BEGIN, END = "<!-- headline: made by make publish -->", "<!-- end of headline -->"


@dataclass(frozen=True)
class Published:
    """A run in reports/, as its index shows it."""

    folder: str
    summary: Analysis

    @property
    def verdicts(self) -> str:
        """How many claims came out how."""
        return counted(self.summary.judgements)


def publish(run: Path, reports: Path, readme: Path) -> Path:
    """Copy a run's results, compressed, into reports/, and make everything there again.

    Raises RequestError where there is no run, or the README has no place for the table.
    """
    source = locate(run)
    results = read_results(source)
    # Both raise before anything is written.
    splice(readme.read_text(encoding="utf-8"), "")
    headline(Published("", analyse(results)), "", "")
    header = results.header
    name = f"{header.created[:10]}-{header.options.preset}-{header.request.device.replace(':', '')}"
    name += f"-torch-{header.environment.torch.partition('+')[0]}"
    folder = reports / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{FILENAME}.gz"
    if results.compressed:
        copy.write_bytes(source.read_bytes())
    else:
        compress(source.read_bytes(), copy)
    rebuild(reports, readme)
    return folder


def rebuild(reports: Path, readme: Path) -> list[Path]:
    """Make every page and picture of reports/ and the README's table again, from the stored data alone.

    The README and the pictures show the newest run. Raises RequestError where none is published.
    """
    copies = sorted(reports.glob(f"runs/*/{FILENAME}.gz"), reverse=True)
    if not copies:
        raise RequestError(f"{reports}: expected published runs; there are none: publish one with RUN=folder")
    runs = [Published(f"runs/{copy.parent.name}/", read_analysis(copy)) for copy in copies]
    table = headline(runs[0], f"reports/{runs[0].folder.rstrip('/')}", "reports/glance.png")
    text = splice(readme.read_text(encoding="utf-8"), table)
    pages = [copy.with_name("index.html") for copy in copies]
    for run, page in zip(runs, pages, strict=True):
        write_report(run.summary, page, site.navigation(reports, page))
    pages += site.rebuild(reports)
    index = reports / "index.html"
    links = site.navigation(reports, index)
    put(render("index.html", HERE, site=links, runs=runs, pages=site.present(reports)), index)
    put(text, readme)
    return [*pages, index, *pictures.write(runs[0].summary, reports)]


def splice(text: str, table: str) -> str:
    """The text with the table in the place that is kept for it. Raises RequestError where there is none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RequestError(f"README: expected the lines {BEGIN} and {END}; put them where the table belongs")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def headline(run: Published, folder: str, picture: str) -> str:
    """The README's summary, in Markdown: the picture, and five findings in plain words."""
    answer = run.summary.answer
    if answer is None:
        raise RequestError("expected a run of methods that timed something; publish another one")
    header = run.summary.results.header
    found = [
        answer.sentence,
        *(f"{each.purpose}: `{each.use}`. {_sentence(each.gain)}" for each in answer.recommendations),
    ]
    shown = glance_of(run.summary)
    link = f"[![{in_short(shown)}]({picture})]({folder}/index.html)\n\n" if shown is not None else ""
    findings = "\n".join(f"- {each}" for each in found)
    processor = header.environment.processor.partition(" (")[0]
    return (
        f"{link}{findings}\n\n"
        f"Measured by `{header.command}` on {processor} with torch {header.environment.torch}. "
        f"{answer.trust.sentence} {run.verdicts} [Read the whole report]({folder}/index.html)."
    )


def _sentence(clause: str) -> str:
    """A clause as a sentence."""
    return f"{clause[:1].upper()}{clause[1:]}."


def main() -> None:
    """Publish the run that is named, and make everything again."""
    try:
        if len(sys.argv) > 1:
            print(publish(Path(sys.argv[1]), REPORTS, README))
        else:
            print(*rebuild(REPORTS, README), sep="\n")
    except GradbenchError as error:
        sys.exit(f"publish: error: {error}")


if __name__ == "__main__":
    main()
