"""The asv suite: what it tracks is what gradbench says, and what changes is found from commit to commit."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from asv.config import Config
from synthetic import memory, results

from benchmarks import alone, interleaved
from benchmarks.cells import CONTROLS, CUSTOM, LARGE, SQUARE
from gradbench.analyse.summary import summarise
from gradbench.define.metrics import METRICS
from gradbench.report.export.tidy_csv import to_csv
from studies.regressions import asv_trials
from studies.regressions.asv_trials import Comparison, Trials
from studies.regressions.clone import SOURCE, larger, slower

ROOT = Path(__file__).parents[1]


@pytest.fixture
def asv(tmp_path):
    """Call asv on this suite, its results and its home in a folder of the test; the output."""
    settings = json.loads(re.sub(r"^\s*//.*$", "", (ROOT / "asv.conf.json").read_text(), flags=re.MULTILINE))
    settings |= {"repo": str(ROOT), "benchmark_dir": str(ROOT / "benchmarks")}
    (tmp_path / "asv.conf.json").write_text(json.dumps(settings))
    environment = {**os.environ, "HOME": str(tmp_path), "GRADBENCH_ASV_BUDGET": "22"}

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "asv", *arguments],
            cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    call("machine", "--yes")
    return call


def tables(native, scatter=0.001):
    """What a run of `custom` tells where three Functions take a µs, and torch's operations `native` µs."""
    made = results({"native": native}, request=CUSTOM.request, scatter=scatter)
    return interleaved.by_cell(to_csv(summarise(memory(made, "fused", saved=464))))


def test_asv_finds_no_fault_in_the_suite(asv):
    assert "No problems found" in asv("check", "--python=same")


@pytest.mark.slow
def test_asv_tracks_the_bytes_and_ratios_of_a_run_and_publishes_them(asv, tmp_path):
    shown = asv(
        "run", "--quick", "--python=same", "--set-commit-hash=HEAD", "--show-stderr",
        "--bench", "interleaved.Square.track_(ratio|saved|peak|allocated|graph)",
        "--bench", "alone.Square.time_call.*forward", "--bench", "alone.Kept",
    )  # fmt: skip
    (path,) = (tmp_path / ".asv" / "results").glob("*/*-existing*.json")
    tracked = dict(asv_trials.tracked(json.loads(path.read_text())))
    # x² of N float32: forward makes the result and saves its input; backward makes x + x and the gradient.
    for numel in (100, 10_000):
        for name, part, wanted in (
            ("saved", "forward", 4 * numel), ("peak", "forward", 4 * numel), ("graph", "forward", 0),
            ("allocated", "backward", 8 * numel), ("graph", "backward", None),
        ):  # fmt: skip
            cell = f"interleaved.Square.track_{name}('square.{part}/{numel}', 'function')"
            assert tracked[cell] == wanted, cell
    header = tracked["alone.Kept.mem_saved('square.forward/100', 'function')"] - 400
    assert 0 < header < 200
    ratios = [value for cell, value in tracked.items() if "track_ratio" in cell]
    assert len(ratios) == 4
    # asv itself has a number that is not known for nothing to speak of.
    assert shown.count("ratio not known") == ratios.count(None)
    assert all(value is None or 0.2 < value < 10 for value in ratios)
    # asv has no number for a cell that was not chosen.
    times = [value for cell, value in tracked.items() if "time_call('square.forward" in cell]
    assert times
    assert all(1e-7 < value < 1e-2 for value in times)
    asv("publish")
    assert (tmp_path / ".asv" / "html" / "index.html").exists()


def test_each_cell_is_one_of_the_plan_and_its_baseline_is_code_of_torch_alone():
    for cells in (SQUARE, CUSTOM, CONTROLS, LARGE):
        for cell in cells.comparisons:
            _, variant = cells.variant(cell, cells.against)
            assert not re.search(
                "Square|Sin|Exp|exp_sin_square", variant.setup + variant.setup_per_call + variant.statement
            )
            for name in cells.variants:
                assert cells.variant(cell, name)[1].name == name
        with pytest.raises(NotImplementedError, match="has no variant fast"):
            cells.variant(cell, "fast")


@pytest.mark.parametrize("suite", [alone.Square, alone.Controls])
def test_what_asv_times_alone_are_cells_of_the_plan(suite):
    cells, variants = suite.params
    assert set(cells) <= set(suite.cells.comparisons)
    assert set(variants) <= set(suite.cells.variants)


def test_a_slower_baseline_is_a_loss_and_no_gain_of_all_else():
    suite = interleaved.Custom()
    before, after = tables(0.5), tables(0.5 / 1.05)
    for cell in CUSTOM.comparisons:
        slower = suite.track_ratio(after, cell, "composed") / suite.track_ratio(before, cell, "composed")
        assert slower == pytest.approx(1.05, abs=0.002)
        assert suite.track_ratio(before, cell, "fused") == pytest.approx(2, abs=0.01)


def test_a_ratio_that_is_not_known_well_is_not_known(capsys):
    suite = interleaved.Custom()
    assert math.isnan(suite.track_ratio(tables(0.5, scatter=0.05), "custom.both/100", "fused"))
    said = capsys.readouterr().err
    assert re.fullmatch(r"custom\.both/100 fused: ratio not known, .* ±\d+\.\d % after 75 s, .*\n", said)


def test_what_was_not_measured_is_not_known(capsys):
    suite, table = interleaved.Custom(), tables(0.5)
    assert suite.track_saved(table, "custom.both/100", "fused") == 464
    assert math.isnan(suite.track_saved(table, "custom.both/100", "composed"))
    # As on a machine without a compiler.
    del table["custom.both/100", "fused_native", "time"]
    assert math.isnan(suite.track_ratio(table, "custom.both/100", "fused_native"))
    assert capsys.readouterr().err.endswith("it was not measured\n")


def test_asv_judges_ratios_and_bytes_by_the_thresholds_of_this_suite():
    thresholds = Config.load(ROOT / "asv.conf.json").regressions_thresholds

    def of(name):
        return [value for regex, value in thresholds.items() if re.match(regex, name)]

    for suite in ("Square", "Custom", "Controls"):
        assert of(f"interleaved.{suite}.track_ratio(a, b)") == [pytest.approx(asv_trials.FACTOR - 1)]
        for metric in METRICS:
            if metric.followed:
                assert of(f"interleaved.{suite}.track_{metric.name}(a, b)") == [0.0]


def functions(source):
    names = {"__name__": "changed"}
    exec(compile(source, "changed", "exec"), names)  # noqa: S102
    return names


def saved(square):
    kept = []
    x = torch.ones(100, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each) or each, lambda each: each):
        square.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0] * 100
    return sum(each.untyped_storage().nbytes() for each in kept)


def test_the_changes_of_the_study_are_what_they_are_called():
    source = (ROOT / SOURCE).read_text()
    assert saved(functions(source)["Square"]) == 400
    assert saved(functions(larger(source))["Square"]) == 464
    slow = functions(slower(source, {100: 1000}))
    ticks = iter([0, 400, 800, 1200])
    slow["time"] = type("Clock", (), {"perf_counter_ns": lambda: next(ticks)})
    assert saved(slow["Square"]) == 400
    # It waited until the clock had gone on by 1000 ns.
    assert list(ticks) == []


def test_functions_that_the_study_does_not_know_are_refused():
    with pytest.raises(RuntimeError, match="not as this study knows it"):
        larger("")


def test_the_page_counts_alarms_and_what_was_found():
    cell = "interleaved.Square.track_ratio('square.backward/100', 'function')"
    slow, elsewhere = [("+", "1.05", cell)], [("-", "0.95", cell)]
    trials = Trials("2026-01-02T03:04:05", {"cpu": "a processor", "num_cpu": "2"}, "x", 75, 1.03, {100: 1}, [
        Comparison("identical", [], {cell: 1.0}, {cell: 1.01}),
        Comparison("identical", elsewhere, {cell: 1.0}, {cell: None}),
        Comparison("slower", slow, {cell: 1.0}, {cell: 1.05}),
        Comparison("slower", elsewhere, {cell: 1.05}, {cell: 1.0}),
        Comparison("larger", [], {}, {}),
    ])  # fmt: skip
    part = asv_trials.part(trials)
    alarms, apart = part.tables
    assert list(alarms.rows) == [
        ("none", "2", "1", ""),
        ("5% of a backward more in Square.backward", "2", "2", "1"),
        ("64 bytes more saved by Square", "1", "0", "0"),
    ]
    assert list(apart.rows) == [(cell, "1.00%", "1.00%", "1 of 2")]
    assert f"{cell}: 1, then 1.05" in part.alarms[0][1]


def test_an_alarm_is_a_marked_row_of_the_table_of_asv():
    table = """\
| Change   | Before [1d3c5f1d]    | After [ca2f4e9c]    |   Ratio | Benchmark (Parameter)     |
|----------|----------------------|---------------------|---------|---------------------------|
| +        | 400                  | 464                 |    1.16 | a.track_saved('b', 'c')       |
| !        | 1.0                  | failed              |     n/a | a.track_ratio('b', 'c')       |
"""
    assert asv_trials.alarms(table) == [
        ("+", "1.16", "a.track_saved('b', 'c')"),
        ("!", "n/a", "a.track_ratio('b', 'c')"),
    ]
