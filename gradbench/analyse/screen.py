"""The first screen of a user's model: which method to use, where memory goes, what saves it, faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, RunSummary
from gradbench.analyse.screen_evaluation import differ, evaluation_sentences
from gradbench.analyse.screen_modules import OUTSIDE, ModuleBytes, by_module, memory_sentences
from gradbench.analyse.screen_savings import Saving, not_measured, saving_rows
from gradbench.analyse.trust import ROUGH
from gradbench.analyse.warnings import beside_trust
from gradbench.record.anatomy import Anatomy, BatchPeak, Kept
from gradbench.record.plan import USER_MODEL
from gradbench.record.results import Results
from gradbench.record.user_file import Fault

# So many storages are shown with their operator and line.
LARGEST = 10


@dataclass(frozen=True)
class Part:
    """A part of the bytes of a training step, for bars."""

    name: str
    bytes: int


@dataclass(frozen=True)
class ModelScreen:
    """The first screen: sentences and rows. A whole group may be empty, a single row never is.

    Attributes:
        facts: the model, its input, and where it was measured.
        parts: of the peak of a training step; empty without a loss.
        kept: bytes saved for a backward, all of them; None where nothing observed them.
        left_out: changes without a row, and why.
        batches: sentences on other batch sizes.
        trust: how far to believe the times.
        mind: other warnings that limit the figures.
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
    left_out: tuple[str, ...]
    fit: int | None
    batches: tuple[str, ...]
    faults: tuple[Fault, ...]
    trust: str
    mind: tuple[str, ...] = ()

    def answers(self, sentence: str) -> bool:
        """Whether the screen says this about the evaluation, so that a page need not repeat it."""
        return " ".join(self.evaluation).startswith(sentence)

    @property
    def outside(self) -> str:
        """The name of the row for bytes that are kept outside of all modules."""
        return OUTSIDE

    @property
    def largest(self) -> tuple[Kept, ...]:
        """The largest activations; where there are none, the largest of all kept storages."""
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
    parts = summary.user_parts
    anatomy = results.anatomy
    modules = by_module(anatomy) if anatomy else ()
    evaluation, step = parts.get("evaluation"), parts.get("step")
    asked = results.header.request.methods
    savings = saving_rows(step, anatomy) if step else ()
    left_out = not_measured(step, savings) if step else []
    left_out += anatomy.left_out.values() if anatomy else []
    return ModelScreen(
        name=name,
        facts=_facts(results),
        measured=_measured(summary),
        evaluation=tuple(_evaluation(evaluation, asked, results.file_faults)) if evaluation else (),
        training=tuple(_training(parts, anatomy)) or _untrained(results, name, parts),
        parts=_parts(step, anatomy),
        memory=tuple(memory_sentences(anatomy, modules)),
        modules=modules,
        kept=None if anatomy is None else anatomy.saved,
        savings=savings,
        left_out=tuple(left_out),
        fit=anatomy.fit if anatomy else None,
        batches=(*_fits(step, anatomy), *_batches(anatomy)),
        faults=tuple(sorted(results.file_faults, key=lambda each: each.kind != "values differ")),
        trust=_trust(summary),
        mind=tuple(beside_trust(summary)),
    )


def _facts(results: Results) -> str:
    comparisons = [each for each in results.header.plan.comparisons if each.workload == USER_MODEL]
    shows = next((each.shows for each in comparisons if each.part == "evaluation"), "")
    # Without an evaluation the facts come from the first comparison.
    first = comparisons[0]
    facts = _described(shows)[0] or f"x of {' × '.join(map(str, first.shape)) or 'one number'}, {first.dtype}"
    options, device = results.header.options, comparisons[0].device
    threads = f", {format.counted(options.threads, 'thread')}" if device == "cpu" else ""
    return f"{facts}; {device.upper() if device == 'cpu' else device}{threads}"


def _described(shows: str) -> tuple[str, str]:
    """The facts of the model, and how its unrecorded forward differs: from what an evaluation shows."""
    facts, _, operators = shows.partition(": ")[2].rstrip(".").partition(". ")
    return facts, operators.replace("aten.", "")


def _evaluation(each: ComparisonSummary, asked: Sequence[str], faults: Sequence[Fault]) -> list[str]:
    """Which method to use, and whether torch uses other operators where nothing is recorded."""
    sentences = evaluation_sentences(each, asked, faults)
    operators = _described(each.comparison.shows)[1]
    if operators:
        tracked = each.variant("tracked")
        told = tracked is not None and differ(each, each.baseline, tracked)
        sentences.append(f"{operators}{': they make a part of that difference' if told else ''}.")
    return sentences


def _measured(summary: RunSummary) -> str:
    seconds = sum(each.seconds for each in summary.results.runs)
    passes = f"{summary.passes} process{'' if summary.passes == 1 else 'es'}"
    return f"{seconds:.0f} s, {passes}" if seconds else passes


# Training.


def _training(parts: dict[str, ComparisonSummary], anatomy: Anatomy | None) -> list[str]:
    """How long a step takes, and which bytes it holds at its peak."""
    step = parts.get("step")
    if step is None:
        return []
    pieces = [
        f"{words} {format.seconds(time.mean)}"
        for part, words in (
            ("forward", "forward and loss"),
            ("backward", "backward"),
            ("step", "a whole step without its optimizer"),
        )
        if part in parts and (time := parts[part].baseline.time) is not None
    ]
    optimizer = anatomy.optimizer if anatomy else None
    if optimizer is not None:
        pieces.append(f"{optimizer.name}.step() about {format.seconds(optimizer.seconds)}")
    sentences = []
    if pieces:
        listed = ", ".join(pieces)
        apart = " (forward and backward were timed apart)" if _parts_exceed_the_step(parts) else ""
        sentences.append(f"{listed[0].upper()}{listed[1:]}{apart}.")
    if anatomy is None or step.baseline.memory is None:
        return sentences
    listed = ", ".join(f"{each.name} {format.size(each.bytes)}" for each in _parts(step, anatomy))
    peak = anatomy.stands() + step.baseline.memory.peak
    sentences.append(f"Peak {format.size(peak)}: {listed}.")
    if anatomy.optimizer_unknown:
        sentences.append(f"The peak leaves out the optimizer: {anatomy.optimizer_unknown}.")
    if optimizer is not None and anatomy.stepping() > peak:
        sentences.append(
            f"{optimizer.name}.step() peaks higher, at {format.size(anatomy.stepping())}: it needs "
            f"{format.size(optimizer.peak)} besides the gradients."
        )
    return sentences


def _untrained(results: Results, name: str, parts: dict[str, ComparisonSummary]) -> tuple[str, ...]:
    """A sentence on what a file without a loss leaves unmeasured; empty where the file has one."""
    anatomy = results.anatomy
    # A request for some methods may leave training out as well.
    trains = bool(results.header.request.methods) if anatomy is None else anatomy.trains
    if trains or "step" in parts:
        return ()
    return (f"{name} defines no loss(y): training and leaks of training steps were not measured.",)


def _parts_exceed_the_step(parts: dict[str, ComparisonSummary]) -> bool:
    """Whether the shown times of forward and backward add up to more than that of a step."""
    times = [parts[part].baseline.time if part in parts else None for part in ("forward", "backward", "step")]
    forward, backward, step = (None if time is None else time.mean for time in times)
    return forward is not None and backward is not None and step is not None and forward + backward > step


def _parts(step: ComparisonSummary | None, anatomy: Anatomy | None) -> tuple[Part, ...]:
    """The parts of the peak of a step; the rest are gradients and temporaries."""
    if anatomy is None or step is None or step.baseline.memory is None:
        return ()
    optimizer, peak = anatomy.optimizer, step.baseline.memory.peak
    kept = min(anatomy.activations, peak)
    found = [
        Part("parameters", anatomy.parameters),
        Part("buffers", anatomy.buffers),
        Part("x", anatomy.input),
        Part(f"state of {optimizer.name}" if optimizer else "optimizer", optimizer.state if optimizer else 0),
        Part("activations", kept),
        Part("gradients and temporaries", peak - kept),
    ]
    return tuple(each for each in found if each.bytes)


def _fits(step: ComparisonSummary | None, anatomy: Anatomy | None) -> list[str]:
    """Whether training fits as it is."""
    if anatomy is None or anatomy.fit is None or step is None or step.baseline.memory is None:
        return []
    peak = anatomy.highest(step.baseline.memory.peak)
    fits = "fits" if peak <= anatomy.fit else "does not fit"
    return [f"Unchanged, training peaks at {format.size(peak)}, and {fits} into {format.size(anatomy.fit)}."]


def _batches(anatomy: Anatomy | None) -> list[str]:
    """Sentences on other batch sizes, where the user gave a size to fit into."""
    if anatomy is None or anatomy.fit is None or not anatomy.trains:
        return []
    whole = max((each.samples for each in anatomy.batches), default=1)

    def total(each: BatchPeak) -> str:
        return format.size(anatomy.highest(each.peak, samples=each.samples / whole))

    room, most = format.size(anatomy.fit), anatomy.verified
    listed = ", ".join(f"{each.samples:,}: {total(each)}" for each in anatomy.batches)
    if most is not None:
        return [f"A batch of {most.samples:,} samples fits into {room}: executed, it peaks at {total(most)}."]
    if anatomy.over is not None:
        return [
            f"No batch is known that fits into {room}: executed, a batch of {anatomy.over.samples:,} samples "
            f"peaks at {total(anatomy.over)}."
        ]
    if anatomy.predicted is not None:
        return [
            f"A batch of {anatomy.predicted:,} samples should fit into {room}, by the line through {listed}. "
            "The run had no time or no memory to execute it."
        ]
    alone = anatomy.stepping(samples=0.0)
    why = f"the peaks are {listed}"
    if alone > anatomy.fit:
        why = f"the model and the step of its optimizer take {format.size(alone)} without any sample"
    elif len(anatomy.batches) < 2:
        why = f"the loss accepts only {format.counted(whole, 'sample')}"
    return [f"No batch is known that fits into {room}: {why}."]


def _trust(summary: RunSummary) -> str:
    """How far to believe the times, in a sentence; where they are rough, what to do."""
    worst = summary.twins.worst
    if summary.passes == 0:
        return "Nothing was timed yet. " + summary.results.go_on_longer(10)
    if worst is None or summary.passes < 2:
        return "Times come from one process: they show nothing yet. " + summary.results.go_on_longer(10)
    floors = [each.floor for each in summary.comparisons if each.floor is not None]
    reach = max(floors, default=None)
    sentence = f"Identical code differed by {format.percent(worst)} at most."
    if reach is None:
        return sentence
    sentence = f"Differences under {format.difference(reach)} mean nothing here. {sentence}"
    if reach <= ROUGH:
        return sentence
    return f"{sentence} Times are rough. {summary.results.go_on_longer(2 * summary.passes)}"
