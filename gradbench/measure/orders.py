"""Checks whether evaluation under a method breaks later work, as a cache filled in inference mode does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from gradbench.measure.training import (
    Gradients,
    Training,
    gradients_of,
    how_gradients_differ,
    modes_kept,
    seed_all,
)
from gradbench.record.user_file import Fault

# The methods of evaluation, as code names them.
_WAYS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "torch.inference_mode()": torch.inference_mode,
    "torch.no_grad()": torch.no_grad,
    "recording": torch.enable_grad,
}


def orders(fresh: Callable[[], Training], trains: bool) -> list[Fault]:
    """Work that fails or changes after an evaluation under a method, and not without it; once for each
    method.

    Args:
        fresh: runs the user's file again, so that no state of an earlier evaluation is left.
        trains: the file has a loss, so a training step is also tried.
    """
    expected, again = _outcomes(fresh(), trains), _outcomes(fresh(), trains)
    if any(_differs(one, other) for (_, one), (_, other) in zip(expected, again, strict=True)):
        # An outcome that differs without a method, as by unseeded random numbers, shows nothing.
        return []
    faults = []
    for way, context in _WAYS.items():
        training = fresh()
        try:
            _evaluate(training, context)
        except Exception:
            # Another check reports a method that does not work at all.
            continue
        for (what, wanted), (_, got) in zip(expected, _outcomes(training, trains), strict=True):
            broken = _differs(wanted, got)
            if broken:
                faults.append(
                    Fault(
                        "state poisoned",
                        f"an evaluation under {way} breaks {what} after it: {broken}; the model "
                        "keeps a tensor from its first call: make that tensor again, or outside of the "
                        "method",
                    )
                )
                break
    return faults


_Outcome = Gradients | str


def _outcomes(training: Training, trains: bool) -> list[tuple[str, _Outcome]]:
    """The outcome of training, or of a recorded evaluation: gradients by name, or the error as text."""
    found: list[tuple[str, _Outcome]] = []
    for what, step in (("training", training.step), ("recording", partial(_record, training))):
        if what == "training" and not trains:
            continue
        seed_all()
        training.clear()
        try:
            step(training.model, training.x)
            found.append((what, gradients_of(training.model, training.x)))
        except Exception as error:
            found.append((what, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"))
    return found


def _record(training: Training, model: torch.nn.Module, x: torch.Tensor) -> None:
    y = training.forward(model, x)
    if y.requires_grad:
        y.float().sum().backward()


def _evaluate(training: Training, context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Evaluate the model itself, as users do, so that its state carries over to the training."""
    with modes_kept(training.model), context():
        training.forward(training.model.eval(), training.x)


def _differs(wanted: _Outcome, got: _Outcome) -> str:
    """How an outcome is worse than without the method before; empty where it is the same."""
    if isinstance(wanted, str):
        return ""
    if isinstance(got, str):
        return got
    return how_gradients_differ(wanted, got)
