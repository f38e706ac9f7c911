"""Custom autograd Functions: exp(sin(x²)) from three, from one, from PyTorch's own operations; x² alone."""

from dataclasses import replace

from gradbench.define.workloads.pointwise import CHAIN_ANSWER, CHAIN_ROUNDINGS, FILLING
from gradbench.define.workloads.workload import COPY, Alternative, Workload, at

_GRADIENT = f"{CHAIN_ANSWER} * numpy.cos(x ** 2) * 2 * x"


def _copies(count: int) -> tuple[Alternative]:
    """The limit that memory sets: copies that move the bytes which must move at least. A copy moves two
    tensors.

    Forward reads x and writes the result; backward reads x, the result and its gradient, and writes one.
    """
    return (
        Alternative(
            name=COPY,
            label=f"{count} cop{'y' if count == 1 else 'ies'} of x (the limit of memory)",
            effect="Only moves the bytes that the others must read and write at least.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.clone.html",
            code="x",
            statement="\n".join(["y = x.detach().clone()"] * count),
            result="y",
            answer="x",
            recommendable=False,
            limit=True,
        ),
    )


_FORWARD = Workload(
    name="custom",
    part="forward",
    title="exp(sin(x²)) from custom autograd Functions: forward",
    shows="The price per call of a Function in Python, and the saving from fusing three into one.",
    imports="from gradbench.functions import (\n    Exp, Sin, Square, compiled_available, composed, "
    "exp_sin_square, native_available, triton_available\n)",
    inputs={"g": "torch.ones({shape}, {options})"},
    baseline="composed",
    statement="y = VARIANT",
    answer=CHAIN_ANSWER,
    roundings=CHAIN_ROUNDINGS,
    pointwise=True,
    filling=FILLING,
    # A gradient for each variant, and the memory that captured graphs keep.
    tensors=25,
    every=3,
    presets=at(standard="small large"),
    alternatives=(
        Alternative(
            name="composed",
            label="three Functions",
            effect="Square, Sin and Exp, each a torch.autograd.Function, one after another.",
            source="https://docs.pytorch.org/docs/stable/notes/extending.html",
            code="Exp.apply(Sin.apply(Square.apply(x)))",
        ),
        Alternative(
            name="native",
            label="torch's own operations",
            effect="Composes exp(sin(x²)) from torch.exp, torch.sin and a power.",
            code="torch.exp(torch.sin(x ** 2))",
        ),
        Alternative(
            name="fused",
            label="one fused Function",
            effect="One Function whose forward and backward are written together, in eager PyTorch.",
            code="exp_sin_square(x)",
        ),
        Alternative(
            name="fused_native",
            label="one fused Function, in C",
            effect="The fused Function in C, built on demand.",
            code='exp_sin_square(x, form="native")',
            # Without a build the eager form would run, and must not appear under this name.
            holds="native_available()",
            needs={"cpu": ("c compiler",)},
            devices=("cpu",),
        ),
        Alternative(
            name="fused_triton",
            label="one fused Function, in Triton",
            effect="The fused Function in Triton, one kernel forward and one backward, compiled on demand.",
            source="https://triton-lang.org/main/getting-started/tutorials/01-vector-add.html",
            code='exp_sin_square(x, form="triton")',
            holds="triton_available(x.device)",
            needs={"cuda": ("triton", "c compiler")},
            devices=("cuda",),
        ),
        Alternative(
            name="fused_compiled",
            label="one fused Function, torch.compile",
            effect="The fused Function, compiled by torch.compile; the time leaves out the compilation.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.compile.html",
            code='exp_sin_square(x, form="compiled")',
            holds="compiled_available(x.device)",
            needs={"cpu": ("c++ compiler",), "cuda": ("triton", "c compiler")},
            # Below this size calling compiled code costs more than it saves, and the eager form runs.
            least=32_768,
            presets=("thorough",),
        ),
        Alternative(
            name="graphed",
            label="three Functions, captured in CUDA graphs",
            effect="One call issues all kernels of a forward, and one those of a backward "
            "(torch.cuda.make_graphed_callables). It first copies the input to their buffer.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.cuda.make_graphed_callables.html",
            setup="sample = x.detach().clone().requires_grad_()\n"
            "graphed = torch.cuda.make_graphed_callables(composed, (sample,))",
            code="graphed(x)",
            # A captured graph keeps its results, in a separate memory pool.
            counted=False,
            devices=("cuda",),
        ),
        *_copies(1),
    ),
)

# As the documentation of CUDA graphs has it: a few calls on another stream do all one-time setup.
_REPLAYED = Alternative(
    name="replayed",
    label="three Functions, forward and backward in one CUDA graph",
    effect="One call issues all kernels of a step: no Python, no autograd. The host pays only for a replay.",
    source="https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs",
    setup="""\
aside = torch.cuda.Stream()
aside.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(aside):
    for _ in range(3):
        x.grad = None
        composed(x).backward(g)
torch.cuda.current_stream().wait_stream(aside)
x.grad = None
step = torch.cuda.CUDAGraph()
with torch.cuda.graph(step):
    composed(x).backward(g)
grad = x.grad""",
    statement="step.replay()",
    result="grad",
    counted=False,
    devices=("cuda",),
)

_ONCE = Alternative(
    name="once_differentiable",
    label="three Functions, once_differentiable",
    effect="The three Functions, with backwards marked as not to be differentiated again.",
    source="https://docs.pytorch.org/docs/stable/notes/extending.html",
    setup="""\
from torch.autograd.function import once_differentiable
class OnceSquare(Square):
    backward = staticmethod(once_differentiable(Square.backward))
class OnceSin(Sin):
    backward = staticmethod(once_differentiable(Sin.backward))
class OnceExp(Exp):
    backward = staticmethod(once_differentiable(Exp.backward))""",
    code="OnceExp.apply(OnceSin.apply(OnceSquare.apply(x)))",
)
_COMPUTING = tuple(alternative for alternative in _FORWARD.alternatives if alternative.name != COPY)

_SQUARE = Workload(
    name="square",
    part="forward",
    title="x² as a custom autograd Function: forward",
    shows="The price of the smallest Function in Python against PyTorch's operation, with no other work  "
    "to dilute a change.",
    imports="from gradbench.functions import Square",
    inputs={"g": "torch.ones({shape}, {options})"},
    baseline="plain",
    statement="y = VARIANT",
    answer="x * x",
    pointwise=True,
    presets=at(),
    alternatives=(
        Alternative(
            name="plain",
            label="a Function as in the documentation",
            effect="The same forward and backward in a torch.autograd.Function that the program defines.",
            source="https://docs.pytorch.org/docs/stable/notes/extending.html",
            setup="""\
class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (x + x) * g""",
            code="Plain.apply(x)",
        ),
        Alternative(
            name="native",
            label="torch's own operation",
            effect="A product, which autograd knows how to differentiate.",
            code="x * x",
        ),
        Alternative(
            name="function",
            label="Square",
            effect="The Function of gradbench.functions, whose apply does less than torch's.",
            code="Square.apply(x)",
        ),
    ),
)

WORKLOADS = (
    _FORWARD,
    replace(
        _FORWARD,
        part="backward",
        title="exp(sin(x²)) from custom autograd Functions: backward",
        setup_per_call="x.grad = None\ny = VARIANT",
        statement="y.backward(g)",
        result="x.grad",
        answer=_GRADIENT,
        alternatives=(*_COMPUTING, _ONCE, *_copies(2)),
    ),
    replace(
        _FORWARD,
        part="both",
        title="exp(sin(x²)) from custom autograd Functions: forward and backward",
        headline=True,
        setup_per_call="x.grad = None",
        statement="y = VARIANT\ny.backward(g)",
        timeline=True,
        result="x.grad",
        answer=_GRADIENT,
        alternatives=(*_COMPUTING, _REPLAYED, *_copies(3)),
        presets=at(quick="small", standard="small large"),
    ),
    _SQUARE,
    replace(
        _SQUARE,
        part="backward",
        title="x² as a custom autograd Function: backward",
        setup_per_call="x.grad = None\ny = VARIANT",
        statement="y.backward(g)",
        result="x.grad",
        answer="2 * x",
    ),
)
