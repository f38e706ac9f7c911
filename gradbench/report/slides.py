"""The figures of a run as pictures for a talk, with title, units and source."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.turn import has_turn
from gradbench.errors import RequestError
from gradbench.record.plan import Comparison
from gradbench.record.results import Results
from gradbench.report import devices, figures, guide, limit_table
from gradbench.report.bars import bars, draw_bars
from gradbench.report.drawing import TALK, picture, settle, style, write_line
from gradbench.report.glance import Glance, draw_glance, glance_of, headline
from gradbench.report.table import Table
from gradbench.report.tables import draw_table

FORMATS = ("svg", "png")

# A slide of 16 by 9: inches, and dots per inch that make 1,920 by 1,080 of them.
WIDTH, HEIGHT, DPI = 40 / 3, 7.5, 144
MARGIN = 0.45


@dataclass(frozen=True)
class Slide:
    """A picture that can be drawn.

    Attributes:
        name: of its file, without the suffix.
        title: the heading of the slide.
        note: how to read it.
        draw: draws it on a figure, between the note and the source.
        ending: of the name, where a run has several devices or types.
    """

    name: str
    title: str
    note: str
    draw: Callable[[Figure], None]
    ending: str = ""


def write_figures(
    analysis: Analysis, output: Path, formats: Sequence[str], everything: bool = False
) -> list[Path]:
    """Draw the pictures of a run into a new or empty folder, in every format. Imports no torch.

    It draws the `chosen` pictures, or with `everything` all that the results hold.

    Raises RequestError, with nothing changed, where the folder holds files or cannot be written. It also
    raises where a format is not one of FORMATS, or the run has nothing to draw. An interrupt removes the
    written files.
    """
    unknown = [each for each in formats if each not in FORMATS]
    if unknown or not formats:
        raise RequestError(
            f"--format {','.join(formats)}: expected {' or '.join(FORMATS)}, or both with a comma"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise RequestError(
            f"--output {output}: expected a new or empty folder; it holds files; name another, or remove it"
        )
    found = slides(analysis)
    found = found if everything else chosen(found)
    if not found:
        raise RequestError(f"{analysis.results.path}: it holds no figures to draw; see `gradbench report`")
    try:
        with _all_or_nothing(output) as written:
            for slide in found:
                figure = lay_out(slide, source(analysis.results))
                for form in dict.fromkeys(formats):
                    written.append(output / f"{slide.name}.{form}")
                    written[-1].write_bytes(picture(figure, form, slide.title, TALK))
    except OSError as error:
        raise RequestError(f"--output {output}: cannot be written: {error.strerror}") from None
    return written


@contextlib.contextmanager
def _all_or_nothing(output: Path) -> Iterator[list[Path]]:
    """Make a folder and yield a list for its files. If anything fails, remove the files and the folder."""
    made = [each for each in (output, *output.parents) if not each.exists()]
    written: list[Path] = []
    try:
        output.mkdir(parents=True, exist_ok=True)
        yield written
    except BaseException:
        with contextlib.suppress(OSError):
            for file in written:
                file.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        raise


def source(results: Results) -> str:
    """The source of the figures in one line: version, machine, torch, passes and date."""
    header = results.header
    machine = header.environment
    passes = len({visit.number for visit in results.visits})
    threads = format.counted(machine.threads, "thread")
    processors = format.counted(machine.cpus, "logical processor")
    return (
        f"gradbench {header.gradbench} · {header.measured_on}, {processors} · "
        f"PyTorch {machine.torch}, {threads} · {format.counted(passes, 'pass')} · {header.created[:10]}"
    )


def lay_out(slide: Slide, source: str) -> Figure:
    """The slide with its title, its note and its source, laid out for all formats."""
    with style(TALK):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
        figure.set_canvas(FigureCanvasAgg(figure))
        write_line(figure, HEIGHT - 0.62, slide.title, 26, TALK["ink"], MARGIN, bold=True)
        write_line(figure, HEIGHT - 1.08, slide.note, 16, TALK["faint"], MARGIN)
        write_line(figure, 0.3, source, 13, TALK["faint"], MARGIN)
        slide.draw(figure)
        settle(figure)
        return figure


# The pictures that most people need, in order. They show the cost of a method, the fastest one, the number
# of operations, one operation, a model, bytes, and training.
PREFERRED = (
    ("glance",),
    ("table-speed",),
    ("break-even",),
    ("ratios-elementwise", "curves-elementwise"),
    ("ratios-inference", "curves-inference"),
    ("memory-inference",),
    ("memory-accumulate-evaluation",),
    ("timeline-freeze-training", "memory-freeze-training"),
    ("ratios-custom-both", "curves-custom-both"),
    ("ratios-update", "curves-update"),
)


def chosen(found: Sequence[Slide]) -> list[Slide]:
    """At most as many pictures as PREFERRED has, numbered in their order.

    Where the run lacks a picture, a chart takes its place, or a table where there is no other chart.
    """
    # With several devices or types the first one counts.
    base = {each.name: each.name.removesuffix(each.ending) for each in reversed(found)}
    first = {base[each.name]: each for each in reversed(found)}
    wanted = [next((first[name] for name in names if name in first), None) for names in PREFERRED]
    picked = [each for each in wanted if each is not None]
    others = [each for each in found if each not in picked]
    others.sort(key=lambda each: each.name.startswith("table-"))
    picked += others[: len(PREFERRED) - len(picked)]
    return [replace(each, name=f"{number:02}-{each.name}") for number, each in enumerate(picked, 1)]


def slides(summary: Analysis) -> list[Slide]:
    """All pictures that the results hold, under names that differ."""
    tables = (
        *(replace(table, title=f"{table.title}, measured") for table in guide.tables(summary)),
        *devices.tables(summary),
        *limit_table.tables(summary.limits),
    )
    made = [*_glances(summary), *(_table(table) for table in tables)]
    # The names of files have the device and the type, where a run has several.
    kinds = {_key(each)[2:] for each in summary.comparisons}
    for key, group in itertools.groupby(_sorted(summary.comparisons), _key):
        made += _of_part(list(group), "" if len(kinds) == 1 else f" {key[2]} {key[3]}")
    return made


def _key(each: ComparisonSummary) -> tuple[str, str, str, str]:
    own = each.comparison
    # The numbers of operations of a break-even are one curve.
    return own.workload, "" if own.workload == "break_even" else own.part, own.device, own.dtype


def _sorted(comparisons: Sequence[ComparisonSummary]) -> list[ComparisonSummary]:
    """The comparisons in the order of the run, those of one picture next to each other."""
    order = {key: place for place, key in enumerate(dict.fromkeys(map(_key, comparisons)))}
    return sorted(comparisons, key=lambda each: order[_key(each)])


def _of_part(own: list[ComparisonSummary], ending: str) -> list[Slide]:
    measured = [each for each in own if any(variant.ratio is not None for variant in each.methods)]
    made = []
    if measured:
        first = measured[0].comparison
        made.append(
            _curves(measured, ending)
            if first.workload == "break_even" or len(measured) > figures.PANELS
            else _ratios(measured, ending)
        )
    if has_turn(own):
        made.append(_turn(own, ending))
    # Bytes grow with the elements: the largest size is shown for all.
    differing = [each for each in own if bars(each) is not None]
    if differing and own[0].comparison.workload != "break_even":
        made.append(_memory(differing[-1], ending))
    followed = [each for each in own if each.timelines]
    if followed:
        made.append(_timeline(followed[-1], ending))
    return made


_WHAT = {
    "ratios": "Time", "curves": "Time", "break-even": "Time", "turn": "Host and device",
    "memory": "Memory", "timeline": "Memory",
}  # fmt: skip


def _slide(
    kind: str, each: ComparisonSummary, ending: str, note: str, draw: Callable[[Figure], None]
) -> Slide:
    own = each.comparison
    part = "" if own.workload == "break_even" else own.part
    name = _file_name(f"{kind} {'' if kind == 'break-even' else own.workload} {part}")
    end = f"-{_file_name(ending)}" if ending else ""
    title = own.title if part else own.title.partition(": ")[0]
    return Slide(name + end, f"{_WHAT[kind]}: {title}", _noted(note, own), draw, end)


def _intervals(own: Sequence[ComparisonSummary]) -> str:
    """The words for lines and bands. A pass need not visit every comparison, so their passes differ."""
    few, many = min(each.passes for each in own), max(each.passes for each in own)
    if few == many == 1:
        return "of one process, without intervals"
    return f"with 95 % intervals over {few if few == many else f'{few} to {many}'} processes"


def _axes(figure: Figure, columns: int, bottom: float, **options: Any) -> Any:
    """Axes side by side between the note and `bottom` (inches), with room for their labels."""
    figure.set_layout_engine(
        "constrained",
        rect=(MARGIN / WIDTH, bottom / HEIGHT, 1 - 2 * MARGIN / WIDTH, (HEIGHT - 1.35 - bottom) / HEIGHT),
        w_pad=0.12,
    )
    return figure.subplots(1, columns, squeeze=False, **options)[0]


def _glances(summary: Analysis) -> list[Slide]:
    """The run at a glance, on every device."""
    several = len(summary.devices) > 1
    found = [(device, glance_of(summary.on(device))) for device in summary.devices]
    return [_glance(each, f" {device}" if several else "") for device, each in found if each is not None]


def _glance(found: Glance, ending: str) -> Slide:
    def draw(figure: Figure) -> None:
        draw_glance(_axes(figure, 1, 0.7)[0], found, TALK)

    own = found.comparisons[0].comparison
    note = f"Time that a method adds to a call with {found.baseline}, by the time of that call"
    name, end = _file_name("glance"), _file_name(ending)
    end = f"-{end}" if end else ""
    return Slide(name + end, f"At a glance: {headline(found)}", _noted(note, own), draw, end)


def _file_name(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _noted(note: str, own: Comparison) -> str:
    """A note with the type and the device."""
    return f"{note} ({own.dtype}, {own.device})"


def _table(table: Table) -> Slide:
    def draw(figure: Figure) -> None:
        inch = 72
        box = (MARGIN * inch, 0.7 * inch, (WIDTH - 2 * MARGIN) * inch, (HEIGHT - 1.35 - 0.7) * inch)
        draw_table(figure, box, table.columns, table.rows, TALK)

    return Slide(f"table-{table.name}", table.title, table.note, draw)


def _ratios(own: list[ComparisonSummary], ending: str) -> Slide:
    # A method that one size has and another lacks keeps its row.
    longest = max(own, key=lambda each: len(each.methods))
    names = list(dict.fromkeys(variant.name for each in (longest, *own) for variant in each.methods))

    def draw(figure: Figure) -> None:
        for axes, each in zip(_axes(figure, len(own), 1.12, sharey=True), own, strict=True):
            figures.draw_ratios(axes, each, names, TALK)
            size = f"{each.comparison.size}: {format.counted(each.comparison.numel, 'element')}"
            axes.set_title(size, loc="left", fontsize=15 if len(own) < figures.PANELS else 13)
            axes.tick_params(axis="y", labelsize=15)
            axes.set_xlabel("time ÷ time of the baseline")
        _legend(figure)

    label = own[0].comparison.baseline.label
    note = f"{own[0].comparison.name}: time divided by that of {label}, {_intervals(own)}"
    return _slide("ratios", own[0], ending, note, draw)


def _legend(figure: Figure) -> None:
    """Explain the marks of ratios."""

    def dot(paint: str, full: bool) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker="o", markersize=9, markeredgewidth=2,
            markeredgecolor=TALK[paint], markerfacecolor=TALK[paint if full else "paper"],
        )  # fmt: skip

    handles = [dot("slower", True), dot("faster", True), dot("same", False), Patch(facecolor=TALK["band"])]
    words = ["slower", "faster", "no difference is measurable", "range of identical code"]
    figure.legend(
        handles, words, loc="lower left", bbox_to_anchor=(MARGIN / WIDTH, 0.66 / HEIGHT), ncols=4,
        frameon=False, fontsize=14, borderaxespad=0, borderpad=0, handletextpad=0.4,
    )  # fmt: skip


def _curves(own: list[ComparisonSummary], ending: str) -> Slide:
    first = own[0].comparison
    if first.workload == "break_even":
        own = figures.at_smallest(own)
        places, label = [int(each.comparison.part) for each in own], figures.OPERATIONS
        note = f"{first.workload} with {format.counted(own[0].comparison.numel, 'element')}"
    else:
        places, label = [each.comparison.numel for each in own], figures.SIZES
        note = first.name

    def draw(figure: Figure) -> None:
        figures.draw_curves(_axes(figure, 1, 0.7)[0], own, places, label, TALK)

    note += f": time divided by that of {first.baseline.label}, {_intervals(own)}"
    return _slide("break-even" if first.workload == "break_even" else "curves", own[0], ending, note, draw)


def _turn(own: list[ComparisonSummary], ending: str) -> Slide:
    def draw(figure: Figure) -> None:
        figures.draw_turn(_axes(figure, 1, 0.7)[0], own, TALK)

    note = f"{own[0].comparison.name}: time of a call (solid), of the host to issue it (dashed), "
    note += "of the device (dotted)"
    return _slide("turn", own[0], ending, note, draw)


def _memory(each: ComparisonSummary, ending: str) -> Slide:
    found = bars(each)
    assert found is not None

    def draw(figure: Figure) -> None:
        draw_bars(_axes(figure, 3, 0.7), found, TALK)

    where = f"{format.counted(each.comparison.numel, 'element')}"
    note = f"{each.comparison.name}: exact bytes of one execution with {where}"
    return _slide("memory", each, ending, note, draw)


def _timeline(each: ComparisonSummary, ending: str) -> Slide:
    def draw(figure: Figure) -> None:
        figures.draw_timeline(_axes(figure, 1, 0.7)[0], each, TALK)

    where = f"{format.counted(each.comparison.numel, 'element')}"
    note = f"{each.comparison.name}: exact bytes that are live during one execution with {where}"
    return _slide("timeline", each, ending, note, draw)
