"""The checks before a variant may be timed: it must keep the promise of its method."""

from __future__ import annotations

import math
from typing import Any

import torch

from gradbench.measure.agreement import in_float64
from gradbench.measure.variant import ReadyVariant, sampled
from gradbench.record.plan import Comparison, Variant
from gradbench.record.versions import Agreement


class CheckFailed(Exception):
    """A variant breaks the promise of its method; the message says what was expected and got."""


def check_variant(ready: ReadyVariant, comparison: Comparison, values: bool = True) -> torch.Tensor | None:
    """Run a variant once and compare it with its expectation; return its result, None where it has none.

    Without `values` the check does not look at writes to x, and does not undo them. Raises CheckFailed at the
    first property that is not as expected.
    """
    expect, x = ready.variant.expect, ready.x
    before = x.detach().clone() if x is not None and values else None
    version = 0 if x is None else x._version
    try:
        y, holds = ready.run_and_hold()
    finally:
        left = _restore_modes()
        # Compare the values too, since no version counter sees a write through .data. All variants read this
        # storage.
        written = False
        if x is not None and before is not None:
            written = x._version != version or not torch.equal(x.detach(), before)
            if written:
                x.detach().copy_(before)
    if left:
        raise CheckFailed(f"expected {left} to be as it was before the statement; it was left changed")
    if written and not ready.variant.writes:
        raise CheckFailed("expected the values of x to be as they were; the statement wrote to x")
    if values and ready.variant.writes and not written:
        raise CheckFailed("expected the statement to write to x; the values of x are as they were")
    if not holds:
        raise CheckFailed(f"expected after the statement: {ready.variant.holds}; it does not hold")
    if x is None:
        return None
    _same("x.requires_grad after the statement", expect.input_requires_grad, x.requires_grad)
    if expect.grad_enabled_inside is not None:
        _same("grad mode inside", expect.grad_enabled_inside, ready.run_probe())
    if expect.result_requires_grad is None:
        return y if isinstance(y, torch.Tensor) and ready.variant.result else None
    if not isinstance(y, torch.Tensor):
        raise CheckFailed(f"expected the statement to leave a tensor in y; got {type(y).__name__}")
    _same("y.requires_grad", expect.result_requires_grad, y.requires_grad)
    _same("y.is_leaf", expect.result_is_leaf, y.is_leaf)
    _same("y.is_inference()", expect.result_inference, y.is_inference())
    _same("y on the storage of x", expect.shares_storage, _storage(y) == _storage(x))
    _same("dtype of y", getattr(torch, expect.result_dtype or comparison.dtype), y.dtype)
    return y


# A guard of a mode has an effect until it is destroyed, so this list keeps them.
_guards: list[Any] = []


def _restore_modes() -> str:
    """Restore the modes that a statement must not leave changed; return their names, "" for none."""
    left = []
    if torch.is_inference_mode_enabled():
        left.append("inference mode")
        # The guard that switched it on is the statement's; only a guard of ours can switch it off.
        _guards.append(torch.inference_mode(False))
        _guards[-1].__enter__()
    if not torch.is_grad_enabled():
        left.append("grad mode")
        torch.set_grad_enabled(True)
    return " and ".join(left)


def check_answer(y: torch.Tensor, answer: torch.Tensor, comparison: Comparison) -> None:
    """Compare a result with its expected answer in float64, of `sampled` elements; raises CheckFailed."""
    _close(sampled(y, comparison), answer, comparison)


def check_same(y: torch.Tensor, reference: torch.Tensor, comparison: Comparison, nans: bool = False) -> None:
    """Hold a variant's result against another's; raises CheckFailed. With `nans` NaN equals NaN."""
    # Results are mostly equal to the bit, which is quick to check. The tolerance is for sums in another
    # order.
    if y.dtype == reference.dtype and torch.equal(y, reference):
        return
    if nans and y.shape == reference.shape and torch.equal(y.isnan(), reference.isnan()):
        y, reference = (each.masked_fill(each.isnan(), 0.0) for each in (y, reference))
    _close(y, reference, comparison)


def agreement_of(
    comparison: Comparison, variant: Variant, y: torch.Tensor, baseline: torch.Tensor
) -> Agreement:
    """How far the result of a variant is from the baseline's, where the two need not agree."""
    if y.shape != baseline.shape:
        return Agreement(comparison.id, variant.name, None, (tuple(y.shape), tuple(baseline.shape)))
    if y.dtype == baseline.dtype and torch.equal(y, baseline):
        return Agreement(comparison.id, variant.name, 0.0)
    error, _ = _errors(y, baseline)
    # A results file cannot hold NaN and infinity.
    return Agreement(comparison.id, variant.name, error if math.isfinite(error) else None)


def _same(what: str, expected: object, got: object) -> None:
    """Raise CheckFailed where the two differ; an expectation of None allows any value."""
    if expected is not None and expected != got:
        raise CheckFailed(f"{what}: expected {expected}, got {got}")


# Number of elements at a time: a result that fills a device leaves no room for copies in float64.
_PIECE = 2**24


def _close(y: torch.Tensor, expected: torch.Tensor, comparison: Comparison) -> None:
    if y.shape != expected.shape:
        raise CheckFailed(f"shape of y: expected {tuple(expected.shape)}, got {tuple(y.shape)}")
    if not y.numel():
        return
    allowed = comparison.tolerance
    in_the_norm, largest = _errors(y, expected)
    worst, how = (in_the_norm, " in the norm") if comparison.normwise else (largest, "")
    if not worst <= allowed:
        error = f"a relative error of at most {allowed:.2g}{how}, got {worst:.2g}"
        raise CheckFailed(f"values of y: expected {error}")


def _errors(y: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    """The relative error in the norm, and the largest of an element, of two tensors of one shape."""
    pieces = [
        _of_piece(in_float64(got.to(expected.device)), in_float64(wanted))
        for got, wanted in zip(
            *(each.detach().reshape(-1).split(_PIECE) for each in (y, expected)), strict=True
        )
    ]
    squares, norms, largest = torch.stack(pieces).cpu().unbind(1)
    in_the_norm = (squares.sum() / norms.sum().clamp(min=1e-300)).sqrt()
    return float(in_the_norm), float(largest.max())


def _of_piece(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The sums of squares of the error and of the expected values, and the largest relative error, or NaN."""
    # Infinities at the same elements are no error, and count in no norm.
    error = (got - wanted).masked_fill((got == wanted) & wanted.isinf(), 0.0)
    wanted = wanted.masked_fill(wanted.isinf(), 0.0)
    # Near zero an absolute error of a thousandth of the tolerance is allowed.
    relative = error.abs() / wanted.abs().clamp(min=1e-3)
    return torch.stack((error.square().sum(), wanted.square().sum(), relative.max()))


def _storage(tensor: torch.Tensor) -> int:
    address: int = tensor.untyped_storage().data_ptr()
    return address
