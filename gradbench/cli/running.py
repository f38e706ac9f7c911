"""Commands that measure here: `run` and `model`, how a run is resumed, and what ends one."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradbench.cli.folders import folder_for, newest
from gradbench.cli.messages import columns, say
from gradbench.cli.options import (
    DEVICES,
    Command,
    ProcessOptions,
    device_option,
    dtype_option,
    method_option,
    of_processes,
    output_option,
    refuse_a_lonely_unit,
    report_option,
    size_in_bytes,
    size_option,
    takes,
    workload_option,
)
from gradbench.cli.reading import analysis_of, build_report
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.goal import BUDGETS, Goal, make_goal

if TYPE_CHECKING:
    from gradbench.analyse.analysis import Analysis
    from gradbench.measure.steering import Steering
    from gradbench.measure.user_model import UserModel
    from gradbench.record.plan import Request
    from gradbench.record.results import Header, Options, Results
    from gradbench.record.undecided import Undecided

# Seconds of wall time of a quick look at a model.
MODEL_BUDGET = 55.0
# A budget that holds fewer calls of a model than this leaves something out.
SCARCE = 100


@dataclass(frozen=True, kw_only=True)
class Measuring(ProcessOptions):
    """The options that `run` and `model` share, by their names."""

    preset: str
    methods: tuple[str, ...]
    passes: int | None
    budget: float | None
    precision: float | None
    jobs: int | None
    output: Path | None
    resume: bool
    with_report: bool
    quiet: bool

    def goal(self, preset: str) -> Goal:
        """When the run is done, of a run with this preset. Raises RequestError."""
        return make_goal(preset, self.passes, self.budget, self.precision)

    def recorded(self, timeout: float) -> Options:
        """The options that the results file keeps."""
        from gradbench.record.results import Options

        return Options(self.preset, self.threads, self.allocator, timeout)


@dataclass(frozen=True, kw_only=True)
class RunOptions(Measuring):
    """The options of `run`."""

    workloads: tuple[str, ...]
    sizes: tuple[str, ...]
    device: str
    cold: bool
    dtype: str

    @property
    def request(self) -> Request:
        from gradbench.record.plan import Request

        return Request(
            self.workloads,
            self.methods,
            self.sizes,
            self.device,
            self.dtype,
            self.seed,
            self.preset,
            self.cold,
        )


@dataclass(frozen=True, kw_only=True)
class MeasuringOwn(Measuring):
    """The options that `model` and `op` share: they measure the user's code."""

    def goal(self, preset: str) -> Goal:
        """As of a run; a quick one may take a minute, since to look at the code is in it."""
        goal = super().goal(preset)
        quick = preset == "quick" and (self.passes, self.budget, self.precision) == (None, None, None)
        return replace(goal, budget=MODEL_BUDGET) if quick else goal

    def patience(self, user_model: UserModel) -> float:
        """Seconds after which a visit that says nothing counts as hung."""
        return self.timeout


@dataclass(frozen=True, kw_only=True)
class ModelOptions(MeasuringOwn):
    """The options of `model`."""

    files: tuple[Path, ...]
    fit: int | None
    every_module: bool

    def recorded(self, timeout: float) -> Options:
        """As of a run, and what training should fit into."""
        import msgspec

        return msgspec.structs.replace(super().recorded(timeout), fit=self.fit)

    def patience(self, user_model: UserModel) -> float:
        from gradbench.cli.resuming import given

        if given("timeout"):
            return self.timeout
        # A visit of a large model takes as long as it takes; what is rough is taken five times.
        return min(max(self.timeout, 5 * user_model.longest), 86_400.0)


def preset_option(default: str) -> Callable[[Command], Command]:
    return click.option(
        "--preset",
        type=click.Choice(list(BUDGETS)),
        default=default,
        show_default=True,
        help="Choose how long to measure: 45 s, 5 minutes or 30 minutes at most.",
    )


@click.command()
@preset_option("standard")
@workload_option("Measure only this workload; for several repeat it, or use commas.")
@method_option("Measure only this method, and the baseline.")
@size_option("Choose small, medium, large, a number of elements (1e6), or a sweep (1:1e7).")
@device_option(DEVICES)
@click.option("--cold", is_flag=True, help="Flush the cache of a GPU before each call.")
@dtype_option()
@click.option(
    "--passes", type=int, metavar="N", help="Run N passes: fresh processes that visit every comparison."
)
@click.option(
    "--budget", type=float, metavar="SECONDS", help="Stop after this wall time, which includes the report."
)
@click.option(
    "--precision",
    type=float,
    metavar="PERCENT",
    help="Stop once every interval is within ± this part of its ratio.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Run N passes side by side, each bound to a core.  [default: the idle cores, up to 4]",
)
@of_processes
@output_option("Write the run to this folder.  [default: runs/<time>]")
@click.option("--resume", is_flag=True, help="Go on with the run in --output (default: the newest in runs/).")
@report_option()
@click.option("--quiet", is_flag=True, help="Print only failures and the path of the report.")
@takes(RunOptions)
def run(asked: RunOptions) -> None:
    """Measure every method, and build the report.

    Begin here: `gradbench run --preset quick` takes 45 s.
    """
    from gradbench.cli.listing import check_extensions
    from gradbench.measure import run as runs

    check_extensions()
    if asked.resume:
        folder, header = _resumed(asked)
        with _steering(asked, asked.goal(header.options.preset)) as steering:
            results = runs.resume(folder, steering)
    else:
        with _steering(asked, asked.goal(asked.preset)) as steering, folder_for(asked.output) as folder:
            order = runs.Order(asked.request, asked.recorded(asked.timeout), command_line(sys.argv[1:]))
            results = runs.start(folder, order, steering)
    _finish(results.path, asked)


SHARED = {field.name for field in fields(Measuring)} - {"preset"}


@click.command(params=[each for each in run.params if each.name in SHARED])
@preset_option("quick")
@click.option(
    "--fit",
    metavar="SIZE",
    callback=size_in_bytes,
    help="Mark the changes that make training fit into this memory, such as 8GB, and name a batch that fits.",
)
@click.option(
    "--modules", "every_module", is_flag=True, help="Show the bytes that each module keeps for the backward."
)
@click.argument(
    "files", metavar="FILE.py [FILE.py ...]", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@takes(ModelOptions)
def model(asked: ModelOptions) -> None:
    """Measure your own model under each method, or its versions.

    FILE.py defines `model`, a torch.nn.Module, and `x`, its input tensor. It may define `call(model, x)`,
    which returns a tensor, where model(x) does not or needs more inputs. It may define `loss(y)`, which
    returns a scalar tensor: gradbench then measures training too, in the mode that the file leaves the model
    in. The results and the report contain the text of the file.

    gradbench compares several files in time and bytes; the first is the baseline. It measures evaluation, the
    recorded forward, and a training step where all files define `loss`. One file may define a dict `variants`
    of modules or functions of x instead. gradbench compares its entries in the same way.
    An example: variants = {"plain": a, "fused": b}.
    """
    refuse_a_lonely_unit(asked.files, "--fit")
    file = asked.files[0]

    def name_of(word: str, places: Mapping[str, Path]) -> str:
        named = {place: name for name, place in places.items()} or {file: file.name}
        # A path may be written in several ways.
        return named.get(Path(word), word)

    measure_own(asked, f"{file.stem}-", partial(_look, asked), name_of)


def measure_own(
    asked: MeasuringOwn,
    prefix: str,
    look: Callable[[Request, int, Header | None], UserModel],
    name_of: Callable[[str, Mapping[str, Path]], str],
    again: tuple[str, ...] = (),
) -> None:
    """Look at the user's code, measure it or go on with its run, and print the answer.

    Args:
        prefix: of the name of the run's folder.
        look: plans the code by a request and for so many threads. For a run that goes on it also gets the
            header, so that it plans the same as before.
        name_of: makes a word of the command line into the word that the results keep, by the folders of
            several files. The results name no folder of this machine.
        again: as in `gradbench.measure.run.Order`.
    """
    from gradbench.cli.listing import check_extensions
    from gradbench.measure import run as runs
    from gradbench.record.plan import Request
    from gradbench.record.results import new_folder

    check_extensions()
    began = time.monotonic()
    if asked.resume:
        folder, header = _resumed(asked, prefix)
        goal = asked.goal(header.options.preset)
        own = look(header.request, header.options.threads, header)
        with _steering(asked, goal, began) as steering:
            results = runs.resume(folder, steering, own.plan, own.file, own.calls, _places(own), again)
    else:
        goal = asked.goal(asked.preset)
        if asked.output is not None:
            new_folder(asked.output)
        own = look(Request(methods=asked.methods, seed=asked.seed, preset=asked.preset), asked.threads, None)
        _warn_of_few_visits(own, goal)
        for reason in own.plan.skipped.items():
            say("note", "{} is left out: {}".format(*reason))
        options, places = asked.recorded(asked.patience(own)), _places(own)
        command = command_line([name_of(each, places) for each in sys.argv[1:]])
        with _steering(asked, goal, began) as steering, folder_for(asked.output, prefix) as folder:
            order = runs.Order(
                own.request, options, command, own.plan, own.file, own.calls, own.records, places, again
            )
            results = runs.start(folder, order, steering)
    _finish(results.path, asked)


@contextmanager
def _steering(asked: Measuring, goal: Goal, began: float | None = None) -> Iterator[Steering]:
    """Steer a run: its end and its progress. The budget counts from `began`, a monotonic time."""
    from gradbench.analyse.summary import worst_precision
    from gradbench.analyse.undecided import find_open
    from gradbench.measure.progress import make_progress
    from gradbench.measure.steering import LOOKS, Steering

    def undecided(results: Results, session: int) -> Undecided:
        return find_open(results, len(LOOKS), session)

    with make_progress(asked.quiet) as progress:
        spent = 0.0 if began is None else time.monotonic() - began
        yield Steering(goal, worst_precision, undecided, asked.jobs, progress, spent)


def _resumed(asked: Measuring, prefix: str = "") -> tuple[Path, Header]:
    """The folder of the run that is resumed, and its header. Raises RequestError for options that differ."""
    from gradbench.cli.resuming import refuse_changes
    from gradbench.record.results import read_results

    folder = asked.output or newest(prefix=prefix)
    header = read_results(folder).header
    refuse_changes(header, folder)
    return folder, header


def _changes(header: Header) -> dict[str, str]:
    """The changes of training that a run measures, and their effects: a new look may find others."""
    steps = (each for each in header.plan.comparisons if each.part == "step")
    found = {variant.name: variant.effect for each in steps for variant in each.variants if variant.effect}
    # As the row of the change has it, before it became a sentence.
    return {name: effect[0].lower() + effect[1:-1] for name, effect in found.items()}


def _look(asked: ModelOptions, request: Request, threads: int, old: Header | None) -> UserModel:
    """Look at the user's files, and plan them by the request: methods, seed and preset."""
    from gradbench.measure.progress import doing
    from gradbench.measure.protocol import Task
    from gradbench.measure.user_model import plan_user_model
    from gradbench.measure.versions import plan_user_versions
    from gradbench.record.plan import PRICE

    wanted = request.methods, request.seed, request.preset, threads
    look, priced = Task(None, 0.0, fit=asked.fit), None
    if old is not None:
        look = Task(None, 0.0, changes=_changes(old))
        priced = any(each.workload == PRICE for each in old.plan.comparisons)
    names = ", ".join(file.name for file in asked.files)
    with doing(f"running {names} to see what it defines", asked.quiet):
        versions = plan_user_versions(asked.files, *wanted)
        if versions is None:
            return plan_user_model(asked.files[0], *wanted, look, priced)
    for option, given in (("--fit", asked.fit is not None), ("--modules", asked.every_module)):
        if given:
            raise RequestError(
                f"{option}: applies to one model, and this run compares versions; leave it out, "
                "or give one file that defines `model`"
            )
    return versions


def _places(user_model: UserModel) -> Mapping[str, Path]:
    """Where several files stand, by name; none where there is one."""
    from gradbench.measure.versions import UserVersions

    return user_model.files if isinstance(user_model, UserVersions) else {}


def _warn_of_few_visits(user_model: UserModel, goal: Goal) -> None:
    from gradbench.record.plan import USER_MODEL

    first = next(iter(user_model.calls.values()))
    if goal.budget is not None and first * SCARCE > goal.budget:
        enough = math.ceil(SCARCE * sum(user_model.calls.values()) / 10) * 10
        # Versions are no methods, to be chosen among.
        methods = any(each.workload == USER_MODEL for each in user_model.plan.comparisons)
        say(
            "note",
            f"a call of the model takes about {first:.2g} s here, so {goal.budget:g} s hold few calls. "
            f"The run may leave out variants, and intervals are wide; --budget {enough} would do, or a "
            "smaller x" + (", or fewer methods by --method" if methods else ""),
        )


def command_line(words: Sequence[str]) -> str:
    """A command line for the results file; escapes replace the bytes of a name that are no text."""
    return shlex.join(["gradbench", *words]).encode("utf-8", "backslashreplace").decode()


def _finish(results: Path, asked: Measuring) -> None:
    """Print the answer of a run that has ended, build its report, and print how to go on.

    Raises EndedEarly where nothing could be measured.
    """
    from gradbench.measure.progress import doing

    text = ""
    try:
        with doing("summing up", asked.quiet):
            from gradbench.report.terminal.brief import brief
            from gradbench.report.terminal.model import first_screen

            analysis = analysis_of(results)
            if not asked.quiet and analysis.screen is not None:
                every_module = getattr(asked, "every_module", False)
                text = first_screen(analysis.screen, columns(60, 110), every_module)
            elif not asked.quiet:
                text = brief(analysis, columns(60, 110))
        if text:
            click.echo(text)
        if analysis.failed and analysis.passes:
            say("note", analysis.failed)
        if asked.with_report:
            build_report(analysis, results.parent / "report.html", asked.quiet)
        else:
            click.echo(f"results: {results}")
    except KeyboardInterrupt:
        raise EndedEarly(
            f"interrupted while the report was built; the results are kept in {results}; "
            f"build it with `gradbench report {shlex.quote(str(results.parent))}`"
        ) from None
    if analysis.failed and not analysis.passes:
        raise EndedEarly(f"{analysis.failed} What is known is kept in {results}")
    if again := _command_to_go_on(analysis) if not asked.quiet else "":
        click.echo(f"measure more: {again}")


def _command_to_go_on(analysis: Analysis) -> str:
    """The command that measures more of a run, to paste; empty where none can."""
    from gradbench.analyse.trust import ENOUGH

    results = analysis.results
    return results.command_to_go_on(results.longer(max(2 * analysis.passes, ENOUGH)), here=True)
