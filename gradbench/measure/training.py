"""A user's training, executed: model, input and loss; its gradients, and how two sets of them differ."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from gradbench.measure.variant import execute
from gradbench.models import share
from gradbench.record.anatomy import Change

# The allowed relative error of a whole gradient.
ALLOWED = 1e-3

# Gradients by name, also by the further names of a tied parameter. The name of x is empty.
Gradients = Mapping[str, torch.Tensor | None]


@dataclass(frozen=True)
class Training:
    """The parts of a training: a model, its input, and the loss of them."""

    model: torch.nn.Module
    x: torch.Tensor
    forward: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
    loss: Callable[[torch.Tensor], torch.Tensor]

    def input(self) -> torch.Tensor:
        """x on the same storage, with a separate gradient where it is tracked."""
        return self.x.detach().requires_grad_(self.x.requires_grad)

    def changed(self, change: Change) -> tuple[torch.nn.Module, torch.Tensor]:
        """A copy of the model, on the same storages, and x, after the change."""
        given = {"model": share(self.model), "x": self.input()}
        names = execute(change.code, f"<{change.name}>", given=given)
        return names["model"], names["x"]

    def step(self, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Forward, loss and backward; the loss."""
        # The result has a name and lives as long as the step, as in most training loops.
        y = self.forward(model, x)
        value = self.loss(y)
        value.backward()
        return value.detach()

    def whole_step(self) -> None:
        """A step of the model itself, which then releases its gradients."""
        self.step(self.model, self.x)
        self.clear()

    def clear(self) -> None:
        """Release all gradients."""
        self.model.zero_grad()
        self.x.grad = None


@contextlib.contextmanager
def modes_kept(model: torch.nn.Module) -> Iterator[None]:
    """Restore the mode of each module afterwards: some may evaluate while others train."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextlib.contextmanager
def buffers_kept(model: torch.nn.Module) -> Iterator[None]:
    """Restore the buffers of a model afterwards: running statistics move in every step."""
    before = {name: each.clone() for name, each in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, each in model.named_buffers():
                if name in before and each.shape == before[name].shape:
                    each.copy_(before[name])


def seed_all() -> None:
    """Seed each generator that a model may draw from, for the same random numbers afterwards."""
    torch.manual_seed(0)
    random.seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)


def gradients_of(model: torch.nn.Module, x: torch.Tensor) -> Gradients:
    """The present gradients of all tracked tensors."""
    named = model.named_parameters(remove_duplicate=False)
    found: dict[str, torch.Tensor | None] = {name: each.grad for name, each in named if each.requires_grad}
    return {**found, **({"": x.grad} if x.requires_grad else {})}


def how_gradients_differ(
    wanted: Gradients, got: Gradients, of: Callable[[str], bool] = lambda _: True
) -> str:
    """The first gradient among `of` that is missing or differs, as a clause; empty for none."""
    largest = max((float(each.norm()) for each in wanted.values() if each is not None), default=0.0)
    for name, gradient in wanted.items():
        if gradient is None or not of(name):
            continue
        words, other = name or "x", got.get(name)
        if other is None:
            return f"{words} gets no gradient"
        # A difference that is rounding beside the largest gradient does not count.
        allowed = ALLOWED * max(float(gradient.norm()), ALLOWED * largest)
        if not float((other - gradient).norm()) <= allowed:
            return f"the gradient of {words} is another one"
    return ""
