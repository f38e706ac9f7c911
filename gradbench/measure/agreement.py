"""Whether two results are the same but for rounding, and how they differ."""

from __future__ import annotations

import torch


def alike(one: torch.Tensor, other: torch.Tensor, allowed: float = 1e-3) -> bool:
    """Whether two results are the same, but for sums in another order: by the norm of their difference.

    NaN and infinities have to be at the same elements. The norms are those of the finite elements.
    """
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if torch.equal(one, other):
        return True
    a, b = in_float64(one), in_float64(other)
    if not torch.equal(a.isnan(), b.isnan()) or int(_infinite_otherwise(a, b).sum()):
        return False
    error, norm = _norms(a, b)
    return error <= allowed * norm


def distance(one: torch.Tensor, other: torch.Tensor) -> tuple[float | None, float | None]:
    """The largest difference of two results, and its norm relative to the first; None where there is none.

    Infinities at the same elements count as equal.
    """
    if one.shape != other.shape or not one.numel():
        return None, None
    a, b = in_float64(one), in_float64(other)
    if a.isnan().any() or b.isnan().any() or _infinite_otherwise(a, b).any():
        return None, None
    error, norm = _norms(a, b)
    most = float((_finite(a) - _finite(b)).abs().max())
    return most, error / norm if norm else None


def how_different(one: torch.Tensor, other: torch.Tensor, name: str, other_name: str) -> str:
    """How two results differ, as a clause."""
    if one.shape != other.shape:
        return f"its shape is {tuple(other.shape)} {other_name}, and {tuple(one.shape)} {name}"
    if one.dtype != other.dtype:
        dtypes = [str(each.dtype).removeprefix("torch.") for each in (other, one)]
        return f"its dtype is {dtypes[0]} {other_name}, and {dtypes[1]} {name}"
    holds = [each for each, y in ((name, one), (other_name, other)) if y.isnan().any()]
    if holds:
        return f"NaN is in the one that is {' and in the one that is '.join(holds)}"
    infinite = int(_infinite_otherwise(in_float64(one), in_float64(other)).sum())
    if infinite:
        elements = f"{infinite:,} elements are" if infinite > 1 else "1 element is"
        return f"{elements} infinite in one of the two, and not the same in the other"
    most, relative = distance(one, other)
    clause = f"elements differ by up to {most or 0.0:.3g}"
    if relative is not None:
        clause += f", and the whole by {relative:.2g} of its norm"
    return clause


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """The values in float64, without a graph; a complex element is two numbers along a last dimension."""
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.to(torch.float64)


def _infinite_otherwise(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Where one of the two is infinite, and the other is not the same infinity."""
    return (a.isinf() | b.isinf()) & (a != b)


def _finite(values: torch.Tensor) -> torch.Tensor:
    """The values, with 0 in place of infinities and NaN."""
    return values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _norms(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """The norms of a difference and of the first tensor, over finite elements, in units of the largest."""
    a, b = _finite(a), _finite(b)
    # Squares of the largest numbers in float64 would be infinite.
    largest = max(float(a.abs().max()), float(b.abs().max())) or 1.0
    a, b = a / largest, b / largest
    return float((a - b).norm()), float(a.norm())
