"""Commands that read a run: `report`, `figures`, `export`, `claims` and `traits`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradbench.cli.completion import claim_names, form_names, offer
from gradbench.cli.folders import newest, write_new
from gradbench.cli.messages import columns, say
from gradbench.cli.options import json_option, names_option, output_option, results_argument
from gradbench.errors import RequestError

if TYPE_CHECKING:
    from gradbench.analyse.analysis import Analysis
    from gradbench.versus.judge import Judged


def analysis_of(results: Path | None) -> Analysis:
    """The analysis of a results file (default: the newest run's)."""
    from gradbench.analyse.analysis import analyse
    from gradbench.record.results import read_results

    return analyse(read_results(results or newest()))


def build_report(analysis: Analysis, output: Path, quiet: bool = False) -> None:
    """Write the page of a run, and print its path."""
    from gradbench.measure.progress import doing

    with doing("building the report", quiet):
        from gradbench.report.page import write_report

        write_report(analysis, output)
    click.echo(f"report: {output}")


def build_trial_report(judged: Judged, output: Path | None = None, aside: bool = False) -> None:
    """Write the page of a trial (default: beside its file), and print its path; `aside` on standard error."""
    from gradbench.versus.page import write_versus

    page = output or judged.trial.path.with_name("report.html")
    write_versus(judged, page)
    click.echo(f"report: {page}", err=aside)


@click.command()
@results_argument()
@output_option("Write the page to this file.  [default: report.html beside the results]", "FILE")
def report(results: Path | None, output: Path | None) -> None:
    """Build the HTML report again.

    RESULTS is the folder or file of a run or of a `versus` trial (default: the newest in runs/).
    """
    from gradbench.versus.judge import judge_trial
    from gradbench.versus.records import FILENAME, is_trial, read_trial

    results = results or newest(FILENAME)
    if is_trial(results):
        build_trial_report(judge_trial(read_trial(results)), output)
        return
    analysis = analysis_of(results)
    build_report(analysis, output or analysis.results.path.parent / "report.html")
    for each in analysis.unfinished:
        say("note", each)


@click.command()
@results_argument()
@output_option("Write to this new or empty folder.  [default: figures/ beside the results]")
@click.option(
    "--format", "formats", default="svg,png", show_default=True, metavar="NAMES",
    help="Choose svg, png, or both with a comma.", shell_complete=offer(lambda: ("svg", "png")),
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Draw every table and chart.")
def figures(results: Path | None, output: Path | None, formats: str, everything: bool) -> None:
    """Draw the ten most useful charts and tables of a run for a talk.

    A picture has 1920 by 1080 pixels. RESULTS is a run (default: the newest in runs/).
    """
    from gradbench import format
    from gradbench.report.slides import write_figures

    analysis = analysis_of(results)
    folder = output or analysis.results.path.parent / "figures"
    written = write_figures(analysis, folder, [each.strip() for each in formats.split(",")], everything)
    more = "" if everything else "; --all draws everything"
    click.echo(f"figures: {folder} ({format.counted(len(written), 'file')}{more})")


@click.command()
@results_argument()
@click.option(
    "--to",
    "name",
    default="csv",
    show_default=True,
    metavar="FORM",
    shell_complete=offer(form_names),
    help="Choose csv (a tidy table), markdown, github-action or pyperf; `gradbench list` has all forms.",
)
@output_option("Write to this new file.  [default: the terminal]", "FILE")
def export(results: Path | None, name: str, output: Path | None) -> None:
    """Write a run in a form that other programs or people read.

    RESULTS is a run (default: the newest in runs/).
    """
    from gradbench.report.export import form

    wanted, analysis = form(name), analysis_of(results)
    try:
        text = wanted.write(analysis)
    except Exception as error:
        raise RequestError(
            f"--to {name}: the form failed: {type(error).__name__}: {error}; choose another form, or correct "
            "its extension"
        ) from None
    if output is None:
        click.echo(text, nl=False)
    else:
        write_new(output, text)


@click.command()
@results_argument()
@click.option("--verbose", is_flag=True, help="Show the full words, and what concerns no single method.")
@json_option("Print the observations as JSON, with the code that made them.")
def traits(results: Path | None, verbose: bool, as_json: bool) -> None:
    """Show what each method does to tensors.

    A run observed it where RESULTS names one; otherwise gradbench observes it here, which starts torch.
    """
    import msgspec

    from gradbench.cli.listing import label_of, observe
    from gradbench.record.results import read_results
    from gradbench.report.terminal.traits import as_text

    if results is None:
        found, label = observe(), label_of
    else:
        read = read_results(results)
        found, label = read.observations, read.header.label
    if not found:
        raise RequestError(
            f"{results}: expected observations, got a run without them; `gradbench run --preset quick` makes "
            "them, and `gradbench traits` alone observes here"
        )
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        click.echo(as_text(found, label, columns(80, 100), verbose))


@click.command()
@results_argument()
@names_option("--id", "ids", claim_names, "Show this claim in full, with its evidence.", "ID")
@click.option("--verbose", is_flag=True, help="Show every claim in full, with its evidence and its id.")
@json_option("Print the verdicts and their cases as JSON.")
def claims(results: Path | None, ids: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """Check common claims about gradient control against a run.

    RESULTS is a run of gradbench's workloads (default: the newest in runs/).
    """
    from gradbench.analyse.claims import verdicts
    from gradbench.report.terminal.claims import as_data, as_text

    analysis = analysis_of(results)
    found = verdicts(analysis, ids)
    own = analysis.user_file is not None or analysis.version_files
    if own and all(each.verdict == "not measured" for each in found):
        raise RequestError(
            f"{results or analysis.results.path.parent}: expected a run of gradbench's workloads, got a run "
            "of your own code, which no claim is about; `gradbench run --preset quick` makes one"
        )
    in_full = verbose or bool(ids)
    text = json.dumps(as_data(found), indent=2) if as_json else as_text(found, columns(80, 160), in_full)
    click.echo(text)
