"""The guide's tables: from the figures of a run, and from nothing else."""

import re

import pytest
from synthetic import memory, results

from gradbench.analyse.analysis import analyse
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.report.guide import tables


def test_a_run_of_nothing_has_no_tables():
    assert tables(analyse(results({}, passes=0))) == []


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


def test_tables_of_the_guide_know_what_their_columns_and_rows_are_of():
    made = results({"no_grad": 1.4}, request=Request(preset="standard"))
    for table in tables(analyse(made)):
        assert len(table.places) in (0, len(table.columns))
        assert len(table.sizes) in (0, len(table.rows))
        for head, place in zip(table.columns, table.places, strict=False):
            assert (place is None) == (re.search(r"\d", head) is None)
            assert place is None or f"{place.numel:,}" in head
