"""What a workload is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def vector(numel: int) -> tuple[int, ...]:
    """The shape of a vector of `numel` elements."""
    return (numel,)


@dataclass(frozen=True)
class Workload:
    """What is computed under a method, with its expected answer.

    Code is Python text, as in `gradbench.methods`. Values are drawn uniformly from [0, 1).

    Attributes:
        name: stable identifier.
        title: what it is, in a few words.
        shows: what its figures tell, in a sentence.
        work: expression computed on the tensor `{x}`; None where nothing is computed.
        answer: the same in NumPy, on `x` (and what `inputs` names) as float64 arrays; None likewise.
        inputs: further tensors, by name: an expression in which `{shape}` and `{options}` are filled in.
        roundings: the relative error allowed for what is rounded to the dtype, in its epsilons.
        terms: for the shape of x, how many terms are added up for one element of the result.
        sizes: the representative number of elements for each class of size.
        shape: the shape of x for a wanted number of elements.
    """

    name: str
    title: str
    shows: str
    work: str | None = None
    answer: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    roundings: float = 4.0
    terms: Callable[[tuple[int, ...]], int] = lambda shape: 0
    sizes: Mapping[str, int] = field(
        default_factory=lambda: {"small": 100, "medium": 10_000, "large": 1_000_000}
    )
    shape: Callable[[int], tuple[int, ...]] = vector
