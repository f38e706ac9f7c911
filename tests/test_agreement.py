"""Two results held against each other: what counts as rounding, and in which words they differ."""

import msgspec
import pytest
import torch
from torch import inf, nan

from gradbench.define.planner import plan_run
from gradbench.define.user_model import ALLOWED
from gradbench.measure.agreement import alike, distance, how_different
from gradbench.measure.checks import CheckFailed, check_same
from gradbench.measure.user_module import _difference
from gradbench.record.plan import Request

(COMPARISON,) = plan_run(Request(("chain",), ("no_grad",), ("1e4",))).comparisons
ROUNDED = 1 + 1e-7


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0 * ROUNDED], True),
        ([1.0, 2.0], [1.0, 2.1], False),
        ([-inf, 1.0], [-inf, 1.0 * ROUNDED], True),
        ([-inf, 1.0], [-inf, 2.0], False),
        ([-inf, 1.0], [inf, 1.0], False),
        ([1.0, 1.0], [1.0, inf], False),
        ([inf, inf], [inf, inf], True),
        ([nan, 1.0], [nan, 1.0 * ROUNDED], True),
        ([nan, 1.0], [nan, 2.0], False),
        ([nan, 1.0], [0.0, 1.0], False),
        ([nan, 1.0], [inf, 1.0], False),
        ([0.0, 0.0], [0.0, 1.0], False),
        # Their squares are infinite.
        ([1e300, 1e300], [1e300, 2e300], False),
        ([1e300, 1e300], [1e300, 1e300 * (1 + 1e-12)], True),
        ([1 + 1j, 2j], [1 + 1j, 2j * ROUNDED], True),
        ([1 + 1j, 2j], [1 + 1j, -2j], False),
    ],
)
def test_what_is_the_same_but_for_rounding_is_alike_and_nothing_else(one, other, same):
    one, other = (torch.tensor(each, dtype=_dtype(each)) for each in (one, other))
    assert alike(one, other, 1e-6) is same
    assert (_difference([other], [one]) == "") is alike(one, other, ALLOWED["float64"])
    if not same:
        said = how_different(one, other, "recorded", "not recorded")
        assert "by up to nan" not in said
        assert "by up to inf" not in said
        assert "by up to 0," not in said


def _dtype(values):
    return torch.complex128 if isinstance(values[0], complex) else torch.float64


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([-inf, 1.0], [-inf, 1.0 * ROUNDED], True),
        ([-inf, 1.0], [-inf, 2.0], False),
        ([-inf, 1.0], [inf, 1.0], False),
        ([-inf, 1.0], [1.0, 1.0], False),
        ([1.0, 1.0], [-inf, 1.0], False),
    ],
)
@pytest.mark.parametrize("normwise", [False, True])
def test_the_check_of_a_variant_agrees_with_it(one, other, same, normwise):
    comparison = msgspec.structs.replace(COMPARISON, normwise=normwise)
    one, other = torch.tensor(one), torch.tensor(other)
    assert alike(one, other, 1e-6) is same
    if same:
        check_same(other, one, comparison)
        return
    with pytest.raises(CheckFailed, match="values of y"):
        check_same(other, one, comparison)


def test_how_far_two_are_apart_counts_what_is_finite():
    assert distance(torch.tensor([inf, 3.0, 4.0]), torch.tensor([inf, 3.0, 5.0])) == pytest.approx((1.0, 0.2))
    assert distance(torch.tensor([inf, 3.0]), torch.tensor([-inf, 3.0])) == (None, None)
    assert distance(torch.tensor([nan, 3.0]), torch.tensor([nan, 3.0])) == (None, None)
    assert "1 elements" not in how_different(torch.tensor([inf]), torch.tensor([0.0]), "a", "b")


def test_another_dtype_is_told_as_that():
    said = how_different(torch.ones(2), torch.ones(2, dtype=torch.float64), "recorded", "not recorded")
    assert said == "its dtype is float64 not recorded, and float32 recorded"
