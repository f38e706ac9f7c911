"""The forms of the fused Function: PyTorch's operations, C, Triton, or torch.compile."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch

from gradbench.functions import native
from gradbench.functions.autograd import compiling, has_storage, recording, transformed
from gradbench.functions.fused import ExpSinSquare, derivative, fused, in_pieces, value

Form = Literal["eager", "native", "triton", "compiled"]


def exp_sin_square(x: torch.Tensor, form: Form = "eager") -> torch.Tensor:
    """exp(sin(x²)) of each element by one fused Function: a new tensor of the shape of x.

    For backward the graph keeps x, the result and at most one tensor more. Results differ from those of
    `composed` by a few roundings. In the value they are relative to the value. In the derivative they are
    relative to 2|x|·exp(sin(x²)), which is the derivative without its factor cos(x²).

    Args:
        x: a dense tensor of any floating dtype, shape, stride and device.
        form: "eager" is PyTorch's operations, one after another. "native" is C, one pass forward and one
            backward, for contiguous float32 and float64 on the CPU. Its first call in a process looks for the
            build in the user's cache, or builds it, which takes a second. "compiled" is the result of
            torch.compile, on any device and from some 30,000 elements on. Its first call takes some ten
            seconds. "triton" is one kernel forward and one backward, for contiguous tensors of any floating
            dtype on a CUDA device. Its arithmetic is in float32 at least. Where a form is impossible, "eager"
            takes its place.

    Raises:
        ValueError: there is no such form.
    """
    if form == "native":
        if _suits_native(x):
            return _Native.apply(x)
    elif form == "triton":
        if _suits_triton(x):
            return _Triton.apply(x)
    elif form == "compiled":
        if _suits_compiled(x):
            return _Compiled.apply(x)
    elif form != "eager":
        raise ValueError(f"form: expected one of {', '.join(get_args(Form))}; got {form!r}")
    # A compilation around this call fuses the plain operations, and does that best without our kernels.
    if compiling() or transformed() or not x.is_floating_point():
        return ExpSinSquare.plain(x)
    if not recording():
        # The graph keeps nothing for a backward.
        (u,) = in_pieces(value, 1, x)
        return u
    return fused(x)


def native_available() -> bool:
    """Whether the form "native" is possible: with a C compiler and fused multiply-add. Builds it at need."""
    return native.kernels() is not None


def triton_available(device: torch.device | str = "cuda") -> bool:
    """Whether the form "triton" is possible on this device. Compiles at need."""
    return _triton(torch.device(device).index) is not None


def compiled_available(device: torch.device | str = "cpu") -> bool:
    """Whether torch.compile compiles for the device. At need this compiles once, which takes seconds."""
    return _compiled(torch.device(device).type) is not None


def _bare(x: torch.Tensor) -> bool:
    """Whether a kernel may read the elements of x in order, and no tracer or mode would miss that."""
    return (
        not compiling()
        and type(x) in (torch.Tensor, torch.nn.Parameter)
        and x.layout is torch.strided
        and x.is_contiguous()
        and not x.is_neg()
        and has_storage(x)
        and not torch.jit.is_tracing()
        and not torch._C._len_torch_dispatch_stack()
    )


def _suits_native(x: torch.Tensor) -> bool:
    return (
        x.dtype in (torch.float32, torch.float64) and x.is_cpu and _bare(x) and native.kernels() is not None
    )


def _suits_triton(x: torch.Tensor) -> bool:
    return (
        x.device.type == _TRITON_KIND
        and x.dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
        and _bare(x)
        and _triton(x.device.index) is not None
    )


def _threads(x: torch.Tensor) -> int:
    """The number of threads that ATen would take, each thread with at least ATen's grain."""
    grains: int = x.numel() // 32768
    return min(grains, torch.get_num_threads()) if grains > 1 else 1


def _in_order(x: torch.Tensor, u: torch.Tensor, g: torch.Tensor, kind: str) -> bool:
    """Whether a kernel for this kind of device may read the saved tensors, and g once it is contiguous."""
    # Hooks on saved tensors may have put other tensors in their place.
    alike = x.dtype is u.dtype is g.dtype and x.device == u.device == g.device and x.device.type == kind
    ordered = x.is_contiguous() and u.is_contiguous()
    return alike and ordered and not recording() and has_storage(g) and not g.is_neg()


class _Native(ExpSinSquare):
    """The Function by the kernels of native.c. Keeps x and u."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        kernels = native.kernels()
        assert kernels is not None
        u = torch.empty_like(x)
        kernels.value[x.itemsize](x.data_ptr(), u.data_ptr(), x.numel(), _threads(x))
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, u)
        return u

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        x, u = ctx.saved_tensors
        kernels = native.kernels()
        assert kernels is not None
        if not _in_order(x, u, g, "cpu"):
            return derivative(x) * g
        g = g.contiguous()
        d = torch.empty_like(x)
        addresses = x.data_ptr(), u.data_ptr(), g.data_ptr(), d.data_ptr()
        kernels.gradient[x.itemsize](*addresses, x.numel(), _threads(x))
        return d


# Triton's interpreter takes tensors on the CPU, so that tests get results without a GPU.
_TRITON_KIND = "cuda"


@functools.cache
def _triton(index: int | None) -> types.ModuleType | None:
    """The kernels in Triton; None where Triton is not installed, or does not compile for this device."""
    try:
        from gradbench.functions import triton_kernels

        trial = torch.ones(4, device=torch.device(_TRITON_KIND, index))
        triton_kernels.gradient(trial, triton_kernels.value(trial), trial)
    # Such an error does not come from Triton, so the answer is not cached.
    except torch.OutOfMemoryError:
        raise
    # A missing Triton, a missing C compiler, an unsupported device or one too new raise different errors.
    except Exception:
        return None
    return triton_kernels


class _Triton(ExpSinSquare):
    """The Function by the kernels in Triton. Keeps x and u."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        kernels = _triton(x.device.index)
        assert kernels is not None
        u: torch.Tensor = kernels.value(x)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, u)
        return u

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        x, u = ctx.saved_tensors
        kernels = _triton(x.device.index)
        assert kernels is not None
        if not _in_order(x, u, g, _TRITON_KIND):
            return derivative(x) * g
        d: torch.Tensor = kernels.gradient(x, u, g.contiguous())
        return d


# With fewer elements the guards of a compiled function cost more than fusion saves.
_WORTH_COMPILING = 2**15


def _suits_compiled(x: torch.Tensor) -> bool:
    """Whether compiled code is faster here, and torch.compile works and is not compiling already."""
    return (
        not compiling()
        and x.numel() >= _WORTH_COMPILING
        # In half precision a compiler does not round intermediate steps, and the results would differ.
        and x.dtype in (torch.float32, torch.float64)
        and x.is_contiguous()
        and has_storage(x)
        and _compiled(x.device.type) is not None
    )


@functools.cache
def _compiled(device: str) -> tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]] | None:
    """The compiled value, of x, and the compiled gradient, of x, u and g; None where that is impossible.

    These are two functions, and not one that the compiler differentiates. The gradient of that one could not
    be differentiated again.
    """

    def value(x: torch.Tensor) -> torch.Tensor:
        return (x * x).sin().exp()

    def gradient(x: torch.Tensor, u: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return (x + x) * (x * x).cos() * u * g

    try:
        # At its import the compiler warns of names that torch itself deprecates.
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.compile(value, dynamic=True), torch.compile(gradient, dynamic=True)
            trial = torch.ones(4, device=device)
            found[1](trial, found[0](trial), trial)
    # Without a compiler, or on a Python too new for it, every part of torch.compile raises a different error.
    except Exception:
        return None
    return found


class _Compiled(ExpSinSquare):
    """The Function by the compiled value and gradient. Keeps x and u.

    The arguments have one dimension and
    are detached, so that torch.compile compiles once for a dtype, and not once for each shape.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        compiled = _compiled(x.device.type)
        assert compiled is not None
        u = compiled[0](x.detach().view(-1)).view(x.shape)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, u)
        return u

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        x, u = ctx.saved_tensors
        compiled = _compiled(x.device.type)
        if compiled is None or recording() or not has_storage(g):
            return derivative(x) * g
        return compiled[1](x.detach().view(-1), u.detach().view(-1), g.reshape(-1)).view(x.shape)
