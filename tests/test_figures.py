"""The figures for a talk: what there is, what stands on it, and that nothing is clipped or overlaps."""

import itertools
import re
import resource
import signal
import struct
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from conftest import GRADBENCH
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import device_results, followed, memory, results

from gradbench.analyse.analysis import analyse
from gradbench.errors import RequestError
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.results import read_results
from gradbench.record.visits import Stretch, Timeline
from gradbench.report.bars import bars, draw_bars
from gradbench.report.drawing import TALK
from gradbench.report.figures import draw_curves, draw_timeline, draw_turn
from gradbench.report.palette import LOOKS
from gradbench.report.slides import PREFERRED, chosen, lay_out, slides, source, write_figures
from gradbench.report.tables import draw_table

REQUEST = Request(workloads=("control", "elementwise"), sizes=("small", "large"))


def a_run(request=REQUEST, seconds=1e-6):
    """Results with everything that can be drawn."""
    made = memory(
        results({"no_grad": 1.4, "detach_clone": 40.0}, request=request, seconds=seconds), "tracked"
    )
    for variant, bytes_ in (("requires_grad_false", 1200), ("no_grad", 400), ("set_to_none", -340_000)):
        memory(made, variant, peak=bytes_, retained=bytes_)
    return followed(made)


def known(path):
    """What the run in a folder shows."""
    return analyse(read_results(path))


def written(made, path):
    """The folder with these results in it."""
    writer = Writer(path / "results.jsonl")
    for record in (made.header, *made.passes, *made.visits, *made.memory, *made.observations, *made.ends):
        writer.write(record)
    writer.close()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run, with its figures in `figures`."""
    path = written(a_run(), tmp_path_factory.mktemp("run"))
    write_figures(known(path), path / "figures", ["svg", "png"], everything=True)
    return path


def texts(figure):
    """Every text that is seen, with its place in dots."""
    shown = [each for each in figure.findobj(Text) if each.get_text().strip() and each.get_visible()]
    # A label of an axis is made also for ticks that lie outside of it, and is not drawn there.
    ticks = {id(each) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
             for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
             for each in (tick.label1, tick.label2)}  # fmt: skip
    drawn = {
        id(tick.label1)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis._update_ticks()
    }
    return [
        (each.get_text(), each.get_window_extent())
        for each in shown
        if id(each) not in ticks or id(each) in drawn
    ]


def assert_readable(figure):
    """Nothing is cut off at the edge of the picture, and no two texts touch; the words that are seen."""
    found = texts(figure)
    for words, box in found:
        assert box.x0 >= 0, words
        assert box.y0 >= 0, words
        assert box.x1 <= figure.bbox.x1, words
        assert box.y1 <= figure.bbox.y1, words
    for (one, a), (other, b) in itertools.combinations(found, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        # Lines of text may share a dot or two of empty leading.
        assert wide <= 0 or high <= 3, f"{one!r} overlaps {other!r}"
    return [words for words, _ in found]


def test_every_picture_of_a_whole_run_can_be_read():
    made = a_run(Request(preset="standard"))
    found = slides(analyse(made))
    kinds = {slide.name.partition("-")[0] for slide in found}
    assert kinds == {"glance", "table", "ratios", "break", "memory", "timeline"}
    assert len({slide.name for slide in found}) == len(found)
    # A processor with a long name.
    long = msgspec.structs.replace(made.header.environment, processor="A processor " * 12)
    made.header = msgspec.structs.replace(made.header, environment=long)
    for slide in found:
        figure = lay_out(slide, source(made))
        # A legend finds its place when it is drawn.
        figure.draw_without_rendering()
        said = assert_readable(figure)
        assert {slide.title, slide.note, source(made)} <= set(said)


def test_what_would_not_be_readable_is_noticed():
    figure = Figure(figsize=(2, 2))
    figure.text(0.1, 0.5, "one text")
    assert_readable(figure)
    figure.text(0.2, 0.5, "another")
    with pytest.raises(AssertionError, match="overlaps"):
        assert_readable(figure)
    wide = Figure(figsize=(2, 2))
    wide.text(0.1, 0.5, "a text that is wider than its picture")
    with pytest.raises(AssertionError):
        assert_readable(wide)


def test_the_source_says_machine_torch_passes_and_date():
    assert source(a_run()) == (
        "gradbench 0.1.0 · A processor, 2 logical processors · PyTorch 2.13.0, 1 thread · 10 passes · "
        "2026-01-02"
    )


@pytest.mark.parametrize("cell", ["torch.no_grad()", "a sentence of many words that goes on", "9.99 µs"])
@pytest.mark.parametrize("columns", [2, 4, 7])
@pytest.mark.parametrize("rows", [1, 6])
def test_a_table_of_any_shape_is_readable_and_whole(cell, columns, rows):
    figure = Figure(figsize=(13.3, 7.5), dpi=72)
    draw_table(figure, (30, 50, 900, 400), ["head"] * columns, [[cell] * (columns - 1) + [""]] * rows, TALK)
    words = " ".join(assert_readable(figure)).replace("\N{NO-BREAK SPACE}", " ")
    assert words.replace("_ (", "_(").count(cell) + words.count("torch.no_grad ()") >= rows * (columns - 1)
    assert words.count("–") == rows


def test_a_number_is_never_parted_from_its_unit():
    figure = Figure(figsize=(13.3, 7.5), dpi=72)
    draw_table(
        figure, (30, 50, 900, 400), ["a column"] * 7, [["a name", *["from 1.25 µs to 12.5 MB"] * 6]], TALK
    )
    said = [text for text, _ in texts(figure)]
    assert any("1.25\N{NO-BREAK SPACE}µs" in text for text in said)
    assert any("12.5\N{NO-BREAK SPACE}MB" in text for text in said)


def test_a_table_that_cannot_fit_is_an_error_and_no_picture():
    with pytest.raises(ValueError, match="does not fit"):
        draw_table(Figure(), (0, 0, 300, 100), ["a"] * 3, [["word " * 50] * 3] * 9, TALK)


def test_the_files_are_what_their_names_say(folder):
    written = list((folder / "figures").iterdir())
    names = {path.stem for path in written}
    assert {"table-time", "table-speed", "ratios-control", "ratios-elementwise", "memory-control"} <= names
    assert len(written) == 2 * len(names)
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".png":
            assert content[:8] == b"\x89PNG\r\n\x1a\n"
            assert struct.unpack(">II", content[16:24]) == (1920, 1080)
        else:
            # Text is drawn: it looks the same where the font is missing.
            drawn = ElementTree.fromstring(content)
            assert drawn.tag.endswith("svg")
            assert not list(drawn.iter("{http://www.w3.org/2000/svg}text"))


def test_pictures_have_real_colours_and_the_same_results_make_the_same_files(folder, tmp_path):
    written = write_figures(known(folder), tmp_path / "again", ["svg"], everything=True)
    assert sorted(written) == sorted((tmp_path / "again").iterdir())
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in (folder / "figures").glob("*.svg")
    }
    text = (tmp_path / "again" / "ratios-elementwise.svg").read_text()
    assert "var(--" not in text
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", text)
    # Slower, in the colour of the page.
    assert TALK["slower"] in text
    assert TALK["paper"] in text


def test_the_command_draws_once_and_refuses_a_folder_with_files(gradbench, call, fresh):
    results = fresh / "results.jsonl"
    done = gradbench("figures", results, "--format", "svg", cwd=fresh)
    assert done.returncode == 0, done.stderr
    assert "figures" in done.stdout
    before = {path: path.read_bytes() for path in (fresh / "figures").iterdir()}
    assert before
    code, _, err = call("figures", results)
    assert (code, err.count("\n")) == (2, 1)
    assert "expected a new or empty folder" in err
    assert {path: path.read_bytes() for path in (fresh / "figures").iterdir()} == before


def names(found):
    return [slide.name for slide in found]


def test_the_chosen_pictures_are_ten_that_begin_with_the_run_at_a_glance():
    found = slides(analyse(a_run(Request(preset="standard"))))
    picked = chosen(found)
    assert names(picked)[:4] == ["01-glance", "02-table-speed", "03-break-even", "04-ratios-elementwise"]
    assert names(picked)[-1] == "10-ratios-update"
    assert len(picked) == len(PREFERRED) == 10
    assert {name[3:] for name in names(picked)} <= {*names(found)}


def test_a_run_that_lacks_preferred_pictures_has_its_other_charts_before_its_tables():
    found = slides(analyse(a_run(Request(workloads=("elementwise", "chain"), sizes=("small",)))))
    picked = names(chosen(found))
    assert picked[:3] == ["01-glance", "02-table-speed", "03-ratios-elementwise"]
    assert len(picked) == len(found) < 10
    kinds = [name[3:9] == "table-" for name in picked[3:]]
    assert kinds == sorted(kinds)
    assert [name[:3] for name in picked] == [f"{number:02}-" for number in range(1, len(picked) + 1)]


def test_of_several_devices_the_first_is_chosen():
    made = device_results(Request(workloads=("elementwise", "inference"), device="cpu,cuda:0"))
    found = slides(analyse(made))
    assert {"glance-cpu", "glance-cuda-0", "ratios-inference-cuda-0-float32"} <= {*names(found)}
    picked = names(chosen(found))
    assert picked[0] == "01-glance-cpu"
    assert picked[1] == "02-ratios-elementwise-cpu-float32"
    assert len(set(picked)) == min(10, len(found))


def test_the_command_draws_the_chosen_pictures_and_all_of_them_where_it_is_asked(call, fresh, monkeypatch):
    monkeypatch.setattr("gradbench.report.slides.PREFERRED", (("memory-control",), ("glance",)))
    code, out, _ = call("figures", fresh, "--format", "svg")
    drawn = sorted(each.name for each in (fresh / "figures").iterdir())
    assert (code, drawn) == (0, ["01-memory-control.svg", "02-ratios-control.svg"])
    assert out == f"figures: {fresh / 'figures'} (2 files; --all draws everything)\n"
    code, out, _ = call("figures", fresh, "--format", "svg", "--all", "--output", fresh / "all")
    everything = sorted(each.name for each in (fresh / "all").iterdir())
    assert everything == sorted(f"{name}.svg" for name in names(slides(known(fresh))))
    assert (code, out) == (0, f"figures: {fresh / 'all'} ({len(everything)} files)\n")
    assert len(everything) > 2


@pytest.mark.parametrize("formats", [["gif"], ["svg", "gif"], [""], []])
def test_a_format_that_is_not_known_is_refused_and_nothing_is_written(folder, tmp_path, formats):
    with pytest.raises(RequestError, match=r"^--format .*: expected svg or png, or both with a comma$"):
        write_figures(known(folder), tmp_path / "new", formats)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def fresh(tmp_path):
    """A run of few pictures in a folder that tests may write to."""
    path = tmp_path / "run"
    path.mkdir()
    return written(a_run(Request(workloads=("control",), sizes=("small",))), path)


def interrupt_after_one(process, output):
    """Interrupt a command that draws, once it has begun to write."""
    until = time.monotonic() + 60
    while not (output.is_dir() and any(output.iterdir())):
        assert process.poll() is None, "it ended before a picture was written"
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)


INTERRUPTED = (3, "gradbench: stopped: interrupted; nothing was written\n")


def test_a_signal_while_figures_are_drawn_leaves_nothing(fresh):
    before = sorted(fresh.rglob("*"))
    command = ("figures", fresh, "--output", "talk/monday/figures", "--format", "svg,png")
    process = subprocess.Popen([GRADBENCH, *command], cwd=fresh, stderr=subprocess.PIPE, text=True)
    interrupt_after_one(process, fresh / "talk" / "monday" / "figures")
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == INTERRUPTED
    assert sorted(fresh.rglob("*")) == before


@pytest.mark.parametrize("output", ["figures", "talk/monday/figures", "empty"])
def test_interrupted_figures_leave_nothing_and_can_be_drawn_again(call, fresh, output, monkeypatch):
    """The interrupt comes when the second file is written."""
    (fresh / "empty").mkdir()
    before = sorted(fresh.rglob("*"))
    write_bytes = Path.write_bytes

    def interrupted(path, content):
        if any((fresh / output).iterdir()):
            raise KeyboardInterrupt
        return write_bytes(path, content)

    command = ("figures", fresh, "--output", fresh / output, "--format", "svg,png")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        code, _, err = call(*command)
    assert (code, err) == INTERRUPTED
    assert sorted(fresh.rglob("*")) == before
    code, _, err = call(*command[:-1], "svg")
    assert (code, err) == (0, "")
    assert any((fresh / output).iterdir())


def test_figures_that_cannot_be_written_leave_nothing(fresh):
    """A file may have so many bytes here: the first pictures are smaller, and a later one is not."""
    sizes = [path.stat().st_size for path in write_figures(known(fresh), fresh / "a", ["png"])]
    most = sizes[0] + 1
    assert max(sizes) > most
    before = sorted(fresh.iterdir())
    done = subprocess.run(
        [GRADBENCH, "figures", fresh, "--format", "png"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        text=True,
    )
    output = fresh / "figures"
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"gradbench: error: --output {output}: cannot be written: ")
    assert sorted(fresh.iterdir()) == before


# What else a bad file may hold is in test_results.py.
@pytest.mark.parametrize("content", [None, b"not json\n"])
def test_figures_refuses_bad_results_in_the_words_of_report(call, tmp_path, content):
    path = tmp_path / "results.jsonl"
    if content is not None:
        path.write_bytes(content)
    figures, report = call("figures", path), call("report", path)
    assert figures[0] == report[0] == 2
    assert figures[2] == report[2]
    assert figures[2].count("\n") == 1
    assert not (tmp_path / "figures").exists()


def test_a_run_that_measured_nothing_is_refused(tmp_path):
    writer = Writer(tmp_path / "results.jsonl")
    writer.write(results({}, passes=0).header)
    writer.close()
    with pytest.raises(RequestError, match="holds no figures to draw"):
        write_figures(known(tmp_path), tmp_path / "figures", ["svg"])
    assert not Path(tmp_path / "figures").exists()


def test_a_variant_that_one_size_lacks_keeps_its_row_and_has_a_dash():
    made = a_run()
    for visit in made.visits:
        if visit.comparison.startswith("elementwise/100/"):
            del visit.variants["detach"]
    (slide,) = (each for each in slides(analyse(made)) if each.name == "ratios-elementwise")
    said = [words for words, _ in texts(lay_out(slide, "source"))]
    assert said.count("detach") == 1
    assert said.count("–") == 1


def test_bars_are_there_where_methods_differ_and_only_there():
    made = results({}, request=REQUEST)
    assert all(bars(each) is None for each in analyse(made).comparisons)
    alike = memory(memory(made, "no_grad", peak=400), "requires_grad_false", peak=400)
    assert all(bars(each) is None for each in analyse(alike).comparisons)
    found = bars(analyse(memory(alike, "detach", peak=-800, saved=200)).comparisons[0])
    rows = {row.name: row.values for row in found.rows}
    assert rows["detach"] == (-800, 200, 0)
    assert rows["no_grad"] == (400, 0, 0)
    # Not known is not 0.
    assert rows["inference_mode"] == (None, None, None)
    assert (found.share(-800), found.share(200), found.share(None)) == (1.0, 0.25, 0.0)


def test_a_variant_with_more_lines_than_the_first_has_a_word_under_each():
    made = results({}, request=Request(workloads=("freeze",)))
    (planned,) = [each for each in made.header.plan.comparisons if each.timeline]
    names = [variant.name for variant in planned.variants if variant.role in ("baseline", "method")]
    lines = (Stretch("y = f(x)", (90,)), Stretch("y.backward()", (50,)), Stretch("optimizer.step()", (40,)))
    made.add(Timeline(planned.id, names[0], lines[:2]))
    made.add(Timeline(planned.id, names[1], lines))
    (comparison,) = [each for each in analyse(made).comparisons if each.timelines]
    axes = Figure().add_subplot()
    draw_timeline(axes, comparison, TALK)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["forward", "backward", "step"]


def test_variants_with_equal_bytes_share_one_line_that_names_them():
    made = results({}, request=Request(workloads=("freeze",)))
    (planned,) = [each for each in made.header.plan.comparisons if each.timeline]
    one, *others = [variant.name for variant in planned.variants if variant.role in ("baseline", "method")]
    for name in others:
        made.add(Timeline(planned.id, name, (Stretch("y = f(x)", (9000, 5000)),)))
    made.add(Timeline(planned.id, one, (Stretch("y = f(x)", (9000, 4999)),)))
    (comparison,) = [each for each in analyse(made).comparisons if each.timelines]
    axes = Figure().add_subplot()
    draw_timeline(axes, comparison, TALK)
    alone, together = one, f"{', '.join(others)}: equal"
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert lines.keys() == {alone, together}
    # In bytes, and where they are: nothing is moved aside.
    assert list(lines[alone].get_ydata()) == [0, 9, 4.999, 4.999]
    assert list(lines[together].get_ydata()) == [0, 9, 5, 5]
    assert all(line.get_transform() == axes.transData for line in lines.values())
    dashes = {tuple(line._unscaled_dash_pattern[1] or ()) for line in lines.values()}
    assert len(dashes) == len({line.get_color() for line in lines.values()}) == 2
    assert {text.get_text() for text in axes.get_legend().get_texts()} == lines.keys()


def test_bars_differ_without_colour():
    comparison = analyse(
        memory(memory(results({}, request=REQUEST), "no_grad", peak=400), "detach")
    ).comparisons[0]
    figure = Figure()
    three = figure.subplots(1, 3)
    draw_bars(three, bars(comparison), TALK)
    assert len({axes.patches[0].get_hatch() for axes in three}) == 3


@pytest.mark.parametrize("draw", ["curves", "timeline", "turn"])
def test_a_method_looks_the_same_in_every_chart(draw):
    axes = Figure().add_subplot()
    if draw == "curves":
        found = analyse(results({}, request=Request(workloads=("elementwise",)))).comparisons
        draw_curves(axes, found, [1, 2, 3], "sizes", TALK)
    elif draw == "turn":
        request = Request(workloads=("elementwise",), device="cuda:0")
        draw_turn(axes, analyse(device_results(request)).comparisons, TALK)
    else:
        made = results({}, request=Request(workloads=("freeze",)))
        (planned,) = [each for each in made.header.plan.comparisons if each.timeline]
        for number, name in enumerate(("detach", "no_grad", "tracked")):
            made.add(Timeline(planned.id, name, (Stretch("y = f(x)", (number, 5000)),)))
        draw_timeline(axes, next(each for each in analyse(made).comparisons if each.timelines), TALK)
    lines = {line.get_label().partition(",")[0]: line for line in axes.lines}
    for name in ("no_grad", "tracked"):
        assert lines[name].get_color() == TALK[LOOKS[name].colour]
        if draw != "timeline":
            assert lines[name].get_marker() == LOOKS[name].marker
        if draw != "turn":
            assert tuple(lines[name]._unscaled_dash_pattern[1] or ()) == LOOKS[name].dash


def test_the_command_counts_one_file_in_the_singular(call, fresh, monkeypatch):
    monkeypatch.setattr("gradbench.report.slides.write_figures", lambda *_: [Path("01.svg")])
    _, out, _ = call("figures", fresh, "--all", "--output", "x")
    assert out == "figures: x (1 file)\n"
