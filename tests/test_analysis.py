"""What is known of a run is computed once, from the file alone, and is only read afterwards."""

import ast
import itertools
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from synthetic import device_results, header, memory, rendered, results

import gradbench.report
from gradbench.analyse import pairs, stats, visits
from gradbench.analyse.analysis import analyse
from gradbench.analyse.claims import verdicts
from gradbench.analyse.claims.folklore import STEPS
from gradbench.analyse.summary import worst_precision
from gradbench.define.methods import METHODS
from gradbench.define.workloads import WORKLOADS, keeping
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.record.schema1 import upgrade
from gradbench.record.visits import Failure, Stretch, Timeline
from gradbench.report.export import FORMS
from gradbench.report.page import render
from gradbench.report.terminal.brief import brief

REQUEST = Request(workloads=("control", "elementwise", "custom", "inference"), sizes=("small", "large"))
REPORT = Path(gradbench.report.__file__).parent


@pytest.fixture
def full():
    """A run with something of every kind."""
    made = memory(
        results({"no_grad": 1.4, "tracked": 1.2, "data": 0.9}, request=REQUEST), "tracked", saved=400
    )
    id = made.header.plan.comparisons[0].id
    made.add(Timeline(id, "no_grad", (Stretch("y = x", (4,)), Stretch("y.backward()", (8, 0)))))
    made.add(Observation("memory", "?", "code", "no_grad", {"allocated": 0}))
    made.add(Observation("square", "x²?", "code", "", {"at_2": 4.0, "at_3": 6.0}))
    made.add(Failure(1, id, "detach", "check", "check", "y.is_leaf: expected True, got False"))
    return made


def counted(monkeypatch, module, *names):
    """A list that grows with each call of these functions of a module."""
    calls = []

    def watch(name):
        function = getattr(module, name)

        def watched(*arguments, **more):
            calls.append(name)
            return function(*arguments, **more)

        monkeypatch.setattr(module, name, watched)

    for name in names:
        watch(name)
    return calls


def test_whatever_shows_a_run_a_second_time_computes_nothing(full, monkeypatch):
    calls = counted(
        monkeypatch, stats, "interval", "intervals", "geometric", "geometric_of_logs", "holm", "p_values",
        "above", "smallest_visible", "factor",
    )  # fmt: skip
    analysis = analyse(full)
    first = render(analysis)
    # Every pair of methods of every comparison, at once for each comparison.
    assert calls.count("intervals") == len(analysis.comparisons)
    assert "interval" in calls
    calls.clear()
    assert render(analysis) == first
    assert brief(analysis, 100)
    for form in FORMS:
        assert form.write(analysis)
    assert calls == []


def test_a_comparison_has_every_pair_of_its_methods_both_ways_round(full):
    for each in analyse(full).comparisons:
        names = [variant.name for variant in each.methods]
        assert set(each.time_ratios) == {(one, other) for one in names for other in names if one != other}
        for (one, other), ratio in each.time_ratios.items():
            logs = each.variant(one).log_ratios, each.variant(other).log_ratios
            expected = stats.interval([logs[0][number] - logs[1][number] for number in logs[0]])
            back = each.time_ratios[other, one]
            for end in ("mean", "low", "high"):
                assert getattr(ratio, end) == pytest.approx(math.exp(getattr(expected, end)), rel=1e-12)
            assert back.mean * ratio.mean == pytest.approx(1.0)
            assert back.low * ratio.high == pytest.approx(1.0)
            assert ratio.count == back.count == expected.count == 10


def test_a_pair_is_known_from_the_passes_that_have_both():
    found = pairs.ratios_of_pairs({"a": {1: 0.1, 2: 0.3, 3: 5.0}, "b": {1: 0.0, 2: 0.0}, "c": {4: 0.0}})
    assert set(found) == {("a", "b"), ("b", "a")}
    assert found["a", "b"].mean == pytest.approx(math.exp(0.2))
    assert found["a", "b"].count == 2
    (alone, *_) = pairs.ratios_of_pairs({"a": {1: 0.1}, "b": {1: 0.0}}).values()
    assert (alone.low, alone.high, alone.count) == (None, None, 1)


def test_two_wild_passes_leave_open_any_number_and_raise_nothing():
    found = pairs.ratios_of_pairs({"a": {1: 0.0, 2: 300.0}, "b": {1: 0.0, 2: 0.0}})
    assert found["a", "b"].low == pytest.approx(0.0)
    assert math.isfinite(found["a", "b"].high)


def test_the_conclusions_are_those_of_the_functions_that_draw_them(full):
    analysis = analyse(full)
    assert analysis.judgements == tuple(verdicts(analysis))
    assert analysis.judgements is analysis.judgements
    assert [each.method for each in analysis.characteristics] == ["no_grad"]
    assert [each.observed for each in analysis.answers] == [("at 2: 4", "at 3: 6")]
    assert analysis.comparisons[0].splits["no_grad"].backward == 8
    assert analysis.failed
    assert analysis.failed in analysis.warnings
    assert set(analysis.unfinished) < set(analysis.warnings)


def test_what_is_known_of_a_device_is_of_its_comparisons_alone():
    made = device_results(Request(workloads=("elementwise",), device="cpu,cuda:0"))
    analysis = analyse(made)
    assert list(analysis.by_device) == ["cpu", "cuda:0"]
    for device, there in analysis.by_device.items():
        assert {each.comparison.device for each in there.comparisons} == {device}
        assert len(there.twins.differences) == len(there.comparisons) < len(analysis.comparisons)
    assert analysis.by_device["cpu"].by_device == {}
    assert analysis.by_device["cpu"].parts_of_twins["host"].differences == ()
    assert analysis.parts_of_twins["host"].median is not None


@pytest.fixture(params=[0.0, 0.002])
def short(request):
    """A run whose baseline takes three turns of the empty loop, and one method three hundred."""
    return results(
        {"no_grad": 100.0, "tracked": 2.0}, scatter=request.param, seconds=3e-8, empty=1e-8,
        request=Request(workloads=("control", "elementwise"), sizes=("small",)),
    )  # fmt: skip


def test_of_a_baseline_that_is_too_short_to_measure_no_ratio_is_known(short):
    memory(short, "no_grad", allocated=8)
    analysis = analyse(short)
    for each in analysis.comparisons:
        assert not each.has_baseline
        assert each.above == frozenset()
        assert each.time_ratios == {}
        assert each.floor is each.visible is each.moved is None
        for variant in each.variants:
            assert variant.ratio is variant.rank is variant.extra is variant.host_ratio is None
            assert variant.verdict in ("cannot tell", "no time of its own")
        # Its seconds are known all the same.
        assert each.variant("no_grad").time.mean == pytest.approx(3e-6, rel=0.01)
        assert each.variant("requires_grad_false").verdict == "no time of its own"
    assert analysis.twins.median is None
    assert analysis.answer.others == ()
    judged = {each.claim.id: each for each in analysis.judgements}
    assert judged["ratio.no_grad"].verdict == judged["best.small"].verdict == "not measured"
    # Bytes need no baseline.
    assert judged["memory.no_grad.none"].verdict == "refuted"
    assert any("the baseline is as fast as an empty loop" in each for each in analysis.warnings)
    page = rendered(short)
    assert 'class="n v slower"' not in page
    assert '<td class="n">100' not in page


def test_a_run_does_not_wait_for_a_precision_that_no_pass_can_give(short):
    assert worst_precision(short) is None
    long = results({}, scatter=0.002)
    reached = worst_precision(long)
    assert reached > 0
    # Beside a comparison that can be measured the short one is no reason to go on.
    (comparison,) = long.header.plan.comparisons
    other = msgspec.structs.replace(comparison, id="short")
    long.header = header(plan=msgspec.structs.replace(long.header.plan, comparisons=(comparison, other)))
    for visit in list(long.visits):
        # Three turns of the loop, and one method of three hundred: its ratio is not known either.
        seconds = {name: 3e-6 if name == "no_grad" else 3e-8 for name in visit.variants} | {"empty": 1e-8}
        scaled = {
            name: msgspec.structs.replace(
                each, seconds=seconds[name], log_ratio=math.log(seconds[name] / 3e-8)
            )
            for name, each in visit.variants.items()
        }
        long.add(msgspec.structs.replace(visit, comparison="short", variants=scaled))
    assert [each.has_baseline for each in analyse(long).comparisons] == [True, False]
    assert worst_precision(long) == pytest.approx(reached)


def test_a_baseline_just_long_enough_has_ratios():
    made = results({"no_grad": 2.0}, scatter=0.0, seconds=(visits.LEAST_LOOPS + 0.5) * 1e-8, empty=1e-8)
    (comparison,) = analyse(made).comparisons
    assert comparison.has_baseline
    assert comparison.variant("no_grad").ratio.mean == pytest.approx(2.0)


HOSTILE = ("javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)",
           "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "//evil.example")  # fmt: skip


def test_an_address_in_a_file_that_is_none_of_the_web_is_no_link():
    made = results({})
    (comparison,) = made.header.plan.comparisons
    rows = [each for each in comparison.variants if each.source]
    assert len(rows) >= len(HOSTILE)
    addresses = dict(zip([each.name for each in rows], itertools.cycle(HOSTILE), strict=False))
    variants = tuple(
        msgspec.structs.replace(each, source=addresses.get(each.name, "")) for each in comparison.variants
    )
    altered = msgspec.structs.replace(comparison, variants=variants)
    made.header = header(plan=msgspec.structs.replace(made.header.plan, comparisons=(altered,)))
    links = links_of(rendered(made))
    assert all(each.startswith(("#", "https://", "results.jsonl")) for each in links)


def test_an_address_of_the_web_is_a_link():
    made = results({})
    sources = {each.source for each in made.header.plan.comparisons[0].variants if each.source}
    assert sources < set(links_of(rendered(made)))


@pytest.mark.parametrize("name", ["javascript:alert(1)", 'a"b.jsonl', "50%.jsonl"])
def test_the_way_to_the_results_leads_to_a_file_whatever_its_name(name, tmp_path):
    made = results({})
    made.path = tmp_path / name
    for output in (None, tmp_path / "report.html"):
        page = rendered(made, output)
        (link,) = {each for each in links_of(page) if not each.startswith(("#", "https://"))}
        assert ":" not in link
        assert '"' not in link


def links_of(page):
    from html.parser import HTMLParser

    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for name, value in attrs if name in ("href", "src"))

    Links().feed(page)
    return found


def test_a_method_is_named_as_the_file_says():
    made = results({})
    assert made.header.label("no_grad") == "torch.no_grad()"
    assert made.header.label("unheard_of") == "unheard_of"
    made.header = header(labels={"no_grad": "a label of its own", "unheard_of": "observed alone"})
    assert made.header.label("no_grad") == "a label of its own"
    made.add(Observation("memory", "?", "code", "unheard_of", {"allocated": 0}))
    assert "observed alone" in rendered(made)


def test_the_copy_is_known_as_the_limit_in_files_of_either_schema():
    plan = header(Request(workloads=("custom",), sizes=("large",))).plan
    limits = [variant.name for each in plan.comparisons for variant in each.variants if variant.limit]
    assert limits == ["copy"] * len(plan.comparisons)
    old = {"name": "copy", "role": "method", "feed": ""}, {"name": "no_grad", "role": "method", "feed": ""}
    lines = {
        "type": "header",
        "plan": {"comparisons": [{"workload": "custom", "lanes": list(old), "ways": True}]},
    }
    variants = upgrade(lines)["plan"]["comparisons"][0]["variants"]
    assert [each["limit"] for each in variants] == [True, False]


def test_the_claim_about_steps_counts_those_of_the_workload():
    assert STEPS == keeping.STEPS


def test_the_followed_and_swept_methods_are_methods():
    from gradbench.analyse.turn import FOLLOWED
    from gradbench.report.figures import SWEPT

    assert {*FOLLOWED, *SWEPT} <= {method.name for method in METHODS}
    assert WORKLOADS


READ_AND_SHOW = """
import sys
from pathlib import Path
from gradbench.record.results import read_results
from gradbench.analyse.analysis import analyse
analysis = analyse(read_results(Path(sys.argv[1])))
from gradbench.report.page import write_report
from gradbench.report.export import FORMS
from gradbench.report.terminal import brief, claims, compare, traits
write_report(analysis, Path(sys.argv[2]))
brief.brief(analysis, 100), claims.as_text(analysis.judgements, 100)
traits.as_text(analysis.results.observations, analysis.results.header.label)
for form in FORMS: form.write(analysis)
print(*sorted({name for name in sys.modules if name.split(".")[0] == "torch" or name.startswith(
    ("gradbench.define", "gradbench.measure", "gradbench.models", "gradbench.functions"))}))
"""


def test_reading_and_showing_a_run_imports_nothing_that_defines_or_measures(full, tmp_path):
    from gradbench.record.lines import Writer

    path = tmp_path / "results.jsonl"
    writer = Writer(path)
    records = [full.header, *full.passes, *full.visits, *full.memory, *full.timelines, *full.observations]
    for record in [*records, *full.failures, *full.ends]:
        writer.write(record)
    writer.close()
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_SHOW, str(path), str(tmp_path / "report.html")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("path", sorted(REPORT.rglob("*.py")), ids=lambda path: path.stem)
def test_what_shows_a_run_computes_no_statistics(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    forbidden = (
        "numpy",
        "scipy",
        "statistics",
        "gradbench.analyse.stats",
        "gradbench.define",
        "gradbench.measure",
    )
    assert not {each for each in names if each.startswith(forbidden)}
