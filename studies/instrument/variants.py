"""Comparisons made by hand, whose truth is known. The study tries the instrument on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.record.plan import Comparison, Expectation, Role, Variant

TENSOR = "base = torch.rand({numel})\nx = base.detach().requires_grad_()"


def variant(name: str, statement: str, role: Role = "method", setup: str = "") -> Variant:
    """A variant without expectations: it is timed without checks."""
    return Variant(name, name, role, setup, statement, "", Expectation())


def comparison(name: str, variants: Iterable[Variant], numel: int = 100, prepare: str = TENSOR) -> Comparison:
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


def with_twin(
    name: str, statement: str, others: Mapping[str, str], numel: int = 100, prepare: str = TENSOR
) -> Comparison:
    """A comparison of a statement, the baseline, with its twin and with other statements by name."""
    roles: tuple[Role, ...] = ("baseline", "twin")
    variants = [variant(role, statement, role) for role in roles]
    variants += [variant(other, changed) for other, changed in others.items()]
    return comparison(name, variants, numel, prepare)


def repeated(statement: str, times: int) -> str:
    """The statement, repeated; each repetition has a line."""
    return "\n".join([statement] * times)


def named(summary: ComparisonSummary, name: str) -> VariantSummary:
    """The variant of this name. Raises LookupError if the comparison has no such variant."""
    found = summary.variant(name)
    if found is None:
        raise LookupError(f"{summary.comparison.id}: has no variant {name}")
    return found


def called_different(each: VariantSummary) -> bool:
    """Whether the verdict on a variant is slower or faster."""
    return each.verdict in ("slower", "faster")
