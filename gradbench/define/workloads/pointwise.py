"""Operations element by element, under each method."""

from gradbench.define.workloads.workload import Alternative, Workload, at

CHAIN = "torch.exp(torch.sin({x} ** 2))"
CHAIN_ANSWER = "numpy.exp(numpy.sin(x ** 2))"
# Each of the three operations rounds, and exp and sin carry on the error of their argument.
CHAIN_ROUNDINGS = 16.0

# Reading and writing this many float32 takes the quickest device some 100 µs, far longer than issuing it.
FILLING = 100_000_000

_CHAIN = CHAIN.format(x="x")

# How many operations run under one control: the workload `break_even`, in part by preset.
OPERATIONS = (1, 2, 3, 5, 10, 30, 100)
_USUAL = (1, 2, 5, 10, 100)


def _break_even(operations: int) -> Workload:
    return Workload(
        name="break_even",
        part=str(operations),
        title=f"one control around several operations: {operations}",
        shows="How many operations a block must hold before it is cheaper to enter it than to record them.",
        definitions=(
            f"def operations(x):\n    for _ in range({operations}):\n        x = x * 0.9\n    return x"
        ),
        methods=("tracked", "requires_grad_false", "detach", "no_grad", "inference_mode"),
        work="operations({x})",
        answer=f"x * 0.9 ** {operations}",
        # Each product rounds, by half an epsilon at most.
        roundings=4.0 + operations / 2,
        normwise=True,
        pointwise=True,
        every=3,
        presets=at(standard="small" if operations in _USUAL else "", thorough="small medium"),
    )


ELEMENTWISE = Workload(
    name="elementwise",
    title="one multiplication, x * 2",
    shows="The control in place, around the smallest piece of work: where its price weighs most.",
    purpose="Keep one tensor out of the graph",
    work="{x} * 2.0",
    answer="x * 2.0",
    pointwise=True,
    filling=FILLING,
)

WORKLOADS = (
    ELEMENTWISE,
    Workload(
        name="chain",
        title="a chain of three operations, exp(sin(x²))",
        shows="Three operations under one control: recording costs per operation, entering a block costs "
        "once. Only recording keeps intermediate results alive.",
        purpose="Keep several operations out of the graph",
        work=CHAIN,
        answer=CHAIN_ANSWER,
        roundings=CHAIN_ROUNDINGS,
        pointwise=True,
        filling=FILLING,
    ),
    *(_break_even(operations) for operations in OPERATIONS),
    Workload(
        name="view",
        title="a view, every second element of x",
        shows="A control around an operation that computes nothing and allocates nothing.",
        answer="x[::2]",
        every=3,
        presets=at(standard="small large"),
        alternatives=(
            Alternative(
                name="requires_grad_false",
                label="requires_grad_(False)",
                effect="The input is not tracked.",
                setup="x.requires_grad_(False)",
                code="y = x[::2]",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="tracked",
                label="recording (no control)",
                effect="Autograd records the view.",
                code="y = x[::2]",
                holds="y.grad_fn is not None",
            ),
            Alternative(
                name="detach",
                label="detach() before",
                effect="Makes a view of a tensor without history.",
                code="y = x.detach()[::2]",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="detach_after",
                label="detach() after",
                effect="Autograd records the view, and detach() drops the record.",
                code="y = x[::2].detach()",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="no_grad",
                label="no_grad()",
                effect="Autograd does not record the view, and yet its flag says that it requires gradients.",
                code="with torch.no_grad():\n    y = x[::2]",
                holds="y.grad_fn is None",
            ),
            Alternative(
                name="inference_mode",
                label="inference_mode()",
                effect="As no_grad(): a view of a normal tensor is a normal tensor.",
                code="with torch.inference_mode():\n    y = x[::2]",
                holds="y.grad_fn is None",
            ),
        ),
    ),
    Workload(
        name="mixed",
        title="detach() inside no_grad()",
        shows="Whether it helps to detach a result that is not tracked anyway.",
        headline=True,
        answer=CHAIN_ANSWER,
        roundings=CHAIN_ROUNDINGS,
        pointwise=True,
        every=3,
        presets=at(standard="small large"),
        alternatives=(
            Alternative(
                name="requires_grad_false",
                label="requires_grad_(False)",
                effect="The input is not tracked: autograd records nothing, and no block switches it.",
                setup="x.requires_grad_(False)",
                code=f"y = {_CHAIN}",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="tracked",
                label="recording (no control)",
                effect="Autograd records everything.",
                code=f"y = {_CHAIN}",
                holds="y.requires_grad",
            ),
            Alternative(
                name="detach",
                label="detach() after",
                effect="Autograd records everything, and detach() drops the record.",
                code=f"y = {_CHAIN}.detach()",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="no_grad",
                label="no_grad()",
                effect="One block around the work.",
                code=f"with torch.no_grad():\n    y = {_CHAIN}",
                holds="not y.requires_grad",
            ),
            Alternative(
                name="mixed",
                label="no_grad() and detach() inside",
                effect="The guide's combination: the block, and the result detached in it.",
                code=f"with torch.no_grad():\n    y = {_CHAIN}.detach()",
                holds="not y.requires_grad",
            ),
        ),
    ),
)
