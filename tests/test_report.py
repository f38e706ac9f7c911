import html
import math
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import msgspec
import pytest
from synthetic import ENVIRONMENT, header, memory, rendered, results

from gradbench import format
from gradbench.analyse.analysis import analyse
from gradbench.analyse.claims import verdicts
from gradbench.analyse.findings import findings
from gradbench.analyse.summary import summarise
from gradbench.define.methods import METHODS
from gradbench.errors import RequestError
from gradbench.record.interval import Interval
from gradbench.record.lines import Writer
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.record.results import Results, read_results
from gradbench.record.visits import Failure, Stretch, Timeline
from gradbench.report.figures import FromOne
from gradbench.report.guide import tables
from gradbench.report.page import write_report
from gradbench.report.snippet import snippet
from gradbench.report.template import Link

REQUEST = Request(workloads=("control", "elementwise"), sizes=("small", "large"))


def sentences(made):
    return " ".join(f"{each.sentence} {each.evidence}" for each in findings(summarise(made)))


VOID = {"meta", "br", "input"}


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_well_formed_and_loads_nothing_from_elsewhere():
    page = _Page(rendered(memory(results({"no_grad": 1.4}, request=REQUEST), "tracked", saved=400)))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    loaded = [
        (tag, attrs) for tag, attrs in page.tags if tag in ("script", "link", "img", "iframe", "object")
    ]
    # The page's own filter, which stands in it.
    assert loaded == [("script", {})]
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    outside = {link for link in page.links if not link.startswith(("#", "https://"))}
    assert outside == {"results.jsonl"}


def test_every_figure_has_words_for_those_who_do_not_see_it():
    page = _Page(rendered(results({"no_grad": 1.4}, request=REQUEST)))
    labels = [attrs["aria-label"] for tag, attrs in page.tags if tag == "figure"]
    assert len(labels) == 4
    assert all("no_grad" in label for label in labels)


def test_every_variant_is_there_with_the_code_that_was_timed():
    made = results({}, request=REQUEST)
    text = "".join(_Page(rendered(made)).text)
    for comparison in made.header.plan.comparisons:
        for variant in comparison.variants:
            assert variant.role == "empty" or snippet(comparison, variant) in text


def test_a_snippet_runs_as_it_stands():
    for comparison in header(REQUEST).plan.comparisons:
        if comparison.numel > 1000:
            continue
        for variant in comparison.variants:
            exec(compile(snippet(comparison, variant), variant.name, "exec"), {})  # noqa: S102


def test_the_report_shows_the_command_the_machine_and_the_options():
    text = "".join(_Page(rendered(results({}))).text)
    assert "gradbench run" in text
    assert ENVIRONMENT.processor in text
    assert "freed pages are kept" in text


def test_markup_in_names_and_messages_is_shown_and_never_executed():
    nasty = "<script>alert(1)</script>&\"'"
    made = results({})
    environment = msgspec.structs.replace(ENVIRONMENT, processor=nasty, torch_config=nasty)
    made.header = header(command=nasty, environment=environment)
    made.add(Failure(1, nasty, nasty, "check", "raised", nasty))
    text = rendered(made)
    assert text.count("<script") == 1
    assert nasty in "".join(_Page(text).text)


def test_a_failed_variant_is_a_row_with_its_reason_and_dashes():
    made = results({})
    for visit in made.visits:
        del visit.variants["detach"]
    comparison = made.visits[0].comparison
    made.add(Failure(1, comparison, "detach", "check", "check", "y.is_leaf: expected True, got False"))
    text = rendered(made)
    row = next(row for row in re.findall(r"<tr class=\"method\">.*?</tr>", text, re.DOTALL) if
               "detach() before<" in row)  # fmt: skip
    assert "y.is_leaf: expected True, got False" in row
    assert "failed" in row
    assert ">0<" not in row
    assert 'id="failures"' in text


def test_a_run_in_which_everything_failed_still_makes_a_page():
    made = results({}, passes=0)
    made.add(Failure(1, made.header.plan.comparisons[0].id, None, "time", "died", "killed by SIGKILL"))
    text = rendered(made)
    assert "Nothing could be measured" in text
    assert "killed by SIGKILL" in text


def test_a_sweep_is_drawn_as_curves():
    made = results({"no_grad": 1.2}, request=Request(("elementwise",), (), ("1:1e5",)))
    assert "elements of x" in rendered(made)


@pytest.fixture(scope="module")
def standard():
    """A standard run, with bytes of every variant, and its page."""
    made = results({"no_grad": 1.4}, request=Request(preset="standard"))
    for variant in {variant.name for each in made.header.plan.comparisons for variant in each.variants}:
        memory(made, variant, peak=len(variant), saved=400)
    return made, rendered(made)


def test_what_a_filter_goes_by_stands_at_every_comparison(standard):
    made, text = standard
    page = _Page(text)
    plan = made.header.plan.comparisons
    placed = [attrs for tag, attrs in page.tags if tag == "details" and attrs.get("class") == "comparison"]
    assert [(each["data-size"], each["data-device"], each["data-dtype"]) for each in placed] == [
        (each.size, each.device, each.dtype) for each in plan
    ]
    values = [attrs["value"] for tag, attrs in page.tags if attrs.get("data-facet") == "size"]
    assert values == ["small", "medium", "large"]


def test_tables_of_the_guide_know_what_their_columns_and_rows_are_of():
    made = results({"no_grad": 1.4}, request=Request(preset="standard"))
    for table in tables(analyse(made)):
        assert len(table.places) in (0, len(table.columns))
        assert len(table.sizes) in (0, len(table.rows))
        for head, place in zip(table.columns, table.places, strict=False):
            assert (place is None) == (re.search(r"\d", head) is None)
            assert place is None or f"{place.numel:,}" in head


def test_memory_has_bars_where_methods_differ_and_the_figures_beside_them():
    alike = rendered(memory(results({}, request=REQUEST), "no_grad", peak=400))
    assert 'class="bars"' not in alike
    made = memory(memory(results({}, request=REQUEST), "no_grad", peak=400), "tracked", peak=1200, saved=800)
    text = rendered(made)
    # Nothing is tracked in `control`: there one method is known, and no difference.
    assert text.count('class="bars"') == 2
    assert "<td>1,200 B<b" in text
    assert "<td>800 B<b" in text


def test_the_way_to_the_results_leads_there_from_wherever_the_report_is(tmp_path):
    run = tmp_path / "a run"
    run.mkdir()
    writer = Writer(run / "results.jsonl")
    writer.write(results({}).header)
    writer.close()
    (tmp_path / "else where").mkdir()
    for place in (run / "report.html", tmp_path / "report.html", tmp_path / "else where" / "report.html"):
        write_report(analyse(read_results(run)), place)
        page = _Page(place.read_text())
        alternatives = {each for each in page.links if not each.startswith(("#", "https://"))}
        assert [(place.parent / unquote(alternative)).resolve() for alternative in alternatives] == [
            run / "results.jsonl"
        ]


def test_a_page_has_the_navigation_of_a_site_only_where_it_is_part_of_one(tmp_path):
    run = tmp_path / "results.jsonl"
    writer = Writer(run)
    writer.write(results({}).header)
    writer.close()
    write_report(analyse(read_results(run)), tmp_path / "report.html")
    assert 'class="site"' not in (tmp_path / "report.html").read_text()
    write_report(
        analyse(read_results(run)),
        tmp_path / "report.html",
        [Link("All <reports>", "../index.html"), Link("This", "#", True)],
    )
    text = (tmp_path / "report.html").read_text()
    assert '<a href="../index.html">All &lt;reports&gt;</a>' in text
    assert text.count('aria-current="page"') == 1


def test_a_report_of_a_standard_run_is_at_most_3_megabytes(standard):
    assert len(standard[1].encode()) < 3_000_000


def test_the_report_is_the_same_for_the_same_results():
    assert rendered(results({"no_grad": 1.4})) == rendered(results({"no_grad": 1.4}))


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    writer = Writer(run / "results.jsonl")
    writer.write(results({}).header)
    writer.close()
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    with pytest.raises(RequestError, match="cannot be written"):
        write_report(analyse(read_results(run)), blocked / "report.html")
    write_report(analyse(read_results(run)), tmp_path / "report.html")
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()
    assert list(tmp_path.glob("*.part")) == []


def test_findings_follow_the_figures_and_not_a_story():
    dear = sentences(results({"no_grad": 1.5, "tracked": 1.2, "inference_mode": 1.6}, request=REQUEST))
    cheap = sentences(results({"no_grad": 1.1, "tracked": 1.4, "inference_mode": 0.9}, request=REQUEST))
    assert "no_grad() block is slower in 2 of 2 comparisons and faster in 0" in dear
    assert "no_grad() block is slower in 0 of 2 comparisons and faster in 2" in cheap
    assert "inference_mode() against no_grad(): faster in 0 of 4 comparisons, slower in 4" in dear
    assert "inference_mode() against no_grad(): faster in 4 of 4 comparisons, slower in 0" in cheap


def test_a_difference_is_never_claimed_without_a_noise_floor():
    made = results({"inference_mode": 0.9}, request=REQUEST)
    for visit in made.visits:
        del visit.variants["twin"]
    assert "faster in 0 of 4 comparisons, slower in 0, not shown to differ in 4" in sentences(made)


def test_growth_is_told_with_its_figures_and_not_called_the_same():
    made = results({}, request=REQUEST)
    for visit in made.visits:
        if visit.comparison.startswith("control/1000000"):
            for name, times in (("detach", 2.5), ("detach_clone", 40.0)):
                variant = visit.variants[name]
                log = variant.log_ratio + math.log(times)
                visit.variants[name] = msgspec.structs.replace(
                    variant, seconds=times * variant.seconds, log_ratio=log
                )
    told = sentences(made)
    assert "detach().clone() before (40 times) grows" in told
    others = sum(method.alone is not None for method in METHODS) - 1
    assert re.search(rf"that of the {others} others is [0-9.]+ to 2\.5\d? times", told)


def test_what_keeps_memory_is_named_from_the_records():
    made = memory(results({}, request=REQUEST), "detach_clone", saved=1200, graph=800, peak=1600)
    made = memory(made, "tracked", peak=400)
    assert "Only detach().clone() before keeps memory for backward: 1,200 B" in sentences(made)
    assert "No method keeps memory" in sentences(memory(results({}, request=REQUEST), "tracked", peak=400))
    assert "memory" not in sentences(results({}, request=REQUEST))


def test_findings_leave_out_what_was_not_measured():
    made = results({}, request=Request(("elementwise",), ("detach",), ("small",)))
    assert [each.sentence[:11] for each in findings(summarise(made))] == ["How far to "]
    empty = Results(made.path, made.header)
    assert findings(summarise(empty)) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (0.0, "0 ns"), (3.614e-7, "361 ns"), (9.996e-8, "100 ns"), (1.0e-6, "1.00 µs"),
        (9.9951e-4, "1.00 ms"), (0.9996, "1.00 s"), (1234.5, "1,230 s"),
    ],
)  # fmt: skip
def test_a_time_has_three_digits_and_the_unit_that_suits_it(value, shown):
    assert format.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 B"), (9_999, "9,999 B"), (12_345, "12.3 kB"), (4_000_000, "4.00 MB"),
     (999_600, "1.00 MB"), (25 * 10**9, "25.0 GB")],
)  # fmt: skip
def test_bytes_are_exact_while_short(value, shown):
    assert format.size(value) == shown


def test_a_ratio_has_the_digits_that_its_interval_supports():
    assert format.ratio_with_ends(Interval(3.6123, 3.5723, 3.6523, 9)) == "3.612 (3.572 to 3.652)"
    assert format.ratio_with_ends(Interval(1.00004, 1.00001, 1.00007, 9)) == "1.0000 (1.0000 to 1.0001)"
    assert format.ratio_with_ends(Interval(1029.3, 977.1, 1084.2, 9)) == "1,029 (977 to 1,084)"
    assert format.ratio(Interval(0.34, 1e-6, 3e6, 2)) == "0.3"
    assert format.ratio(None) == "–"
    assert format.ratio(Interval(2.0, None, None, 1)) == "2.00"


def test_a_difference_is_per_cent_while_that_says_something_and_a_factor_beyond():
    shown = {None: "–", 0.0: "0 %", 0.02: "2.0 %", 2.0: "640 %", 3.0: "a factor of 20"}
    assert {value: format.difference(value) for value in shown} == shown
    for value in (70.0, 710.0, math.inf):
        assert format.difference(value) == "a factor of more than 1,000"


@pytest.mark.parametrize(
    ("value", "shown"), [(64, "64"), (10_000, "10k"), (10**6, "1M"), (123_456, "123,456"), (1_500, "1,500")]
)
def test_a_number_of_elements_is_short_where_that_loses_nothing(value, shown):
    assert format.count(value) == shown


def test_every_claim_stands_on_the_page_with_its_verdict_and_its_words():
    made = results({"no_grad": 1.4}, request=REQUEST)
    text = rendered(made)
    for each in verdicts(summarise(made)):
        assert f'data-verdict="{each.verdict.split(" ")[0]}"' in text
        assert html.escape(each.claim.says, quote=False) in text.replace("&#39;", "'").replace("&#34;", '"')


def test_a_timeline_is_drawn_and_its_bytes_are_in_a_table():
    request = Request(workloads=("freeze",), sizes=("small",))
    made = results({}, request=request)
    (id,) = (each.id for each in made.header.plan.comparisons if each.part == "training")
    for variant, kept in (("tracked", 5000), ("no_grad", 3000)):
        lines = (Stretch("y = f(x)", (9000, kept)), Stretch("loss.backward()", (kept + 4321, 12)))
        made.add(Timeline(id, variant, lines))
    text = rendered(made)
    assert "Live bytes through one step" in text
    for shown in ("9,000 B", "5,000 B", "3,000 B", "9,321 B", "7,321 B", "12 B"):
        assert f">{shown}<" in text


def test_what_was_observed_is_on_the_page():
    made = results({})
    seen = {"x_inside": False, "x_after": True}
    made.add(Observation("persistence", "How long?", "code", "no_grad", seen))
    made.add(Observation("zero_grad", "Do gradients add up?", "code", "", {"after_two": 8.0}))
    text = "".join(_Page(rendered(made)).text)
    assert "What each method does" in text
    assert "Do gradients add up?" in text
    assert "after two: 8" in text
    assert "What each method does" not in "".join(_Page(rendered(results({}))).text)


def test_parts_of_a_workload_stand_in_one_section_each_under_its_name():
    made = results({}, request=Request(workloads=("freeze",), sizes=("small",)))
    text = rendered(made)
    assert text.count('<section id="freeze">') == 1
    for part in ("Forward", "Backward", "The optimizer", "A whole step"):
        assert f">{part}" in text


def test_from_which_number_of_operations_a_block_pays_is_told_from_the_figures():
    made = results({}, request=Request(workloads=("break_even",), sizes=("small",), preset="thorough"))
    for visit in made.visits:
        operations = int(visit.comparison.partition("/")[0].partition(".")[2])
        # A block costs what recording three operations does.
        for variant, cost in (("no_grad", 1 + 0.3 / operations), ("tracked", 1.1)):
            before = visit.variants[variant]
            gross = 1e-6 * cost + 1e-8
            visit.variants[variant] = msgspec.structs.replace(
                before, seconds=gross, log_ratio=math.log(gross / 1.01e-6) + before.log_ratio
            )
    said = sentences(made)
    assert "dearer than recording them at up to 2 operations and cheaper from 5 operations on" in said


def test_two_passes_that_leave_everything_open_make_a_page():
    """What a run of two passes would find, after Holm's correction, may be beyond all numbers."""
    made = results(
        {"no_grad": 1.5}, passes=2, scatter=3.0, request=Request(workloads=("elementwise", "chain"))
    )
    summary = summarise(made)
    assert max(each.visible for each in summary.comparisons) > 709
    page = rendered(made)
    assert "elementwise" in page
    assert "a factor of more than 1,000" in page
    # No row of digits that nobody reads.
    assert not re.search(r"\d{1,3}(,\d{3}){4,} %", page)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.98, 1.21, [1.0, 1.1, 1.2]),
        (0.99, 1.17, [1.0, 1.05, 1.1, 1.15]),
        (0.83, 1.03, [0.85, 0.9, 0.95, 1.0]),
        (0.9997, 1.0012, [1.0, 1.0005, 1.001]),
        (0.5, 6.5, [1.0, 3.0, 5.0]),
    ],
)
def test_an_axis_of_ratios_has_a_tick_at_1_and_steps_that_a_person_would_choose(low, high, ticks):
    assert FromOne().tick_values(low, high) == pytest.approx(ticks)


def on_memory_of_its_own(made, comparison, times):
    """The twin on a buffer of its own takes so many times as long there."""
    for visit in made.visits:
        if visit.comparison.startswith(comparison):
            variant = visit.variants["twin_own_buffer"]
            log = variant.log_ratio + math.log(times)
            visit.variants["twin_own_buffer"] = msgspec.structs.replace(
                variant, seconds=times * variant.seconds, log_ratio=log
            )
    return made


def test_identical_code_on_memory_of_its_own_is_named_where_it_goes_beyond_the_twin():
    made = on_memory_of_its_own(results({}, request=REQUEST), "elementwise/1000000", 1.27)
    text = html.unescape(rendered(made))
    assert "In 1 of 4 comparisons identical code on memory of its own takes another time" in text
    assert re.search(r"elementwise/1000000/float32/cpu, 1\.2\d+ \(1\.2\d+ to 1\.2\d+\) times\.", text)
    assert text.count("the buffer, not the method</td>") == 1
    assert re.search(r"the same code takes 1\.2\d+ .* at the farthest", sentences(made))
    assert "that is cold data" in text
    # Cold data make nothing faster.
    made = on_memory_of_its_own(results({}, request=REQUEST), "elementwise/1000000", 0.9)
    faster = html.unescape(rendered(made))
    assert "memory of its own takes another time" in faster
    assert "cold" not in faster.partition("What should I use")[0].partition("Before you believe it")[2]
    none = rendered(results({}, request=REQUEST))
    assert "memory of its own takes" not in none
    assert "the buffer, not the method</td>" not in none
    # Within 1 % it is the same, however narrow the interval.
    made = on_memory_of_its_own(results({}, request=REQUEST, scatter=1e-5), "elementwise/1000000", 1.003)
    assert "memory of its own takes" not in rendered(made)


def test_tables_show_beside_a_label_the_name_that_figures_show():
    text = rendered(results({"no_grad": 1.4}, request=REQUEST))
    named = 'torch.no_grad()</a> <code class="name">no_grad</code></th>'
    assert text.count(named) == 4
    assert text.count('<th scope="row">torch.no_grad() <code class="name">no_grad</code></th>') == 1 + 4
