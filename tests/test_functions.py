"""Expected values are from arithmetic in float64, and from gradcheck's finite differences."""

import doctest
import functools
import importlib.util
import itertools
from typing import get_args

import numpy
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from gradbench.functions import (
    Exp,
    ExpSinSquare,
    Sin,
    Square,
    autograd,
    composed,
    exp_sin_square,
    forms,
    fused,
    native,
    native_available,
)
from gradbench.measure.profiled import started
from tests.interpreted import TRUNCATES, interpreted_kernels

FORMS = get_args(forms.Form)
FUSED = {form: functools.partial(exp_sin_square, form=form) for form in FORMS}
CHAINS = {"composed": composed, **FUSED}
EVERY = {"square": Square.apply, "sin": Sin.apply, "exp": Exp.apply, **CHAINS}

# A size for each way of the eager form: few; many; and many in pieces, with _PIECE made small.
SIZES = {"few": 60, "many": 1100, "pieces": 9000}

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def let_torch_warn(test):
    """Of what torch itself deprecates, when it compiles and when it first differentiates forward."""
    for message in ("`torch.jit.script", ".* should not be instantiated"):
        test = pytest.mark.filterwarnings(f"ignore:{message}:DeprecationWarning")(test)
    return test


@pytest.fixture(scope="session")
def kernels_in_triton():
    return interpreted_kernels() if importlib.util.find_spec("triton") else None


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Forget at the end of this file what it compiled."""
    yield
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


@pytest.fixture(autouse=True)
def nothing_compiled():
    """Keep from test to test what is compiled: tests of the compiled form would trace again."""


@pytest.fixture(autouse=True)
def every_form_at_every_size(request, monkeypatch, kernels_in_triton):
    """Nothing too small to compile, small pieces, Triton interpreted."""
    asked = getattr(request.node, "callspec", None)
    if asked and {"triton", torch.bfloat16} <= {each for each in asked.params.values() if each.__hash__}:
        pytest.skip(TRUNCATES)
    monkeypatch.setattr(forms, "_TRITON_KIND", "cpu")
    monkeypatch.setattr(forms, "_triton", lambda index: kernels_in_triton)
    monkeypatch.setattr(forms, "_WORTH_COMPILING", 2)
    monkeypatch.setattr(fused, "_PIECE", 2000)
    yield
    torch.set_num_threads(1)


def sample(size, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(size)
    # The last is away from zero, the first is a zero of the derivative.
    x = torch.randn(size, generator=generator, dtype=torch.float64) * 1.5
    x[:1] = 0
    return x.to(dtype).requires_grad_(**options)


def value_and_gradient(function, x, g=None):
    leaf = x.detach().clone().requires_grad_()
    y = function(leaf)
    y.backward(torch.ones_like(y) if g is None else g)
    return y.detach(), leaf.grad


def exact(x):
    """In float64, of x² as its dtype rounds it: exp(sin(x²)), its derivative, and that without its cosine."""
    s = (x * x).double().numpy()
    x = x.double().numpy()
    u = numpy.exp(numpy.sin(s))
    return u, u * numpy.cos(s) * 2 * x, u * 2 * numpy.abs(x)


def worst(got, expected, scale, dtype):
    """The largest error, in epsilons of the dtype, relative to a scale."""
    error = numpy.abs(got.double().numpy() - expected)
    return (error / numpy.maximum(scale, 1e-30)).max() / torch.finfo(dtype).eps


@pytest.mark.parametrize("name", EVERY)
def test_first_and_second_derivatives_are_those_of_finite_differences(name):
    x = sample(7)
    assert torch.autograd.gradcheck(EVERY[name], x, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(EVERY[name], x)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_each_way_gives_first_and_second_derivatives(form, size):
    x = sample(SIZES[size])
    y, d = value_and_gradient(FUSED[form], x)
    expected, derivative, _ = exact(x.detach())
    numpy.testing.assert_allclose(y, expected, rtol=1e-14)
    numpy.testing.assert_allclose(d, derivative, rtol=1e-12, atol=1e-13)
    # d/dx (2x·cos(x²)·u) = u·(2cos(x²) - 4x²·sin(x²) + 4x²·cos²(x²))
    (first,) = torch.autograd.grad(FUSED[form](x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    a = x.detach().numpy()
    s = a * a
    twice = expected * (2 * numpy.cos(s) - 4 * s * numpy.sin(s) + 4 * s * numpy.cos(s) ** 2)
    numpy.testing.assert_allclose(second, twice, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_a_few_roundings_from_the_exact_result(form, size, dtype):
    x = sample(SIZES[size], dtype).detach()
    y, d = value_and_gradient(FUSED[form], x)
    assert y.dtype is d.dtype is dtype
    u, derivative, scale = exact(x)
    assert worst(y, u, u, dtype) < 3
    assert worst(d, derivative, scale, dtype) < 5


def test_three_functions_and_their_own_chain():
    x = sample(50).detach()
    y, d = value_and_gradient(composed, x)
    u, derivative, _ = exact(x)
    numpy.testing.assert_allclose(y, u, rtol=1e-14)
    numpy.testing.assert_allclose(d, derivative, rtol=1e-12, atol=1e-13)
    names = []
    # A node of a graph that has been let go of has no next one.
    y = composed(x.requires_grad_())
    node = y.grad_fn
    while node is not None:
        names.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    assert names == ["ExpBackward", "SinBackward", "SquareBackward", "AccumulateGrad"]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: x[:0], id="empty"),
        pytest.param(lambda x: x[0], id="of no dimension"),
        pytest.param(lambda x: x.view(30, 50).t(), id="transposed"),
        pytest.param(lambda x: x[::2], id="strided"),
        pytest.param(lambda x: x[:1].expand(1500), id="expanded"),
        pytest.param(lambda x: x.view(2, 3, 5, 50), id="of four dimensions"),
    ],
)
def test_every_shape_and_layout(name, dtype, make):
    base = sample(1500, dtype).detach()
    base[0] = 0.5
    x = make(base)
    leaf = x.detach().requires_grad_()
    function = EVERY[name]
    y = function(leaf)
    (d,) = torch.autograd.grad(y, leaf, torch.full_like(y, 2.0))
    flat, gradient = value_and_gradient(
        function, x.reshape(-1).contiguous(), torch.full((y.numel(),), 2.0, dtype=dtype)
    )
    assert y.shape == d.shape == x.shape
    assert y.dtype is d.dtype is dtype
    tolerance = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(y.reshape(-1), flat, rtol=tolerance, atol=0)
    torch.testing.assert_close(d.reshape(-1), gradient, rtol=tolerance, atol=50 * tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: torch.linspace(-2, 2, 2 * n, dtype=torch.float32)[::2], id="strided"),
        pytest.param(lambda n: torch.tensor(3.0).expand(n), id="expanded"),
    ],
)
def test_a_gradient_of_any_layout(form, size, make):
    x = sample(SIZES[size], torch.float32).detach()
    g = make(len(x))
    _, d = value_and_gradient(FUSED[form], x, g)
    torch.testing.assert_close(d, value_and_gradient(FUSED[form], x, g.contiguous())[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_gradient_that_is_transposed(form):
    x = sample(1500, torch.float32).detach().view(30, 50)
    g = torch.linspace(-2, 2, 1500).view(50, 30).t()
    _, d = value_and_gradient(FUSED[form], x, g)
    torch.testing.assert_close(d, value_and_gradient(FUSED[form], x, g.contiguous())[1], rtol=1e-6, atol=1e-6)


# Triton's interpreter computes in NumPy, which warns of what is beyond.
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", FLOATING)
def test_beyond_all_bounds_as_the_chain_of_torch(form, dtype):
    largest = torch.finfo(dtype).max ** 0.5
    powers = [10.0**power for power in range(2, 20) if 10.0**power < largest]
    x = torch.tensor(
        [0.0, -0.0, 1e-30, 255.9, 256.1, 1e20, *powers, float("inf"), -float("inf"), float("nan")] * 90,
        dtype=dtype,
    )
    y, d = value_and_gradient(FUSED[form], x)
    expected, derivative = value_and_gradient(lambda x: (x * x).sin().exp(), x)
    assert y.isnan().equal(expected.isnan())
    assert d.isnan().equal(derivative.isnan())
    finite = ~y.isnan()
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(y[finite], expected[finite], rtol=4 * eps, atol=0)
    scale = 2 * x[finite].double().abs() * y[finite] + 1e-30
    assert ((d[finite].double() - derivative[finite].double()).abs() / scale).max() < 8 * eps


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_numbers_have_the_gradient_of_torchs_own_operations(name, dtype):
    x = torch.tensor([0.3 + 0.4j, -1 + 0.5j], dtype=dtype)
    plain = {"square": lambda x: x * x, "sin": torch.sin, "exp": torch.exp}.get(
        name, lambda x: torch.exp(torch.sin(x * x))
    )
    for got, expected in zip(value_and_gradient(EVERY[name], x), value_and_gradient(plain, x), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("form", FORMS)
def test_integers_become_the_default_dtype(form):
    torch.testing.assert_close(FUSED[form](torch.tensor([1, 2])), composed(torch.tensor([1.0, 2.0])))


# ---- what is kept


def kept(function, x):
    """The unique storages that the graph keeps, and the result."""
    storages = {}

    def pack(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = function(x)
    return storages, y


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_kept_for_an_input_that_needs_no_gradient(name, size):
    x = sample(SIZES[size], torch.float32).detach()
    storages, y = kept(EVERY[name], x)
    assert (storages, y.requires_grad, y.grad_fn) == ({}, False, None)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            storages, y = kept(EVERY[name], x.clone().requires_grad_())
            assert (storages, y.requires_grad) == ({}, False)
            assert y.is_inference() is (context is torch.inference_mode)
            torch.testing.assert_close(y, EVERY[name](x))


@pytest.mark.parametrize(("name", "of"), [("square", "input"), ("sin", "input"), ("exp", "output")])
def test_each_function_keeps_the_one_tensor_that_its_derivative_needs(name, of):
    x = sample(100, torch.float32)
    storages, y = kept(EVERY[name], x)
    tensor = {"input": x, "output": y}[of]
    assert storages == {tensor.untyped_storage().data_ptr(): 400}


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("size", [1, *SIZES.values()])
@pytest.mark.parametrize("form", FORMS)
def test_the_fused_function_keeps_input_output_and_at_most_one_more(form, size, dtype):
    x = sample(size, dtype)
    storages, y = kept(FUSED[form], x)
    unit = x.untyped_storage().nbytes()
    assert set(storages.values()) == {unit}
    more = storages.keys() - {x.untyped_storage().data_ptr(), y.untyped_storage().data_ptr()}
    assert len(more) <= (form == "eager" or size == 1 or dtype in (torch.float16, torch.bfloat16))


def peak(run):
    """The most bytes live at once of what is allocated by a call, its result held."""
    with started(profile(activities=[ProfilerActivity.CPU], profile_memory=True)) as profiler:
        held = run()
    events = [
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    del held
    sizes = [size for _, size in sorted(events, key=lambda event: event[0])]
    return max(itertools.accumulate(sizes))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_without_a_gradient_there_is_only_the_result(form, size):
    x = sample(SIZES[size], torch.float32).detach()
    FUSED[form](x)
    assert peak(lambda: FUSED[form](x)) <= x.untyped_storage().nbytes() + 16


def peaks(function, x):
    """The peaks of forward, and of forward and backward."""
    g = torch.ones_like(x)

    def both():
        y = function(x)
        y.backward(g)
        return y

    function(x).backward(g)
    x.grad = None
    return peak(lambda: function(x)), peak(both)


@functools.cache
def peaks_of_the_chain(size):
    return peaks(composed, sample(size, torch.float32))


# The largest is beyond each form's own bounds: what is worth a compilation, a piece, a second thread.
@pytest.mark.parametrize("size", [1, 100, 10_000, 1_000_000])
@pytest.mark.parametrize("form", FORMS)
def test_the_fused_function_peaks_below_the_chain(form, size, monkeypatch):
    monkeypatch.undo()
    x = sample(size, torch.float32)
    fused, chain = peaks(FUSED[form], x), peaks_of_the_chain(size)
    assert fused[0] < chain[0]
    assert fused[1] < chain[1]
    # The result and at most one more; in backward the gradient, too. A number costs a few bytes.
    unit = x.untyped_storage().nbytes()
    assert fused[0] <= 2 * unit + 16
    assert fused[1] <= 3 * unit + 16


@pytest.mark.parametrize("form", FORMS)
def test_an_input_written_to_before_backward_is_an_error_and_no_wrong_gradient(form):
    for size in SIZES.values():
        x = sample(size, torch.float32)
        y = FUSED[form](x)
        with torch.no_grad():
            x.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_backward_twice_over_a_kept_graph(form, size):
    x = sample(SIZES[size], torch.float32)
    y = FUSED[form](x).sum()
    y.backward(retain_graph=True)
    once = x.grad.clone()
    y.backward()
    torch.testing.assert_close(x.grad, 2 * once, rtol=0, atol=0)


# ---- transforms, batches, compilation


@pytest.mark.parametrize("name", EVERY)
@let_torch_warn
def test_transforms_of_torch_func(name):
    function = EVERY[name]
    x = sample(12).detach().view(3, 4)
    y, d = value_and_gradient(function, x)
    torch.testing.assert_close(torch.vmap(function)(x), y)
    torch.testing.assert_close(torch.func.grad(lambda x: function(x).sum())(x), d)
    torch.testing.assert_close(torch.func.jvp(function, (x,), (torch.ones_like(x),))[1], d)
    torch.testing.assert_close(torch.func.jacfwd(function)(x[0]), torch.diag(d[0]))
    torch.testing.assert_close(torch.func.jacrev(function)(x[0]), torch.diag(d[0]))
    torch.testing.assert_close(torch.vmap(torch.func.grad(lambda x: function(x).sum()))(x), d)


@pytest.mark.parametrize("name", EVERY)
def test_a_tensor_that_has_escaped_from_a_transform(name):
    escaped = []

    def leak(x):
        escaped.append(x)
        return x.sum()

    x = sample(100, torch.float32).detach()
    torch.func.grad(leak)(x)
    torch.testing.assert_close(EVERY[name](escaped[0]).detach(), EVERY[name](x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_a_batch_of_gradients_at_once(form, size):
    x = sample(SIZES[size], torch.float32)
    y = FUSED[form](x)
    g = torch.stack([torch.ones_like(y), torch.full_like(y, 2.0)])
    (d,) = torch.autograd.grad(y, x, g, is_grads_batched=True)
    _, once = value_and_gradient(FUSED[form], x)
    torch.testing.assert_close(d, torch.stack([once, 2 * once]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "backend", "size"),
    # A break in the graph, or a wrong derivative, is found without kernels in C++, which take seconds.
    [
        *((name, "aot_eager", size) for name in (*EVERY, "fused_apply") for size in (60, 5000)),
        ("composed", "inductor", 5000),
    ],
)
@let_torch_warn
def test_within_a_compilation_of_the_whole_graph(name, backend, size):
    torch._dynamo.reset()
    function = {**EVERY, "fused_apply": ExpSinSquare.apply}[name]
    compiled = torch.compile(lambda x: function(x) * 2, fullgraph=True, backend=backend)
    x = sample(size, torch.float32).detach()
    y, d = value_and_gradient(compiled, x)
    expected, derivative = value_and_gradient(lambda x: function(x) * 2, x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(d, derivative, rtol=1e-4, atol=1e-4)


# ---- forms


def test_a_form_that_there_is_not_is_one_line():
    with pytest.raises(
        ValueError, match=r"^form: expected one of eager, native, triton, compiled; got 'fast'$"
    ):
        exp_sin_square(torch.ones(2), form="fast")


def name_of(y):
    return type(y.grad_fn).__name__


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="needs the package triton")
def test_each_form_is_what_it_says():
    assert native_available()
    x = sample(100, torch.float32)
    assert [name_of(FUSED[form](x)) for form in FORMS] == [
        "ExpSinSquareBackward",
        "_NativeBackward",
        "_TritonBackward",
        "_CompiledBackward",
    ]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: sample(8, torch.bfloat16), id="another dtype"),
        pytest.param(lambda: sample(8, torch.float32)[::2], id="not contiguous"),
        pytest.param(lambda: torch.ones(4, device="meta", requires_grad=True), id="another device"),
        pytest.param(
            lambda: torch.ones(1, dtype=torch.complex64, requires_grad=True).conj().imag, id="negated view"
        ),
    ],
)
def test_what_c_cannot_read_goes_the_eager_way(make):
    assert name_of(exp_sin_square(make(), "native")) == "ExpSinSquareBackward"


def test_a_mode_that_watches_operations_sees_them():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            Watch.seen += "sin" in str(function)
            return function(*args, **(kwargs or {}))

    with Watch():
        exp_sin_square(torch.ones(4), "native")
    assert Watch.seen


def test_hooks_that_put_others_in_the_place_of_saved_tensors():
    x = sample(100, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().half(), lambda t: t):
        y = exp_sin_square(x, "native")
    y.sum().backward()
    torch.testing.assert_close(x.grad, value_and_gradient(composed, x)[1], rtol=0.1, atol=0.1)


def test_without_kernels_the_native_form_is_the_eager_one(monkeypatch):
    monkeypatch.setattr(native, "kernels", lambda: None)
    assert not native_available()
    x = sample(100, torch.float32)
    assert name_of(exp_sin_square(x, "native")) == "ExpSinSquareBackward"
    torch.testing.assert_close(value_and_gradient(FUSED["native"], x), value_and_gradient(FUSED["eager"], x))


def test_where_nothing_compiles_the_compiled_form_is_the_eager_one(monkeypatch):
    def refuse(*args, **options):
        raise RuntimeError("torch.compile is not supported on this Python")

    monkeypatch.setattr(forms, "_compiled", functools.cache(forms._compiled.__wrapped__))
    monkeypatch.setattr(torch, "compile", refuse)
    x = sample(100, torch.float32)
    assert name_of(exp_sin_square(x, "compiled")) == "ExpSinSquareBackward"


def test_few_elements_are_not_compiled(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(forms, "_compiled", lambda: pytest.fail("compiled"))
    assert name_of(exp_sin_square(sample(100, torch.float32), "compiled")) == "ExpSinSquareBackward"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [65_535, 65_536, 200_001])
def test_native_with_threads(threads, size):
    torch.set_num_threads(threads)
    x = sample(size, torch.float32).detach()
    y, d = value_and_gradient(FUSED["native"], x)
    u, derivative, scale = exact(x)
    assert worst(y, u, u, x.dtype) < 3
    assert worst(d, derivative, scale, x.dtype) < 5


# ---- the guide


def test_the_examples_of_the_module():
    results = doctest.testmod(autograd)
    assert results.attempted >= 9
    assert results.failed == 0


class AutogradFunction:
    """The guide's, as it is written there."""

    def __init__(self):
        self.saved_tensors = {}

    def save_for_backward(self, *args):
        """Save tensors needed for backward pass"""
        self.saved_tensors = args

    @staticmethod
    def forward(ctx, x):
        raise NotImplementedError

    @staticmethod
    def backward(ctx, grad_output):
        raise NotImplementedError


class GuideSquare(AutogradFunction):
    """The guide's Square, as it is written there."""

    @staticmethod
    def forward(ctx, x):
        """Compute y = x²"""
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        """Compute dy/dx = 2x"""
        (x,) = ctx.saved_tensors
        return 2 * x * grad_output


def test_the_guides_class_as_written_does_not_run():
    x = torch.tensor(2.0, requires_grad=True)
    with pytest.raises(AttributeError, match="'GuideSquare' has no attribute 'apply'"):
        GuideSquare.apply(x)
    # What it lacks is torch.autograd.Function.
    repaired = type("Repaired", (torch.autograd.Function,), dict(vars(GuideSquare)))
    repaired.apply(x).backward()
    assert x.grad.item() == 4.0
