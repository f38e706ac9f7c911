"""Checks the training of a user's work: forward, loss and backward, and the loss under each method."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from gradbench.measure import leave_out
from gradbench.measure.agreement import alike
from gradbench.measure.anatomy import Watched
from gradbench.measure.evaluated import Evaluated
from gradbench.measure.execution import storage_bytes
from gradbench.measure.subject import CONTEXTS, FROZEN, LOSS_CALLED, Subject, flags_of
from gradbench.measure.user_code import Drawn, Mistake, Raised, hearing_of_a_cut
from gradbench.record.anatomy import Kept
from gradbench.record.user_file import Fault, Under


@dataclass
class Trained:
    """The observations of training.

    Attributes:
        repeats, under, apart, faults: as in `FileFacts`, for the loss.
        seconds: seconds of forward, loss and backward.
        watched, kept: the watch on the modules, and the storages that they kept for the backward.
        gradients: bytes of the gradients of parameters, after one backward.
        reached: names of the parameters with a gradient; a tied parameter has several names.
    """

    repeats: bool
    seconds: float
    under: dict[str, Under] = field(default_factory=dict)
    apart: bool = False
    faults: list[Fault] = field(default_factory=list)
    watched: Watched | None = None
    kept: tuple[Kept, ...] = ()
    gradients: int = 0
    reached: frozenset[str] = frozenset()


def train(subject: Subject, loss: Callable[..., Any], evaluated: Evaluated) -> Trained:
    """Execute forward, loss and backward. Raises Mistake.

    Long work is not repeated. Its loss counts as the same where it drew no random number. A watch notes the
    storages that modules keep in the first execution.
    """
    model, x = subject.variant(training=True)
    watched = None if model is None else Watched(model, x, subject.file)
    trained = Trained(True, 0.0)
    values: list[torch.Tensor] = []
    seconds = 0.0
    drawn = Drawn()
    cut: list[bool] = []
    while not values or (len(values) == 1 and seconds <= leave_out.LONG):
        begun = time.perf_counter()
        with hearing_of_a_cut(cut):
            if watched is not None and not values:
                value = _watched_loss(subject, watched, model, x, loss)
                trained.watched, trained.kept = watched, watched.kept()
            else:
                value = subject.loss_of(model, x, loss)
        subject.backward(value, any(cut))
        seconds = time.perf_counter() - begun
        if not values and model is not None:
            trained.gradients = storage_bytes(
                each.grad for each in model.parameters() if each.grad is not None
            )
            named = list(model.named_parameters(remove_duplicate=False))
            trained.reached = frozenset(name for name, each in named if each.grad is not None)
            trained.faults += _without_gradient(model)
        values.append(value.detach())
    tracked = [] if model is None else [each for each in model.parameters() if each.requires_grad]
    if all(each.grad is None for each in (*tracked, x)):
        what = "no parameter of the model" if subject.tracks_model else "no x"
        raise Mistake(f"the backward of loss(y) reaches {what}: expected that it does")
    trained.repeats = torch.equal(*values) if len(values) > 1 else not drawn.any()
    trained.seconds = seconds
    if seconds > leave_out.LONG or evaluated.long:
        trained.under = {
            name: each for name, each in evaluated.under.items() if name in CONTEXTS and each.raises
        }
        trained.apart = evaluated.differs is not None and evaluated.differs.apart
        return trained
    _other_losses(subject, loss, values[0], evaluated, trained)
    return trained


def _watched_loss(
    subject: Subject,
    watched: Watched,
    model: torch.nn.Module | None,
    x: torch.Tensor,
    loss: Callable[..., Any],
) -> torch.Tensor:
    """The loss, watched; unwatched where torch allows no watch, as in torch.func."""
    try:
        with watched.watching():
            return subject.loss_of(model, x, loss)
    except Exception:
        # An error of the user's code comes again here.
        watched.forget()
        return subject.loss_of(model, x, loss)


def _other_losses(
    subject: Subject, loss: Callable[..., Any], recorded: torch.Tensor, evaluated: Evaluated, trained: Trained
) -> None:
    """The unrecorded loss, for validation; and the loss where only x is tracked."""
    ways: dict[str, tuple[bool, Callable[[], AbstractContextManager[Any]]]] = {
        name: (False, context) for name, context in CONTEXTS.items()
    }
    if subject.tracks_x and subject.tracks_model:
        ways[FROZEN] = (True, contextlib.nullcontext)
    for name, (frozen, context) in ways.items():
        model, x = subject.variant(frozen=frozen, training=True, tracks_x=subject.tracks_x)
        try:
            with context():
                value = subject.loss_of(model, x, loss)
        except Raised as raised:
            inside = "does not require grad" in raised.says
            # A forward that differentiates explains its error.
            inside |= raised.what != LOSS_CALLED and evaluated.under.get(name) is not None
            trained.under[name], fault = subject.does_not_work(raised, name, inside, "in training, ")
            if name not in evaluated.under:
                trained.faults.append(fault)
            continue
        flags = flags_of(value)
        if (flags.requires_grad, flags.inference) != (name == FROZEN, name == "inference_mode"):
            trained.under[name] = flags
        if name in CONTEXTS and trained.repeats:
            trained.apart |= not alike(recorded, value.detach(), subject.allowed(value))


def _without_gradient(model: torch.nn.Module) -> list[Fault]:
    """The fault of tracked parameters that get no gradient in a training step."""
    tracked = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    missed = [(name, each.numel()) for name, each in tracked if each.grad is None]
    # Another check refuses a training in which no parameter gets a gradient.
    if not missed or len(missed) == len(tracked):
        return []
    elements, all_of_them = sum(count for _, count in missed), sum(each.numel() for _, each in tracked)
    names = missed[0][0] + (f" and {len(missed) - 1} more" if len(missed) > 1 else "")
    return [
        Fault(
            "no gradient",
            f"{elements:,} of {all_of_them:,} trainable elements get no gradient in training ({names}): they "
            "are not used, or their results are detached or under no_grad()",
        )
    ]
