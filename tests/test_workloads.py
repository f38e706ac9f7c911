"""The table of workloads: every method under every workload, at every size, does what it promises when run.

A row that is added to either table is run here without another line.
"""

import functools
import math
import re

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.checks import CheckFailed, check_answer, check_lane, check_same
from gradbench.lane import ReadyLane, expected_answer, prepare
from gradbench.methods import METHODS
from gradbench.plan import DTYPES, Request, make_plan
from gradbench.sizes import CLASSES, size_class
from gradbench.workloads import WORKLOADS
from gradbench.workloads.matmul import square

# As in a worker, unless it is told otherwise.
torch.set_num_threads(1)

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
computing = [workload for workload in WORKLOADS if workload.work is not None]


@functools.lru_cache(maxsize=1)
def measured(workload, size, dtype="float32"):
    """A comparison, its inputs, and the checked result of its reference."""
    (comparison,) = make_plan(Request(workloads=(workload,), sizes=(size,), dtype=dtype)).comparisons
    shared = prepare(comparison)
    (reference,) = (lane for lane in comparison.lanes if lane.role == "reference")
    y = check_lane(ReadyLane(reference, shared), comparison)
    if y is not None:
        check_answer(y, expected_answer(comparison, shared), comparison)
    return comparison, shared, y


def check(lane, comparison, shared, reference):
    y = check_lane(ReadyLane(lane, shared), comparison)
    if y is not None and reference is not None:
        check_same(y, reference, comparison)


def test_names_are_unique_and_can_be_typed():
    names = [workload.name for workload in WORKLOADS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@each_workload
def test_a_row_says_what_it_is_and_what_it_shows(workload):
    assert workload.title
    assert re.fullmatch(r"[A-Z][^\n]*\.", workload.shows)
    assert (workload.work is None) == (workload.answer is None)
    assert workload.work is None or "{x}" in workload.work


@each_workload
def test_each_class_has_a_size_inside_it(workload):
    assert list(workload.sizes) == list(CLASSES)
    for size, numel in workload.sizes.items():
        assert size_class(numel) == size
        assert size_class(math.prod(workload.shape(numel))) == size


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("size", CLASSES)
@each_workload
def test_every_method_keeps_its_promises(workload, size, method):
    comparison, shared, reference = measured(workload.name, size)
    lanes = [lane for lane in comparison.lanes if lane.name == method.name]
    assert len(lanes) == (method.name not in comparison.skipped)
    for lane in lanes:
        check(lane, comparison, shared, reference)


@pytest.mark.parametrize("size", CLASSES)
@each_workload
def test_the_twins_and_the_empty_loop_keep_theirs(workload, size):
    comparison, shared, reference = measured(workload.name, size)
    lanes = [lane for lane in comparison.lanes if lane.role not in ("method", "reference")]
    assert len(lanes) == 3
    for lane in lanes:
        check(lane, comparison, shared, reference)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "float32"])
@pytest.mark.parametrize("size", CLASSES)
@each_workload
def test_every_method_keeps_its_promises_in_every_dtype(workload, size, dtype):
    comparison, shared, reference = measured(workload.name, size, dtype)
    for lane in comparison.lanes:
        check(lane, comparison, shared, reference)


@pytest.mark.parametrize("numel", ["1", "2"])
@each_workload
def test_every_method_keeps_its_promises_on_hardly_any_elements(workload, numel):
    comparison, shared, reference = measured(workload.name, numel)
    for lane in comparison.lanes:
        check(lane, comparison, shared, reference)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", CLASSES)
@pytest.mark.parametrize("workload", computing, ids=lambda workload: workload.name)
def test_half_of_the_answer_is_not_the_answer(workload, size, dtype):
    comparison, shared, reference = measured(workload.name, size, dtype)
    with pytest.raises(CheckFailed, match="values of y"):
        check_answer(reference * 0.5, expected_answer(comparison, shared), comparison)


def test_the_answers_are_those_of_a_pocket_calculator():
    x, w = torch.tensor([[0.0, 0.5], [1.0, 0.25]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = {
        "elementwise": [[0.0, 1.0], [2.0, 0.5]],
        "chain": numpy.exp(numpy.sin([[0.0, 0.25], [1.0, 0.0625]])),
        "matmul": [[1.5, 2.0], [1.75, 3.0]],
    }
    for name, answer in expected.items():
        comparison = make_plan(Request(workloads=(name,), sizes=("4",))).comparisons[0]
        assert expected_answer(comparison, {"base": x, "w": w}) == pytest.approx(numpy.array(answer))


@settings(deadline=None)
@given(st.integers(1, 10**10))
def test_no_square_matrix_is_nearer_to_the_number_of_elements(numel):
    side, other = square(numel)
    assert side == other >= 1
    distance = abs(side**2 - numel)
    assert distance <= abs((side + 1) ** 2 - numel)
    assert side == 1 or distance <= abs((side - 1) ** 2 - numel)
