"""The table that other programs rely on."""

import csv
import io
import json
from collections import Counter

import pyperf
import pytest
from synthetic import memory, results

from gradbench.analyse.summary import summarise
from gradbench.define.metrics import METRICS
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, read_results
from gradbench.record.visits import Failure
from gradbench.report.export import form, forms
from gradbench.report.export.tidy_csv import to_csv

HEAD = (
    "workload,method,size,numel,device,dtype,metric,unit,value,low,high,ratio,ratio_low,ratio_high,passes,"
    "same_as"
)
ON_CPU = {metric.name for metric in METRICS if not metric.accelerator}
REQUEST = Request(("control", "elementwise"), sizes=("small", "large"))


def table(made):
    text = to_csv(summarise(made))
    assert text.splitlines()[0] == HEAD
    return list(csv.DictReader(io.StringIO(text)))


def find(rows, **wanted):
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def known(row):
    return {name for name in ("value", "low", "high", "ratio", "ratio_low", "ratio_high") if row[name] != ""}


def test_there_is_one_row_per_variant_and_metric():
    made = results({}, request=REQUEST)
    count = Counter((row["workload"], row["numel"], row["method"], row["metric"]) for row in table(made))
    wanted = {
        (comparison.workload, str(comparison.numel), variant.name, metric)
        for comparison in made.header.plan.comparisons
        for variant in comparison.variants
        if variant.role != "empty"
        for metric in ON_CPU
    }
    assert set(count) == wanted
    assert set(count.values()) == {1}


def test_a_row_says_what_was_measured():
    row = find(
        table(results({}, request=REQUEST)),
        workload="elementwise",
        size="large",
        method="no_grad",
        metric="time",
    )
    assert (row["numel"], row["device"], row["dtype"], row["unit"]) == ("1000000", "cpu", "float32", "s")


def test_the_rows_of_a_part_can_be_told_from_those_of_another():
    rows = table(results({}, request=Request(("square",), sizes=("small",))))
    names = {row["workload"] for row in rows}
    assert names == {"square.forward", "square.backward"}
    find(rows, workload="square.backward", method="function", metric="time")


def test_time_is_in_seconds_and_its_ratio_is_to_the_baseline():
    row = find(table(results({"no_grad": 1.5}, scatter=0.0, seconds=2e-6)), method="no_grad", metric="time")
    assert float(row["value"]) == pytest.approx(3e-6)
    assert float(row["ratio"]) == pytest.approx(1.5)
    assert row["passes"] == "10"


def test_an_interval_holds_its_value():
    for row in table(results({"no_grad": 1.5}, scatter=0.01)):
        if row["metric"] == "time":
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
            assert float(row["ratio_low"]) <= float(row["ratio"]) <= float(row["ratio_high"])


def test_numbers_keep_all_their_digits():
    row = find(table(results({"no_grad": 1.23456789012}, scatter=0.0)), method="no_grad", metric="time")
    assert float(row["ratio"]) == pytest.approx(1.23456789012, rel=1e-9)


def test_memory_is_in_whole_bytes_and_allocations_in_numbers():
    figures = {
        "allocated": 12_000_000,
        "peak": 8_000_000,
        "retained": 4_000_000,
        "graph": 3,
        "saved": 2,
        "allocations": 5,
    }
    rows = table(memory(results({}), "no_grad", **figures))
    for metric, value in figures.items():
        row = find(rows, method="no_grad", metric=metric)
        assert row["value"] == str(value)
        assert row["unit"] == ("1" if metric == "allocations" else "B")


def test_no_bytes_at_all_is_a_zero():
    rows = table(memory(results({}), "no_grad"))
    assert find(rows, method="no_grad", metric="peak")["value"] == "0"


def test_memory_that_was_not_measured_is_empty():
    rows = table(memory(results({}), "no_grad"))
    for metric in ON_CPU - {"time"}:
        assert known(find(rows, method="detach", metric=metric)) == set()


def test_a_variant_that_failed_is_there_and_empty():
    made = results({})
    for visit in made.visits:
        del visit.variants["no_grad"]
    made.add(Failure(1, made.visits[0].comparison, "no_grad", "check", "check", "wrong"))
    row = find(table(made), method="no_grad", metric="time")
    assert known(row) == set()
    assert row["passes"] in ("", "0")


def test_a_run_without_visits_has_its_rows_all_empty():
    rows = table(results({}, passes=0))
    assert rows
    assert all(known(row) == set() for row in rows)


def test_one_pass_has_a_value_and_no_interval():
    row = find(table(results({"no_grad": 1.5}, passes=1)), method="no_grad", metric="time")
    assert known(row) == {"value", "ratio"}
    assert row["passes"] == "1"


def test_a_variant_without_a_time_of_its_own_is_not_zero():
    row = find(table(results({"no_grad": 0.0})), method="no_grad", metric="time")
    assert known(row) == set()


def test_the_command_prints_the_table_of_a_run(gradbench, small_run, tmp_path):
    done = gradbench("export", small_run, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == to_csv(summarise(read_results(small_run)))
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    no_grad = find(rows, workload="elementwise", method="no_grad", metric="time")
    assert known(no_grad) == {"value", "low", "high", "ratio", "ratio_low", "ratio_high"}
    assert 1e-9 < float(no_grad["value"]) < 1e-3
    # x * 2 on 100 float32: the result is 400 bytes, and stays.
    assert find(rows, workload="elementwise", method="no_grad", metric="retained")["value"] == "400"


def test_the_command_writes_the_same_table_into_a_file(gradbench, small_run, tmp_path):
    done = gradbench("export", small_run / FILENAME, "--to", "csv", "--output", "table.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "table.csv").read_text() == to_csv(summarise(read_results(small_run)))


def test_an_export_reads_a_run_that_was_interrupted(gradbench, small_run, tmp_path):
    content = (small_run / FILENAME).read_bytes()
    (tmp_path / FILENAME).write_bytes(content[: content.index(b'{"type":"visit"') + 700])
    done = gradbench("export", tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == HEAD


def test_a_form_that_there_is_not_is_refused_with_the_one_that_was_meant(gradbench, tmp_path):
    done = gradbench("export", tmp_path, "--to", "markdwon", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--to markdwon: there is no such name; did you mean markdown?" in done.stderr
    done = gradbench("export", tmp_path, "--to", "xml", cwd=tmp_path)
    assert f"expected one of {', '.join(row.name for row in forms())}" in done.stderr


def made_with_memory():
    return memory(results({"no_grad": 1.5}, seconds=2e-6), "no_grad", peak=400, saved=64)


def test_the_table_for_people_is_markdown_with_a_row_for_each_method():
    lines = form("markdown").write(summarise(made_with_memory())).splitlines()
    assert lines[1].startswith("| --- |")
    assert {line.count("|") for line in lines} == {9}
    (row,) = [line for line in lines if "`torch.no_grad()`" in line]
    assert "| elementwise | 100 |" in row
    assert "| 1.50" in row
    assert row.endswith("| slower | 400 B | 64 B |")
    assert not any("twin" in line for line in lines)


def test_github_action_benchmark_gets_ratios_and_bytes_and_no_times():
    entries = {
        each["name"]: each for each in json.loads(form("github-action").write(summarise(made_with_memory())))
    }
    ratio = entries["elementwise/100/float32/cpu no_grad: time"]
    assert ratio["value"] == pytest.approx(1.5, rel=0.01)
    low, high = map(float, ratio["range"].split(" to "))
    assert low < ratio["value"] < high
    assert entries["elementwise/100/float32/cpu no_grad: saved"]["value"] == 64
    assert {each["unit"] for each in entries.values()} == {"times the baseline", "B"}


def test_pyperf_reads_a_run_for_each_pass(tmp_path):
    path = tmp_path / "pyperf.json"
    path.write_text(
        form("pyperf").write(summarise(results({"no_grad": 1.5}, passes=7, scatter=0.0, seconds=2e-6)))
    )
    suite = pyperf.BenchmarkSuite.load(str(path))
    found = suite.get_benchmark("elementwise/100/float32/cpu no_grad")
    assert found.get_nrun() == 7
    assert found.median() == pytest.approx(3e-6 + 1e-8)
    assert found.get_unit() == "second"


def test_a_variant_that_was_not_timed_is_no_benchmark_of_pyperf_and_a_dash_for_people():
    summary = summarise(results({}, passes=0))
    assert json.loads(form("pyperf").write(summary))["benchmarks"] == []
    assert all("| – |" in line for line in form("markdown").write(summary).splitlines()[2:])
