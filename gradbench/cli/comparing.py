"""Commands that compare: two runs by `compare`, two sides in turns by `versus`. Both exit 1 on worse."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradbench.cli.completion import offer_paths
from gradbench.cli.folders import folder_for
from gradbench.cli.messages import columns
from gradbench.cli.options import (
    ProcessOptions,
    device_option,
    dtype_option,
    fraction,
    json_option,
    margin_option,
    method_option,
    of_processes,
    output_option,
    report_option,
    results_argument,
    size_option,
    takes,
    workload_option,
)
from gradbench.cli.reading import build_trial_report
from gradbench.cli.running import command_line
from gradbench.errors import EndedEarly, RequestError

if TYPE_CHECKING:
    from gradbench.record.plan import Comparison, Request
    from gradbench.versus.judge import Judged
    from gradbench.versus.records import Options, Trial


@click.command()
@results_argument("old", required=True)
@results_argument("new", required=True)
@margin_option(5.0, "Ignore a change of a ratio within this.")
@click.option(
    "--verbose", "--all", "everything", is_flag=True, help="Show every variant, also the unchanged ones."
)
@click.option("--force", is_flag=True, help="Compare runs of different machines or options.")
@click.option(
    "--to",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Write for a terminal, for a comment on a change, or for programs.",
)
def compare(old: Path, new: Path, margin: float, everything: bool, force: bool, form: str) -> None:
    """Compare two runs: find what became slower or larger.

    OLD and NEW are results files, or folders of runs. gradbench compares ratios to the baseline and exact
    bytes, and corrects for the number of variants. Where your own file changed, it compares seconds per call
    instead of ratios. A change must then go beyond the margin, and beyond the change of gradbench's own work
    in the same passes.

    \b
    Exit codes:
      0  nothing is worse.
      1  a variant became slower or larger, fails, or is not measured any more.
      2  the runs cannot be compared.
    """
    from gradbench.analyse.compare import compare as compare_runs
    from gradbench.record.results import read_results
    from gradbench.report.terminal.compare import as_data, as_markdown, as_text

    found = compare_runs(read_results(old), read_results(new), fraction(margin), force)
    if form == "json":
        click.echo(json.dumps(as_data(found), indent=2))
    elif form == "markdown":
        click.echo(as_markdown(found, everything))
    else:
        click.echo(as_text(found, columns(80, 160), everything))
    if found.worse:
        click.get_current_context().exit(1)


@dataclass(frozen=True, kw_only=True)
class VersusOptions(ProcessOptions):
    """The options of `versus`, by their names."""

    one: str
    other: str
    workloads: tuple[str, ...]
    methods: tuple[str, ...]
    sizes: tuple[str, ...]
    device: str
    dtype: str
    statement: str | None
    setup: str
    margin: float
    budget: float
    pairs: int
    output: Path | None
    with_report: bool
    as_json: bool

    @property
    def request(self) -> Request:
        from gradbench.record.plan import Request

        return Request(self.workloads, self.methods, self.sizes, self.device, self.dtype, self.seed, "quick")

    @property
    def recorded(self) -> Options:
        """The options that the file of the trial keeps."""
        from gradbench.versus.records import Options

        return Options(
            fraction(self.margin),
            self.budget,
            self.pairs,
            self.threads,
            self.allocator,
            self.timeout,
            self.seed,
        )

    def check(self) -> None:
        """Raise RequestError where the options cannot be meant together."""
        if not 10 <= self.budget < 1e7:
            raise RequestError(
                f"--budget {self.budget:g}: expected seconds, from 10 to 1e7; one pair takes several"
            )
        if len(self.request.devices) > 1 or self.device == "all":
            raise RequestError(
                f"--device {self.device}: expected one device, which both sides are measured on"
            )
        if self.statement is None and self.setup:
            raise RequestError("--setup: expected together with --statement, which it is run for")
        if self.statement is not None and (self.workloads or self.methods or self.sizes):
            raise RequestError("--statement: is measured alone; leave out --workload, --method and --size")

    def comparisons(self, request: Request) -> tuple[Comparison, ...]:
        """The comparisons for both sides: the statement of the user, or the plan of the request."""
        from gradbench.versus.cells import planned, written

        if self.statement is None:
            return planned(request)
        return (written(self.setup, self.statement, request.device),)


@click.command()
@click.argument("one", metavar="A", shell_complete=offer_paths)
@click.argument("other", metavar="B", shell_complete=offer_paths)
@workload_option("Measure only this workload.  [default: a few quick ones]")
@method_option("Measure only this method.")
@size_option("Choose small, medium, large, or a number of elements.  [default: small]")
@device_option("Put the tensors on cpu, cuda or cuda:1.")
@dtype_option()
@click.option("--statement", metavar="CODE", help="Measure this code instead; y is its result.")
@click.option("--setup", default="", metavar="CODE", help="Run this code once before --statement.")
@margin_option(2.0, "Ignore a change of time within this.")
@click.option(
    "--budget",
    type=float,
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Stop after this wall time, or before, once every variant is decided.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1, 10_000),
    default=90,
    show_default=True,
    metavar="N",
    help="Start at most N pairs of fresh processes.",
)
@of_processes
@output_option("Write the trial to this folder.  [default: runs/versus-<time>]")
@report_option()
@json_option("Print every variant with its outcome as JSON.")
@takes(VersusOptions)
def versus(asked: VersusOptions) -> None:
    """Compare two sides in turns: find what is slower or larger in B.

    A and B are Python interpreters (or folders of virtual environments) with torch and torch-gradbench. Or
    they are git revisions of the repository in this folder, or folders of sources; gradbench imports these
    before the packages of this interpreter. Both sides take turns of 10 ms on one processor, in pairs of
    fresh processes, until every variant is decided or the budget is used.

    \b
    Exit codes:
      0  nothing is worse in B.
      1  a variant is slower, larger or broken in B.
      2  the request was wrong.
      3  ended early; the message names the results that are kept.
    """
    from gradbench.versus.judge import judge_trial
    from gradbench.versus.text import as_data, as_text
    from gradbench.versus.verdict import longer

    trial = _trial(asked)
    judged = judge_trial(trial)
    click.echo(json.dumps(as_data(judged), indent=2) if asked.as_json else as_text(judged, columns(80, 160)))
    if asked.with_report:
        _report(judged, asked.as_json)
    elif not asked.as_json:
        click.echo(f"build the page: gradbench report {shlex.quote(str(trial.path.parent))}")
    if (again := longer(judged)) and not asked.as_json:
        click.echo(f"measure longer: {again}")
    if judged.worse:
        click.get_current_context().exit(1)


def _trial(asked: VersusOptions) -> Trial:
    from gradbench.versus.processes import TrialOrder
    from gradbench.versus.progress import make_watcher
    from gradbench.versus.sides import on_both, open_sides
    from gradbench.versus.trial import measure

    options, request = asked.recorded, asked.request
    asked.check()
    # A wrong request is refused before any process starts.
    comparisons = asked.comparisons(request)
    with (
        open_sides(asked.one, asked.other) as sides,
        make_watcher() as watcher,
        folder_for(asked.output, "versus-") as folder,
    ):
        if asked.device != "cpu":
            comparisons = asked.comparisons(on_both(request, sides))
        return measure(folder, TrialOrder(sides, comparisons, options, command_line(sys.argv[1:])), watcher)


def _report(judged: Judged, as_json: bool) -> None:
    """Write the page of a trial beside its file, and say where it is. Raises EndedEarly on an interrupt."""
    path = judged.trial.path
    try:
        build_trial_report(judged, aside=as_json)
    except KeyboardInterrupt:
        raise EndedEarly(
            f"interrupted while the report was built; the trial is kept in {path}; "
            f"build it with `gradbench report {shlex.quote(str(path.parent))}`"
        ) from None
