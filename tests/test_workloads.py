"""The table of workloads: every method under every workload, at every size, does what it promises when run.

A row that is added to either table is run here without another line.
"""

import math
import re

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.define.dtypes import DTYPES, EPSILON
from gradbench.define.needs import NEEDS
from gradbench.define.planner import plan_run
from gradbench.define.sizes import CLASSES, size_class
from gradbench.define.workloads import PRESETS, WORKLOADS
from gradbench.define.workloads.matmul import square
from gradbench.errors import RequestError
from gradbench.measure.checks import CheckFailed, check_answer, check_same, check_variant
from gradbench.measure.variant import ReadyVariant, expected_answer, prepare
from gradbench.record.devices import KINDS
from gradbench.record.plan import Request


def called(workload):
    return f"{workload.name}.{workload.part}"


each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=called)


# Each size in float32, and each dtype at the small size: what a row computes is one expression at all sizes.
# At the large size the coarsest dtype, too, since rounding grows with the number of elements.
CELLS = [
    *((size, "float32") for size in ("1", "2", *CLASSES)),
    *(("small", dtype) for dtype in DTYPES if dtype != "float32"),
    ("large", max(EPSILON, key=EPSILON.__getitem__)),
]


def measured(workload, part, size, dtype="float32"):
    """A comparison, its inputs, the checked result of its baseline, and what answers for a variant."""
    request = Request(workloads=(workload,), sizes=(size,), dtype=dtype, preset="thorough")
    if not (plan := planned(request, part)):
        pytest.skip("the workload is not measured there")
    (comparison,) = plan
    shared = prepare(comparison)
    y = check_variant(ReadyVariant(comparison.baseline, shared), comparison)
    # Rows share expressions, and a million elements take NumPy a while.
    known = {}

    def answer_of(variant):
        key = (variant.answer, variant.result)
        if key not in known:
            known[key] = expected_answer(comparison, variant, shared)
        return known[key]

    answer = answer_of(comparison.baseline)
    if answer is not None:
        check_answer(y, answer, comparison)
    return comparison, shared, y, answer_of


@pytest.fixture(
    scope="module",
    params=[(workload, *cell) for workload in WORKLOADS for cell in CELLS],
    ids=lambda of: "-".join((called(of[0]), *of[1:])),
)
def cell(request):
    """One comparison for all tests that ask for it; the next one takes its place."""
    workload, size, dtype = request.param
    return measured(workload.name, workload.part, size, dtype)


def planned(request, part):
    try:
        return [each for each in plan_run(request).comparisons if each.part == part]
    except RequestError:
        return []


def check(variant, comparison, shared, baseline, answer_of):
    y = check_variant(ReadyVariant(variant, shared), comparison)
    if variant.answer is not None:
        check_answer(y, answer_of(variant), comparison)
    elif y is not None and baseline is not None:
        check_same(y, baseline, comparison)


def test_names_are_unique_and_can_be_typed():
    names = [(workload.name, workload.part) for workload in WORKLOADS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name, _ in names)
    assert all(re.fullmatch(r"[a-z0-9_]*", part) for _, part in names)


@each_workload
def test_a_workload_of_parts_says_of_each_part_what_it_is(workload):
    assert (": " in workload.title) == bool(workload.part)


@each_workload
def test_the_alternatives_of_a_workload_differ_in_name_and_say_what_they_do(workload):
    names = [alternative.name for alternative in workload.alternatives]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert not names or workload.baseline in names
    for alternative in workload.alternatives:
        assert re.fullmatch(r"[A-Z][^\n]*\.", alternative.effect)
        assert alternative.label
        assert not alternative.source or re.fullmatch(r"https://[a-z.-]+/\S+", alternative.source)
        assert set(alternative.needs) <= set(alternative.devices or KINDS)
        assert {each for needs in alternative.needs.values() for each in needs} <= set(NEEDS)
        assert set(alternative.presets) <= set(PRESETS)


@each_workload
def test_a_row_says_what_it_is_and_what_it_shows(workload):
    assert workload.title
    assert re.fullmatch(r"[A-Z][^\n]*\.", workload.shows)
    assert workload.work is None or workload.answer is not None
    assert workload.work is None or "{x}" in workload.work
    assert not (workload.work and workload.alternatives)


@each_workload
def test_each_class_has_a_size_inside_it(workload):
    assert list(workload.sizes) == list(CLASSES)
    for size, numel in workload.sizes.items():
        assert size_class(numel) == size
        assert size_class(math.prod(workload.shape(numel))) == size


def test_every_variant_keeps_its_promises(cell):
    for variant in cell[0].variants:
        if variant.name != "fused_compiled":
            check(variant, *cell)


def test_half_of_the_answer_is_not_the_answer(cell):
    comparison, _, baseline, answer_of = cell
    if baseline is None:
        return
    answer = answer_of(comparison.baseline)
    hold = check_answer
    if answer is None:
        hold, answer = check_same, baseline
    with pytest.raises(CheckFailed, match="values of y"):
        hold(baseline * 0.5, answer, comparison)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["forward", "backward", "both"])
def test_the_compiled_variant_keeps_its_promises(part):
    found = measured("custom", part, "large")
    (variant,) = (variant for variant in found[0].variants if variant.name == "fused_compiled")
    check(variant, *found)


def test_the_answers_are_those_of_a_pocket_calculator():
    x, w = torch.tensor([[0.0, 0.5], [1.0, 0.25]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = {
        "elementwise": [[0.0, 1.0], [2.0, 0.5]],
        "chain": numpy.exp(numpy.sin([[0.0, 0.25], [1.0, 0.0625]])),
        "matmul": [[1.5, 2.0], [1.75, 3.0]],
    }
    for name, answer in expected.items():
        comparison = plan_run(Request(workloads=(name,), sizes=("4",))).comparisons[0]
        found = expected_answer(comparison, comparison.baseline, {"base": x, "w": w})
        assert found.numpy() == pytest.approx(numpy.array(answer))


@settings(deadline=None)
@given(st.integers(1, 10**10))
def test_no_square_matrix_is_nearer_to_the_number_of_elements(numel):
    side, other = square(numel)
    assert side == other >= 1
    distance = abs(side**2 - numel)
    assert distance <= abs((side + 1) ** 2 - numel)
    assert side == 1 or distance <= abs((side - 1) ** 2 - numel)
