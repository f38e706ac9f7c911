import html
import math
import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote

import msgspec
import pytest
from synthetic import ENVIRONMENT, device_results, header, memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.claims import verdicts
from gradbench.analyse.claims.claim import SHOWN
from gradbench.analyse.summary import summarise
from gradbench.errors import RequestError
from gradbench.record.lines import Writer
from gradbench.record.observation import Observation
from gradbench.record.plan import Plan, Request
from gradbench.record.results import read_results
from gradbench.record.visits import Failure, Stretch, Timeline
from gradbench.report.figures import FromOne
from gradbench.report.page import write_report
from gradbench.report.snippet import snippet
from gradbench.report.template import Link

REQUEST = Request(workloads=("control", "elementwise"), sizes=("small", "large"))


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
    inside = {link[1:] for link in page.links if link.startswith("#") and not link.startswith("#for=")}
    assert inside <= set(page.ids)
    outside = {link for link in page.links if not link.startswith(("#", "https://"))}
    assert outside == {"results.jsonl"}


def test_every_figure_has_words_for_those_who_do_not_see_it():
    page = _Page(rendered(results({"no_grad": 1.4}, request=REQUEST)))
    labels = [attrs["aria-label"] for tag, attrs in page.tags if tag == "figure"]
    # One of each comparison, and the one on the first screen.
    assert len(labels) == 4 + 1
    assert all("no_grad" in label and re.search(r"\d", label) for label in labels)


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
    assert Counter(each["data-size"] for each in placed) == Counter(each.size for each in plan)
    assert {(each["data-device"], each["data-dtype"]) for each in placed} == {("cpu", "float32")}
    values = [attrs["value"] for tag, attrs in page.tags if attrs.get("data-facet") == "size"]
    assert values == ["small", "medium", "large"]


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


def test_every_claim_stands_on_the_page_with_its_verdict_and_its_words():
    made = results({"no_grad": 1.4}, request=REQUEST)
    text = rendered(made)
    judged = verdicts(summarise(made))
    item = r'<li class="claim [^>]*id="claim-([^"]+)" (.*?)</details></li>'
    claims = dict(re.findall(item, text, re.DOTALL))
    assert set(claims) == {each.claim.id for each in judged if each.verdict != "not measured"}
    for each in judged:
        if each.verdict == "not measured":
            continue
        claim = html.unescape(claims[each.claim.id])
        assert f'data-verdict="{each.verdict.split(" ")[0]}"' in claim
        assert f'data-topic="{each.claim.topic}"' in claim
        assert f'<span class="verdict">{" ".join(SHOWN[each.verdict])}</span>' in claim
        assert f'<span class="says">{each.claim.says}' in claim
        assert f'<span class="deciding">{each.deciding}</span>' in claim
        assert all(case.says in claim for case in each.cases)
    open_ = [each for each in judged if each.verdict == "not measured"]
    assert f"{len(open_)} claims that this run did not measure" in text
    fold = html.unescape(text.partition('<details class="unmeasured">')[2].partition("</details>")[0])
    assert fold.count("<li>") == len(open_)
    assert all(each.claim.says in fold and each.takes in fold for each in open_)


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
    assert "Effects of each method on tensors" in text
    assert "Do gradients add up?" in text
    assert "after two: 8" in text
    assert "Effects of each method on tensors" not in "".join(_Page(rendered(results({}))).text)


def test_parts_of_a_workload_stand_in_one_fold_each_under_its_name():
    made = results({}, request=Request(workloads=("freeze",), sizes=("small",)))
    text = rendered(made)
    assert text.count('<details class="workload" id="freeze"') == 1
    fold = text.partition('<details class="workload" id="freeze"')[2]
    for part in ("Forward", "Backward", "The optimizer", "A whole step"):
        assert re.search(rf'<h3 id="freeze-[^"]+">{part}', fold)


def test_a_section_is_a_question_with_its_workloads_and_those_of_no_section_have_their_own():
    request = Request(workloads=("control", "view", "custom"), sizes=("small",))
    page = rendered(results({}, request=request))
    assert "<h2>What does a control cost by itself?</h2>" in page
    cost, functions = page.index('<section id="ask-cost"'), page.index('<section id="ask-functions"')
    for workload, after in (("control", cost), ("view", cost), ("custom", functions)):
        assert page.rindex("<section", 0, page.index(f'class="workload" id="{workload}"')) == after
    # What the run lacks has no section.
    for absent in ("ask-evaluate", "ask-fine-tune", "ask-write", "ask-memory", "ask-tiny-model"):
        assert f'<section id="{absent}"' not in page
    (comparison,) = results(
        {}, request=Request(workloads=("view",), sizes=("small",))
    ).header.plan.comparisons
    new = msgspec.structs.replace(comparison, id="new", workload="new", title="new work: it is done")
    page = rendered(results({}, plan=Plan((new,))))
    assert '<section id="of-new"' in page
    assert "<h2>New work</h2>" in page


def test_a_figure_stands_once_on_the_page(standard):
    labels = [attrs["aria-label"] for tag, attrs in _Page(standard[1]).tags if tag == "figure"]
    timed = [label for label in labels if label.startswith("Time relative to")]
    assert len(timed) == len(set(timed)) > 10


def test_a_first_figure_is_of_the_device_that_the_page_answers_for():
    page = rendered(device_results(Request(workloads=("control", "matmul"), device="cpu,cuda:0")))
    for row in re.findall(r'<div class="row">(.*?)<div class="folds">', page, re.DOTALL):
        assert set(re.findall(r'data-device="([^"]*)"', row)) == {"cuda:0"}


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
    assert re.search(
        r"which is cold, identical code takes 1\.2\d+ \(.*\) times as long in elementwise/1000000/", text
    )
    assert "That memory is cold; the methods share one buffer, which stays warm." in text
    # Cold data make nothing faster.
    made = on_memory_of_its_own(results({}, request=REQUEST), "elementwise/1000000", 0.9)
    faster = html.unescape(rendered(made))
    assert "memory of its own takes another time" in faster
    assert "cold" not in faster.partition('<details class="trust')[2].partition("</details>")[0]
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
