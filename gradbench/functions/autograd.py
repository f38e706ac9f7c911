"""exp(sin(x²)) from three custom autograd Functions, one after another; `fused` computes it in one.

The guide's examples, under its names:

>>> import math
>>> x = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
>>> Square.apply(x).sum().backward()  # dy/dx = 2x
>>> x.grad.tolist()
[4.0, 6.0]

>>> x.grad = None
>>> Sin.apply(Square.apply(x)).sum().backward()  # dz/dx = cos(x²)·2x
>>> [math.isclose(d, math.cos(a * a) * 2 * a) for d, a in zip(x.grad.tolist(), [2.0, 3.0])]
[True, True]

>>> x.grad = None
>>> composed(x).sum().backward()  # du/dx = exp(sin(x²))·cos(x²)·2x
>>> expected = [math.exp(math.sin(a * a)) * math.cos(a * a) * 2 * a for a in [2.0, 3.0]]
>>> [math.isclose(d, e) for d, e in zip(x.grad.tolist(), expected)]
[True, True]

The guide's classes do not run: their base AutogradFunction is a plain class, and has no `apply`.

The Functions take dense tensors of any floating dtype, shape, stride and device. They save nothing for an
input that needs no gradient. They can be differentiated again, to any order. With a separate `setup_context`
they would work under torch.func, but Function.apply then costs three times as much. So `apply` takes
PyTorch's operations where a transform of torch.func is active (vmap, grad, jvp, jacfwd), or where x is
complex or of integers. Otherwise it calls the Function directly. The Functions do not support
torch.autograd.forward_ad without torch.func.jvp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# Names of this module, since a look-up of attributes costs time where there are few elements.
compiling: Callable[[], bool] = torch.compiler.is_compiling
recording: Callable[[], bool] = torch.is_grad_enabled
# A tensor that a transform wraps, such as a batch of gradients in vmap over backward, has no storage.
has_storage: Callable[[torch.Tensor], bool] = torch._C._has_storage
# torch.autograd.Function.apply makes the same check.
transformed: Callable[[], bool] = torch._C._are_functorch_transforms_active


class Pointwise(torch.autograd.Function):  # type: ignore[misc]
    """A Function of one tensor, element by element."""

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        """The same function by PyTorch's operations."""
        raise NotImplementedError

    @classmethod
    def apply(cls, x: torch.Tensor) -> torch.Tensor:
        """The function of each element: a new tensor of the shape of x."""
        if transformed() or not x.is_floating_point():
            return cls.plain(x)
        # Function.apply would go on to steps that only other signatures need.
        return super(torch.autograd.Function, cls).apply(x)


class Square(Pointwise):
    """y = x², dy/dx = 2x; saves its input."""

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        return x * x

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        # x + x costs less than 2 * x, which makes a tensor of the 2 first.
        return (x + x) * g


class Sin(Pointwise):
    """z = sin(y), dz/dy = cos(y); saves its input."""

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        return x.sin()

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return x.cos() * g


class Exp(Pointwise):
    """u = exp(z), du/dz = u; saves its output, which is its derivative."""

    @staticmethod
    def plain(x: torch.Tensor) -> torch.Tensor:
        return x.exp()

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        return y * g


def composed(x: torch.Tensor) -> torch.Tensor:
    """exp(sin(x²)) of each element by the three Functions: a new tensor of the shape of x."""
    return Exp.apply(Sin.apply(Square.apply(x)))
