"""Looking at a file of the user's, in a worker: what it defines, and every mistake in it in one line.

It is run, evaluated and trained once or twice as the variants will do it, so that what would make each of
them fail is said before anything is measured. What takes long is done once: a later check holds the results
of all variants against each other, and finds the same fault.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from gradbench.define.dtypes import EPSILON
from gradbench.measure.changes import Subject
from gradbench.measure.examine import IN_FULL, Asked, UserCode, examine
from gradbench.measure.leave_out import LONG
from gradbench.measure.protocol import FileRejected
from gradbench.measure.variant import execute
from gradbench.models import share
from gradbench.record.devices import KINDS
from gradbench.record.user_file import FileFacts

_WANTED = "expected `model`, a torch.nn.Module, and `x`, the tensor that goes into it"


class _Mistake(Exception):
    """What is wrong with the file; the message is for its author."""


def inspect_user_file(
    text: str, file: str, seed: int, threads: int, asked: Asked = IN_FULL
) -> FileFacts | FileRejected:
    """What a file defines, as it is after it has run; FileRejected where it cannot be measured.

    Args:
        text: of the file.
        file: where it stands.
        seed: of the random numbers that it draws.
        threads: those that torch was given.
        asked: what of its training is looked at.
    """
    try:
        return _inspect(text, file, seed, threads, asked)
    except _Mistake as mistake:
        return FileRejected(" ".join(str(mistake).split()))


def _inspect(text: str, file: str, seed: int, threads: int, asked: Asked) -> FileFacts:
    begun = time.perf_counter()
    names = _run(lambda: _seeded(text, file, seed), "", file)
    load = time.perf_counter() - begun
    _modes(threads)
    model, x = names.get("model"), names.get("x")
    if model is None:
        raise _Mistake(f"defines no `model`: {_WANTED}, at the top level of the file")
    if isinstance(model, type):
        raise _Mistake(f"`model` is the class {model.__name__}: expected an object of it; call it once")
    if not isinstance(model, torch.nn.Module):
        raise _Mistake(f"`model` is {_kind(model)}: {_WANTED}")
    for name in ("call", "loss"):
        if name in names and not callable(names[name]):
            raise _Mistake(f"`{name}` is {_kind(names[name])}: expected a function")
    x = _input(x)
    call: Callable[..., Any] | None = names.get("call")
    if any(is_lazy(each) for each in (*model.parameters(), *model.buffers())):
        raise _Mistake(
            "the model has parameters that its first call makes: call it once in the file, as by model(x)"
        )
    sizes = [(each.numel(), each.requires_grad) for each in model.parameters()]
    if not any(needs for _, needs in sizes):
        raise _Mistake(
            "no parameter of the model requires gradients, so every method would do nothing: expected at "
            "least one; set model.requires_grad_(True)"
        )
    called = _Callable(model, x, call, file)
    result, forward = called.evaluate()
    repeats, step = (True, 0.0) if "loss" not in names else called.train(names["loss"])
    dtypes = [str(each).removeprefix("torch.") for each in {result, *(p.dtype for p in model.parameters())}]
    known = [each for each in dtypes if each in EPSILON]
    examined = examine(
        UserCode(
            names=names,
            file=file,
            text=text,
            subject=_subject(names),
            trains="loss" in names,
            run_again=lambda: _subject(_seeded(text, file, seed)),
            load=load,
            forward=forward,
            step=step,
        ),
        asked,
    )
    return FileFacts(
        shape=tuple(x.shape),
        dtype=str(x.dtype).removeprefix("torch."),
        device=str(x.device),
        result=str(result).removeprefix("torch."),
        coarsest=max(known, key=lambda name: EPSILON[name]),
        parameters=sum(numel for numel, _ in sizes),
        trained=sum(numel for numel, needs in sizes if needs),
        calls=call is not None,
        trains="loss" in names,
        repeats=repeats,
        load=load,
        forward=forward,
        step=step,
        faults=tuple(examined.faults),
        anatomy=examined.anatomy,
        changes=tuple(examined.changes),
    )


def _seeded(text: str, file: str, seed: int) -> dict[str, Any]:
    """What the file defines, run with random numbers of its own."""
    torch.manual_seed(seed)
    return execute(text, file, file)


def _subject(names: dict[str, Any]) -> Subject:
    """What of a file is trained."""
    call, loss = names.get("call"), names.get("loss")

    def forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = model(x) if call is None else call(model, x)
        return y

    def no_loss(y: torch.Tensor) -> torch.Tensor:
        raise _Mistake("defines no loss(y)")

    x = names["x"].detach()
    return Subject(names["model"], x, forward, no_loss if loss is None else loss)


def _modes(threads: int) -> None:
    """Raise _Mistake where the file has left a mode of torch changed, which all variants would run in."""
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        raise _Mistake(
            "switches gradients off for all that follows: leave torch.set_grad_enabled(False) out; "
            "what that gains is what is measured"
        )
    if torch.get_num_threads() != threads:
        raise _Mistake(
            f"sets torch's threads to {torch.get_num_threads()}: leave that out, and give --threads "
            f"{torch.get_num_threads()}"
        )


def _input(x: Any) -> torch.Tensor:
    """The file's x. Raises _Mistake where no variant could work on it."""
    if x is None:
        raise _Mistake(f"defines no `x`: {_WANTED}")
    if not isinstance(x, torch.Tensor):
        hint = ""
        if isinstance(x, tuple | list | dict):
            hint = "; of several inputs, have x be one, and define call(model, x) to pass the others"
        raise _Mistake(f"`x` is {_kind(x)}: {_WANTED}{hint}")
    if x.device.type not in KINDS:
        raise _Mistake(
            f"`x` is on {x.device}, which there is no clock for: expected it on {' or '.join(KINDS)}"
        )
    if x.layout != torch.strided or x.is_quantized or x.is_nested:
        raise _Mistake(
            "`x` is a sparse, quantized or nested tensor: expected a plain one; let call(model, x) convert it"
        )
    if not x.numel():
        raise _Mistake(f"`x` has no elements, its shape is {tuple(x.shape)}: expected some")
    if x.is_inference():
        raise _Mistake(
            "`x` was made in inference mode: make it outside, since recording refuses such tensors"
        )
    if x.isnan().any():
        raise _Mistake("`x` holds NaN, which no check can tell from another: fill it with numbers")
    return x


class _Callable:
    """A model and its input, ready to be called as a variant does."""

    def __init__(
        self, model: torch.nn.Module, x: torch.Tensor, call: Callable[..., Any] | None, file: str
    ) -> None:
        self._model = model
        self._x = x.detach()
        self._call = call
        self._file = file
        self._named = "call(model, x)" if call is not None else "model(x)"

    def _copy(self) -> torch.nn.Module:
        try:
            return share(self._model)
        except Exception as error:
            raise _Mistake(
                "the model cannot be copied, and each method needs one with flags of its own: "
                f"{type(error).__name__}: {error}"
            ) from None

    def _forward(self, model: torch.nn.Module) -> torch.Tensor:
        """The model's result. Raises _Mistake where it is no tensor of a dtype that can be checked."""
        before, version = self._x.clone(), self._x._version

        def work() -> Any:
            return model(self._x) if self._call is None else self._call(model, self._x)

        y = _run(work, self._named, self._file)
        if not isinstance(y, torch.Tensor):
            raise _Mistake(
                f"{self._named} returns {_kind(y)}: expected a tensor; "
                + ("have it return one" if self._call else f"define call(model, x), {_hint(y)}")
            )
        # The values it writes may be those that were there; the variants are refused for the writing.
        if self._x._version != version or not torch.equal(before, self._x):
            raise _Mistake(
                f"{self._named} writes to x, which all methods share: expected x as it was; define "
                "call(model, x) that passes x.clone()"
            )
        return y

    def evaluate(self) -> tuple[torch.dtype, float]:
        """The dtype of the result, and seconds, of a tracked evaluation; with and without flags set.

        One that takes long is not repeated: its result is held against the one without flags.
        """
        tracked, frozen = self._copy().eval(), self._copy().eval()
        begun = time.perf_counter()
        first = self._forward(tracked)
        seconds = time.perf_counter() - begun
        if not first.requires_grad:
            raise _Mistake(
                f"the result of {self._named} does not require gradients, though parameters do: it is "
                "computed under no_grad() or detached; take that out, since what it gains is what is measured"
            )
        dtype = str(first.dtype).removeprefix("torch.")
        if dtype not in EPSILON:
            raise _Mistake(f"{self._named} returns {dtype}: expected {', '.join(EPSILON)}")
        if first.isnan().any():
            raise _Mistake(
                f"the result of {self._named} holds NaN, which no check can tell from another: "
                "give x values that the model is made for"
            )
        long = seconds > LONG
        if not long:
            begun = time.perf_counter()
            self._expect_same(first, self._forward(tracked))
            seconds = time.perf_counter() - begun
        try:
            frozen.requires_grad_(False)
        except RuntimeError as error:
            raise _Mistake(f"model.requires_grad_(False) raises {type(error).__name__}: {error}") from None
        begun = time.perf_counter()
        untracked = self._forward(frozen)
        if long:
            # The first call of a process takes longer than those that follow.
            seconds = min(seconds, time.perf_counter() - begun)
        if untracked.requires_grad:
            raise _Mistake(
                f"the result of {self._named} requires gradients after model.requires_grad_(False): expected "
                "that only parameters of the `model` that is passed are tracked; call that one, and not "
                "another that a function or a hook holds"
            )
        if long:
            self._expect_same(first, untracked)
        return first.dtype, seconds

    def _expect_same(self, first: torch.Tensor, second: torch.Tensor) -> None:
        if not _alike(first, second):
            raise _Mistake(
                f"{self._named} gives another result at each call, in evaluation mode too: expected the "
                "same, to hold methods against each other; give functional dropout training=self.training, "
                "and take out other randomness or state"
            )

    def train(self, loss: Callable[..., Any]) -> tuple[bool, float]:
        """Whether the loss is the same from call to call; seconds of forward, loss and backward.

        One that takes long is not repeated: its loss counts as the same where no random number was drawn.
        """
        model = self._copy()
        values: list[torch.Tensor] = []
        seconds = 0.0
        drawn = _Drawn()
        while not values or (len(values) == 1 and seconds <= LONG):
            begun = time.perf_counter()
            y = self._forward(model)
            value = _run(partial(loss, y), "loss(y)", self._file)
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                what = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else _kind(value)
                raise _Mistake(
                    f"loss(y) returns {what}: expected a tensor with one element, as .mean() makes"
                )
            if not value.requires_grad:
                raise _Mistake(
                    "loss(y) does not require gradients: expected a loss computed from y, undetached"
                )
            if not value.isfinite():
                raise _Mistake(
                    f"loss(y) is {value.item()}: expected a finite loss; change the data or the loss"
                )
            _run(value.backward, "the backward of loss(y)", self._file)
            seconds = time.perf_counter() - begun
            values.append(value.detach())
        if all(each.grad is None for each in model.parameters()):
            raise _Mistake("the backward of loss(y) reaches no parameter of the model: expected at least one")
        return torch.equal(*values) if len(values) > 1 else not drawn.any(), seconds


class _Drawn:
    """The states of the generators of random numbers that a model may draw from."""

    def __init__(self) -> None:
        self._begin = self._states()

    def any(self) -> bool:
        """Whether a number has been drawn since this was made."""
        return self._begin != self._states()

    def _states(self) -> list[Any]:
        states = [torch.get_rng_state()]
        if torch.cuda.is_initialized():
            states += torch.cuda.get_rng_state_all()
        numpy = sys.modules.get("numpy")
        others = [] if numpy is None else [repr(numpy.random.get_state())]
        return [*(each.tolist() for each in states), random.getstate(), *others]


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two results are the same, but for sums in another order."""
    if one.shape != other.shape:
        return False
    if torch.equal(one, other):
        return True
    a, b = one.detach().double(), other.detach().double()
    return bool((a - b).norm() <= 1e-3 * a.norm())


def _hint(y: Any) -> str:
    """How a tensor may be had of a result that is none."""
    if hasattr(y, "logits"):
        return "such as: return model(x).logits"
    if isinstance(y, tuple | list) and y and isinstance(y[0], torch.Tensor):
        return "such as: return model(x)[0]"
    return "which returns one"


def _kind(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _run(work: Callable[[], Any], what: str, file: str) -> Any:
    """What the user's code returns. Raises _Mistake with its error, and the line of the file it came by."""
    try:
        return work()
    # A SystemExit as well: it must not end the worker without a word.
    except BaseException as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
        line = f"line {lines[-1]}" if lines and lines[-1] else ""
        where = f"{what} ({line})" if what and line else what or line or "it"
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # Errors name files in full; here they are the user's own.
        said = said.replace(f"{Path(file).parent}/", "")
        raise _Mistake(f"{where} raises {said[:500]}") from None
