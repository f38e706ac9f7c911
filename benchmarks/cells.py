"""The cells of gradbench's plan that asv follows.

asv finds a cell of a commit by its place in the list. So a
request names its sizes and variants, and does not depend on the content of a preset at that commit. Cells of
extensions in the environment come last.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.define.planner import plan_run, variant_names
from gradbench.extension import extensions
from gradbench.record.plan import Comparison, Request, Variant


@dataclass(frozen=True)
class Cells:
    """Some comparisons of the plan, and the variants that asv follows in each comparison.

    Attributes:
        request: a request, as for `gradbench run`.
        against: the variant that ratios are taken to, which holds no code of this project. The baseline of a
            comparison may be code of this project. Where that gets slower, all other ratios get better. Empty
            for the baseline of each comparison.
    """

    request: Request
    against: str = ""

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """By name, such as `square.backward/100`."""
        return {f"{each.name}/{each.numel}": each for each in plan_run(self.request).comparisons}

    @property
    def variants(self) -> list[str]:
        """The followed variants. A machine may lack a need of one, such as a compiler."""
        return [name for name in self.request.methods if name != self.against]

    @property
    def params(self) -> tuple[list[str], list[str]]:
        """The parameters in the form that asv expects."""
        return list(self.comparisons), self.variants

    def variant(self, cell: str, name: str) -> tuple[Comparison, Variant]:
        """A variant and its comparison; asv skips a cell whose setup raises NotImplementedError."""
        comparison = self.comparisons[cell]
        for variant in comparison.variants:
            if variant.name == name:
                return comparison, variant
        raise NotImplementedError(comparison.skipped.get(name, f"{cell} has no variant {name}"))


# A Function alone: sin and exp do not dilute a change in Square. Ratios are taken to another Function, whose
# code is in the variant. Most differences between processes are common to both, and cancel.
# A ratio to torch's multiplication differs by 1.5 %. A ratio to a Function differs by a third of that.
SQUARE = Cells(Request(("square",), ("plain", "function"), ("100", "10000")), against="plain")
CUSTOM = Cells(
    Request(("custom",), ("native", "composed", "fused", "fused_native"), ("100",)), against="native"
)
# These variants run no code of this project: they follow torch from release to release.
_ADDED_METHODS = tuple(row.name for each in extensions().values() for row in each.methods)
_ADDED_WORKLOADS = [row for each in extensions().values() for row in each.workloads]
CONTROLS = Cells(
    Request(
        ("elementwise", "chain"),
        ("requires_grad_false", "tracked", "detach", "no_grad", "inference_mode", *_ADDED_METHODS),
        ("100", "10000"),
    ),
    against="requires_grad_false",
)
# Tensors of 40 MB are visible beside the 250 MB of a process that has imported torch.
LARGE = Cells(Request(("chain",), ("tracked", "no_grad"), ("10000000",)), against="requires_grad_false")
# Each workload of an extension under all methods, or in all its alternatives; empty without extensions.
ADDED = Cells(
    Request(
        tuple(dict.fromkeys(row.name for row in _ADDED_WORKLOADS)),
        tuple(dict.fromkeys(variant_names(_ADDED_WORKLOADS))),
        ("100",),
    )
)
