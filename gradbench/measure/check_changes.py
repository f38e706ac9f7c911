"""Check of a change of a user's training: it runs once, and is compared with training without it.

A change is kept only where the result of the model stays the same. The gradients of all parameters that the
change leaves trained must stay the same, too. The effect of the change names other values that it moves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import torch

from gradbench.measure.agreement import alike
from gradbench.measure.candidates import within
from gradbench.measure.training import (
    ALLOWED,
    Gradients,
    Training,
    buffers_kept,
    gradients_of,
    how_gradients_differ,
    seed_all,
)
from gradbench.measure.user_code import Drawn
from gradbench.models import share
from gradbench.record.anatomy import Change

# Samples that show whether a change leaves the gradients as they are, where the model takes a part of x.
FEW = 2
# This many changes are checked, no matter how long that takes.
_IN_ANY_CASE = 3


@dataclass(frozen=True)
class Checked:
    """A change that may be offered.

    Attributes:
        trained: names of the parameters that get a gradient after it; a tied one has several.
    """

    change: Change
    trained: frozenset[str]


def checked(
    training: Training, found: Sequence[Change], seconds: float, samples: int = FEW, repeat: bool = True
) -> tuple[list[Checked], dict[str, str]]:
    """The changes that leave the result and the gradients as they must be; and why others do not.

    Args:
        seconds: after which no further change is executed.
        samples: number of samples that it is executed on, where the model takes a part of x.
        repeat: first compare two runs of the unchanged model.
    """
    until = time.perf_counter() + seconds
    few = _few(training, samples)
    expected = _Expected(few)
    differs = expected.differs_by_itself() if repeat and found else ""
    kept: list[Checked] = []
    left_out: dict[str, str] = {}
    for place, change in enumerate(found):
        if differs:
            left_out[change.name] = f"{change.label}: {differs}"
            continue
        if place >= _IN_ANY_CASE and time.perf_counter() > until:
            left_out[change.name] = f"{change.label}: there was no time to check it"
            continue
        try:
            # A copy shares the buffers of the model: a step that moves them would change the next comparison.
            with buffers_kept(training.model):
                kept.append(
                    _expect_same(few, change, expected)
                    if change.same_loss
                    else _expect_samples(training, change)
                )
        except Exception as error:
            left_out[change.name] = f"{change.label}: {_first_line(error)}"
    return kept, left_out


class _Differs(Exception):
    """A change moves a value that it must leave alone."""


@dataclass(frozen=True)
class _Outcome:
    """The outcome of a step: the result, gradients, and buffers afterwards, which are then put back."""

    y: torch.Tensor
    gradients: Gradients
    buffers: dict[str, torch.Tensor]


class _Expected:
    """The outcome of training without a change, in evaluation mode or not; computed at the first request."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._found: dict[bool, _Outcome] = {}

    def of(self, evaluated: bool) -> _Outcome:
        if evaluated not in self._found:
            self._found[evaluated] = self._again(evaluated)
        return self._found[evaluated]

    def _again(self, evaluated: bool) -> _Outcome:
        return _outcome(self._training, share(self._training.model), self._training.input(), evaluated)

    def differs_by_itself(self) -> str:
        """Why it cannot serve for comparison, though generators get the same seed; empty where it can."""
        first, second = self.of(False), self._again(False)
        if alike(first.y, second.y, ALLOWED) and not how_gradients_differ(first.gradients, second.gradients):
            return ""
        return "the model gives another result or gradient at each call"


def _few(training: Training, samples: int) -> Training:
    """The training with this many samples, where its forward takes them; otherwise unchanged."""
    if training.x.dim() == 0 or training.x.shape[0] <= samples:
        return training
    few = replace(training, x=training.x[:samples].detach().requires_grad_(training.x.requires_grad))
    try:
        few.forward(share(few.model).eval(), few.x)
    except Exception:
        return training
    return few


def _outcome(training: Training, model: torch.nn.Module, x: torch.Tensor, evaluated: bool) -> _Outcome:
    """A step in evaluation mode, or in the file's.

    The gradients are those of a weighted sum of the result. A loss may have gradients that are only rounding,
    such as the mean square of a normalised tensor.
    """
    with buffers_kept(model):
        seed_all()
        y = training.forward(model.eval() if evaluated else model, x)
        weights = torch.rand(y.shape, generator=torch.Generator().manual_seed(0)).to(y.device)
        weighted = y * weights
        (weighted.real if weighted.is_complex() else weighted).sum().backward()
        after = {name: each.clone() for name, each in model.named_buffers()}
    return _Outcome(y.detach(), gradients_of(model, x), after)


def _expect_same(training: Training, change: Change, expected: _Expected) -> Checked:
    """The parameters that the change leaves trained. Raises _Differs where it moves the result or their
    gradients.

    Kernels that need no gradient may draw other random numbers. Then evaluation mode decides.
    """
    try:
        return _hold(training, change, expected.of(False), evaluated=False)
    except _Differs:
        drawn = Drawn()
        with torch.no_grad(), buffers_kept(training.model):
            training.forward(share(training.model), training.x)
        if not drawn.any():
            raise
        return _hold(training, change, expected.of(True), evaluated=True)


def _hold(training: Training, change: Change, expected: _Outcome, evaluated: bool) -> Checked:
    model, x = training.changed(change)
    got = _outcome(training, model, x, evaluated)
    if not alike(expected.y, got.y, ALLOWED):
        raise _Differs("the result of the model is another one")

    def still(name: str) -> bool:
        return not name or not change.trained or any(within(name, module) for module in change.trained)

    differs = how_gradients_differ(expected.gradients, got.gradients, still)
    if differs:
        raise _Differs(differs)
    trained = frozenset(name for name, each in got.gradients.items() if each is not None and name)
    return Checked(_with_what_else(change, expected, got), trained)


def _with_what_else(change: Change, expected: _Outcome, got: _Outcome) -> Change:
    """The change, with all further parameters and buffers that it moves named in its effect."""
    also = [
        name
        for name, each in expected.gradients.items()
        if each is not None
        and name
        and got.gradients.get(name) is None
        and change.modules
        and not any(within(name, module) for module in change.modules)
    ]
    effect = change.effect + (f", nor {_listed(also)}" if also else "")
    tied = [
        name
        for name, each in got.gradients.items()
        if each is not None and change.trained and any(within(name, module) for module in change.modules)
    ]
    effect += f", but for {_listed(tied)}, which is tied to what is trained" if tied else ""
    moved = [
        name
        for name, each in expected.buffers.items()
        # Other kernels may round differently.
        if name in got.buffers and not alike(each, got.buffers[name], ALLOWED)
    ]
    if moved:
        effect += f"; {_listed(moved)} {'moves' if len(moved) == 1 else 'move'} otherwise in a step"
    return change if effect == change.effect else msgspec.structs.replace(change, effect=effect)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _expect_samples(training: Training, change: Change) -> Checked:
    """Raise _Differs where the first dimension of x does not hold independent samples."""
    model, x = training.changed(change)
    evaluated, samples = share(training.model).eval(), x[: min(FEW, len(x))]
    with torch.no_grad():
        more = training.forward(evaluated, samples)
        # Try sample by sample: in a sequence the first element is independent, and the others are not.
        alone = [training.forward(evaluated, samples[place : place + 1]) for place in range(len(samples))]
    if more.dim() == 0 or more.shape[0] != len(samples) or any(each.shape[:1] != (1,) for each in alone):
        raise _Differs("the first dimension of x is not that of the result: a smaller x is no smaller batch")
    if not alike(more, torch.cat(alone), ALLOWED):
        raise _Differs("results of samples depend on each other: a smaller x is no smaller batch")
    try:
        training.step(model, x)
    except (RuntimeError, ValueError) as error:
        reason = _first_line(error).rstrip(".")
        raise _Differs(
            f"{reason}; give the loss as many targets as y has, such as target[: len(y)]"
        ) from None
    return Checked(
        change, frozenset(name for name, each in gradients_of(model, x).items() if each is not None)
    )


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, _Differs) else f"{type(error).__name__}: {text}"
