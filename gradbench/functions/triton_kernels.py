"""The fused kernels in Triton, for accelerators that it compiles for: exp(sin(x²)), and its gradient.

Each kernel reads and writes every element once. Arithmetic is in float32, for float64 in float64, and rounds
at the end. x² is rounded to the dtype of x, as in torch's chain, since sin(x²) would otherwise be another
number.

Importing this module needs the package triton. The first call of a kernel needs a C compiler, with which
Triton builds the launcher. The kernels follow Triton's tutorial on the addition of vectors.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

# Elements and warps of a program: a thread takes 16 bytes of each tensor at a time.
_BLOCK = 1024
_WARPS = 4
# From this many elements on an index does not fit 32 bits. Narrower indices cost less.
_WIDE = 2**31 - _BLOCK


@triton.jit
def _square(a, WITHIN: tl.constexpr):
    wide = a.to(WITHIN)
    return (wide * wide).to(a.dtype).to(WITHIN)


@triton.jit
def _value_at(x, y, place, inside, WITHIN: tl.constexpr):
    a = tl.load(x + place, mask=inside)
    tl.store(y + place, tl.exp(tl.sin(_square(a, WITHIN))), mask=inside)


@triton.jit
def _gradient_at(x, y, g, d, place, inside, WITHIN: tl.constexpr):
    a = tl.load(x + place, mask=inside)
    u = tl.load(y + place, mask=inside).to(WITHIN)
    slope = tl.load(g + place, mask=inside).to(WITHIN)
    wide = a.to(WITHIN)
    tl.store(d + place, (wide + wide) * tl.cos(_square(a, WITHIN)) * u * slope, mask=inside)


@triton.jit
def _first(BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """The index of this program's first element."""
    program = tl.program_id(0)
    if WIDE:
        program = program.to(tl.int64)
    return program * BLOCK


# A mask splits a load of 16 bytes, unless the compiler knows that the number of elements is a multiple of
# theirs. So only the last program has a mask.
@triton.jit
def _value(x, y, elements, BLOCK: tl.constexpr, WIDE: tl.constexpr, WITHIN: tl.constexpr):
    first = _first(BLOCK, WIDE)
    place = first + tl.arange(0, BLOCK)
    if first + BLOCK <= elements:
        _value_at(x, y, place, None, WITHIN)
    else:
        _value_at(x, y, place, place < elements, WITHIN)


@triton.jit
def _gradient(x, y, g, d, elements, BLOCK: tl.constexpr, WIDE: tl.constexpr, WITHIN: tl.constexpr):
    first = _first(BLOCK, WIDE)
    place = first + tl.arange(0, BLOCK)
    if first + BLOCK <= elements:
        _gradient_at(x, y, g, d, place, None, WITHIN)
    else:
        _gradient_at(x, y, g, d, place, place < elements, WITHIN)


def value(x: torch.Tensor) -> torch.Tensor:
    """exp(sin(x²)) of each element: a new tensor. `x` is dense, of any shape and floating dtype."""
    y = torch.empty_like(x)
    _launch(_value, x, y)
    return y


def gradient(x: torch.Tensor, y: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """g·y·cos(x²)·2x of each element: a new tensor. All are of one shape, dtype, device and order."""
    d = torch.empty_like(x)
    _launch(_gradient, x, y, g, d)
    return d


def _launch(kernel: Any, *tensors: torch.Tensor) -> None:
    elements = tensors[0].numel()
    if not elements:
        return
    # Triton launches on the current device, and ignores where the tensors are.
    with torch.cuda.device_of(tensors[0]):
        kernel[(triton.cdiv(elements, _BLOCK),)](
            *tensors, elements, **_constants(tensors[0].dtype, elements), num_warps=_WARPS
        )


def _constants(dtype: torch.dtype, elements: int) -> dict[str, Any]:
    """The constants that a kernel is compiled for."""
    within = tl.float64 if dtype is torch.float64 else tl.float32
    return {"BLOCK": _BLOCK, "WIDE": elements > _WIDE, "WITHIN": within}
