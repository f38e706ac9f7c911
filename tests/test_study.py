"""The study of the instrument: its numbers from results whose truth is known, and its page from them."""

import math
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import numpy
import pytest
from matplotlib.text import Text
from synthetic import ENVIRONMENT

from gradbench.measure.steering import LOOKS
from gradbench.record.interval import Interval
from gradbench.record.lines import SCHEMA, Writer
from gradbench.record.plan import Plan, Request
from gradbench.record.results import FORMAT, Header, Options, read_results
from gradbench.record.telemetry import Telemetry
from gradbench.record.undecided import Undecided
from gradbench.record.visits import PassEnd, RunEnd, VariantTime, Visit
from gradbench.report.palette import LOOKS as LOOKS_OF_METHODS
from studies.instrument import analysis, clocks, figures, page, simulation, stopping, trials
from studies.instrument.clocks import Clocked
from studies.instrument.figures import CONTROLS
from studies.instrument.findings import _at_least, _cold, answer, findings
from studies.instrument.order import Carried


def record(path, comparisons, time_of, passes=12, scatter=0.001):
    """Write a results file in which `time_of(comparison, variant)` is each variant's net time, in seconds."""
    rng = numpy.random.default_rng(5)
    header = Header(
        FORMAT, SCHEMA, "0.1.0", "2026-01-02T03:04:05+00:00", "by hand", Request(),
        Options("study", 1, "keep", 60.0), ENVIRONMENT, Plan(tuple(comparisons)),
    )  # fmt: skip
    writer = Writer(path)
    writer.write(header)
    for number in range(1, passes + 1):
        for comparison in comparisons:
            variants = {}
            base = time_of(comparison, comparison.variants[0]) + 6e-9
            for variant in comparison.variants:
                net = 0.0 if variant.role == "empty" else time_of(comparison, variant)
                noise = 1.0 if variant.role in ("baseline", "empty") else math.exp(rng.normal(0, scatter))
                gross = net * noise + 6e-9
                variants[variant.name] = VariantTime(50, gross, gross, gross, math.log(gross / base))
            telemetry = Telemetry(others=0.01 * number, switches=number)
            writer.write(Visit(number, comparison.id, 100, 0.2, 0.0, 1e-4 * number, variants, telemetry))
    for number in range(1, passes + 1):
        writer.write(PassEnd(number, 1.0))
    writer.write(RunEnd("passes", 10.0))
    writer.close()
    return path


@pytest.mark.parametrize(("regime", "expected"), [("layout", 0.95), ("bursts", 0.95), ("rare mode", 0.8)])
def test_simulated_intervals_cover_where_they_should_and_fail_where_they_must(regime, expected):
    chosen = next(each for each in simulation.REGIMES if each.name == regime)
    with ProcessPoolExecutor(2) as pool:
        found = simulation.simulate(chosen, 400, pool, parts=2)
    # Four standard errors of that share over so many runs.
    assert abs(found.covered - expected) <= 4 * math.sqrt(expected * (1 - expected) / 400)
    assert found.runs == 400


def test_a_simulated_interval_that_is_too_narrow_would_be_noticed(monkeypatch):
    # Rounds pooled as if they were independent: what the method must not do.
    monkeypatch.setattr("gradbench.analyse.stats.stdtrit", lambda df, q: 1.0)
    regime = next(each for each in simulation.REGIMES if each.name == "layout")
    rng = numpy.random.default_rng(0)
    truth = math.log(simulation.EFFECT)
    hits = []
    for _ in range(300):
        ratio = simulation.one_run(regime, rng).variant("slower").ratio
        hits.append(ratio.low <= math.exp(truth) <= ratio.high)
    assert sum(hits) / 300 < 0.85


def test_wilsons_interval_is_the_textbook_one():
    # 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I).
    assert analysis.share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert analysis.share_interval(0, 10)[0] == 0.0


def test_a_known_ratio_is_held_against_its_construction(tmp_path):
    comparisons = trials.known().comparisons

    def time_of(comparison, variant):
        times = int(comparison.id.partition(" x ")[2])
        return 8e-9 + 50e-9 * (times + (variant.name == "more"))

    rows = analysis.known(record(tmp_path / "known", comparisons, time_of, scatter=0.0))
    assert [row["truth"] for row in rows if row["call"] == "flag"] == pytest.approx(
        [2.0, 1.5, 1.2, 1.1, 1.05, 1.02]
    )
    assert [row["extra"] for row in rows] == pytest.approx([8e-9] * len(rows))
    assert all(row["error"] < 0 for row in rows)


def same_of(path):
    return analysis.same(read_results(path))


def test_identical_variants_give_few_alarms_and_different_ones_many(tmp_path):
    comparisons = trials.same().comparisons
    quiet = same_of(record(tmp_path / "quiet", comparisons, lambda c, variant: 1e-6, passes=10))
    assert quiet["comparisons"] == 216
    assert quiet["runs"] == 2 * trials.COPIES
    assert quiet["false_runs"] <= 2
    assert 0.02 < quiet["grouped"] < 0.08
    different = same_of(
        record(
            tmp_path / "loud",
            comparisons,
            lambda c, variant: 1.1e-6 if variant.name == "same" else 1e-6,
            passes=10,
        )
    )
    assert different["false_runs"] == different["runs"]
    assert different["alarms"] == 216


def test_power_counts_what_was_found_and_what_was_not_there(tmp_path):
    paths = [
        record(
            tmp_path / str(number),
            trials.power(number).comparisons,
            lambda c, variant: 3.06e-6 if variant.name == "more" and c.id == "added" else 3e-6,
        )
        for number in (1, 2)
    ]
    found = analysis.power(paths)
    assert found["found"] == {"repeated": 0, "added": 2}
    assert found["false"] == 0
    curve = [reach for _, reach in found["curve"]["added"]]
    assert curve == sorted(curve, reverse=True)


def test_a_control_after_an_operation_costs_the_difference_of_two_variants(tmp_path):
    def time_of(comparison, variant):
        base = 2e-6 if variant.name.startswith("write") else 1e-6
        return base + (0.5e-6 if "no_grad" in variant.name else 0.0)

    row = analysis.after(record(tmp_path / "after", trials.evicted().comparisons, time_of, scatter=0.0))[0]
    assert row["added"]["no_grad after reading"].mean == pytest.approx(0.5e-6)
    assert row["added"]["no_grad after writing"].mean == pytest.approx(0.5e-6)
    assert "no_grad after computing" not in row["added"]
    assert row["bytes"] == trials.TOUCHED[0]


def test_the_place_in_the_order_is_summarised_over_processes(tmp_path):
    effect = {"multiply": {"copy": 0.02, "multiply": 0.0}, "copy": {"multiply": 0.0, "copy": 0.0}}
    lines = [
        msgspec.json.encode(Carried(100, seed, effect, {"multiply": 0.0, "copy": 0.001 * seed}))
        for seed in (1, 2, 3)
    ]
    path = tmp_path / "order"
    path.write_bytes(b"\n".join(lines))
    (row,) = analysis.order(path)
    assert row["bias"]["copy"].mean == pytest.approx(0.002)
    assert row["strongest"] == ("multiply", "copy")


def test_telemetry_explains_visits_that_were_disturbed(tmp_path):
    path = record(tmp_path / "loaded", trials.known().comparisons[:2], lambda c, variant: 1e-6)
    found = analysis.explained(read_results(path))
    assert found["switches"] == pytest.approx(1.0)
    assert found["disturbed_error"] > found["quiet_error"]


PUBLISHED = Path(__file__).parents[1] / "reports" / "instrument"


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    """The page made of the published data, its answer and its findings."""
    output = tmp_path_factory.mktemp("instrument") / "index.html"
    answer = page.write(PUBLISHED / "data", output)
    return output.read_text(), answer, findings(page.numbers(PUBLISHED / "data"))


def words(html):
    """The number of words that a reader sees in a piece of a page."""
    html = re.sub(r"<(svg|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    return len(re.sub(r"<[^>]+>", " ", html).split())


def closed(html):
    """The page without the contents of its folds, which are closed."""
    return re.sub(r"(<details[^>]*><summary>.*?</summary>).*?</details>", r"\1", html, flags=re.DOTALL)


def test_the_first_screen_of_the_instrument_has_the_answer_and_a_line_for_each_finding(instrument):
    html, answer, found = instrument
    body = closed(re.sub(r"<details>\s*<summary>", "<details><summary>", html)).partition("<body>")[2]
    first = body.partition('id="simulated"')[0]
    assert f"<h1>{answer}</h1>" in first
    assert first.count("<summary>") == len(found) == 9
    assert words(first) <= 240
    assert words(body) <= 3000


def test_each_finding_has_evidence_a_figure_and_a_section(instrument):
    html, _, found = instrument
    for each in found:
        assert each.evidence
        assert each.figure
        assert f'<section id="{each.topic}">' in html
    assert len({each.topic for each in found}) == len(found)


def test_all_tables_of_the_instrument_are_folded(instrument):
    html, *_ = instrument
    folds = re.findall(r'<details class="table">.*?</details>', html, flags=re.DOTALL)
    assert len(folds) == html.count("<table>") == sum(fold.count("<table>") for fold in folds) >= 10


def test_the_answer_is_made_of_power_and_of_identical_code():
    numbers = {
        "power": {"ratios": {"one": (1.018, 1.021), "two": (1.029, 1.034)}, "found": {"one": 3, "two": 4},
                  "runs": 4, "seconds": 7.7},
        "same": {"false_runs": 1, "runs": 90},
    }  # fmt: skip
    assert answer(numbers) == (
        "gradbench found a difference of 2 to 3 % in 7 of 8 runs of 8 s. It called identical code different "
        "in 1 of 90 runs."
    )


def test_no_axes_of_the_first_figure_have_a_white_background(monkeypatch):
    """A dark page would show it as a white box."""
    drawn = []
    monkeypatch.setattr(figures, "svg", lambda figure, name: drawn.append(figure) or "")
    figures.errors(
        [figures.Error("one", known, "short", Interval(0.01, 0.008, 0.02, 8)) for known in (True, False)]
    )
    # `svg` removes the background of the figure and of its first axes.
    assert [axes.get_facecolor()[3] for axes in drawn[0].axes[1:]] == [0.0]


def test_a_control_of_a_method_looks_as_in_a_report():
    assert {name: CONTROLS[name] for name in LOOKS_OF_METHODS} == LOOKS_OF_METHODS
    assert CONTROLS["nullcontext"] not in LOOKS_OF_METHODS.values()


def test_no_text_of_a_figure_is_cut_off(monkeypatch):
    """Nor where a reader's fonts are a tenth wider than those that the figure was laid out in."""
    drawn = {}
    monkeypatch.setattr(figures, "svg", lambda figure, name: drawn.setdefault(name, figure) and "")
    monkeypatch.setattr(page, "put", lambda text, output: None)
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: len(content))
    page.write(PUBLISHED / "data", PUBLISHED / "index.html")
    assert len(drawn) == 11
    for figure in drawn.values():
        figure.draw_without_rendering()
        for axes in figure.axes:
            for label in filter(Text.get_text, (axes.xaxis.label, axes.yaxis.label)):
                box = label.get_window_extent()
                assert box.x0 - 0.05 * box.width >= 0, label
                assert box.y0 - 0.05 * box.height >= 0, label
                assert box.x1 + 0.05 * box.width <= figure.bbox.x1, label
                assert box.y1 + 0.05 * box.height <= figure.bbox.y1, label


def numbers_of_cold(after_read, after_computing, read_seconds=1e-4):
    """What `_cold` reads: a no_grad block after reading and after computing for 3e-4 s."""

    def of(value):
        return Interval(value, value * 0.9, value * 1.1, 12)

    place = [{"numel": n, "added": {"no_grad": of(price)}} for n, price in ((100, 1e-6), (10**6, 9e-6))]
    reads = [
        {"bytes": 4_000, "seconds": 1e-6, "added": {"no_grad after reading": of(1e-6)}},
        {"bytes": 8_000_000, "seconds": read_seconds, "added": {"no_grad after reading": of(after_read)}},
    ]
    computes = [{"bytes": 4_000, "seconds": 3e-4, "added": {"no_grad after computing": of(after_computing)}}]
    return {"in_place": place, "evicted": reads, "computed": computes}


def test_a_cause_is_named_only_where_the_figures_rule_out_the_other():
    assert "time that has passed does not explain" in _cold(numbers_of_cold(9e-6, 2e-6)).evidence
    assert "do not separate" in _cold(numbers_of_cold(2e-6, 2e-6)).evidence
    # What was read takes longer than what was computed: then the time may explain the price after all.
    assert "do not separate" in _cold(numbers_of_cold(9e-6, 2e-6, read_seconds=4e-4)).evidence


def test_a_bias_is_stated_by_the_end_of_its_interval_that_is_nearer_to_none():
    assert _at_least(0.01, 0.03) == 0.01
    assert _at_least(-0.03, -0.02) == 0.02
    assert _at_least(-0.01, 0.03) == 0.0


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(stopping, "COMPARISONS", 4)
    monkeypatch.setattr(stopping, "BUDGET", 60.0)


def test_a_simulated_run_that_looks_keeps_to_its_budget_and_visits_everything(small_runs):
    for design in stopping.DESIGNS:
        results = stopping.one_run(design, numpy.random.default_rng(2))
        assert len(results.looks) == (len(LOOKS) if design == "by what is open" else 0)
        visits = Counter(each.comparison for each in results.visits)
        assert len(visits) == 4
        assert min(visits.values()) >= 3
        spent = sum(each.timed_seconds + each.other_seconds for each in results.visits)
        starts = stopping.STARTUP * len({each.number for each in results.visits})
        assert spent + starts == pytest.approx(stopping.BESIDE * stopping.BUDGET, rel=0.15)


def test_false_verdicts_of_runs_that_look_are_counted(small_runs, monkeypatch):
    monkeypatch.setattr(stopping, "find_open", lambda results, looks: Undecided())
    honest = stopping._some_runs("by what is open", 1, 4)
    assert not any(each["false"] for each in honest)
    covered = [one for each in honest for name in each["covered"] for one in each["covered"][name]]
    assert 0.85 < sum(covered) / len(covered) <= 1.0
    # A run that calls all different would be seen.
    monkeypatch.setattr("gradbench.analyse.stats.FAMILY", 1e9)
    monkeypatch.setattr("gradbench.analyse.summary.floor_of", lambda net: 1e-9)
    assert all(each["false"] for each in stopping._some_runs("by what is open", 1, 2))


def test_how_far_twins_are_off_is_a_root_mean_square_over_processes():
    found = [
        Clocked(condition, statement, seed, "a processor", 2e-3, {
            clock: dict.fromkeys(clocks.ESTIMATORS, off * (-1) ** seed) for clock in ("wall", "thread")
        })
        for condition in clocks.CONDITIONS for statement in clocks.STATEMENTS
        for seed, off in ((1, 0.03), (2, 0.04))
    ]  # fmt: skip
    told = analysis.clocks(found)
    assert told["processes"] == 2
    assert len(told["rows"]) == len(clocks.CONDITIONS) * len(clocks.STATEMENTS)
    for row in told["rows"]:
        assert row["off"]["wall"]["ratio of medians"] == pytest.approx(math.sqrt((9e-4 + 16e-4) / 2))


def test_two_clocks_are_read_in_one_process(monkeypatch):
    monkeypatch.setattr(clocks, "SECONDS", 0.05)
    found = clocks.observe("alone", 3, "chain, 100 elements")
    assert found.off.keys() == {"wall", "thread"}
    assert 1e-7 < found.seconds < 1e-3
    assert all(abs(off) < 0.7 for each in found.off.values() for off in each.values())
