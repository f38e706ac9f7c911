import json

import pytest

from gradbench.cli.listing import as_data, as_text
from gradbench.define.dtypes import DTYPES
from gradbench.define.methods import BASELINE, METHODS
from gradbench.define.metrics import METRICS
from gradbench.define.workloads import WORKLOADS
from gradbench.report.export import FORMS


def words(text):
    return text.replace("│", " ").split()


@pytest.fixture(scope="module")
def text():
    return as_text(as_data(devices=False))


@pytest.mark.parametrize("row", [*METHODS, *WORKLOADS, *METRICS, *FORMS], ids=lambda row: row.name)
def test_the_text_names_every_row_of_the_tables(text, row):
    assert row.name in words(text)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_text_shows_how_each_method_is_written(text, method):
    assert set(method.label.split()) <= set(words(text))


def test_the_text_names_every_dtype_and_the_elements_of_every_size(text):
    found = words(text)
    for dtype in DTYPES:
        assert {dtype, f"{dtype},", f"{dtype}."} & set(found)
    for workload in WORKLOADS:
        for numel in workload.sizes.values():
            assert f"{numel:,}" in found


def test_the_data_holds_every_row_of_the_tables():
    data = json.loads(json.dumps(as_data(devices=False)))
    assert [row["name"] for row in data["methods"]] == [method.name for method in METHODS]
    assert [row["name"] for row in data["methods"] if row["baseline"]] == [BASELINE]
    first = {workload.name: workload for workload in reversed(WORKLOADS)}
    rows = {row["name"]: row for row in data["workloads"]}
    assert list(rows) == list(dict.fromkeys(workload.name for workload in WORKLOADS))
    for name, row in rows.items():
        assert row["sizes"] == dict(first[name].sizes)
        own = [workload for workload in WORKLOADS if workload.name == name]
        assert row["parts"] == [workload.part for workload in own if workload.part]
        alternatives = {alternative.name for workload in own for alternative in workload.alternatives}
        assert {alternative["name"] for alternative in row["alternatives"]} == alternatives
    assert data["dtypes"] == list(DTYPES)
    assert [row["name"] for row in data["metrics"]] == [metric.name for metric in METRICS]
    assert [row["name"] for row in data["exports"]] == [form.name for form in FORMS]
    assert "devices" not in data


def test_the_command_prints_the_text_and_the_data(gradbench, tmp_path, text):
    plain = gradbench("list", cwd=tmp_path)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout.split() == text.split()
    data = gradbench("list", "--json", cwd=tmp_path)
    assert json.loads(data.stdout) == as_data(devices=False)


def test_the_devices_of_this_machine_are_asked_of_torch(gradbench, tmp_path):
    done = gradbench("list", "--json", "--devices", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["devices"][0] == "cpu"
