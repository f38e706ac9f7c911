"""Publish a run into reports/: `python -m studies.publish RUN`, or without a run the newest in runs/."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path

from gradbench import format
from gradbench.claims import verdicts
from gradbench.claims.text import counted
from gradbench.errors import GradbenchError, RequestError
from gradbench.report import write_report
from gradbench.report.template import put, render
from gradbench.results import FILENAME, locate, read_results
from gradbench.summary import ComparisonSummary, RunSummary, summarise

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REPORTS = ROOT / "reports"
README = ROOT / "README.md"
BEGIN, END = "<!-- headline: made by make publish -->", "<!-- end of headline -->"

# The columns of the README's table: one operation, several, and a model.
HEADLINE = ("control", "elementwise", "chain", "inference")


@dataclass(frozen=True)
class Published:
    """A run in reports/, as its index shows it."""

    folder: str
    summary: RunSummary
    verdicts: str


def publish(run: Path, reports: Path, readme: Path) -> Path:
    """Copy a run's results, compressed, build its report, and make the index and the README's table anew.

    Raises RequestError where there is no run, or the README has no place for the table.
    """
    source = locate(run)
    results = read_results(source)
    header = results.header
    name = f"{header.created[:10]}-{header.options.preset}-{header.request.device.replace(':', '')}"
    name += f"-torch-{header.environment.torch.partition('+')[0]}"
    folder = reports / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{FILENAME}.gz"
    content = source.read_bytes()
    if not results.compressed:
        # Without a time in it, so that the same results make the same file.
        content = gzip.compress(content, mtime=0)
    copy.write_bytes(content)
    write_report(copy, folder / "index.html")
    runs = [_published(path) for path in sorted(reports.glob(f"runs/*/{FILENAME}.gz"), reverse=True)]
    instrument = reports / "instrument" / "index.html"
    page = render("index.html", HERE, runs=runs, instrument=instrument.is_file())
    put(page, reports / "index.html")
    put(
        splice(readme.read_text(encoding="utf-8"), headline(summarise(results), f"reports/runs/{name}")),
        readme,
    )
    return folder


def _published(path: Path) -> Published:
    summary = summarise(read_results(path))
    return Published(f"runs/{path.parent.name}/", summary, counted(verdicts(summary)))


def splice(text: str, table: str) -> str:
    """The text with the table in the place that is kept for it. Raises RequestError where there is none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RequestError(f"README: expected the lines {BEGIN} and {END}; put them where the table belongs")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def headline(summary: RunSummary, folder: str) -> str:
    """The README's table, in Markdown: each method's time in multiples of the reference's."""
    columns = [
        each
        for each in summary.comparisons
        if each.comparison.name in HEADLINE and each.comparison.size in ("small", "large")
    ]
    labels = {lane.lane.name: lane.lane.label for each in columns for lane in each.methods}
    header = summary.results.header
    heads = [f"`{each.comparison.workload}` {format.count(each.comparison.numel)}" for each in columns]
    rows = [["", *heads], ["---", *["---:"] * len(columns)]]
    rows += [[f"`{label}`", *(_cell(each, name) for each in columns)] for name, label in labels.items()]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return (
        f"{table}\n\nTime relative to `requires_grad_(False)` (its own row: time per call; columns: workload "
        f"and elements of x), {header.environment.processor}, torch {header.environment.torch}, "
        f"{summary.passes} passes, by `{header.command}`; [the whole report]({folder}/index.html). "
        f"{counted(verdicts(summary))}"
    )


def _cell(each: ComparisonSummary, name: str) -> str:
    lane = each.lane(name)
    if lane is None:
        return ""
    if lane.verdict == "reference":
        return format.seconds(lane.time.mean if lane.time else None)
    return format.multiple(lane.ratio)


def main() -> None:
    """Publish the run that is named, or the newest."""
    try:
        if len(sys.argv) > 1:
            run = Path(sys.argv[1])
        else:
            found = sorted(Path("runs").glob(f"*/{FILENAME}"), key=lambda path: path.stat().st_mtime)
            if not found:
                raise RequestError("there is no run in runs/ yet; make one with `make report`")
            run = found[-1]
        print(publish(run, REPORTS, README))
    except GradbenchError as error:
        sys.exit(f"publish: error: {error}")


if __name__ == "__main__":
    main()
