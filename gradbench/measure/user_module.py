"""A module of the caller, evaluated and trained in the caller's process, and left unchanged."""

from __future__ import annotations

import contextlib
import random
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch.nn.parameter import is_lazy

from gradbench.define.methods import METHODS
from gradbench.define.templates import fill, joined
from gradbench.define.user_model import ALLOWED
from gradbench.measure.agreement import alike, distance, how_different
from gradbench.measure.anatomy import Watched
from gradbench.measure.execution import no_hooks_allowed, tensors_in
from gradbench.measure.variant import execute
from gradbench.models import share
from gradbench.record.anatomy import Kept

# The methods of the evaluations, from `gradbench.define.methods`; the first records.
RECORDING = "tracked"
EVALUATED = (RECORDING, "requires_grad_false", "no_grad", "inference_mode")

Call = Callable[[torch.nn.Module, Any], Any]
Loss = Callable[[Any], Any]


@dataclass(frozen=True)
class Steps:
    """A training step of a module, in parts: functions that can be called again and again.

    Attributes:
        forward: forward and loss, recorded; returns the loss.
        set_up_backward: the same, with gradients cleared before; its result goes to `backward`.
        backward: the backward of that loss.
        step: forward, loss and backward, and then it clears gradients.
    """

    forward: Callable[[], torch.Tensor]
    set_up_backward: Callable[[], torch.Tensor]
    backward: Callable[[torch.Tensor], None]
    step: Callable[[], None]


class UserModule:
    """A module and its input.

    Attributes:
        device: device of the first parameter, as torch names it.
        name: name of the class of the module.
    """

    def __init__(self, module: object, x: object, call: Call | None = None) -> None:
        """Raises TypeError or ValueError, in one line, for arguments that cannot be measured."""
        wanted = "expected module to be a torch.nn.Module"
        if isinstance(module, type):
            raise TypeError(f"{wanted}; got the class {module.__name__}; call it once to make a module")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"{wanted}; got {type(module).__name__}; give the module itself")
        tensors = [*module.parameters(), *module.buffers()]
        if any(is_lazy(each) for each in tensors):
            raise ValueError(
                "expected a module with all its parameters; got some that its first call makes; call it once"
            )
        if not any(each.requires_grad for each in module.parameters()):
            raise ValueError(
                "expected a parameter that requires gradients; got none, so that every control would do "
                "nothing; set module.requires_grad_(True)"
            )
        self.device = str(next(module.parameters()).device)
        self.name = type(module).__name__
        # The devices whose random generators are restored, beside that of the CPU.
        self._accelerators = [torch.device(self.device)] if self.device.startswith("cuda") else []
        self._module, self._x = module, x
        self._call: Call = (lambda module, x: module(x)) if call is None else call

    def _input(self) -> Any:
        """The input on the same storage, with a separate flag and gradient."""
        if not isinstance(self._x, torch.Tensor):
            return self._x
        return self._x.detach().requires_grad_(self._x.requires_grad)

    def _copy(self) -> torch.nn.Module:
        try:
            return share(self._module)
        except Exception as error:
            raise ValueError(
                "expected a module that can be copied, since each control needs a copy with separate flags; "
                f"got {type(error).__name__}: {error}; make it copyable by copy.deepcopy"
            ) from None

    def evaluations(self) -> dict[str, Callable[[], Any]]:
        """By method, a function that evaluates the module under it, in evaluation mode; they share storages.

        Raises ValueError where recording does not record. Errors of the module pass through.
        """
        x = self._x.detach() if isinstance(self._x, torch.Tensor) else self._x
        made = {name: self._evaluation(name, x) for name in EVALUATED}
        result = made[RECORDING]()
        tensors = list(_tensors(result))
        if not tensors:
            raise TypeError(
                f"expected the module to return tensors; got {type(result).__name__}; give "
                "call=lambda module, x: ... that returns one"
            )
        if not any(each.requires_grad for each in tensors):
            raise ValueError(
                "expected a result that requires gradients, since parameters do; got one without: the module "
                "works under no_grad() or detaches its result; take that out, since its gain is measured"
            )
        return made

    def _evaluation(self, name: str, x: Any) -> Callable[[], Any]:
        method = next(each for each in METHODS if each.name == name)
        setup = method.setup if method.setup_model is None else method.setup_model
        within = fill(method.within, "work(model, {x})")
        inner = f"def evaluate():\n{textwrap.indent(within, '    ')}\n    return y"
        body = joined(setup, inner, "return evaluate")
        code = f"def make(model, work, x):\n{textwrap.indent(body, '    ')}"
        made: Callable[[], Any] = execute(code, f"<{name}>")["make"](self._copy().eval(), self._call, x)
        return made

    def differing(self, evaluations: dict[str, Callable[[], Any]]) -> dict[str, str]:
        """By method, how its values differ from the recorded ones by more than rounding.

        All begin with the same state of torch's random generators. One that raises is left out.
        """
        with torch.random.fork_rng(self._accelerators):
            recorded = [each.detach().clone() for each in _tensors(evaluations[RECORDING]())]
        found = {}
        for name, evaluate in evaluations.items():
            # The timing finds this error again, and reports it.
            with contextlib.suppress(Exception), torch.random.fork_rng(self._accelerators):
                difference = _difference(list(_tensors(evaluate())), recorded)
                if difference:
                    found[name] = difference
        return found

    def steps(self, loss: Loss) -> Steps:
        """A training step in the mode and with the flags that the module has.

        Raises TypeError or ValueError where the loss cannot be used for training.
        """
        model, x, call = self._copy(), self._input(), self._call
        parameters = list(model.parameters())

        def clear() -> None:
            for parameter in parameters:
                parameter.grad = None
            if isinstance(x, torch.Tensor):
                x.grad = None

        def forward() -> torch.Tensor:
            return loss(call(model, x))

        def set_up_backward() -> torch.Tensor:
            clear()
            return forward()

        def backward(value: torch.Tensor) -> None:
            value.backward()

        def step() -> None:
            forward().backward()
            clear()

        _expect_loss(forward())
        return Steps(forward, set_up_backward, backward, step)

    def kept(self, loss: Loss | None) -> tuple[Kept, ...]:
        """The storages that the graph of a forward with loss, or of a recorded evaluation, keeps, by module.

        Empty where torch allows no watch, as under torch.func.
        """
        model, x = self._copy(), self._input()
        if loss is None:
            model.eval()
        watched = Watched(model, x if isinstance(x, torch.Tensor) else torch.empty(0), "")
        try:
            with watched.watching():
                y = self._call(model, x)
                value = y if loss is None else loss(y)
        except RuntimeError as error:
            if no_hooks_allowed(error):
                return ()
            raise
        kept = watched.kept()
        del y, value
        return kept

    @contextmanager
    def left_as_it_is(self) -> Iterator[None]:
        """Record inside; afterwards buffers, gradients and random generators are as before.

        Only copies get other flags and modes.
        """
        buffers = [(each, each.detach().clone()) for each in self._module.buffers()]
        gradients = [(each, each.grad) for each in self._module.parameters()]
        # A loss may use the parameters of the module itself.
        for parameter, _ in gradients:
            parameter.grad = None
        of_python, of_numpy = random.getstate(), numpy.random.get_state()
        try:
            # Leaving inference mode switches recording on, also where the caller switched it off.
            with torch.random.fork_rng(self._accelerators), torch.inference_mode(False):
                yield
        finally:
            random.setstate(of_python)
            numpy.random.set_state(of_numpy)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, before in buffers:
                    if not torch.equal(buffer, before):
                        buffer.copy_(before)


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    """The tensors in a result: in lists, tuples and dicts, as models return them."""
    if isinstance(result, dict):
        for each in result.values():
            yield from _tensors(each)
    elif isinstance(result, list | tuple):
        for each in result:
            yield from _tensors(each)
    else:
        yield from tensors_in(result)


def _difference(got: list[torch.Tensor], recorded: list[torch.Tensor]) -> str:
    """How tensors differ from the recorded ones by more than rounding, in words; empty where they do not."""
    if [each.shape for each in got] != [each.shape for each in recorded]:
        return "results of other shapes"
    for one, other in zip(got, recorded, strict=True):
        # An integer, such as from argmax, may change by rounding.
        if not (other.is_floating_point() or other.is_complex()):
            continue
        part = other.real if other.is_complex() else other
        allowed = ALLOWED.get(str(part.dtype).removeprefix("torch."), 0.0)
        if not alike(other, one, allowed):
            _, relative = distance(other, one)
            if relative is not None:
                return f"values that differ by {relative:.2g} in the norm"
            return f"other values: {how_different(other, one, 'recorded', 'not recorded')}"
    return ""


def _expect_loss(value: object) -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"expected loss to return a tensor; got {type(value).__name__}; have it return one")
    if value.numel() != 1:
        raise ValueError(
            f"expected loss to return one number; got the shape {tuple(value.shape)}; take its mean or sum"
        )
    if not value.requires_grad:
        raise ValueError(
            "expected the loss to require gradients; got one that does not; compute it from the module's "
            "result without detaching it"
        )
