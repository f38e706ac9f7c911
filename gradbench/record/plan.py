"""The plan of a run as plain data: it travels to the workers, and into the results file.

A report finds everything about a variant in it: label, code, source.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gradbench.record.devices import KINDS
from gradbench.record.metric import Metric
from gradbench.record.versions import FileText

# The workload of a user's statement. Only its run shows which names it uses.
STATEMENT = "statement"
# The workload of a user's model, in parts.
USER_MODEL = "model"
# The user's versions, compared with each other in parts.
VERSIONS = "versions"
# The costs of the controls on other work, measured beside a user's model.
PRICE = "price"


FLUSH = "flush.zero_()"


Role = Literal["baseline", "method", "twin", "twin_own_buffer", "empty", "calibration_task"]


class Expectation(msgspec.Struct, frozen=True):
    """Conditions that a variant must meet before it may be timed; None is no condition.

    Attributes:
        input_requires_grad: `x.requires_grad` once the variant is set up and has run.
        result_requires_grad: `y.requires_grad`.
        result_is_leaf: `y.is_leaf`.
        result_inference: `y.is_inference()`.
        shares_storage: whether y uses the storage of x.
        grad_enabled_inside: grad mode during the work.
        result_dtype: dtype of y, where it is not the comparison's.
    """

    input_requires_grad: bool | None = None
    result_requires_grad: bool | None = None
    result_is_leaf: bool | None = None
    result_inference: bool | None = None
    shares_storage: bool | None = None
    grad_enabled_inside: bool | None = None
    result_dtype: str | None = None


class Variant(msgspec.Struct, frozen=True):
    """One method inside a comparison, as code.

    Attributes:
        name: unique in its comparison; for methods the method's name.
        label: its name in a report.
        role: its part in the comparison.
        setup: lines run once, before the statement is timed.
        statement: the code that is timed.
        probe: code that leaves in `y` the grad mode that work under the method would see; empty without a
            probe.
        expect: conditions that must hold before it is timed.
        source: the documentation of the method; empty for variants that serve the instrument.
        effect: its effect, in a sentence.
        setup_per_call: lines run before each call of the statement, outside the clock.
        result: expression for the result of the statement; empty where there is none to compare.
        answer: NumPy expression of the expected result; None is the comparison's.
        holds: expression that must be true after the statement has run; empty without a condition.
        writes: the statement is meant to write to x.
        counted: whether the source of the memory figures sees its allocations.
        recommendable: the advice on which variant to use may name it.
        limit: it only moves the bytes that the others must move at least. It is a yardstick and no advice.
        file: name of the user's file that defines its names; empty where all variants share their names.
        group: the checks compare results within a group, where not all variants of a comparison must agree.
    """

    name: str
    label: str
    role: Role
    setup: str
    statement: str
    probe: str
    expect: Expectation
    source: str = ""
    effect: str = ""
    setup_per_call: str = ""
    result: str = "y"
    answer: str | None = None
    holds: str = ""
    writes: bool = False
    counted: bool = True
    recommendable: bool = True
    limit: bool = False
    file: str = ""
    group: str = ""

    @property
    def keeps_graph(self) -> bool:
        """Whether the bytes that its statement leaves beside its result are the graph's, not gradients'."""
        return self.setup_per_call in ("", FLUSH) and not any(
            part in self.statement for part in (".backward(", ".step(")
        )


class Comparison(msgspec.Struct, frozen=True):
    """One workload at one size, dtype and device, under all methods that fit it, or in its alternatives.

    Attributes:
        id: unique in the plan.
        size: class of the size, by `numel`.
        numel: elements of x.
        prepare: lines run once, making the storage `base` that every variant reads, and other inputs.
        answer: NumPy expression of the expected result; empty where the workload computes nothing.
        tolerance: relative error allowed.
        skipped: methods or alternatives left out, with the reason.
        part: the part of the workload that is timed; empty for a workload without parts.
        alternatives: the variants are alternatives of this workload, and not the methods.
        normwise: the tolerance is for the error of the whole result, in the Euclidean norm.
        timeline: the memory pass follows the live bytes through the statement.
        pointwise: each element of a result depends only on the elements of the inputs in its place.
        every: one pass in this many visits it.
        headline: a sentence at the top of a report sums it up.
        purpose: the task of a user that this comparison shows. The advice has an answer by purpose. Empty for
            none.
        files: the user's files; every file has separate names, which variants read in place of `prepare`'s.
        alike: all variants must have the same result; otherwise an Agreement records how far apart they are.
        whole: its variants may read every name that a user's file defines.
    """

    id: str
    workload: str
    title: str
    shows: str
    size: str
    numel: int
    shape: tuple[int, ...]
    dtype: str
    device: str
    prepare: str
    answer: str
    tolerance: float
    variants: tuple[Variant, ...]
    skipped: dict[str, str] = {}
    part: str = ""
    alternatives: bool = False
    normwise: bool = False
    timeline: bool = False
    pointwise: bool = False
    every: int = 1
    headline: bool = False
    purpose: str = ""
    files: tuple[FileText, ...] = ()
    alike: bool = True
    whole: bool = False

    @property
    def baseline(self) -> Variant:
        """The variant that ratios are taken to."""
        return next(variant for variant in self.variants if variant.role == "baseline")

    @property
    def name(self) -> str:
        """The workload, and its part."""
        return full_name(self.workload, self.part)

    def inputs(self, variant: Variant) -> str:
        """The lines that make the inputs of a variant: `prepare`, or the text of its file."""
        return next((each.text for each in self.files if each.name == variant.file), self.prepare)


class Request(msgspec.Struct, frozen=True):
    """The request for a run; empty tuples ask for everything in the preset.

    The same request makes the same plan on the same machine: an alternative may need a compiler.

    Attributes:
        device: one, or several with commas between them.
        cold: flush the cache of the device before each call; not on the CPU.
        room: free bytes by device. The plan leaves out comparisons that cannot fit there.
    """

    workloads: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0
    preset: str = "standard"
    cold: bool = False
    room: dict[str, int] = {}

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, each once, as torch names them.

        >>> Request(device="cpu,cuda,cuda:0").devices
        ('cpu', 'cuda:0')
        """
        named = (each.strip() for each in self.device.split(","))
        return tuple(dict.fromkeys(f"{each}:0" if each in KINDS[1:] else each for each in named))


class Plan(msgspec.Struct, frozen=True):
    """The comparisons of a run, in the order in which a report shows them.

    Attributes:
        skipped: requested comparisons that the plan leaves out, by id, with the reason.
        metrics: figures that extensions measure for each variant.
    """

    comparisons: tuple[Comparison, ...]
    skipped: dict[str, str] = {}
    metrics: tuple[Metric, ...] = ()

    def due(self, number: int) -> list[Comparison]:
        """The comparisons that pass `number` visits. Comparisons that not every pass visits take turns."""
        return [each for place, each in enumerate(self.comparisons) if (place + number) % each.every == 0]


def full_name(workload: str, part: str) -> str:
    return f"{workload}.{part}" if part else workload
