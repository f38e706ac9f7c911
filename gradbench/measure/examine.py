"""A longer look at a user's file before the timing: where its memory goes, changes that save memory, and
faults.

The look executes everything, and concludes nothing from the code alone. With a long model it leaves out
checks for which there is no time, the least important first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import psutil
import torch
from msgspec.structs import replace

from gradbench.measure.anatomy import Watched
from gradbench.measure.batches import PEAK_EXECUTIONS, batch_peaks, largest, most_samples
from gradbench.measure.candidates import candidates
from gradbench.measure.check_changes import FEW, checked
from gradbench.measure.entries import entered_often
from gradbench.measure.execution import storage_bytes
from gradbench.measure.growth import growth, running_graph
from gradbench.measure.leave_out import LONG
from gradbench.measure.optimizer_cost import CopiedOptimizer, NotCounted, without_optimizer
from gradbench.measure.orders import orders
from gradbench.measure.retained import retained_without_use
from gradbench.measure.trained import Trained
from gradbench.measure.training import Training, modes_kept
from gradbench.models import share
from gradbench.record.anatomy import Anatomy, BatchPeak, Change
from gradbench.record.user_file import Fault

# Seconds that the look may take, beside one step, which it always takes.
_SECONDS = 9.0
# Part of these seconds for the check of changes.
_CHECKING = 4.0
# Seconds for the execution of other batches, where the request gives a size to fit into.
_FITTING = 20.0
# Number of executions to find the tensors that a call leaves, and to try an order of methods.
_GROWTH_CALLS, _ORDER_CALLS = 11, 4
# Number of models that are alive at a time in the trial of orders; gradients count as a model.
_MODELS = 6
# Number of steps of an optimizer. The shortest is its time.
_STEPS = 3


@dataclass(frozen=True)
class UserCode:
    """A user's file after its run.

    Attributes:
        names: the names that it defines.
        file, text: its path and its text.
        training: its model, x and the call of them; the loss raises where the file has none.
        trains: it has a loss.
        run_again: runs the file again, and returns its training.
        load, forward: rough seconds of running the file, and of an evaluation.
        trained: the observations of its training so far.
    """

    names: Mapping[str, Any]
    file: str
    text: str
    training: Training
    trains: bool
    run_again: Callable[[], Training]
    load: float
    forward: float
    trained: Trained

    @property
    def step(self) -> float:
        """Rough seconds of a training step."""
        return self.trained.seconds


@dataclass
class Examined:
    """The findings of the look.

    Attributes:
        anatomy: None where the forward cannot be watched.
        changes: changes that save memory and keep the result of training.
    """

    anatomy: Anatomy | None = None
    changes: list[Change] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """The request for a look.

    Attributes:
        fit: bytes that training should fit into; None where the request names none.
        changes: wanted changes by name, with their effect, which are not checked, for a run that goes on;
            None for all.
    """

    fit: int | None = None
    changes: dict[str, str] | None = None


IN_FULL = Asked()


def examine(code: UserCode, asked: Asked) -> Examined:
    """Look at a file. The anatomy lists the parts that fail, and a failure does not end the run."""
    found = Examined()
    until = time.perf_counter() + _SECONDS
    failed: dict[str, str] = {}
    with _looking("what training keeps", failed, code.training):
        found.anatomy = _anatomy(code, asked.fit)
    if found.anatomy is not None and code.trains:
        with _looking("what would save", failed, code.training):
            found.anatomy, found.changes = _changes(found.anatomy, code, asked)
    if found.anatomy is not None and code.trains and asked.fit is not None:
        with _looking("other batches", failed, code.training):
            found.anatomy = _fitted(found.anatomy, code, asked.fit)
    for name, look in _LOOKS.items() if asked.changes is None else ():
        with _looking(name, failed, code.training):
            found.faults += look(code, until)
    if found.anatomy is not None and failed:
        found.anatomy = replace(found.anatomy, left_out=found.anatomy.left_out | failed)
    return found


@contextlib.contextmanager
def _looking(name: str, failed: dict[str, str], training: Training) -> Iterator[None]:
    """Leave model and x as they are, and note any error that ends a look, also a SystemExit."""
    try:
        with modes_kept(training.model):
            yield
    except (Exception, SystemExit) as error:
        failed[name] = f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        training.clear()


def _anatomy(code: UserCode, fit: int | None) -> Anatomy:
    training, trains = code.training, code.trains
    kept = code.trained.kept
    if not trains:
        model = share(training.model).eval()
        watched = Watched(model, training.x, code.file)
        with watched.watching():
            y = training.forward(model, training.x)
        kept = watched.kept()
        del y
    x = training.x
    return Anatomy(
        trains=trains,
        kept=kept,
        parameters=storage_bytes(training.model.parameters()),
        buffers=storage_bytes(training.model.buffers()),
        input=x.untyped_storage().nbytes(),
        batch=x.numel() * x.element_size(),
        gradients=code.trained.gradients if trains else None,
        fit=fit,
    )


def _changes(anatomy: Anatomy, code: UserCode, asked: Asked) -> tuple[Anatomy, list[Change]]:
    """The changes that would save memory, and the memory of parameters and optimizer after them."""
    training, long = code.training, code.step > LONG
    optimizer, copied, why = code.names.get("optimizer"), None, ""
    if isinstance(optimizer, torch.optim.Optimizer):
        try:
            copied = CopiedOptimizer(optimizer, training, 1 if long else _STEPS, code.trained.reached)
        except NotCounted as reason:
            why = str(reason)
    cost = copied.cost if copied is not None else None
    watched = code.trained.watched
    called = watched.called if watched is not None else []
    weight = 1 + (round(cost.state / max(1, code.trained.gradients)) if cost is not None else 0)
    maybe = candidates(training, anatomy.kept, called, weight, few=long and asked.changes is None)
    left_out: dict[str, str] = {}
    if asked.changes is None:
        # A long model runs on one sample, without a first comparison with itself.
        found, left_out = checked(training, maybe, _CHECKING, 1 if long else FEW, repeat=not long)
        changes = [each.change for each in found]
        changed = {
            each.change.name: without_optimizer(training, each.trained)
            if copied is None
            else copied.of(each.trained, counts_peak=not long)
            for each in found
            if each.change.trained
        }
    else:
        wanted, changed = asked.changes, {}
        changes = [replace(each, effect=wanted[each.name]) for each in maybe if each.name in wanted]
    return replace(
        anatomy, optimizer=cost, optimizer_unknown=why, changed=changed, left_out=left_out
    ), changes


def _fitted(anatomy: Anatomy, code: UserCode, fit: int) -> Anatomy:
    """The anatomy with the peaks of a few sizes, and the largest executed batch that fits."""
    whole = max(1, len(code.training.x)) if code.training.x.dim() else 1
    until = time.perf_counter() + _FITTING

    def in_time(samples: int) -> bool:
        return time.perf_counter() + code.step * PEAK_EXECUTIONS * samples / whole < until

    def total(found: BatchPeak) -> BatchPeak:
        # One more sample also makes x larger, and the optimizer may need more than the step.
        return replace(found, peak=anatomy.highest(found.peak, samples=found.samples / whole))

    def of_step(found: BatchPeak) -> BatchPeak:
        return replace(found, peak=anatomy.stands(samples=found.samples / whole) + found.peak)

    peaks = batch_peaks(code.training, sorted({max(1, whole // 4), max(1, whole // 2), whole}), in_time)
    predicted = most_samples([of_step(each) for each in peaks], fit)
    if predicted is None or anatomy.stepping(samples=predicted / whole) > fit:
        return replace(anatomy, batches=peaks)
    # Gradients may be most of the memory of a small batch, and activations most of a large one.
    most = (fit - anatomy.stands(samples=0.0)) * whole // max(1, anatomy.activations + anatomy.batch)
    predicted = max(1, min(predicted, most))
    verified = over = None
    # A trial twice as large may take four times as much.
    if fit < psutil.virtual_memory().available / 4:
        verified, over = largest(code.training, predicted, peaks[-1], fit, total, in_time)
    return replace(anatomy, batches=peaks, predicted=predicted, verified=verified, over=over)


def _entries(code: UserCode, until: float) -> list[Fault]:
    if code.forward > LONG:
        return []
    model = share(code.training.model).eval()
    return entered_often(lambda: code.training.forward(model, code.training.x), code.file)


def _growth(code: UserCode, until: float) -> list[Fault]:
    training, found = code.training, []
    names = _globals(code)

    def evaluation() -> object:
        return training.forward(evaluated, training.x)

    evaluated = share(training.model).eval()
    if time.perf_counter() + _GROWTH_CALLS * code.forward < until:
        found.append(growth(evaluation, "evaluation", names, code.file, code.text))
    if code.trains and time.perf_counter() + (_GROWTH_CALLS + 2) * code.step < until:
        found.append(growth(training.whole_step, "training step", names, code.file, code.text))
        found.append(running_graph(training.whole_step, "training step", names, code.file, code.text))
    faults = [each for each in found if each is not None]
    # A step leaves the same tensors as an evaluation.
    return list({(each.kind, each.line or each.sentence): each for each in reversed(faults)}.values())


def _retained(code: UserCode, until: float) -> list[Fault]:
    if not code.trains or time.perf_counter() + 2 * _GROWTH_CALLS * code.step > until:
        return []
    return retained_without_use(code.training.whole_step, code.file)


def _globals(code: UserCode) -> dict[str, Any]:
    """The names of the file as its functions see them, which change as they run."""
    for each in code.names.values():
        if isinstance(each, FunctionType) and each.__globals__.get("__file__") == code.file:
            return each.__globals__
    return dict(code.names)


def _orders(code: UserCode, until: float) -> list[Fault]:
    # Each trial of an order needs a fresh model from the file.
    if _MODELS * storage_bytes(code.training.model.parameters()) > psutil.virtual_memory().available / 2:
        raise MemoryError("too little for fresh models")
    again = 5 * code.load + 4 * _ORDER_CALLS * max(code.step, 2 * code.forward)
    return orders(code.run_again, code.trains) if time.perf_counter() + again < until else []


# The checks of a user's code beside the memory of its training.
_LOOKS: dict[str, Callable[[UserCode, float], list[Fault]]] = {
    "controls that are entered": _entries,
    "what calls leave": _growth,
    "graphs that are kept": _retained,
    "orders of methods": _orders,
}
