"""Comparisons made by hand, whose truth is known: what the instrument is tried on."""

from __future__ import annotations

from gradbench.plan import Comparison, Expectation, Lane, Role

TENSOR = "base = torch.rand({numel})\nx = base.detach().requires_grad_()"


def lane(name: str, statement: str, role: Role = "method", setup: str = "") -> Lane:
    """A lane that promises nothing: it is timed as it stands."""
    return Lane(name, name, role, setup, statement, "", Expectation())


def comparison(name: str, lanes: list[Lane], numel: int = 100, prepare: str = TENSOR) -> Comparison:
    """A comparison of these lanes, one of them the reference, and an empty loop."""
    return Comparison(
        id=name,
        workload=name,
        title=name,
        shows="",
        size="",
        numel=numel,
        shape=(numel,),
        dtype="float32",
        device="cpu",
        prepare="torch.manual_seed(0)\n" + prepare.format(numel=numel),
        answer="",
        tolerance=0.0,
        lanes=(*lanes, lane("empty", "pass", "empty")),
    )


def repeated(statement: str, times: int) -> str:
    """The statement so many times, a line each."""
    return "\n".join([statement] * times)
