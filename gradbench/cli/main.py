"""The commands. Each imports what it needs when it is called, so that help and lists answer at once."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from gradbench import __version__
from gradbench.errors import EndedEarly, GradbenchError, RequestError
from gradbench.measure.goal import make_goal

RUNS = Path("runs")
# A budget that holds fewer passes than this gives wide intervals.
SCARCE = 10


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gradbench")
def cli() -> None:
    """What each way of controlling gradients in PyTorch costs, in time and memory, on this machine.

    Exit codes: 0 done; 1 done, and something is worse (compare, versus); 2 the request was wrong; 3 ended
    early, or nothing could be measured, and says what is kept.
    """


def _names(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> list[str]:
    names = [name.strip() for value in values for name in value.split(",")]
    if not all(names):
        raise RequestError(
            f"{option.opts[0]}: expected a name, got an empty one; leave the option out for all"
        )
    return names


def _timeout(context: click.Context, option: click.Parameter, value: float) -> float:
    # Not click's range, which lets nan through.
    if not 1 <= value <= 86_400:
        raise RequestError(f"--timeout {value:g}: expected seconds, from 1 to 86400")
    return value


# What every command that starts measuring processes may be told of them.
_PROCESS_OPTIONS = (
    click.option(
        "--threads",
        type=click.IntRange(1, 4096),
        default=1,
        show_default=True,
        help="Intra-op threads of torch.",
    ),
    click.option(
        "--allocator",
        type=click.Choice(["keep", "system"]),
        default="keep",
        show_default=True,
        help="Have the C library keep freed pages, or leave its defaults (fresh pages for large results).",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Of every random order, and of the data.",
    ),
    click.option(
        "--timeout",
        type=float,
        callback=_timeout,
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="A visit that says nothing for so long beyond its slice counts as hung.",
    ),
)


def _of_processes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of measuring processes, in their order."""
    for option in reversed(_PROCESS_OPTIONS):
        command = option(command)
    return command


_device = click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where the tensors are: cpu, cuda, cuda:1, several with commas, or all.",
)


@cli.command()
@click.option(
    "--preset",
    type=click.Choice(["quick", "standard", "thorough"]),
    default="standard",
    show_default=True,
    help="How long to measure: within 45 s, 5 minutes, or 30 minutes.",
)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    callback=_names,
    metavar="NAME",
    help="Only this workload; several times or with commas for more.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    callback=_names,
    metavar="NAME",
    help="Only this method; the baseline is always measured.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    callback=_names,
    metavar="SIZE",
    help="small, medium, large, a number of elements (1e6), or a sweep (1:1e7).",
)
@_device
@click.option("--cold", is_flag=True, help="Flush the cache of a GPU before each call.")
@click.option("--dtype", default="float32", show_default=True, help="float32, float64, bfloat16 or float16.")
@click.option("--passes", type=int, metavar="N", help="Fresh processes that each visit every comparison.")
@click.option("--budget", type=float, metavar="SECONDS", help="Wall time in all, the report included.")
@click.option(
    "--precision",
    type=float,
    metavar="PERCENT",
    help="Stop once every interval is this narrow: ± per cent of its ratio.",
)
@_of_processes
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the run.  [default: runs/<time>]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --output (default: the newest in runs/).")
@click.option("--report/--no-report", "with_report", default=True, help="Build the HTML report at the end.")
@click.option("--quiet", is_flag=True, help="Say only what failed, and where the report is.")
@click.pass_context
def run(context: click.Context, preset: str, workloads: list[str], methods: list[str], sizes: list[str],
        device: str, cold: bool, dtype: str, passes: int | None, budget: float | None,
        precision: float | None, threads: int, allocator: Any, seed: int, timeout: float,
        output: Path | None, resume: bool, with_report: bool, quiet: bool) -> None:  # fmt: skip
    """Measure, and build the report (the main job)."""
    from gradbench.measure import run as runs
    from gradbench.measure.progress import make_progress
    from gradbench.record.plan import Request
    from gradbench.record.results import Options

    if resume:
        _refuse_fixed(context)
        folder = output or _newest()
        goal = _resumed_goal(folder, passes, budget, precision)
        with make_progress(quiet) as progress:
            results = runs.resume(folder, goal, progress)
    else:
        goal = make_goal(preset, passes, budget, precision)
        request = Request(tuple(workloads), tuple(methods), tuple(sizes), device, dtype, seed, preset, cold)
        options = Options(preset, threads, allocator, timeout)
        with make_progress(quiet) as progress, _new(output) as folder:
            results = runs.start(folder, request, options, goal, _command(sys.argv[1:]), progress)
    _finish(results.path, with_report, quiet)


def _given(context: click.Context) -> list[str]:
    """The names of the parameters that were given on the command line."""
    return [name for name in context.params
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]  # fmt: skip


def _refuse_fixed(context: click.Context) -> None:
    """Raise RequestError where an option was given that a run which is resumed has already."""
    fixed = sorted(set(_given(context)) & {
        "preset", "workloads", "methods", "sizes", "device", "cold", "dtype", "threads", "allocator", "seed",
        "timeout",
    })  # fmt: skip
    if fixed:
        flags = {each.name: each.opts[0] for each in context.command.params}
        raise RequestError(
            f"--resume takes its plan from the run; {flags[fixed[0]]} cannot be changed: leave it "
            "out, or start a new run"
        )


def _command(words: Sequence[str]) -> str:
    """A command line as it is kept; what of a name is no text stands in it as an escape."""
    return shlex.join(["gradbench", *words]).encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def _new(output: Path | None, prefix: str = "") -> Iterator[Path]:
    """The folder of a new run or trial: the one asked for, or one in runs/, which git then leaves alone."""
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    theirs = RUNS.exists()
    try:
        yield output or RUNS / f"{prefix}{now}"
    finally:
        # A folder of that name which was there already is not ours to hide.
        if not theirs and RUNS.is_dir():
            with contextlib.suppress(OSError):
                (RUNS / ".gitignore").write_text("*\n")


def _finish(results: Path, with_report: bool, quiet: bool) -> None:
    """Tell what a run that has ended found, and build its report or say where its results are.

    Raises EndedEarly where nothing could be measured.
    """
    from gradbench.analyse.summary import summarise
    from gradbench.measure.progress import doing
    from gradbench.record.results import read_results

    try:
        with doing("summing up", quiet):
            summary = summarise(read_results(results))
            if not quiet:
                from gradbench.report.terminal.brief import brief

                told = brief(summary, max(60, min(110, shutil.get_terminal_size().columns)))
        if not quiet and told:
            click.echo(told)
        if with_report:
            _report(results, results.parent / "report.html", quiet)
        else:
            click.echo(f"results: {results}")
    except KeyboardInterrupt:
        raise EndedEarly(
            f"interrupted while the report was built; the results are kept in {results}; "
            "build it with `gradbench report`"
        ) from None
    if summary.failed and not summary.passes:
        raise EndedEarly(f"{summary.failed} What is known is kept in {results}")
    if summary.failed:
        _say("note", summary.failed)


def _resumed_goal(folder: Path, passes: int | None, budget: float | None, precision: float | None) -> Any:
    from gradbench.record.results import read_results

    return make_goal(read_results(folder).header.options.preset, passes, budget, precision)


# Of the options of `run`, those that are no choice among its workloads.
_OF_RUN = [each for each in run.params if each.name not in ("workloads", "sizes", "device", "cold", "dtype")]


@cli.command(params=_OF_RUN)
@click.argument("file", metavar="FILE.py", type=click.Path(path_type=Path))
@click.pass_context
def model(context: click.Context, file: Path, preset: str, methods: list[str], passes: int | None,
          budget: float | None, precision: float | None, threads: int, allocator: Any, seed: int,
          timeout: float, output: Path | None, resume: bool, with_report: bool,
          quiet: bool) -> None:  # fmt: skip
    """Measure your own model under each method, and build the report.

    FILE.py defines `model`, a torch.nn.Module, and `x`, the tensor that goes into it. It may define
    `call(model, x)`, which returns a tensor, where model(x) does not or more inputs are needed; and
    `loss(y)`, which returns a scalar tensor: then training is measured as well, in the mode that the file
    leaves the model in. The text of the file is kept in the results, and shown in the report.
    """
    from gradbench.measure import run as runs
    from gradbench.measure.progress import doing, make_progress
    from gradbench.measure.user_model import plan_user_model
    from gradbench.record.results import Options, new_folder, read_results

    looking = f"running {file.name} to see what it defines"
    if resume:
        _refuse_fixed(context)
        folder = output or _newest()
        header = read_results(folder).header
        asked, threads = header.request, header.options.threads
        goal = _resumed_goal(folder, passes, budget, precision)
        with doing(looking, quiet):
            own = plan_user_model(file, asked.methods, asked.seed, asked.preset, threads)
        with make_progress(quiet) as progress:
            results = runs.resume(folder, goal, progress, own.plan, file)
        _finish(results.path, with_report, quiet)
        return
    goal = make_goal(preset, passes, budget, precision)
    if output is not None:
        new_folder(output)
    with doing(looking, quiet):
        own = plan_user_model(file, tuple(methods), seed, preset, threads)
    if "timeout" not in _given(context):
        # A visit of a large model takes as long as it takes; what is rough is taken five times.
        timeout = min(max(timeout, 5 * own.visit), 86_400.0)
    if goal.budget is not None and own.one_pass * SCARCE > goal.budget:
        _say(
            "note",
            f"a pass takes about {own.one_pass:.0f} s here, so few fit into {goal.budget:g} s and intervals "
            "will be wide; give a longer --budget, a smaller x, or fewer methods by --method",
        )
    options = Options(preset, threads, allocator, timeout)
    # Where the file stands is nobody's business, and elsewhere it stands elsewhere.
    words = [file.name if each == str(file) else each for each in sys.argv[1:]]
    with make_progress(quiet) as progress, _new(output, f"{file.stem}-") as folder:
        results = runs.start(folder, own.request, options, goal, _command(words), progress, own.plan, file)
    _finish(results.path, with_report, quiet)


def _newest(*also: str) -> Path:
    """The folder of the newest run in runs/, or of what left a file of another of these names there."""
    from gradbench.record.results import FILENAME

    files = [path for name in (FILENAME, *also) for path in RUNS.glob(f"*/{name}")]
    found = sorted(files, key=lambda path: path.stat().st_mtime)
    if not found:
        raise RequestError(
            f"there is no run in {RUNS}/ yet; make one with `gradbench run`, or name its folder"
        )
    return found[-1].parent


def _report(results: Path, output: Path, quiet: bool = False) -> None:
    from gradbench.measure.progress import doing

    with doing("building the report", quiet):
        from gradbench.report import write_report

        write_report(results, output)
    click.echo(f"report: {output}")


@cli.command()
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it.  [default: report.html beside the results]",
)
def report(results: Path | None, output: Path | None) -> None:
    """Build the HTML report of RESULTS again.

    RESULTS is what `run`, `model` or `versus` left (default: the newest in runs/).
    """
    from gradbench.analyse.warnings import unfinished
    from gradbench.record.results import locate, read_results
    from gradbench.versus.records import FILENAME, is_trial, read_trial

    results = results or _newest(FILENAME)
    if is_trial(results):
        from gradbench.versus.judge import judge
        from gradbench.versus.page import write_versus

        trial = read_trial(results)
        page = output or trial.path.parent / "report.html"
        write_versus(judge(trial), page)
        click.echo(f"report: {page}")
        return
    path = locate(results)
    _report(path, output or path.parent / "report.html")
    for each in unfinished(read_results(path)):
        _say("note", each)


@cli.command()
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A new or empty folder.  [default: figures/ beside the results]",
)
@click.option(
    "--format", "formats", default="svg,png", show_default=True, metavar="NAMES",
    help="svg, png, or both with a comma.",
)  # fmt: skip
def figures(results: Path | None, output: Path | None, formats: str) -> None:
    """Draw the tables and charts of RESULTS for a talk.

    Each is a picture of its own. RESULTS is a run (default: the newest).
    """
    from gradbench.record.results import locate
    from gradbench.report.slides import write_figures

    path = locate(results or _newest())
    folder = output or path.parent / "figures"
    written = write_figures(path, folder, [each.strip() for each in formats.split(",")])
    click.echo(f"figures: {folder} ({len(written)} files)")


@cli.command()
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option(
    "--to",
    default="csv",
    show_default=True,
    metavar="FORM",
    help="csv (a tidy table), markdown (for people), github-action, pyperf; `gradbench list` has all.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Instead of the terminal.")
def export(results: Path | None, to: str, output: Path | None) -> None:
    """Write RESULTS in a form that other programs, or people, read.

    RESULTS is a run (default: the newest).
    """
    from gradbench.analyse.summary import summarise
    from gradbench.record.results import read_results
    from gradbench.report.export import form

    chosen = form(to)
    text = chosen.write(summarise(read_results(results or _newest())))
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise RequestError(f"--output {output}: expected a new file; it exists; name another, or remove it")
    try:
        output.write_text(text)
    except OSError as error:
        raise RequestError(f"--output {output}: cannot be written: {error.strerror}") from None


@cli.command()
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: what was seen, with the code that saw it."
)
def traits(results: Path | None, as_json: bool) -> None:
    """What each method does to tensors, by observation.

    It is observed here, or was in RESULTS, a run.
    """
    import msgspec

    from gradbench.cli.listing import observe
    from gradbench.record.results import read_results
    from gradbench.report.terminal.traits import as_text

    found = observe() if results is None else read_results(results).observations
    if results is not None and not found:
        raise RequestError(f"{results}: holds no observations; a run without --workload makes them")
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2) if as_json else as_text(found))


@cli.command()
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option("--id", "ids", multiple=True, callback=_names, metavar="ID", help="Only this claim.")
@click.option("--json", "as_json", is_flag=True, help="For programs: each verdict with its cases.")
def claims(results: Path | None, ids: list[str], as_json: bool) -> None:
    """What is said of gradient control, and whether it holds.

    It is judged by RESULTS, a run (default: the newest).
    """
    from gradbench.analyse.claims import verdicts
    from gradbench.analyse.summary import summarise
    from gradbench.record.results import read_results
    from gradbench.report.terminal.claims import as_data, as_text

    found = verdicts(summarise(read_results(results or _newest())), ids)
    if as_json:
        click.echo(json.dumps(as_data(found), indent=2))
    else:
        click.echo(as_text(found, _width()))


def _width() -> int:
    """Columns of the terminal, within what tables are fit for."""
    return max(80, min(160, shutil.get_terminal_size((110, 24)).columns))


@cli.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--margin",
    type=float,
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="A change of a ratio within this is none.",
)
@click.option("--all", "everything", is_flag=True, help="Every variant, and not only those that changed.")
@click.option("--force", is_flag=True, help="Compare runs of different machines or options.")
@click.option(
    "--to",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For a terminal, for a comment on a change, for programs.",
)
@click.pass_context
def compare(
    context: click.Context, old: Path, new: Path, margin: float, everything: bool, force: bool, form: str
) -> None:
    """What became slower or larger from OLD to NEW.

    Both are results files, or folders of runs. Ratios to the baseline and exact bytes are compared, with
    correction for the number of variants.

    Exit codes: 0 nothing is worse; 1 something became slower or larger; 2 the runs cannot be compared.
    """
    from gradbench.analyse.compare import compare as compared_runs
    from gradbench.record.results import read_results
    from gradbench.report.terminal.compare import as_data, as_markdown, as_text

    found = compared_runs(read_results(old), read_results(new), _margin(margin), force)
    if form == "json":
        click.echo(json.dumps(as_data(found), indent=2))
    elif form == "markdown":
        click.echo(as_markdown(found, everything))
    else:
        click.echo(as_text(found, _width(), everything))
    if found.worse:
        context.exit(1)


def _margin(percent: float) -> float:
    """A margin given in per cent, as a fraction. Raises RequestError."""
    if not 0 < percent < 100:
        raise RequestError(f"--margin {percent:g}: expected per cent, above 0 and below 100")
    return percent / 100


@cli.command()
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    callback=_names,
    metavar="NAME",
    help="Only this workload.  [default: a few that are quick]",
)
@click.option("--method", "methods", multiple=True, callback=_names, metavar="NAME", help="Only this method.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    callback=_names,
    metavar="SIZE",
    help="small, medium, large, or a number of elements.  [default: small]",
)
@click.option(
    "--device", default="cpu", show_default=True, help="Where the tensors are: cpu, cuda, or such as cuda:1."
)
@click.option("--dtype", default="float32", show_default=True, help="float32, float64, bfloat16 or float16.")
@click.option(
    "--statement", metavar="CODE", help="Measure this code instead; what it leaves in y is its result."
)
@click.option("--setup", default="", metavar="CODE", help="Run once before --statement.")
@click.option(
    "--margin",
    type=float,
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="A change of time within this is none.",
)
@click.option(
    "--budget",
    type=float,
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Wall time; less where every variant is decided before.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1, 10_000),
    default=90,
    show_default=True,
    metavar="N",
    help="At most so many pairs of fresh processes.",
)
@_of_processes
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the trial.  [default: runs/versus-<time>]",
)
@click.option("--report/--no-report", "with_report", default=True, help="Build the HTML report at the end.")
@click.option("--json", "as_json", is_flag=True, help="For programs: every variant with its outcome.")
@click.pass_context
def versus(
    context: click.Context,
    one: str,
    other: str,
    workloads: list[str],
    methods: list[str],
    sizes: list[str],
    device: str,
    dtype: str,
    statement: str | None,
    setup: str,
    margin: float,
    budget: float,
    pairs: int,
    threads: int,
    allocator: Any,
    seed: int,
    timeout: float,
    output: Path | None,
    with_report: bool,
    as_json: bool,
) -> None:
    """Is B slower than A, or does it keep more memory?

    A and B are Python interpreters (or folders of virtual environments), each with torch and
    torch-gradbench; or git revisions of the repository in this folder, or folders of sources, which are
    imported before all that this interpreter has. Both sides take turns of 10 ms on one processor, in pairs
    of fresh processes, until every variant is decided or the budget is used.

    Exit codes: 0 nothing is worse in B; 1 something is slower, larger or broken; 2 the request was wrong;
    3 ended early, and says what is kept.
    """
    from gradbench.record.plan import Comparison, Request
    from gradbench.versus.cells import planned, written
    from gradbench.versus.judge import judge
    from gradbench.versus.progress import make_watcher
    from gradbench.versus.records import Options
    from gradbench.versus.sides import open_sides
    from gradbench.versus.text import as_data, as_text
    from gradbench.versus.trial import measure, on_both

    within = _margin(margin)
    if not 10 <= budget < 1e7:
        raise RequestError(f"--budget {budget:g}: expected seconds, from 10 to 1e7; one pair takes several")
    request = Request(tuple(workloads), tuple(methods), tuple(sizes), device, dtype, seed, "quick")
    if len(request.devices) > 1 or device == "all":
        raise RequestError(f"--device {device}: expected one device, which both sides are measured on")
    if statement is None and setup:
        raise RequestError("--setup: expected together with --statement, which it is run for")
    if statement is not None and (workloads or methods or sizes):
        raise RequestError("--statement: is measured alone; leave out --workload, --method and --size")

    def wanted(request: Request) -> tuple[Comparison, ...]:
        return planned(request) if statement is None else (written(setup, statement, request.device),)

    # What can be known to be wrong without starting anything is told before anything is started.
    comparisons = wanted(request)
    options = Options(within, budget, pairs, threads, allocator, timeout, seed)
    with open_sides(one, other) as sides, make_watcher() as watcher, _new(output, "versus-") as folder:
        if device != "cpu":
            comparisons = wanted(on_both(request, sides))
        trial = measure(folder, sides, comparisons, options, _command(sys.argv[1:]), watcher)
    judged = judge(trial)
    click.echo(json.dumps(as_data(judged), indent=2) if as_json else as_text(judged, _width()))
    if with_report:
        from gradbench.versus.page import write_versus

        try:
            write_versus(judged, folder / "report.html")
        except KeyboardInterrupt:
            raise EndedEarly(
                f"interrupted while the report was built; the trial is kept in {trial.path}; "
                f"build it with `gradbench report {folder}`"
            ) from None
        click.echo(f"report: {folder / 'report.html'}", err=as_json)
    if judged.worse:
        context.exit(1)


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--devices", is_flag=True, help="Also the devices of this machine; starts torch.")
def list_(as_json: bool, devices: bool) -> None:
    """Methods, workloads and sizes, and the devices of this machine."""
    from gradbench.cli.listing import as_data, as_text

    data = as_data(devices)
    click.echo(json.dumps(data, indent=2) if as_json else as_text(data))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--quick", is_flag=True, help="Only look; do not measure the noise.")
@_device
def doctor(as_json: bool, quick: bool, device: str) -> None:
    """Is this machine fit to measure, and what would help?

    It tells the noise floor as well: what identical code seems to differ by.
    """
    import msgspec

    from gradbench.doctor import examine, measure_noise

    if quick and device != "cpu":
        raise RequestError(
            f"--device {device}: is measured on, which --quick leaves out; leave out one of both"
        )
    checks = examine() + ([] if quick else measure_noise(device))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(checks), indent=2))
        return
    for each in checks:
        click.echo(f"{each.state:8} {each.name}: {each.found}" + (f"; {each.advice}" if each.advice else ""))


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: every error that a user can cause is one line on standard error."""
    code = 0
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, or that the locale has no letters for, is shown by escapes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Who cancels a job sends SIGTERM: it ends a run as Ctrl-C does, with what is kept.
    # Only the main thread may set a handler; one that was not set from Python is none that can be put back.
    alone = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if alone else None
    try:
        # Not click's own main: it answers an interrupt and a closed pipe with codes of its own.
        given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
        with cli.make_context("gradbench", given) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as asked:
        code = asked.exit_code
    except GradbenchError as error:
        _say("stopped" if isinstance(error, EndedEarly) else "error", str(error))
        code = error.exit_code
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        _say("error", error.format_message().rstrip(".") + hint)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        _say("stopped", "interrupted; nothing was written")
        code = 3
    except BrokenPipeError:
        # The reader has what it wanted. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say("error", f"{where}{error.strerror or error}; name another file or folder")
        code = 2
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("", "gradbench"):
            raise
        _say("error", f"{name} is not installed, which this needs; `{sys.executable} -m pip install {name}`")
        code = 2
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _say(kind: str, message: str) -> None:
    click.echo(f"gradbench: {kind}: {' '.join(message.split())}", err=True)
