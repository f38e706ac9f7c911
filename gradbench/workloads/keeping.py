"""What a graph keeps alive, and for how long."""

from dataclasses import replace

from gradbench.workloads.pointwise import CHAIN, CHAIN_ANSWER, CHAIN_ROUNDINGS
from gradbench.workloads.workload import Way, Workload, at

STEPS = 1_000

_CHAIN = CHAIN.format(x="x")
_LOOP = f"for _ in range({STEPS}):\n    loss = (x * x).sin().mean()\n    WAY"

_ACCUMULATE = Workload(
    name="accumulate",
    part="evaluation",
    title=f"a running loss over {STEPS:,} steps: without backward",
    shows="What stays alive when a loss is added up over many steps: with its history, all that every "
    "step saved.",
    statement=f"total = torch.zeros((), dtype=x.dtype, DEVICE)\n{_LOOP}",
    result="torch.as_tensor(total)",
    answer=f"{STEPS} * numpy.sin(x * x).mean()",
    normwise=True,
    # A sum of so many equal terms, rounded each time: it grows with their number, not with its root.
    terms=lambda shape: STEPS + shape[0],
    reference="detach",
    largest=10_000,
    dtypes=("float32", "float64"),
    every=3,
    presets=at(standard="small", thorough="small medium"),
    ways=(
        Way(
            name="detach",
            label="total += loss.detach()",
            effect="Only the value is added.",
            code="total += loss.detach()",
            holds="not total.requires_grad",
        ),
        Way(
            name="tracked",
            label="total = total + loss",
            effect="The sum carries the history of every step.",
            code="total = total + loss",
            holds="total.requires_grad",
        ),
        Way(
            name="item",
            label="total += loss.item()",
            effect="The value is taken out as a Python number; on a GPU this waits for the device.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html",
            code="total += loss.item()",
            statement=f"total = 0.0\n{_LOOP}",
            result="torch.tensor(total, dtype=x.dtype, DEVICE)",
            holds="isinstance(total, float)",
        ),
        Way(
            name="no_grad",
            label="total += loss under no_grad()",
            effect="The addition is not recorded.",
            code="with torch.no_grad():\n    total += loss",
            holds="not total.requires_grad",
        ),
    ),
)


def _trained(statement: str) -> str:
    """The same loop with a backward in each step."""
    return statement.replace("WAY", "loss.backward()\n    WAY")


_AGAIN = f"x.grad = None\ny = {_CHAIN}"

WORKLOADS = (
    _ACCUMULATE,
    replace(
        _ACCUMULATE,
        part="training",
        title=f"a running loss over {STEPS:,} steps: each with its backward",
        shows="The same where backward has released what each step saved: what is left of the history.",
        feed="x.grad = None",
        statement=_trained(_ACCUMULATE.statement),
        ways=tuple(
            replace(way, statement=None if way.statement is None else _trained(way.statement))
            for way in _ACCUMULATE.ways
        ),
        presets=at(thorough="small"),
    ),
    Workload(
        name="retain",
        title="a second backward through one graph",
        shows="What retain_graph=True costs and keeps, against making the graph again.",
        inputs={"g": "torch.ones({shape}, {options})"},
        feed=_AGAIN,
        result="x.grad",
        answer=f"{CHAIN_ANSWER} * numpy.cos(x ** 2) * 2 * x",
        roundings=CHAIN_ROUNDINGS,
        reference="once",
        every=3,
        presets=at(standard="small large"),
        ways=(
            Way(
                name="once",
                label="backward()",
                effect="One backward; what the graph kept is released on the way.",
                source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
                code="y.backward(g)",
            ),
            Way(
                name="retain",
                label="backward(retain_graph=True)",
                effect="One backward; the graph keeps all that it had.",
                source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
                code="y.backward(g, retain_graph=True)",
            ),
            Way(
                name="twice",
                label="two backwards, the first retaining",
                effect="Two gradients from one forward.",
                code="y.backward(g, retain_graph=True)\ny.backward(g)",
                result="x.grad / 2",
            ),
            Way(
                name="again",
                label="backward, forward, backward",
                effect="Two gradients from two forwards: nothing is retained.",
                code=f"y.backward(g)\ny = {_CHAIN}\ny.backward(g)",
                result="x.grad / 2",
            ),
        ),
    ),
)
