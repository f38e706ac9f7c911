"""Workloads on the memory that a graph keeps alive, and for how long."""

from dataclasses import replace

from gradbench.define.workloads.pointwise import CHAIN, CHAIN_ANSWER, CHAIN_ROUNDINGS
from gradbench.define.workloads.workload import Alternative, Workload, at

STEPS = 1_000

_CHAIN = CHAIN.format(x="x")
_LOOP = f"for _ in range({STEPS}):\n    loss = (x * x).sin().mean()\n    VARIANT"

_ACCUMULATE = Workload(
    name="accumulate",
    part="evaluation",
    title=f"a running loss over {STEPS:,} steps: without backward",
    shows="The memory that stays alive when a loss is added up over many steps. With its history, the sum  "
    "keeps the saved tensors of every step.",
    headline=True,
    purpose="Add up a loss",
    statement=f"total = torch.zeros((), dtype=x.dtype, DEVICE)\n{_LOOP}",
    result="torch.as_tensor(total)",
    answer=f"{STEPS} * numpy.sin(x * x).mean()",
    normwise=True,
    # A sum of this many equal terms rounds each time: the error grows with their number, not with its root.
    terms=lambda shape: STEPS + shape[0],
    baseline="detach",
    largest=10_000,
    dtypes=("float32", "float64"),
    every=3,
    presets=at(standard="small", thorough="small medium"),
    alternatives=(
        Alternative(
            name="detach",
            label="total += loss.detach()",
            effect="Adds only the value.",
            code="total += loss.detach()",
            holds="not total.requires_grad",
        ),
        Alternative(
            name="tracked",
            label="total = total + loss",
            effect="The sum carries the history of every step.",
            code="total = total + loss",
            holds="total.requires_grad",
        ),
        Alternative(
            name="item",
            label="total += loss.item()",
            effect="Takes the value out as a Python number; on a GPU this waits for the device.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html",
            code="total += loss.item()",
            statement=f"total = 0.0\n{_LOOP}",
            result="torch.tensor(total, dtype=x.dtype, DEVICE)",
            holds="isinstance(total, float)",
        ),
        Alternative(
            name="no_grad",
            label="total += loss under no_grad()",
            effect="Autograd does not record the addition.",
            code="with torch.no_grad():\n    total += loss",
            holds="not total.requires_grad",
        ),
    ),
)


def _trained(statement: str) -> str:
    """The loop with a backward in each step."""
    return statement.replace("VARIANT", "loss.backward()\n    VARIANT")


_AGAIN = f"x.grad = None\ny = {_CHAIN}"

WORKLOADS = (
    _ACCUMULATE,
    replace(
        _ACCUMULATE,
        part="training",
        title=f"a running loss over {STEPS:,} steps: with a backward in each step",
        shows="The history that is left where a backward has released the saved tensors of each step.",
        headline=False,
        purpose="",
        setup_per_call="x.grad = None",
        statement=_trained(_ACCUMULATE.statement),
        alternatives=tuple(
            replace(
                alternative,
                statement=None if alternative.statement is None else _trained(alternative.statement),
            )
            for alternative in _ACCUMULATE.alternatives
        ),
        presets=at(thorough="small"),
    ),
    Workload(
        name="retain",
        title="a second backward through one graph",
        shows="The time and the memory of retain_graph=True, against making the graph again.",
        headline=True,
        inputs={"g": "torch.ones({shape}, {options})"},
        setup_per_call=_AGAIN,
        result="x.grad",
        answer=f"{CHAIN_ANSWER} * numpy.cos(x ** 2) * 2 * x",
        roundings=CHAIN_ROUNDINGS,
        baseline="once",
        every=3,
        presets=at(standard="small large"),
        alternatives=(
            Alternative(
                name="once",
                label="backward()",
                effect="One backward, which releases the saved tensors of the graph.",
                source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
                code="y.backward(g)",
            ),
            Alternative(
                name="retain",
                label="backward(retain_graph=True)",
                effect="One backward; the graph keeps its saved tensors.",
                source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
                code="y.backward(g, retain_graph=True)",
            ),
            Alternative(
                name="twice",
                label="two backwards, the first retaining",
                effect="Two gradients from one forward.",
                code="y.backward(g, retain_graph=True)\ny.backward(g)",
                result="x.grad / 2",
            ),
            Alternative(
                name="again",
                label="backward, forward, backward",
                effect="Two gradients from two forwards: nothing is retained.",
                code=f"y.backward(g)\ny = {_CHAIN}\ny.backward(g)",
                result="x.grad / 2",
            ),
        ),
    ),
)
