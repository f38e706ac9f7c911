"""What a workload is, and what an alternative in it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gradbench.define.methods import BASELINE
from gradbench.define.sizes import CLASSES
from gradbench.record.plan import full_name
from gradbench.record.user_file import Under

PRESETS = ("quick", "standard", "thorough")

# The tensor that every variant starts from: a leaf that requires gradients, on the storage all variants read.
LEAF = "x = base.detach().requires_grad_()"
OWN_BUFFER = "base = base.clone()"
# The alternative of a workload, where it has one, that only moves the bytes which the others must move at
# least.
COPY = "copy"


def vector(numel: int) -> tuple[int, ...]:
    """The shape of a vector of `numel` elements."""
    return (numel,)


def at(
    *, quick: str = "", standard: str = "", thorough: str = "small medium large"
) -> dict[str, tuple[str, ...]]:
    """By preset, the classes of size that a workload is measured at, each given as words.

    >>> at(standard="small")["quick"], at(standard="small")["standard"]
    ((), ('small',))
    """
    return {
        "quick": tuple(quick.split()),
        "standard": tuple(standard.split()),
        "thorough": tuple(thorough.split()),
    }


@dataclass(frozen=True)
class Alternative:
    """One alternative for what a workload is about, where that is not a choice among the methods.

    Attributes:
        name: unique in its workload; a method's name where it is that method put to this use.
        label: the alternative as a user names it.
        effect: what it does, in a sentence.
        source: the documentation of it; empty where there is none but the code.
        code: what stands for `VARIANT` in the workload's setup, setup per call and statement.
        setup: lines run once, after the workload's leaf and before its setup.
        statement: what is timed, where it is not the workload's.
        holds: expression that must be true once the statement has run: what it promises.
        result: expression to hold against the answer; None is the workload's.
        answer: NumPy expression of the expected result; None is the workload's.
        needs: by kind of device, what must be on the machine: keys of `gradbench.define.needs.NEEDS`.
        counted: whether the source of the memory figures sees what it allocates.
        dtypes: those that it works in; empty for all.
        devices: the kinds of device that it works on; empty for all.
        least: the number of elements from which it differs from the others.
        presets: those that measure it without being asked by name.
        recommendable: it is an answer to the question what to use, unless the method of its name is none.
        limit: it moves the bytes that the others must move at least, and does no more.
        group: as in `Variant`.
    """

    name: str
    label: str
    effect: str
    code: str = ""
    source: str = ""
    setup: str = ""
    statement: str | None = None
    holds: str = ""
    result: str | None = None
    answer: str | None = None
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counted: bool = True
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    least: int = 0
    presets: tuple[str, ...] = PRESETS
    recommendable: bool = True
    limit: bool = False
    group: str = ""


@dataclass(frozen=True)
class Workload:
    """What is computed, with its expected answer: under each method, or in alternatives of its own.

    Code is Python text, as in `gradbench.define.methods`. Values are drawn uniformly from [0, 1). A call that
    makes a tensor out of nothing takes the argument `DEVICE`, in whose place the device is named where it is
    not the CPU.

    Attributes:
        name: stable identifier; workloads of one name are parts of one, chosen together.
        part: which part of it is timed, where there are several: forward, backward, step.
        title: what it is, in a few words; of a part, what is common to all parts, a colon, and the part.
        shows: what its figures tell, in a sentence.
        work: expression computed on the tensor `{x}` under each method; None where nothing is computed, or
            where `alternatives` say what is.
        alternatives: its variants, in place of the methods.
        baseline: the method or alternative that ratios are taken to.
        answer: the result in NumPy, on `x` (and what `inputs` names) as float64 arrays, modules as a dict of
            arrays, and `answers` (`gradbench.define.answers`); None where there is none.
        inputs: further names: an expression in which `{shape}` and `{options}` are filled in.
        imports: lines before everything else.
        definitions: lines after the inputs.
        leaf: lines that make the variant's own `x`.
        own_buffer: a line before them, in the twin on a buffer of its own.
        methods: those that it is measured under; empty for all that fit.
        on_model: the work goes through a `model` whose parameters are what is tracked.
        with_input: as well as these, x is tracked.
        observed: by method or alternative what the work was seen to do under it, where that is not what it
            promises; one under which it raises is left out.
        dtype: of the result, where it is not the comparison's.
        apart: recorded work may give other results than unrecorded work, as where torch takes another path.
        setup: lines run once per variant.
        setup_per_call: lines run before each call, outside the clock.
        statement: what is timed, with `VARIANT` where the alternatives differ.
        result: expression, once the statement has run, that is held against the answer.
        writes: the statement is meant to write to x.
        timeline: the bytes that are live are followed through the statement, line by line.
        normwise: the error is that of the whole result, in the Euclidean norm, not of each element.
        roundings: the relative error allowed for what is rounded to the dtype, in its epsilons.
        terms: for the shape of x, how many terms are added up for one element of the result.
        pointwise: each element of the result is made of the elements of the inputs in its place alone.
        filling: the number of elements at which a call keeps an accelerator busy, so that the host's time is
            hidden: measured there as well, where large is; None where large already does.
        tensors: as many of the size of x as a comparison holds at once where it fills a device: those of its
            variants, of graphs and of a check.
        sizes: the representative number of elements for each class of size.
        largest: the greatest number of elements that it is fit for; None for no limit.
        dtypes: those that it is fit for; empty for all.
        presets: by preset, the classes of size at which it is measured without being asked by name.
        every: it is visited in every so many passes, where it is measured without being asked by name.
        shape: the shape of x for a wanted number of elements.
        headline: a report sums it up in a sentence at its top; for a workload with alternatives.
        purpose: what people want to do that this shows; the advice answers by purpose. Empty for none.
    """

    name: str
    title: str
    shows: str
    part: str = ""
    work: str | None = None
    alternatives: tuple[Alternative, ...] = ()
    baseline: str = BASELINE
    answer: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    imports: str = ""
    definitions: str = ""
    leaf: str = LEAF
    own_buffer: str = OWN_BUFFER
    methods: tuple[str, ...] = ()
    on_model: bool = False
    with_input: bool = False
    observed: Mapping[str, Under] = field(default_factory=dict)
    dtype: str | None = None
    apart: bool = False
    setup: str = ""
    setup_per_call: str = ""
    statement: str = "VARIANT"
    result: str = "y"
    writes: bool = False
    timeline: bool = False
    normwise: bool = False
    roundings: float = 4.0
    terms: Callable[[tuple[int, ...]], int] = lambda shape: 0
    sizes: Mapping[str, int] = field(
        default_factory=lambda: {"small": 100, "medium": 10_000, "large": 1_000_000}
    )
    pointwise: bool = False
    filling: int | None = None
    tensors: int = 8
    largest: int | None = None
    dtypes: tuple[str, ...] = ()
    presets: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(PRESETS, CLASSES))
    every: int = 1
    shape: Callable[[int], tuple[int, ...]] = vector
    headline: bool = False
    purpose: str = ""

    @property
    def full_name(self) -> str:
        """The workload, and the part of it."""
        return full_name(self.name, self.part)
