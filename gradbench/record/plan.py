"""The plan of a run as plain data: it travels to the workers, and into the results file.

A report finds in it everything that it shows about a variant: label, code, source.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gradbench.record.devices import KINDS
from gradbench.record.metric import Metric
from gradbench.record.versions import FileText

# The workload of a statement of the user's; what it uses is known when it has run.
STATEMENT = "statement"
# The workload of a model of the user's, in parts.
USER_MODEL = "model"
# Versions of the user's, held against each other in parts.
VERSIONS = "versions"
# What the controls cost on other work, measured beside a model of the user's.
PRICE = "price"


FLUSH = "flush.zero_()"


Role = Literal["baseline", "method", "twin", "twin_own_buffer", "empty", "calibration_task"]


class Expectation(msgspec.Struct, frozen=True):
    """What a variant must show before it may be timed; None is not asked.

    Attributes:
        input_requires_grad: `x.requires_grad` once the variant is set up and has run.
        result_requires_grad: `y.requires_grad`.
        result_is_leaf: `y.is_leaf`.
        result_inference: `y.is_inference()`.
        shares_storage: whether y stands on the storage of x.
        grad_enabled_inside: grad mode where the work is done.
        result_dtype: of y, where it is not the comparison's.
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
        label: how a report names it.
        role: what it is there for.
        setup: lines run once, before the statement is timed.
        statement: what is timed.
        probe: code that leaves in `y` the grad mode that work under the method would see; empty where none.
        expect: what must hold before it is timed.
        source: the documentation of the method; empty for the instrument's own variants.
        effect: what it does, in a sentence.
        setup_per_call: lines run before each call of the statement, outside the clock.
        result: expression for what the statement leaves; empty where it leaves nothing to compare.
        answer: NumPy expression of the expected result; None is the comparison's.
        holds: expression that must be true once the statement has run; empty where none.
        writes: the statement is meant to write to x.
        counted: whether the source of the memory figures sees what it allocates.
        recommendable: it is an answer to the question what to use.
        limit: it moves the bytes that the others must move at least, and does no more: a measure, no answer.
        file: the name of the user's file that its names come from; empty where all variants share theirs.
        group: results are held against each other within a group, where not all of a comparison must agree.
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
        """Whether what its statement leaves beside its result is the graph's, and no gradient's."""
        return self.setup_per_call in ("", FLUSH) and not any(
            part in self.statement for part in (".backward(", ".step(")
        )


class Comparison(msgspec.Struct, frozen=True):
    """One workload at one size, dtype and device, under all methods that fit it, or in its own alternatives.

    Attributes:
        id: unique in the plan.
        size: class of the size, by `numel`.
        numel: elements of x.
        prepare: lines run once, making the storage `base` that every variant reads, and other inputs.
        answer: NumPy expression of the expected result; empty where nothing is computed.
        tolerance: relative error allowed.
        skipped: methods or alternatives left out, with the reason.
        part: the part of the workload that is timed; empty where it is not in parts.
        alternatives: the variants are alternatives of this workload, and not the methods.
        normwise: the tolerance is for the error of the whole result, in the Euclidean norm.
        timeline: the bytes that are live are followed through the statement.
        pointwise: each element of a result is made of the elements of the inputs in its place alone.
        every: it is visited in every so many passes.
        headline: a report sums it up in a sentence at its top.
        purpose: what people want to do that this shows; the advice answers by purpose. Empty for none.
        files: of the user's, each with names of its own, which variants read in the place of `prepare`'s.
        alike: all variants must have the same result; where they need not, an Agreement tells how far apart
            they are.
        whole: its variants may read all that a file of the user's defines.
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
        """The workload, and the part of it."""
        return full_name(self.workload, self.part)

    def inputs(self, variant: Variant) -> str:
        """The lines that make what a variant starts from: `prepare`, or the text of its file."""
        return next((each.text for each in self.files if each.name == variant.file), self.prepare)


class Request(msgspec.Struct, frozen=True):
    """What is to be measured; empty tuples ask for all that the preset holds.

    The same request makes the same plan on the same machine: an alternative may need a compiler.

    Attributes:
        device: one, or several with commas between them.
        cold: the cache of the device is flushed before each call; not on the CPU.
        room: bytes that were free, by device: what cannot fit there is left out.
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
        skipped: comparisons that were asked for and left out, by id, with the reason.
        metrics: what extensions measure of each variant.
    """

    comparisons: tuple[Comparison, ...]
    skipped: dict[str, str] = {}
    metrics: tuple[Metric, ...] = ()

    def due(self, number: int) -> list[Comparison]:
        """The comparisons that pass `number` visits; in turn, those that are not visited in all."""
        return [each for place, each in enumerate(self.comparisons) if (place + number) % each.every == 0]


def full_name(workload: str, part: str) -> str:
    return f"{workload}.{part}" if part else workload
