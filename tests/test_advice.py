"""The advice and the guide's tables: from the figures of a run, and from nothing else."""

import pytest
from synthetic import memory, results

from gradbench.analyse.advice import advice
from gradbench.analyse.analysis import analyse
from gradbench.analyse.summary import summarise
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.report.guide import tables

MODELS = Request(workloads=("inference",), sizes=("small",))


def test_what_is_fastest_is_advised_and_what_is_not_shown_to_be_slower():
    ratios = {"requires_grad_false": 1.0, "no_grad": 0.9, "inference_mode": 0.9, "detach_after": 1.3}
    (found,) = advice(summarise(results(ratios, request=MODELS)))
    assert found.purpose == "Evaluate a model"
    assert found.use == "torch.no_grad(), torch.inference_mode()"
    assert found.gain == "detach() after takes 1.44 times as long"


def test_advice_turns_with_the_figures():
    (found,) = advice(summarise(results({"detach_after": 0.5}, request=MODELS)))
    assert found.use == "detach() after"


def test_no_control_at_all_is_no_answer_however_fast():
    (found,) = advice(summarise(results({"tracked": 0.5, "no_grad": 0.9}, request=MODELS)))
    assert found.use == "torch.no_grad()"


def test_where_nothing_is_shown_nothing_is_called_dearer():
    (found,) = advice(summarise(results({}, request=MODELS)))
    assert found.gain == ""
    assert "torch.no_grad()" in found.use


def test_what_was_seen_to_be_unsafe_says_so():
    made = results({"data": 0.9}, request=Request(workloads=("elementwise",), sizes=("small",)))
    assert advice(summarise(made))[0].use == ".data"
    made.add(Observation("write", "?", "code", "data", {"wrong_gradient": True}))
    assert advice(summarise(made))[0].use == ".data (unsafe: see traits)"


def test_memory_is_told_where_it_differs():
    made = memory(memory(results({}, request=MODELS), "no_grad", peak=100), "detach_after", peak=300)
    assert advice(summarise(made))[0].memory == "detach() after peaks at 300 B, the lowest at 100 B"


def test_a_run_of_nothing_gives_no_advice_and_no_tables():
    made = results({}, passes=0)
    assert advice(summarise(made)) == []
    assert tables(analyse(made)) == []


def by_name(made):
    return {table.name: table for table in tables(analyse(made))}


@pytest.fixture
def guided():
    request = Request(workloads=("control", "elementwise", "chain"))
    return results({"detach": 1.2, "no_grad": 1.5}, request=request, scatter=0.0001)


def test_the_tables_hold_the_figures_of_the_run(guided):
    memory(guided, "detach", allocated=123)
    found = by_name(guided)
    times = {row[0]: row[1:] for row in found["time"].rows}
    assert times["torch.no_grad()"] == ("1.50 µs", "1.50 µs", "500 ns", "500 ns")
    assert times["requires_grad_(False)"][2:] == ("", "")
    assert {row[0]: row[1] for row in found["memory"].rows}["detach() before"] == "123 B"
    ratios = {row[0]: row[1:] for row in found["speed"].rows}
    assert set(ratios["requires_grad_(False)"]) == {"1"}
    assert [float(cell.split()[0]) for cell in ratios["detach() before"]] == pytest.approx(
        [1.2] * 6, rel=1e-3
    )
    assert {row[2] for row in found["implications"].rows} == {"requires_grad_(False)"}


def test_each_row_has_a_cell_for_each_column(guided):
    guided.add(Observation("persistence", "?", "code", "no_grad", {"x_inside": False, "x_after": True}))
    found = by_name(guided)
    assert set(found) == {"time", "memory", "speed", "implications", "comparison"}
    for table in found.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
