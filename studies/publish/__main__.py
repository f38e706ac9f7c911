"""Publish a run into reports/: `python -m studies.publish RUN`.

Without a run, it makes all pages and pictures again, from the stored data.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradbench import format
from gradbench.analyse.analysis import Analysis, analyse
from gradbench.analyse.claims import counted
from gradbench.errors import GradbenchError, RequestError
from gradbench.record.results import FILENAME, locate, read_results
from gradbench.report import figures
from gradbench.report.glance import glance_of, in_words
from gradbench.report.glance import headline as in_short
from gradbench.report.page import write_report
from gradbench.report.template import Link, put, render
from studies.files import compress, read_analysis
from studies.publish import documents, pictures, site

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REPORTS = ROOT / "reports"
README = ROOT / "README.md"


@dataclass(frozen=True)
class Published:
    """A run in reports/, as the index shows it."""

    folder: str
    summary: Analysis

    @property
    def verdicts(self) -> str:
        """How many claims are true, false, open, or depend on the case."""
        return counted(self.summary.judgements, shown=True)


def publish(run: Path, reports: Path, readme: Path) -> Path:
    """Copy the compressed results of a run into reports/, and make everything there again.

    Raises RequestError where there is no run, or the README has no place for the headline.
    """
    source = locate(run)
    results = read_results(source)
    # A README without a place is refused before anything is written.
    documents.splice(readme.read_text(encoding="utf-8"), "headline", "", readme.name)
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
    """Make all pages and pictures of reports/ again, and what documents show, from the stored data alone.

    The documents are the README and the pages in docs/ beside it. They and the pictures show the newest run.
    Raises RequestError if no run is published.
    """
    copies = sorted(reports.glob(f"runs/*/{FILENAME}.gz"), reverse=True)
    if not copies:
        raise RequestError(f"{reports}: expected published runs; there are none: publish one with RUN=folder")
    runs = [Published(f"runs/{copy.parent.name}/", read_analysis(copy)) for copy in copies]
    table = headline(runs[0], f"reports/{runs[0].folder.rstrip('/')}", "reports/glance.png")
    text = documents.splice(readme.read_text(encoding="utf-8"), "headline", table, readme.name)
    pages = [copy.with_name("index.html") for copy in copies]
    for run, page in zip(runs, pages, strict=True):
        write_report(run.summary, page, site.navigation(reports, page))
    studies = list(site.rebuild(reports))
    index = reports / "index.html"
    put(_index(runs, studies, site.navigation(reports, index)), index)
    put(text, readme)
    # They quote the pages of the studies.
    quoting = documents.write(readme.with_name("docs"), reports)
    made = [*pages, *(each.path for each in studies), index, *quoting]
    return [*made, *pictures.write(runs[0].summary, reports)]


def _index(runs: Sequence[Published], studies: Sequence[site.Study], links: Sequence[Link]) -> str:
    """The index of reports: the answer and the figure of the newest run, all runs, and all studies."""
    newest = runs[0].summary
    glance = glance_of(newest)
    return render(
        "index.html",
        HERE,
        site=links,
        runs=runs,
        studies=studies,
        wide=figures.glance(newest) if glance else "",
        narrow=figures.glance(newest, narrow=True) if glance else "",
        words=in_words(glance) if glance else "",
    )


def headline(run: Published, folder: str, picture: str) -> str:
    """The README's summary, in Markdown: the picture, and five findings in plain words."""
    answer = run.summary.answer
    if answer is None:
        raise RequestError("expected a run of methods that timed something; publish another one")
    header = run.summary.results.header
    found = [
        answer.sentence,
        *(
            f"{each.purpose} ({format.counted(each.comparison.numel, 'element')}): `{each.use}`. "
            f"{_sentence(each.gain)}"
            for each in answer.recommendations
        ),
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
