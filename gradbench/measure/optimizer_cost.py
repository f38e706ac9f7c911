"""Memory and time of a user's optimizer, on a copy of the model, for all trained parameters or for a part."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection

import psutil
import torch

from gradbench.measure.execution import storage_bytes, tensors_in
from gradbench.measure.memory import measure_call
from gradbench.measure.training import Training
from gradbench.record.anatomy import OptimizerCost, Trained

# Copies of the parameters that the look holds at most: the model, gradients, two moments, and a step.
_COPIES = 6


class NotCounted(Exception):
    """Why the optimizer cannot be stepped on a copy."""


class CopiedOptimizer:
    """The user's optimizer, and a copy of the model that it steps, by gradients of zeros.

    Attributes:
        cost: cost of a step for all trained parameters.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        training: Training,
        steps: int,
        names: Collection[str] | None = None,
    ) -> None:
        """Step it this often; the shortest step is its time. Raises NotCounted.

        `names` are the parameters that get a gradient in training; None for all trained ones.
        """
        held = {each for group in optimizer.param_groups for each in group["params"]}
        parameters = list(training.model.parameters())
        if not held & set(parameters):
            raise NotCounted("it holds no parameter of the model: make it from model.parameters()")
        needs = _COPIES * storage_bytes(parameters)
        if needs > psutil.virtual_memory().available / 2:
            raise NotCounted("there is too little memory for a copy of the model and of its state")
        try:
            # One copy of both, so that the copied optimizer steps the copied parameters.
            self._model, self._optimizer = copy.deepcopy((training.model, optimizer))
            self._make_gradients(names)
            self._optimizer.step()
            state = storage_bytes(
                tensors_in([list(each.values()) for each in self._optimizer.state.values()])
            )
            seconds = []
            for _ in range(steps):
                begun = time.perf_counter()
                self._optimizer.step()
                seconds.append(time.perf_counter() - begun)
            self.cost = OptimizerCost(type(optimizer).__name__, state, self._peak(), min(seconds))
        except Exception as error:
            raise NotCounted(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None

    def _make_gradients(self, names: Collection[str] | None) -> None:
        """Gradients of zeros, of the parameters of these names, tied or not; None is all."""
        wanted = {
            each
            for name, each in self._model.named_parameters(remove_duplicate=False)
            if each.requires_grad and (names is None or name in names)
        }
        for each in self._model.parameters():
            each.grad = torch.zeros_like(each) if each in wanted else None

    def _peak(self) -> int:
        """Most bytes live at once in a step, beside the state and the gradients."""
        counted, _ = measure_call(self._optimizer.step)
        return counted.peak - counted.standing

    def of(self, names: Collection[str], counts_peak: bool) -> Trained:
        """The memory of training only the parameters of these names.

        Without `counts_peak` the peak of a step is that for all parameters, which is an upper bound.
        """
        self._make_gradients(names)
        kept = [each for each in self._model.parameters() if each.grad is not None]
        states = [list(self._optimizer.state.get(each, {}).values()) for each in kept]
        return Trained(
            storage_bytes(kept),
            storage_bytes(tensors_in(states)),
            self._peak() if counts_peak and kept else self.cost.peak,
        )


def without_optimizer(training: Training, names: Collection[str]) -> Trained:
    """The memory of the parameters of these names, without an optimizer."""
    named = training.model.named_parameters(remove_duplicate=False)
    return Trained(storage_bytes(each for name, each in named if name in names), 0, 0)
