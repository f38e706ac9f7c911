"""What a reader sees first of a user's model: which method, where memory goes, what would save, faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.verdicts import SAME_MARGIN
from gradbench.record.anatomy import Anatomy, Kept
from gradbench.record.interval import Interval
from gradbench.record.plan import USER_MODEL
from gradbench.record.results import Results
from gradbench.record.user_file import Fault

# An interval that spans more than this factor says no more than that the ratio is not known.
KNOWN_WITHIN = 2.0
# So many storages are shown with their operator and line.
LARGEST = 10
# Less than this part of the peak is no saving.
WORTH_SAVING = 0.01

# It fits, or saves and is not slower; it saves at a price, or not enough to fit; it saves nothing.
Mark = Literal["✓", "~", "✗"]


@dataclass(frozen=True)
class ModuleBytes:
    """What one module keeps for the backward, in bytes.

    Attributes:
        name: qualified; `(loss)` for what is saved outside of all modules.
        activations: only the graph keeps these alive.
        others: parameters, buffers and x, which are there anyway.
        passes_on: activations that it keeps to pass a gradient on, though nothing in it is trained.
        calls: the storages, the largest first.
    """

    name: str
    activations: int
    others: int
    passes_on: int
    calls: tuple[Kept, ...]


@dataclass(frozen=True)
class Part:
    """A part of the bytes of a training step, for bars."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Saving:
    """What a change of the training step saves, as it was measured.

    Attributes:
        before, after: the peak of a step with all that stands before it, in bytes; None where not counted.
        time: of a step, to that without the change; None where it was not timed.
        time_in_words: the same, or why it is not known.
        code: to write; empty where it is one call that the label has.
    """

    mark: Mark
    label: str
    before: int | None
    after: int | None
    time: Interval | None
    time_in_words: str
    effect: str
    code: str


@dataclass(frozen=True)
class ModelScreen:
    """The first screen: sentences and rows, none of which is empty but for whole groups.

    Attributes:
        facts: the model, its input, and where it was measured.
        parts: of the peak of a training step; empty without a loss.
        kept: bytes saved for a backward, all of them; None where nobody watched.
        batches: what is known of other batch sizes, in sentences.
        trust: how far to believe the times.
    """

    name: str
    facts: str
    measured: str
    evaluation: tuple[str, ...]
    training: tuple[str, ...]
    parts: tuple[Part, ...]
    memory: tuple[str, ...]
    modules: tuple[ModuleBytes, ...]
    kept: int | None
    savings: tuple[Saving, ...]
    fit: int | None
    batches: tuple[str, ...]
    faults: tuple[Fault, ...]
    trust: str

    @property
    def largest(self) -> tuple[Kept, ...]:
        """The largest activations, or whatever is kept where there are none."""
        kept = [each for module in self.modules for each in module.calls]
        activations = [each for each in kept if each.role == "activation"] or kept
        return tuple(sorted(activations, key=lambda each: -each.bytes)[:LARGEST])

    @property
    def storages(self) -> int:
        """How many unique storages are kept."""
        return sum(len(each.calls) for each in self.modules)


def model_screen(summary: RunSummary, name: str) -> ModelScreen:
    """The first screen of a run of `gradbench model`; `name` is that of the file."""
    results = summary.results
    parts = {
        each.comparison.part: each for each in summary.comparisons if each.comparison.workload == USER_MODEL
    }
    anatomy = results.anatomy
    modules = by_module(anatomy) if anatomy else ()
    evaluation, step = parts.get("evaluation"), parts.get("step")
    return ModelScreen(
        name=name,
        facts=_facts(results),
        measured=_measured(summary),
        evaluation=tuple(_evaluation(evaluation, results.header.request.methods)) if evaluation else (),
        training=tuple(_training(parts, anatomy)),
        parts=_parts(step, anatomy),
        memory=tuple(_memory(anatomy, modules)),
        modules=modules,
        kept=None if anatomy is None else anatomy.saved,
        savings=_savings(step, anatomy) if step else (),
        fit=anatomy.fit if anatomy else None,
        batches=tuple(_batches(anatomy)),
        faults=tuple(sorted(results.file_faults, key=lambda each: each.kind != "values differ")),
        trust=_trust(summary),
    )


def _facts(results: Results) -> str:
    comparisons = [each for each in results.header.plan.comparisons if each.workload == USER_MODEL]
    shows = next((each.shows for each in comparisons if each.part == "evaluation"), "")
    facts = shows.rpartition(": ")[2].rstrip(".")
    options, device = results.header.options, comparisons[0].device
    threads = f", {options.threads} thread{'' if options.threads == 1 else 's'}" if device == "cpu" else ""
    return f"{facts}; {device.upper() if device == 'cpu' else device}{threads}"


def _measured(summary: RunSummary) -> str:
    seconds = sum(each.seconds for each in summary.results.runs)
    passes = f"{summary.passes} process{'' if summary.passes == 1 else 'es'}"
    return f"{seconds:.0f} s, {passes}" if seconds else passes


# Evaluation.


def _evaluation(each: ComparisonSummary, asked: Sequence[str]) -> list[str]:
    """Which method to evaluate with, and what that gains; with methods that were asked for, about those."""
    if each.variant(each.comparison.baseline.name) is None or not each.passes:
        return ["It could not be timed: the failures below say why."]
    named = [variant for name in asked if (variant := each.variant(name)) is not None]
    if len(named) > 1:
        return [_against(each, variant, named[0]) for variant in named[1:]]
    tracked = each.variant("tracked")
    found = _picks(each, named)
    if not found:
        return ["No method without recording could be timed: the failures below say why."]
    first = found[0]
    use = " or ".join(variant.label for variant in found)
    if tracked is None or first is tracked:
        return [_against(each, first, each.variant(each.comparison.baseline.name) or first)]
    sentences = [f"Use {use}: {_time(each, first, tracked)}, {_peak(first, tracked)}."]
    sentences += [_between(each, variant, first) for variant in found[1:]]
    return sentences


def _records(variant: VariantSummary) -> bool:
    """Whether its work is recorded, though its result may be detached."""
    return variant.name in ("tracked", "detach_after")


def _picks(each: ComparisonSummary, named: Sequence[VariantSummary]) -> list[VariantSummary]:
    """What to use: of the modes the first that is not shown to be slower, and the same of inference modes."""
    pool = [
        variant
        for variant in named or each.methods
        if variant.role == "method" and not _records(variant) and _timed(each, variant) is not None
    ]
    if not pool:
        baseline = each.variant(each.comparison.baseline.name)
        return [baseline] if baseline is not None and baseline.time is not None else []
    quickest = [
        variant
        for variant in pool
        if not any((_stands(variant), _stands(other)) in each.above for other in pool)
    ]
    plain = [variant for variant in quickest if not variant.definition.expect.result_inference]
    inference = [variant for variant in quickest if variant.definition.expect.result_inference]
    return [*plain[:1], *inference[:1]]


def _stands(variant: VariantSummary) -> str:
    """The variant whose time this has: its own, or that of what executes the same."""
    return variant.bound.timed if variant.bound is not None else variant.name


def _timed(each: ComparisonSummary, variant: VariantSummary) -> VariantSummary | None:
    found = each.variant(_stands(variant))
    return found if found is not None and found.time is not None else None


def _ratio(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> Interval | None:
    names = _stands(one), _stands(other)
    return Interval(1.0, 1.0, 1.0, 0) if names[0] == names[1] else each.time_ratios.get(names)


def known(ratio: Interval | None) -> bool:
    """Whether a ratio is known well enough to be shown."""
    return (
        ratio is not None
        and ratio.low is not None
        and ratio.high is not None
        and (ratio.low > 0 and ratio.high <= KNOWN_WITHIN * ratio.low)
    )


def _time(each: ComparisonSummary, variant: VariantSummary, other: VariantSummary) -> str:
    """How much less time one takes than recording, with its interval; or that this is not shown."""
    ratio = _ratio(each, variant, other)
    if ratio is None or not known(ratio):
        return "whether it takes less time than recording is not known yet"
    assert ratio.low is not None
    assert ratio.high is not None
    names = _stands(variant), _stands(other)
    if names in each.above or names[::-1] in each.above:
        less = names[::-1] in each.above
        ends = sorted((abs(1 - ratio.low), abs(1 - ratio.high)))
        low, high = (format.percent(end) for end in ends)
        much = format.percent(abs(1 - ratio.mean))
        return f"{much} {'less' if less else 'more'} time than recording ({low.removesuffix(' %')} to {high})"
    if _same(ratio):
        return f"no difference in time to recording that matters ({_ends(ratio)})"
    return f"no difference in time to recording is shown ({_ends(ratio)} times)"


def _same(ratio: Interval) -> bool:
    assert ratio.low is not None
    assert ratio.high is not None
    return ratio.low >= 1 / (1 + SAME_MARGIN) and ratio.high <= 1 + SAME_MARGIN


def _peak(variant: VariantSummary, other: VariantSummary) -> str:
    """How much less it holds at its peak."""
    if variant.memory is None or other.memory is None:
        return "and its bytes are not known"
    low, high = variant.memory.peak, other.memory.peak
    if low == high:
        return f"the same peak of {format.size(low)}"
    sign = (
        f"{format.percent(1 - low / high)} less" if low < high else f"{format.percent(low / high - 1)} more"
    )
    return f"{sign} memory at the peak ({format.size(high)} → {format.size(low)})"


def _between(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """Whether two methods differ from each other, in a sentence."""
    for bounded, timed in ((one, other), (other, one)):
        bound = bounded.bound
        if bound is not None and bound.timed == _stands(timed) and bound.seconds is not None:
            share = format.percent(bound.share)
            return (
                f"No difference between the two that matters: at most {format.seconds(bound.seconds)} of "
                f"{format.seconds(bound.of)}, {share}."
            )
    ratio = _ratio(each, one, other)
    if ratio is None or not known(ratio):
        return "Which of the two is faster is not known yet."
    if _same(ratio):
        return f"No difference between the two that matters ({_ends(ratio)})."
    return f"No difference between the two is shown ({_ends(ratio)} times)."


def _against(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """One method against another one, in a sentence."""
    ratio = _ratio(each, one, other)
    memory = ""
    if one.memory is not None and other.memory is not None:
        low, high = one.memory.peak, other.memory.peak
        memory = (
            f"; both peak at {format.size(low)}"
            if low == high
            else f"; it peaks at {format.size(low)}, {other.label} at {format.size(high)}"
        )
    head = f"{one.label} against {other.label}:"
    if ratio is None or not known(ratio):
        return f"{head} the ratio of their times is not known yet{memory}."
    names = _stands(one), _stands(other)
    if names in each.above or names[::-1] in each.above:
        return f"{head} {ratio_in_words(ratio)} times as long{memory}."
    matters = "that matters" if _same(ratio) else "is shown"
    return f"{head} no difference in time {matters} ({_ends(ratio)} times){memory}."


# Training.


def _training(parts: dict[str, ComparisonSummary], anatomy: Anatomy | None) -> list[str]:
    """What a step takes, and what it holds at its peak."""
    step = parts.get("step")
    if step is None:
        return []
    pieces = [
        f"{words} {format.seconds(variant.time.mean)}"
        for part, words in (
            ("forward", "forward and loss"),
            ("backward", "backward"),
            ("step", "a whole step"),
        )
        if part in parts
        and (variant := parts[part].variant(parts[part].comparison.baseline.name)) is not None
        and variant.time is not None
    ]
    optimizer = anatomy.optimizer if anatomy else None
    if optimizer is not None:
        pieces.append(f"{optimizer.name}.step() about {format.seconds(optimizer.seconds)}")
    sentences = [
        f"{pieces[0][0].upper()}{pieces[0][1:]}{''.join(f', {each}' for each in pieces[1:])}."
    ] * bool(pieces)
    baseline = step.variant(step.comparison.baseline.name)
    if anatomy is None or baseline is None or baseline.memory is None:
        return sentences
    listed = ", ".join(f"{each.name} {format.size(each.bytes)}" for each in _parts(step, anatomy))
    peak = anatomy.stands() + baseline.memory.peak
    sentences.append(f"Peak {format.size(peak)}: {listed}.")
    if optimizer is not None and anatomy.stepping() > peak:
        sentences.append(
            f"{optimizer.name}.step() peaks higher, at {format.size(anatomy.stepping())}: it needs "
            f"{format.size(optimizer.peak)} beside the gradients."
        )
    return sentences


def _parts(step: ComparisonSummary | None, anatomy: Anatomy | None) -> tuple[Part, ...]:
    """The peak of a step by what it is made of; the rest are gradients and whatever is not kept."""
    baseline = None if step is None else step.variant(step.comparison.baseline.name)
    if anatomy is None or baseline is None or baseline.memory is None:
        return ()
    optimizer = anatomy.optimizer
    kept = min(anatomy.activations, baseline.memory.peak)
    found = [
        Part("parameters", anatomy.parameters),
        Part("buffers", anatomy.buffers),
        Part("x", anatomy.input),
        Part(f"state of {optimizer.name}" if optimizer else "optimizer", optimizer.state if optimizer else 0),
        Part("activations", kept),
        Part("gradients and temporaries", baseline.memory.peak - kept),
    ]
    return tuple(each for each in found if each.bytes)


# Memory.

OUTSIDE = "(outside of modules)"


def by_module(anatomy: Anatomy) -> tuple[ModuleBytes, ...]:
    """What each module keeps, those first whose activations are largest; the rows add up to `saved`."""
    grouped: dict[str, list[Kept]] = defaultdict(list)
    for each in anatomy.kept:
        grouped[each.module].append(each)
    rows = [
        ModuleBytes(
            name or OUTSIDE,
            sum(each.bytes for each in kept if each.role == "activation"),
            sum(each.bytes for each in kept if each.role != "activation"),
            sum(each.bytes for each in kept if each.passes_on),
            tuple(sorted(kept, key=lambda each: -each.bytes)),
        )
        for name, kept in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda each: (-each.activations, -each.others)))


def _memory(anatomy: Anatomy | None, modules: Sequence[ModuleBytes]) -> list[str]:
    """How much is kept for the backward, and by what."""
    if anatomy is None or not anatomy.kept:
        return []
    when = "training step" if anatomy.trains else "recorded evaluation"
    there = anatomy.saved - anatomy.activations
    sentences = [
        f"A {when} keeps {format.size(anatomy.activations)} of activations for the backward"
        + (f", beside {format.size(there)} of parameters and inputs that are there anyway." if there else ".")
    ]
    passed = [each for each in modules if each.passes_on]
    if passed:
        sentences.append(
            f"{format.size(sum(each.passes_on for each in passed))} of that is kept in modules that are not "
            f"trained ({passed[0].name}{f' and {len(passed) - 1} more' if len(passed) > 1 else ''}): a "
            "gradient passes through them to what comes before. Freeze that as well to keep nothing."
        )
    return sentences


# What would save.


def _savings(step: ComparisonSummary, anatomy: Anatomy | None) -> tuple[Saving, ...]:
    """The changes of a step, the smallest peak first; those that nothing is known of are last."""
    baseline = step.variant(step.comparison.baseline.name)
    fit = anatomy.fit if anatomy else None
    before = _highest(anatomy, baseline)
    rows = []
    for variant in step.methods:
        if variant.role != "method" or variant.failures:
            continue
        after = _highest(anatomy, variant)
        ratio = None if baseline is None else _ratio(step, variant, baseline)
        rows.append(
            Saving(
                mark=_mark(before, after, fit, variant, step),
                label=variant.label,
                before=before,
                after=after,
                time=ratio if known(ratio) else None,
                time_in_words=_step_time(ratio),
                effect=variant.definition.effect[:1].lower() + variant.definition.effect[1:].rstrip("."),
                code=_code_of(variant, step),
            )
        )
    return tuple(sorted(rows, key=lambda each: each.after if each.after is not None else float("inf")))


def _highest(anatomy: Anatomy | None, variant: VariantSummary | None) -> int | None:
    """The most bytes live at once while training with a variant of the step; None where not counted."""
    if variant is None or variant.memory is None:
        return None
    peak = variant.memory.peak
    return anatomy.highest(peak, variant.name) if anatomy else peak


def _mark(
    before: int | None, after: int | None, fit: int | None, variant: VariantSummary, step: ComparisonSummary
) -> Mark:
    if before is None or after is None or after > before * (1 - WORTH_SAVING):
        return "✗"
    if fit is not None:
        return "✓" if after <= fit else "~"
    return "~" if (variant.name, step.comparison.baseline.name) in step.above else "✓"


def ratio_in_words(ratio: Interval) -> str:
    """A ratio with its interval, to three digits at most."""
    assert ratio.low is not None
    assert ratio.high is not None
    places = min(2, format.ratio_places(ratio))
    return f"{ratio.mean:.{places}f} ({ratio.low:.{places}f} to {ratio.high:.{places}f})"


def _ends(ratio: Interval) -> str:
    return ratio_in_words(ratio).partition("(")[2].rstrip(")")


def _step_time(ratio: Interval | None) -> str:
    if ratio is None:
        return "not timed"
    if not known(ratio):
        return "not known yet"
    return ratio_in_words(ratio)


def _code_of(variant: VariantSummary, step: ComparisonSummary) -> str:
    """The lines that make a change: what its setup has more than that of the baseline."""
    shared = step.comparison.baseline.setup.split("\n")
    lines = variant.definition.setup.split("\n")
    while shared and lines and shared[0] == lines[0]:
        shared, lines = shared[1:], lines[1:]
    return "\n".join(lines)


def _batches(anatomy: Anatomy | None) -> list[str]:
    """What is known of other batch sizes, where a size to fit into was given."""
    if anatomy is None or anatomy.fit is None or not anatomy.trains:
        return []
    whole = max((each.samples for each in anatomy.batches), default=1)

    def total(samples: int, peak: int) -> str:
        return format.size(anatomy.stands(samples=samples / whole) + peak)

    listed = ", ".join(f"{each.samples:,}: {total(each.samples, each.peak)}" for each in anatomy.batches)
    if anatomy.predicted is None:
        why = "none does" if len(anatomy.batches) > 1 else "the loss takes no other number of samples"
        return [f"No batch is known that fits into {format.size(anatomy.fit)}: {why} ({listed})."]
    sentence = (
        f"A batch of {anatomy.predicted:,} samples fits into {format.size(anatomy.fit)}, by the line through "
        f"{listed}"
    )
    if anatomy.verified is None:
        return [f"{sentence}; it was not executed."]
    measured = total(anatomy.verified.samples, anatomy.verified.peak)
    return [f"{sentence}; executed, it peaks at {measured}."]


def _trust(summary: RunSummary) -> str:
    """How far to believe the times, in a sentence, and what to do where that is not far."""
    worst = summary.twins.worst
    if worst is None:
        return "Times are of one process: they show nothing yet. " + summary.results.go_on_longer(10)
    floors = [each.floor for each in summary.comparisons if each.floor is not None]
    reach = max(floors, default=None)
    sentence = f"Identical code differed by {format.percent(worst)} at most"
    if reach is None or reach <= 0.02:
        return f"{sentence}."
    return (
        f"{sentence}, and may seem to differ by {format.difference(reach)}: times are rough. "
        + summary.results.go_on_longer(2 * summary.passes)
    )
