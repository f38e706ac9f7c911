"""Comparisons made by hand, whose truth is known: what the instrument is tried on."""

from __future__ import annotations

from gradbench.record.plan import Comparison, Expectation, Role, Variant

TENSOR = "base = torch.rand({numel})\nx = base.detach().requires_grad_()"


def variant(name: str, statement: str, role: Role = "method", setup: str = "") -> Variant:
    """A variant that promises nothing: it is timed as it stands."""
    return Variant(name, name, role, setup, statement, "", Expectation())


def comparison(name: str, variants: list[Variant], numel: int = 100, prepare: str = TENSOR) -> Comparison:
    """A comparison of these variants, one of them the baseline, and an empty loop."""
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
        variants=(*variants, variant("empty", "pass", "empty")),
    )


def repeated(statement: str, times: int) -> str:
    """The statement so many times, a line each."""
    return "\n".join([statement] * times)
