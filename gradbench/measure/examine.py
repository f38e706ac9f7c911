"""A longer look at a user's file before the clock: where its memory goes, what would save, what is wrong.

All of it is executed: nothing is concluded from the code alone. What a long model leaves no time for is left
out, the least important first.
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

from gradbench.measure.anatomy import Watched, storage_bytes
from gradbench.measure.changes import Training, candidates, checked
from gradbench.measure.entries import entered_often
from gradbench.measure.growth import growth, running_graph
from gradbench.measure.leave_out import LONG
from gradbench.measure.orders import orders
from gradbench.measure.retained import retained_without_use
from gradbench.measure.subject import Trained
from gradbench.measure.training_cost import (
    PEAK_EXECUTIONS,
    batch_peaks,
    largest,
    most_samples,
    optimizer_cost,
    trained_after,
)
from gradbench.models import share
from gradbench.record.anatomy import Anatomy, BatchPeak, Change
from gradbench.record.user_file import Fault

# Seconds that the look may take, beside the one step that it takes in any case.
_SECONDS = 9.0
# Of these, seconds in which changes are checked.
_CHECKING = 4.0
# Seconds in which a batch that should fit is executed.
_VERIFYING = 15.0
# Executions that it takes to see what a call leaves, and to try an order of methods.
_GROWTH_CALLS, _ORDER_CALLS = 7, 4
# Steps of an optimizer of which the shortest is its time.
_STEPS = 3


@dataclass(frozen=True)
class UserCode:
    """A file of the user's that was run.

    Attributes:
        names: what it defines.
        file, text: where it stands, and what it says.
        training: its model, x and how they are called; the loss raises where the file has none.
        trains: it has a loss.
        run_again: runs it anew; the same for that.
        load, forward, step: seconds of running the file, of an evaluation and of a training step; rough.
        trained: what was seen of its training so far.
    """

    names: Mapping[str, Any]
    file: str
    text: str
    training: Training
    trains: bool
    run_again: Callable[[], Training]
    load: float
    forward: float
    step: float
    trained: Trained


@dataclass
class Examined:
    """What the look shows.

    Attributes:
        anatomy: None where the forward cannot be watched.
        changes: those that save memory and leave training what it is.
    """

    anatomy: Anatomy | None = None
    changes: list[Change] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What is asked of a look.

    Attributes:
        fit: bytes that training should fit into; None where that was not asked.
        changes: names of those that are wanted, unchecked, as a run that goes on has them; None for all.
    """

    fit: int | None = None
    changes: tuple[str, ...] | None = None


IN_FULL = Asked()


def examine(code: UserCode, asked: Asked) -> Examined:
    """Look at a file."""
    found = Examined()
    until = time.perf_counter() + _SECONDS
    # No fault of the look may keep the file from being measured.
    with contextlib.suppress(Exception), _unchanged(code.training):
        found.anatomy, found.changes = _anatomy(code, asked, until)
    for look in (_entries, _growth, _retained, _orders) if asked.changes is None else ():
        with contextlib.suppress(Exception), _unchanged(code.training):
            found.faults += look(code, until)
    return found


def _anatomy(code: UserCode, asked: Asked, until: float) -> tuple[Anatomy, list[Change]]:
    training, trains = code.training, code.trains
    watched, kept = code.trained.watched, code.trained.kept
    if not trains:
        model = share(training.model).eval()
        watched = Watched(model, training.x, code.file)
        with watched.watching():
            y = training.forward(model, training.x)
        kept = watched.kept()
        del y
    changes: list[Change] = []
    left_out: dict[str, str] = {}
    long = code.step > LONG
    optimizer = code.names.get("optimizer")
    cost, states = None, {}
    if trains and isinstance(optimizer, torch.optim.Optimizer):
        costs = optimizer_cost(optimizer, training, 1 if long else _STEPS)
        cost, states = costs if costs is not None else (None, {})
    if trains:
        called = watched.called if watched is not None else []
        weight = 1 + (round(cost.state / max(1, code.trained.gradients)) if cost is not None else 0)
        maybe = candidates(training, kept, called, weight, few=long)
        if asked.changes is None:
            changes, left_out = checked(training, maybe, _CHECKING, *([1] if long else []))
        else:
            maybe = candidates(training, kept, called, weight, few=False)
            changes = [each for each in maybe if each.name in asked.changes]
    anatomy = Anatomy(
        trains=trains,
        kept=kept,
        parameters=storage_bytes(iter(training.model.parameters())),
        buffers=storage_bytes(iter(training.model.buffers())),
        input=training.x.untyped_storage().nbytes(),
        gradients=code.trained.gradients if trains else None,
        optimizer=cost,
        fit=asked.fit,
        changed=trained_after(training, states, changes),
        left_out=left_out,
    )
    if asked.fit is None or not trains:
        return anatomy, changes
    return _fitted(anatomy, code, asked.fit), changes


def _fitted(anatomy: Anatomy, code: UserCode, fit: int) -> Anatomy:
    """The same with the samples that fit, by the peaks of a few sizes, and a step on so many."""
    whole = max(1, len(code.training.x)) if code.training.x.dim() else 1
    sizes = sorted({max(1, whole // 4), max(1, whole // 2), whole})
    peaks = batch_peaks(code.training, sizes)

    def total(found: BatchPeak) -> BatchPeak:
        part = found.samples / whole
        # A sample more is also more of x, and the optimizer may need more than the step.
        return replace(found, peak=anatomy.highest(found.peak, samples=part))

    predicted = most_samples(
        [replace(each, peak=anatomy.stands(samples=each.samples / whole) + each.peak) for each in peaks], fit
    )
    if predicted is None or anatomy.stepping(samples=predicted / whole) > fit:
        return replace(anatomy, batches=peaks)
    # Where gradients are most of a small batch, activations take over in a large one.
    most = (fit - anatomy.stands(samples=0.0)) * whole // max(1, anatomy.activations + anatomy.input)
    predicted = max(1, min(predicted, most))
    verified = over = None
    if fit < psutil.virtual_memory().available / 2:
        until = time.perf_counter() + _VERIFYING
        takes = code.step * PEAK_EXECUTIONS / whole
        verified, over = largest(
            code.training, predicted, fit, total, lambda n: time.perf_counter() + takes * n < until
        )
    return replace(anatomy, batches=peaks, predicted=predicted, verified=verified, over=over)


def _entries(code: UserCode, until: float) -> list[Fault]:
    if code.forward > LONG:
        return []
    model = share(code.training.model).eval()
    return entered_often(lambda: code.training.forward(model, code.training.x), code.forward, code.file)


def _growth(code: UserCode, until: float) -> list[Fault]:
    training, found = code.training, []
    names = _globals(code)

    def evaluation() -> object:
        return training.forward(evaluated, training.x)

    def step() -> object:
        value = training.step(training.model, training.x)
        training.clear()
        return value

    evaluated = share(training.model).eval()
    if time.perf_counter() + _GROWTH_CALLS * code.forward < until:
        found.append(growth(evaluation, "evaluation", names, code.file, code.text))
    if code.trains and time.perf_counter() + (_GROWTH_CALLS + 2) * code.step < until:
        found.append(growth(step, "training step", names, code.file, code.text))
        found.append(running_graph(step, "training step", names, code.file, code.text))
    faults = [each for each in found if each is not None]
    # What evaluation leaves, a step leaves as well.
    return list({(each.kind, each.line or each.sentence): each for each in reversed(faults)}.values())


def _retained(code: UserCode, until: float) -> list[Fault]:
    training = code.training
    if not code.trains or time.perf_counter() + 2 * _GROWTH_CALLS * code.step > until:
        return []

    def step() -> None:
        training.step(training.model, training.x)
        training.clear()

    return retained_without_use(step, code.file)


def _globals(code: UserCode) -> dict[str, Any]:
    """The names of the file as its functions see them, which change as they run."""
    for each in code.names.values():
        if isinstance(each, FunctionType) and each.__globals__.get("__file__") == code.file:
            return each.__globals__
    return dict(code.names)


def _orders(code: UserCode, until: float) -> list[Fault]:
    again = 5 * code.load + 4 * _ORDER_CALLS * max(code.step, 2 * code.forward)
    return orders(code.run_again, code.trains) if time.perf_counter() + again < until else []


@contextlib.contextmanager
def _unchanged(training: Training) -> Iterator[None]:
    """Leave a model without gradients, in the mode that it was in, and x without one."""
    mode = training.model.training
    try:
        yield
    finally:
        training.model.train(mode)
        training.clear()
