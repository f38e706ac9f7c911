"""The custom autograd Functions: Square, Sin, Exp, and exp(sin(x²)) fused in eager PyTorch, C or Triton."""

from gradbench.functions.autograd import Exp, Sin, Square, composed
from gradbench.functions.forms import (
    Form,
    compiled_available,
    exp_sin_square,
    native_available,
    triton_available,
)
from gradbench.functions.fused import ExpSinSquare

__all__ = [
    "Exp",
    "ExpSinSquare",
    "Form",
    "Sin",
    "Square",
    "compiled_available",
    "composed",
    "exp_sin_square",
    "native_available",
    "triton_available",
]
