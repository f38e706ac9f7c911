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
    training: Training, kept: Sequence[Kept], called: Sequence[str], weight: int, few: bool
) -> list[Change]:
    """Changes that may save memory, what matters most first; none is checked yet.

    Args:
        kept, called: what the modules keep, and their order.
        weight: copies of a trained parameter that training holds beside it: its gradient, and moments.
        few: only the most important ones.
    """
    model, x = training.model, training.x
    blocks = units(model, kept, called)
    held = [
        sum(each.bytes for each in kept if each.role == "activation" and _within(each.module, name))
        for name in blocks
    ]
    parameters = [list(model.get_submodule(name).parameters()) for name in blocks]
    trains = [any(each.requires_grad for each in own) for own in parameters]
    frees = [
        bytes_ + weight * sum(each.numel() * each.element_size() for each in own if each.requires_grad)
        for bytes_, own in zip(held, parameters, strict=True)
    ]
    # Where nothing in between is trained, to freeze more is the same.
    last = max((place for place, trained in enumerate(trains) if trained), default=0)
    half = next((place for place in range(last) if sum(frees[: place + 1]) >= sum(frees) / 2), last) + 1
    first: list[Change] = []
    more: list[Change] = []
    if last > 0 and any(trains[:last]):
        first.append(changes_of.freeze(blocks[:last], blocks[last:]))
        more.append(changes_of.without_recording(blocks[:last], blocks[last:]))
    if half < last and any(trains[:half]) and any(trains[half:last]):
        more.insert(0, changes_of.freeze(blocks[:half], blocks[half:]))
    whole = [name for name in blocks if any(True for _ in model.get_submodule(name).children())]
    whole = [name for name in whole if held[blocks.index(name)]]
    if whole:
        largest = changes_of.recompute([max(whole, key=lambda name: held[blocks.index(name)])], every=False)
        first.append(changes_of.recompute(whole, every=True) if len(whole) > 1 else largest)
        more += [largest] if len(whole) > 1 else []
    else:
        container = blocks[0].rpartition(".")[0] if blocks else ""
        layers = model.get_submodule(container)
        if isinstance(layers, torch.nn.Sequential) and len(layers) >= _FEWEST_LAYERS:
            first.append(changes_of.recompute_segments(container, 2))
    samples = len(x) if x.dim() else 1
    if samples > 1:
        first.append(changes_of.fewer_samples(samples // 2, samples, x.requires_grad))
    return first if few else [*first, *more]


class _Expected:
    """What training gives without a change, by whether it is in evaluation mode; computed when asked for."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._found: dict[bool, tuple[torch.Tensor, dict[str, torch.Tensor | None]]] = {}

    def of(self, evaluated: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor | None]]:
        """The result, and the gradients by name."""
        if evaluated not in self._found:
            model = share(self._training.model)
            self._found[evaluated] = _gradients(self._training, model, self._training.x, evaluated)
        return self._found[evaluated]


def checked(
    training: Training, found: Sequence[Change], seconds: float, samples: int = _FEW
) -> tuple[list[Change], dict[str, str]]:
    """Those of the changes that leave the loss and the gradients as they must be; and why others do not.

    Args:
        seconds: after which no further change is executed.
        samples: on which it is executed, where the model takes a part of x.
    """
    until = time.perf_counter() + seconds
    few = _few(training, samples)
    expected = _Expected(few)
    kept: list[Change] = []
    left_out: dict[str, str] = {}
    for place, change in enumerate(found):
        if place >= _IN_ANY_CASE and time.perf_counter() > until:
            left_out[change.name] = f"{change.label}: there was no time to check it"
            continue
        try:
            if change.same_loss:
                _expect_same(few, change, expected)
            else:
                _expect_samples(training, change)
            kept.append(change)
        except Exception as error:
            left_out[change.name] = f"{change.label}: {_first_line(error)}"
    return kept, left_out


class _Differs(Exception):
    """A change does not leave what it must leave."""


def _few(training: Training, samples: int) -> Training:
    """The training with so many samples, where its forward takes them; else as it is."""
    if training.x.dim() == 0 or training.x.shape[0] <= samples:
        return training
    few = replace(training, x=training.x[:samples])
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


def _expect_same(training: Training, change: Change, expected: _Expected) -> None:
    """Raise _Differs where a change moves the result, or a gradient that it should leave.

    Kernels that need no gradient may draw other random numbers: then evaluation mode decides.
    """
    try:
        _hold(training, change, *expected.of(False), evaluated=False)
    except _Differs:
        if not _draws(training):
            raise
        _hold(training, change, *expected.of(True), evaluated=True)


def _draws(training: Training) -> bool:
    """Whether a forward draws random numbers."""
    before = torch.get_rng_state()
    with torch.no_grad():
        training.forward(share(training.model), training.x)
    return not torch.equal(before, torch.get_rng_state())


def _hold(
    training: Training,
    change: Change,
    y: torch.Tensor,
    expected: dict[str, torch.Tensor | None],
    evaluated: bool,
) -> None:
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
