"""Which changes of a user's training would save memory: found in its modules, executed once, and checked.

A change is kept only where the loss stays what it is, and so does the gradient of whatever is still trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from gradbench.define import changes as changes_of
from gradbench.measure.variant import execute_on
from gradbench.models import share
from gradbench.record.anatomy import Change, Kept

# A module with more than this part of what is kept is looked into.
_MAIN = 0.8
# A segment of a sequence is worth to be computed again from so many layers on.
_FEWEST_LAYERS = 4
# Samples that show whether a change leaves the gradients as they are, where the loss takes a part of x.
_FEW = 2
# So many changes are checked however long that takes.
_IN_ANY_CASE = 3
# The relative error of a gradient as a whole that is allowed.
_ALLOWED = 1e-3


@dataclass(frozen=True)
class Training:
    """What is trained: a model, its input, and how a loss comes of them."""

    model: torch.nn.Module
    x: torch.Tensor
    forward: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
    loss: Callable[[torch.Tensor], torch.Tensor]

    def changed(self, change: Change) -> tuple[torch.nn.Module, torch.Tensor]:
        """A copy of the model, on the same storages, and x, after the change."""
        x = self.x.detach().requires_grad_(self.x.requires_grad)
        names = execute_on({"model": share(self.model), "x": x}, change.code, f"<{change.name}>")
        return names["model"], names["x"]

    def step(self, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Forward, loss and backward; the loss."""
        value = self.loss(self.forward(model, x))
        value.backward()
        return value.detach()

    def clear(self) -> None:
        """Let go of all gradients."""
        self.model.zero_grad()
        self.x.grad = None


def units(model: torch.nn.Module, kept: Sequence[Kept], called: Sequence[str]) -> list[str]:
    """The blocks of a model in the order of their calls: its children, and those of whichever holds most."""
    activations = [each for each in kept if each.role == "activation"]
    inside = ""
    found = _children(model, inside)
    while True:
        held = {name: sum(each.bytes for each in activations if _within(each.module, name)) for name in found}
        inner = [name for name in found if _within(name, inside)]
        main = max(inner, key=lambda name: held[name], default=None)
        if main is None or held[main] <= _MAIN * sum(held.values()):
            break
        children = _children(model, main)
        if not children:
            break
        at = found.index(main)
        found[at : at + 1] = children
        inside = main
    first = {name: place for place, name in reversed(list(enumerate(called)))}
    order = {
        name: min((place for each, place in first.items() if _within(each, name)), default=None)
        for name in found
    }
    return sorted((name for name in found if order[name] is not None), key=lambda name: order[name] or 0)


def _children(model: torch.nn.Module, name: str) -> list[str]:
    return [f"{name}.{child}" if name else child for child, _ in model.get_submodule(name).named_children()]


def _within(module: str, name: str) -> bool:
    """Whether a module is the one of this name, or inside it; the empty name holds all."""
    return not name or module == name or module.startswith(f"{name}.")


def candidates(
    model: torch.nn.Module,
    kept: Sequence[Kept],
    called: Sequence[str],
    samples: int,
    tracks_x: bool = False,
) -> list[Change]:
    """Changes that may save memory, those that save most by what is kept first; none is checked yet."""
    blocks = units(model, kept, called)
    held = [
        sum(each.bytes for each in kept if each.role == "activation" and _within(each.module, name))
        for name in blocks
    ]
    trains = [any(each.requires_grad for each in model.get_submodule(name).parameters()) for name in blocks]
    found: list[Change] = []
    # Where nothing in between is trained, to freeze more is the same.
    last = max((place for place, trained in enumerate(trains) if trained), default=0)
    half = next((place for place in range(len(held)) if sum(held[: place + 1]) >= sum(held) / 2), 0)
    for end in dict.fromkeys((last, half + 1)):
        if 0 < end <= last and any(trains[:end]) and (end == last or any(trains[end:last])):
            found.append(changes_of.freeze(blocks[:end], blocks[end:]))
    if last > 0:
        found.insert(1, changes_of.without_recording(blocks[:last], blocks[last:]))
    whole = [name for name in blocks if any(True for _ in model.get_submodule(name).children())]
    whole = [name for name in whole if held[blocks.index(name)]]
    if whole:
        largest = max(whole, key=lambda name: held[blocks.index(name)])
        if len(whole) > 1:
            found.append(changes_of.recompute(whole, every=True))
        found.append(changes_of.recompute([largest], every=False))
    else:
        container = blocks[0].rpartition(".")[0] if blocks else ""
        layers = model.get_submodule(container)
        if isinstance(layers, torch.nn.Sequential) and len(layers) >= _FEWEST_LAYERS:
            found.append(changes_of.recompute_segments(container, 2))
    if samples > 1:
        found.append(changes_of.fewer_samples(samples // 2, samples, tracks_x))
    return found


def checked(
    training: Training, found: Sequence[Change], seconds: float
) -> tuple[list[Change], dict[str, str]]:
    """Those of the changes that leave the loss and the gradients as they must be; and why others do not.

    Args:
        seconds: after which no further change is executed.
    """
    until = time.perf_counter() + seconds
    few = _few(training)
    kept: list[Change] = []
    left_out: dict[str, str] = {}
    for place, change in enumerate(found):
        if place >= _IN_ANY_CASE and time.perf_counter() > until:
            left_out[change.name] = f"{change.label}: there was no time to check it"
            continue
        try:
            if change.same_loss:
                _expect_same(few, change)
            else:
                _expect_samples(training, change)
            kept.append(change)
        except Exception as error:
            left_out[change.name] = f"{change.label}: {_first_line(error)}"
    return kept, left_out


class _Differs(Exception):
    """A change does not leave what it must leave."""


def _few(training: Training) -> Training:
    """The training with a few samples, where its forward takes them; else as it is."""
    if training.x.dim() == 0 or training.x.shape[0] <= _FEW:
        return training
    few = replace(training, x=training.x[:_FEW])
    try:
        few.forward(share(few.model), few.x)
    except Exception:
        return training
    return few


def _gradients(
    training: Training, model: torch.nn.Module, x: torch.Tensor, evaluated: bool
) -> tuple[torch.Tensor, dict[str, torch.Tensor | None]]:
    """The result, and the gradients of what is trained, by name, in evaluation mode or the file's.

    They are those of a weighted sum of the result: a loss may have gradients that are nothing but rounding,
    as the mean square of what was normalised has.
    """
    torch.manual_seed(0)
    y = training.forward(model.eval() if evaluated else model, x)
    weights = torch.rand(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    (y * weights).sum().backward()
    return y.detach(), {name: each.grad for name, each in model.named_parameters() if each.requires_grad}


def _expect_same(training: Training, change: Change) -> None:
    """Raise _Differs where a change moves the result, or a gradient that it should leave.

    Kernels that need no gradient may draw other random numbers: then evaluation mode decides.
    """
    try:
        _hold(training, change, evaluated=False)
    except _Differs:
        if not _draws(training):
            raise
        _hold(training, change, evaluated=True)


def _draws(training: Training) -> bool:
    """Whether a forward draws random numbers."""
    before = torch.get_rng_state()
    with torch.no_grad():
        training.forward(share(training.model), training.x)
    return not torch.equal(before, torch.get_rng_state())


def _hold(training: Training, change: Change, evaluated: bool) -> None:
    y, expected = _gradients(training, share(training.model), training.x, evaluated)
    model, x = training.changed(change)
    value, gradients = _gradients(training, model, x, evaluated)
    if (value - y).norm() > _ALLOWED * y.norm():
        raise _Differs("the result of the model is another one")
    for name, wanted in expected.items():
        still = not change.trained or any(_within(name, module) for module in change.trained)
        if wanted is None or not still:
            continue
        gradient = gradients.get(name)
        if gradient is None:
            raise _Differs(f"{name} gets no gradient")
        if (gradient - wanted).norm() > _ALLOWED * wanted.norm() + 1e-8:
            raise _Differs(f"the gradient of {name} is another one")


def _expect_samples(training: Training, change: Change) -> None:
    """Raise _Differs where the first dimension of x does not hold samples that go their own way."""
    model, x = training.changed(change)
    few = x[:1], x[: min(_FEW, len(x))]
    evaluated = share(training.model).eval()
    with torch.no_grad():
        one, more = (training.forward(evaluated, each) for each in few)
    if one.dim() == 0 or one.shape[0] != len(few[0]) or more.shape[0] != len(few[1]):
        raise _Differs("the first dimension of x is not that of the result: a smaller x is no smaller batch")
    if not torch.allclose(one, more[:1], rtol=_ALLOWED, atol=1e-4):
        raise _Differs("results of samples depend on each other: a smaller x is no smaller batch")
    training.step(model, x)


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, _Differs) else f"{type(error).__name__}: {text}"
