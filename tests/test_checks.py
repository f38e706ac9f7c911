"""Each check fails on a variant that breaks one promise, and names what was expected and got."""

import msgspec
import pytest
import torch

from gradbench.define.planner import plan_run
from gradbench.define.workloads import LEAF
from gradbench.measure import checks, variant
from gradbench.measure.checks import CheckFailed, check_answer, check_same, check_variant
from gradbench.measure.variant import ReadyVariant, expected_answer, prepare
from gradbench.record.plan import Expectation, Request, Variant

(COMPARISON,) = plan_run(Request(workloads=("elementwise",), sizes=("8",))).comparisons

TRACKED = {
    "input_requires_grad": True,
    "result_requires_grad": True,
    "result_is_leaf": False,
    "result_inference": False,
    "shares_storage": False,
}
UNTRACKED = {**TRACKED, "result_requires_grad": False, "result_is_leaf": True}


def check(statement, expect, setup="", probe="", shared=None):
    variant = Variant("made", "-", "method", f"{LEAF}\n{setup}", statement, probe, Expectation(**expect))
    return check_variant(ReadyVariant(variant, prepare(COMPARISON) if shared is None else shared), COMPARISON)


@pytest.fixture(autouse=True)
def _modes_are_as_they_were():
    yield
    torch.set_grad_enabled(True)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("statement", "expect"),
    [
        ("y = x * 2.0", TRACKED),
        ("y = x.detach() * 2.0", UNTRACKED),
        ("with torch.no_grad():\n    y = x * 2.0", UNTRACKED),
        ("with torch.inference_mode():\n    y = x * 2.0", {**UNTRACKED, "result_inference": True}),
        ("y = x.detach()", {**UNTRACKED, "shares_storage": True}),
        ("pass", {"input_requires_grad": True}),
        ("x.requires_grad_(False)", {"input_requires_grad": False}),
    ],
)
def test_a_variant_that_keeps_its_promises_passes(statement, expect):
    y = check(statement, expect)
    assert (y is None) == ("y" not in statement)


@pytest.mark.parametrize(
    ("statement", "expect", "said"),
    [
        ("y = x * 2.0", UNTRACKED, "y.requires_grad: expected False, got True"),
        ("y = x.detach() * 2.0", TRACKED, "y.requires_grad: expected True, got False"),
        ("y = x * 2.0", {**TRACKED, "result_is_leaf": True}, "y.is_leaf: expected True, got False"),
        (
            "y = (x.detach() * 2.0).requires_grad_()",
            TRACKED,
            "y.is_leaf: expected False, got True",
        ),
        (
            "with torch.inference_mode():\n    y = x * 2.0",
            UNTRACKED,
            r"y.is_inference\(\): expected False, got True",
        ),
        (
            "with torch.no_grad():\n    y = x * 2.0",
            {**UNTRACKED, "result_inference": True},
            r"y.is_inference\(\): expected True, got False",
        ),
        ("y = x.detach()", UNTRACKED, "y on the storage of x: expected False, got True"),
        (
            "y = x.detach().clone()",
            {**UNTRACKED, "shares_storage": True},
            "y on the storage of x: expected True, got False",
        ),
        ("y = (x * 2.0).double()", TRACKED, "dtype of y: expected torch.float32, got torch.float64"),
        ("y = 2.0", TRACKED, "expected the statement to leave a tensor in y; got float"),
        ("z = x * 2.0", TRACKED, "expected the statement to leave a tensor in y; got NoneType"),
        (
            "x.requires_grad_(False)\ny = x * 2.0",
            UNTRACKED,
            "x.requires_grad after the statement: expected True, got False",
        ),
        (
            "y = x.detach() * 2.0",
            {**UNTRACKED, "input_requires_grad": False},
            "x.requires_grad after the statement: expected False, got True",
        ),
    ],
)
def test_a_variant_that_breaks_a_promise_is_refused(statement, expect, said):
    with pytest.raises(CheckFailed, match=f"^{said}$"):
        check(statement, expect)


@pytest.mark.parametrize(
    "write",
    [
        "with torch.no_grad():\n    x.mul_(2.0)",
        "x.detach().mul_(2.0)",
        "base.mul_(2.0)",
        "x.detach()[3:].zero_()",
        # .data has a version counter of its own, so autograd does not see this one.
        "x.data.mul_(2.0)",
        # Changes no value, and is a write all the same.
        "x.detach().clamp_(min=0.0)",
    ],
)
def test_a_variant_that_writes_to_its_input_is_refused(write):
    with pytest.raises(CheckFailed, match="expected the values of x to be as they were; the statement wrote"):
        check(f"{write}\ny = x * 2.0", TRACKED)


@pytest.mark.parametrize(
    "then", ["y = x * 2.0", "y = 1 / 0", "torch.set_grad_enabled(False)", "x.requires_grad_(False)"]
)
def test_a_refused_variant_leaves_the_input_of_the_others_as_it_was(then):
    shared = prepare(COMPARISON)
    before = shared["base"].clone()
    with pytest.raises((CheckFailed, ZeroDivisionError)):
        check(f"x.detach().mul_(2.0)\n{then}", TRACKED, shared=shared)
    assert torch.equal(shared["base"], before)


@pytest.mark.parametrize(
    ("probe", "expected"), [("y = torch.is_grad_enabled()", False), ("y = 'no mode'", True)]
)
def test_a_variant_whose_work_would_see_the_wrong_grad_mode_is_refused(probe, expected):
    with pytest.raises(CheckFailed, match=f"^grad mode inside: expected {expected}, got "):
        check("pass", {"input_requires_grad": True, "grad_enabled_inside": expected}, probe=probe)


def test_a_variant_whose_work_would_see_the_promised_grad_mode_passes():
    expect = {"input_requires_grad": True, "grad_enabled_inside": False}
    check("pass", expect, probe="with torch.no_grad():\n    y = torch.is_grad_enabled()")


@pytest.mark.parametrize("expect", [UNTRACKED, {}])
def test_a_variant_that_leaves_grad_mode_off_is_refused_and_the_mode_is_put_back(expect):
    with pytest.raises(CheckFailed, match="expected grad mode to be as it was before the statement"):
        check("torch.set_grad_enabled(False)\ny = x * 2.0", expect)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("then", "error", "said"),
    [
        ("y = x * 2.0", CheckFailed, "expected inference mode to be as it was before the statement"),
        ("torch.set_grad_enabled(True)", CheckFailed, "expected inference mode to be as it was"),
        ("y = 1 / 0", ZeroDivisionError, "division by zero"),
    ],
)
def test_a_variant_that_leaves_inference_mode_on_is_refused_and_the_mode_is_put_back(then, error, said):
    guard = torch.inference_mode()
    shared = {**prepare(COMPARISON), "guard": guard}
    try:
        with pytest.raises(error, match=said):
            check(f"guard.__enter__()\n{then}", {}, shared=shared)
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
    finally:
        guard.__exit__(None, None, None)


def test_a_variant_that_raises_with_grad_mode_off_does_not_leave_it_to_the_next():
    with pytest.raises(ZeroDivisionError):
        check("torch.set_grad_enabled(False)\ny = 1 / 0", TRACKED)
    assert torch.is_grad_enabled()


def answer_and_result():
    shared = prepare(COMPARISON)
    return expected_answer(COMPARISON, COMPARISON.baseline, shared), shared["base"] * 2.0


def spoilt(how):
    _, y = answer_and_result()
    if how == "one value":
        y[3] *= 1.001
    elif how == "nan":
        y[3] = float("nan")
    elif how == "all nan":
        y[:] = float("nan")
    elif how == "inf":
        y[3] = float("inf")
    elif how == "sign":
        y = -y
    return y


SPOILT = ["one value", "nan", "all nan", "inf", "sign"]


@pytest.mark.parametrize("how", SPOILT)
def test_values_that_are_not_the_answer_are_refused(how):
    answer, _ = answer_and_result()
    # Four roundings of float32, 4 * 2 ** -23, are allowed to one multiplication.
    said = r"^values of y: expected a relative error of at most 4\.8e-07, got "
    with pytest.raises(CheckFailed, match=said):
        check_answer(spoilt(how), answer, COMPARISON)


@pytest.mark.parametrize("how", SPOILT)
def test_values_that_are_not_the_baselines_are_refused(how):
    with pytest.raises(CheckFailed, match=r"^values of y: expected a relative error"):
        check_same(spoilt(how), answer_and_result()[1], COMPARISON)


def test_not_a_number_is_refused_even_where_the_baseline_has_it_too():
    with pytest.raises(CheckFailed, match="got nan"):
        check_same(spoilt("nan"), spoilt("nan"), COMPARISON)


@pytest.mark.parametrize("part", [slice(7), slice(1), (None, slice(None))])
def test_a_result_of_another_shape_is_refused_even_where_it_would_broadcast(part):
    answer, y = answer_and_result()
    for refuse in (
        lambda: check_answer(y[part], answer, COMPARISON),
        lambda: check_same(y[part], y, COMPARISON),
    ):
        with pytest.raises(CheckFailed, match=r"^shape of y: expected \(8,\), got \("):
            refuse()


def test_the_answer_and_the_baseline_themselves_pass():
    answer, y = answer_and_result()
    check_answer(y, answer, COMPARISON)
    check_same(y, y.clone(), COMPARISON)


def test_the_tolerance_is_relative_and_counts_in_roundings_of_the_dtype():
    answer, y = answer_and_result()
    rounding = torch.finfo(torch.float32).eps
    check_answer(y.double() * (1 + 3.5 * rounding), answer, COMPARISON)
    with pytest.raises(CheckFailed):
        check_answer(y.double() * (1 + 4.5 * rounding), answer, COMPARISON)


def test_an_error_of_the_whole_result_may_be_larger_in_one_element_than_one_of_that_element():
    answer, y = answer_and_result()
    normwise = msgspec.structs.replace(COMPARISON, normwise=True)
    # The last element is a thousandth of the others, so its own error weighs as little.
    answer[-1], y[-1] = 1e-3, 1e-3 * (1 + 1e-4)
    with pytest.raises(CheckFailed, match="relative error"):
        check_answer(y, answer, COMPARISON)
    check_answer(y, answer, normwise)
    for spoil in (y * (1 + 1e-5), y * float("nan"), -y):
        with pytest.raises(CheckFailed, match="in the norm"):
            check_answer(spoil, answer, normwise)


@pytest.mark.parametrize("place", [0, 5_000, 9_999])
def test_every_element_counts_however_large_a_result_is(monkeypatch, place):
    monkeypatch.setattr(checks, "_PIECE", 1000)
    expected = torch.full((10_000,), 0.5)
    y = expected.clone()
    y[place] = 0.6
    with pytest.raises(CheckFailed, match=r"got 0\.2$"):
        check_same(y, expected, COMPARISON)
    with pytest.raises(CheckFailed, match=r"in the norm, got 0\.002$"):
        check_same(y, expected, msgspec.structs.replace(COMPARISON, normwise=True))


def test_numpy_sees_some_of_a_large_result_each_in_its_place(monkeypatch):
    monkeypatch.setattr(variant, "SAMPLED", 100)
    (chain,) = plan_run(Request(("chain",), ("no_grad",), ("1e4",))).comparisons
    shared = prepare(chain)
    answer = expected_answer(chain, chain.baseline, shared)
    assert len(answer) == pytest.approx(100 + 1024, abs=2)
    y = torch.exp(torch.sin(shared["base"] ** 2))
    check_answer(y, answer, chain)
    with pytest.raises(CheckFailed, match="values of y"):
        check_answer(y.roll(1), answer, chain)
    # What fills no block is among them.
    y[-1] *= 1.01
    with pytest.raises(CheckFailed, match="values of y"):
        check_answer(y, answer, chain)
    whole = msgspec.structs.replace(chain, pointwise=False)
    assert len(expected_answer(whole, chain.baseline, shared)) == 10_000


def alternative(statement, **changes):
    variant = Variant("made", "-", "method", LEAF, statement, "", Expectation(), **changes)
    return ReadyVariant(variant, prepare(COMPARISON))


def test_a_way_whose_promise_does_not_hold_is_refused():
    check_variant(alternative("y = x * 2", holds="y.requires_grad"), COMPARISON)
    with pytest.raises(
        CheckFailed, match=r"^expected after the statement: not y.requires_grad; it does not hold$"
    ):
        check_variant(alternative("y = x * 2", holds="not y.requires_grad"), COMPARISON)


def test_a_way_that_is_meant_to_write_to_x_must_and_its_writing_is_undone():
    ready = alternative("x.data += 1", writes=True, result="x.detach().clone()")
    before = ready.x.detach().clone()
    y = check_variant(ready, COMPARISON)
    assert torch.equal(y, before + 1)
    assert torch.equal(ready.x.detach(), before)
    with pytest.raises(CheckFailed, match="expected the statement to write to x"):
        check_variant(alternative("y = x + 1", writes=True), COMPARISON)


def test_a_way_without_a_result_has_nothing_to_compare():
    assert check_variant(alternative("y = x + 1", result=""), COMPARISON) is None
    assert check_variant(alternative("y = x + 1"), COMPARISON) is not None
