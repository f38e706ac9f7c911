"""The kernels in Triton, without a GPU: by Triton's interpreter, and compiled for one that is not here."""

import re

import numpy
import pytest
import torch

from tests.interpreted import TRUNCATES, interpreted_kernels

triton = pytest.importorskip("triton")

DTYPES = (
    torch.float32,
    torch.float64,
    pytest.param(torch.bfloat16, marks=pytest.mark.skip(reason=TRUNCATES)),
    torch.float16,
)
BLOCK = 1024


@pytest.fixture(scope="module")
def kernels():
    return interpreted_kernels()


# Full programs, one that is not, and both.
@pytest.mark.parametrize("elements", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient_are_rounded_once(kernels, dtype, elements):
    generator = torch.Generator().manual_seed(elements)
    x, g = (torch.randn(elements, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    y = kernels.value(x)
    d = kernels.gradient(x, y, g)
    assert y.dtype == d.dtype == dtype
    wide, u, slope, square = (each.to(torch.float64).numpy() for each in (x, y, g, x * x))
    within = torch.float64 if dtype is torch.float64 else torch.float32
    epsilon = torch.finfo(dtype).eps + 4 * torch.finfo(within).eps
    expected = numpy.exp(numpy.sin(square))
    assert numpy.all(numpy.abs(u - expected) <= epsilon * expected)
    scale = numpy.abs(2 * wide * u * slope)
    assert numpy.all(
        numpy.abs(d.double().numpy() - 2 * wide * numpy.cos(square) * u * slope) <= epsilon * scale
    )


def test_results_have_the_shape_of_x_and_nothing_else_is_written_to(kernels):
    x = torch.rand(3, 5)
    before = x.clone()
    y = kernels.value(x)
    assert y.shape == (3, 5)
    assert torch.equal(x, before)
    assert kernels.gradient(x, y, torch.ones_like(x)).shape == (3, 5)


@pytest.mark.slow
# A dtype has its own width of a move; a GPU of the generation before is asked by one.
@pytest.mark.parametrize(
    ("capability", "element"), [(80, "fp32"), *((90, each) for each in ("fp32", "fp64", "bf16", "fp16"))]
)
def test_each_compiles_and_moves_16_bytes_at_a_time(monkeypatch, tmp_path, capability, element):
    """Of a number of elements of which nothing is known; its last program may go one by one."""
    from gradbench.functions import triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    dtype = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16, "fp16": torch.float16}
    for kernel, tensors in ((triton_kernels._value, 2), (triton_kernels._gradient, 4)):
        constants = triton_kernels._constants(dtype[element], 10**6)
        kinds = dict.fromkeys(kernel.arg_names[:tensors], f"*{element}")
        signature = {**kinds, "elements": "i32", **dict.fromkeys(constants, "constexpr")}
        # What torch allocates lies at multiples of 16 bytes and more.
        aligned = {(place,): [["tt.divisibility", 16]] for place in range(tensors)}
        source = triton.compiler.ASTSource(kernel, signature, constants, aligned)
        target = triton.backends.compiler.GPUTarget("cuda", capability, 32)
        compiled = triton.compile(source, target, {"num_warps": triton_kernels._WARPS})
        # v4.b32 or v2.b64
        moved = re.findall(r"(ld|st)\.global\.v[24]\.b(?:32|64)", compiled.asm["ptx"])
        threads = 32 * triton_kernels._WARPS
        each = triton_kernels._BLOCK // threads * dtype[element].itemsize // 16
        assert (moved.count("ld"), moved.count("st")) == ((tensors - 1) * each, each)
