"""Whether two results are the same but for rounding, and how they differ."""

from __future__ import annotations

import torch


def alike(one: torch.Tensor, other: torch.Tensor, allowed: float = 1e-3) -> bool:
    """Whether two results are the same, but for sums in another order: by the norm of their difference."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if torch.equal(one, other):
        return True
    if not torch.equal(one.isnan(), other.isnan()):
        return False
    a, b = one.detach().double().nan_to_num(nan=0.0), other.detach().double().nan_to_num(nan=0.0)
    return bool((a - b).norm() <= allowed * a.norm())


def distance(one: torch.Tensor, other: torch.Tensor) -> tuple[float | None, float | None]:
    """The largest difference of two results, and its norm relative to the first; None where there is none."""
    if one.shape != other.shape or not one.numel() or one.isnan().any() or other.isnan().any():
        return None, None
    a, b = one.detach().double(), other.detach().double()
    norm = float(a.norm())
    relative = float((a - b).norm()) / norm if norm else None
    return float((a - b).abs().max()), relative


def how_different(one: torch.Tensor, other: torch.Tensor, name: str, other_name: str) -> str:
    """How two results differ, as a clause."""
    if one.shape != other.shape:
        return f"its shape is {tuple(other.shape)} {other_name}, and {tuple(one.shape)} {name}"
    holds = [each for each, y in ((name, one), (other_name, other)) if y.isnan().any()]
    if holds:
        return f"NaN is in the one that is {' and in the one that is '.join(holds)}"
    most, relative = distance(one, other)
    clause = f"elements differ by up to {most:.3g}"
    if relative is not None:
        clause += f", and the whole by {relative:.2g} of its norm"
    return clause
