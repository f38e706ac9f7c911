"""The rows of the tables: a workload, and an alternative in it."""

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
# The name of the alternative that only moves the bytes which the others must move at least. Few workloads
# have it.
COPY = "copy"


def vector(numel: int) -> tuple[int, ...]:
    """The shape of a vector of `numel` elements."""
    return (numel,)


def at(
    *, quick: str = "", standard: str = "", thorough: str = "small medium large"
) -> dict[str, tuple[str, ...]]:
    """By preset, the classes of size for a workload, as words.

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
    """One alternative for the task of a workload, where the task is not a choice among the methods.

    Attributes:
        name: unique in its workload; a method's name where it is that method in this use.
        label: the alternative as a user names it.
        effect: its effect, in a sentence.
        source: its documentation; empty where the code is all.
        code: code in place of `VARIANT` in the workload's setup, setup per call and statement.
        setup: lines run once, after the workload's leaf and before its setup.
        statement: the timed code, where it is not the workload's.
        holds: its promise: an expression that must be true once the statement has run.
        result: expression that the check compares with the answer; None is the workload's.
        answer: NumPy expression of the expected result; None is the workload's.
        needs: by kind of device, its needs on the machine: keys of `gradbench.define.needs.NEEDS`.
        counted: whether the source of the memory figures sees its allocations.
        dtypes: the dtypes that it works in; empty for all.
        devices: the kinds of device that it works on; empty for all.
        least: the number of elements from which it differs from the other alternatives.
        presets: the presets that measure it without its name in the request.
        recommendable: the advice on what to use may name it, unless the method of its name forbids it.
        limit: it only moves the bytes that the others must move at least.
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
    """A computation with its expected answer: under each method, or in alternatives.

    Code is Python text, as in `gradbench.define.methods`. Values are drawn uniformly from [0, 1). A call that
    makes a tensor out of nothing takes the argument `DEVICE`. The plan puts the device in its place, and
    nothing for the CPU.

    Attributes:
        name: stable identifier; workloads of one name are parts of one, chosen together.
        part: the timed part, where there are several: forward, backward, step.
        title: the workload in a few words. The title of a part is the common words, a colon, and the part.
        shows: the meaning of its figures, in a sentence.
        work: expression on the tensor `{x}` under each method; None for a workload without work, or with
            `alternatives`.
        alternatives: its variants, in place of the methods.
        baseline: the method or alternative that ratios are taken to.
        answer: the result in NumPy; None where there is none. It reads `x` and the names of `inputs` as
            float64 arrays, modules as a dict of arrays, and `answers` (`gradbench.define.answers`).
        inputs: further names: an expression with `{shape}` and `{options}`, which the plan fills in.
        imports: lines before everything else.
        definitions: lines after the inputs.
        leaf: lines that make the variant's `x`.
        own_buffer: a line before `leaf`, in the twin on a separate buffer.
        methods: the methods to measure it under; empty for all that fit.
        on_model: the work goes through a `model` whose parameters are tracked.
        with_input: x is tracked as well as the parameters.
        observed: by method or alternative the observed behaviour of the work, where it differs from the
            promise. The plan leaves out a method under which the work raises.
        dtype: dtype of the result, where it is not the comparison's.
        apart: recorded work may give other results than unrecorded work, as where torch takes another path.
        setup: lines run once per variant.
        setup_per_call: lines run before each call, outside the clock.
        statement: the timed code, with `VARIANT` where the alternatives differ.
        result: expression, once the statement has run, that the check compares with the answer.
        writes: the statement is meant to write to x.
        timeline: the memory pass follows the live bytes through the statement, line by line.
        normwise: the check takes the error of the whole result, in the Euclidean norm, not of each element.
        roundings: the relative error allowed for rounding to the dtype, in its epsilons.
        terms: for the shape of x, the number of terms in the sum for one element of the result.
        pointwise: each element of the result depends only on the elements of the inputs in its place.
        filling: the number of elements at which a call keeps an accelerator busy, so that the host's time is
            hidden. A run that measures `large` measures this size as well. None where `large` already fills
            it.
        tensors: number of tensors of the size of x that a comparison holds at once where it fills a device.
            It counts those of the variants, of graphs and of a check.
        sizes: the representative number of elements for each class of size.
        largest: its greatest number of elements; None for no limit.
        dtypes: the dtypes that it supports; empty for all.
        presets: by preset, the classes of size for a request that does not name it.
        every: one pass in this many visits it, for a request that does not name it.
        shape: the shape of x for a wanted number of elements.
        headline: a sentence at the top of a report sums it up; for a workload with alternatives.
        purpose: the task of a user that this workload shows. The advice has an answer by purpose. Empty for
            none.
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
        """The workload, and its part."""
        return full_name(self.name, self.part)
