"""exp(sin(x²)) from one custom autograd Function, by PyTorch's operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from gradbench.functions.autograd import Pointwise, compiling, has_storage, recording


def derivative(x: torch.Tensor) -> torch.Tensor:
    """2x·cos(x²)·exp(sin(x²)), by operations that can be differentiated again."""
    s = x * x
    return (x + x) * s.cos() * s.sin().exp()


class ExpSinSquare(Pointwise):
    """u = exp(sin(x²)), du/dx = 2x·cos(x²)·u, in one Function.

    It splits its work by the most expensive part:

    - few elements, so calls cost most: forward also computes the derivative from factors that it has, and
    backward is one product. Keeps x and the derivative. - many in float32 on a CPU, so sin, cos and exp cost
    most: one tangent for both. With t = tan(x²/2) and w = 1 + t², sin(x²) = 2t/w and cos(x²) = 2/w - 1. Keeps
    x, u and w. - all other cases: backward computes cos(x²) from x. Keeps x and u.
    """

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        return (x * x).sin().exp()

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        if compiling():
            ctx.save_for_backward(x)
            return ExpSinSquare.plain(x)
        if not ctx.needs_input_grad[0]:
            (u,) = in_pieces(value, 1, x)
        elif x.numel() <= _FEW:
            s = x * x
            d = s.cos()
            u = s.sin_().exp_()
            d.mul_(x).mul_(u)
            ctx.save_for_backward(x, d.add_(d))
        elif x.dtype is torch.float32 and x.is_cpu:
            u, w = in_pieces(_tangent_value, 2, x)
            ctx.save_for_backward(x, u, w)
        else:
            (u,) = in_pieces(value, 1, x)
            ctx.save_for_backward(x, u)
        return u

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        saved = ctx.saved_tensors
        x = saved[0]
        # Where the compiler traces, forward saves only x.
        if recording() or len(saved) == 1:
            return derivative(x) * g
        if x.numel() <= _FEW:
            return saved[1] * g
        if not has_storage(g):
            return derivative(x) * g
        step = _tangent_gradient if len(saved) == 3 else _gradient
        (d,) = in_pieces(step, 1, *saved, g)
        return d


# The last step of ExpSinSquare.apply. Calling it directly saves a call, which counts for few elements.
fused: Callable[[torch.Tensor], torch.Tensor] = super(torch.autograd.Function, ExpSinSquare).apply

# Up to this many elements the calls cost more than the arithmetic.
_FEW = 1024
# Elements for each thread: this many of a few tensors stay in the last cache. Smaller pieces mean more calls.
_PIECE = 2**19

_Tensors = tuple[torch.Tensor, ...]
_ZERO, _ONE, _MINUS_TWO = torch.tensor([0.0, 1.0, -2.0], device="cpu").unbind()
_LOG2_E = math.log2(math.e)


def in_pieces(step: Callable[..., _Tensors], results: int, *given: torch.Tensor) -> _Tensors:
    """The results of a step. Many elements on a CPU go through piece by piece, to stay in the caches."""
    x = given[0]
    piece = _PIECE * torch.get_num_threads()
    if x.numel() <= 2 * piece or not x.is_cpu or not all(each.is_contiguous() for each in given):
        return step(*given)
    made = tuple(torch.empty_like(x) for _ in range(results))
    for part in zip(*(each.view(-1).split(piece) for each in (*given, *made)), strict=True):
        step(*part)
    return made


def value(x: torch.Tensor, u: torch.Tensor | None = None) -> _Tensors:
    """The value u of x."""
    sine = torch.mul(x, x, out=u).sin_()
    # ATen has vector code for exp2, which is faster than exp by MKL, even with one more product.
    if x.numel() > _FEW and x.is_cpu and x.dtype in (torch.float32, torch.float64):
        return (sine.mul_(_LOG2_E).exp2_(),)
    return (sine.exp_(),)


def _gradient(x: torch.Tensor, u: torch.Tensor, g: torch.Tensor, d: torch.Tensor | None = None) -> _Tensors:
    """d = g·2x·cos(x²)·u."""
    d = torch.mul(x, x, out=d).cos_().mul_(x).mul_(u).mul_(g)
    return (d.add_(d),)


def _tangent_value(x: torch.Tensor, u: torch.Tensor | None = None, w: torch.Tensor | None = None) -> _Tensors:
    """u and w = 1 + tan²(x²/2), of x."""
    # addcmul(a, b, c, value=v) is a + v·b·c in one pass; addcdiv divides by c. The half is exact.
    t = torch.addcmul(_ZERO, x, x, value=0.5, out=u).tan_()
    w = torch.addcmul(_ONE, t, t, out=w)
    return torch.addcdiv(_ZERO, t, w, value=2 * _LOG2_E, out=t).exp2_(), w


def _tangent_gradient(
    x: torch.Tensor, u: torch.Tensor, w: torch.Tensor, g: torch.Tensor, d: torch.Tensor | None = None
) -> _Tensors:
    """d = g·2x·cos(x²)·u, where 2cos(x²) = 4/w - 2."""
    d = torch.reciprocal(w, out=d)
    return (torch.add(_MINUS_TWO, d, alpha=4, out=d).mul_(x).mul_(u).mul_(g),)
