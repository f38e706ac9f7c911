"""The look at a user's file in a worker: the names that it defines, and every mistake in one line.

The worker runs, evaluates and trains it once or twice, as the variants will do. So it reports a fault that
all variants share before the run measures. Long work runs once: a later check compares the results of all
variants, and finds the same faults.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import torch
from torch.nn.parameter import is_lazy

from gradbench.define.dtypes import EPSILON
from gradbench.measure.evaluated import Evaluated, evaluate
from gradbench.measure.examine import IN_FULL, Asked, UserCode, examine
from gradbench.measure.protocol import FileRejected
from gradbench.measure.subject import Subject
from gradbench.measure.trained import Trained, train
from gradbench.measure.training import Training
from gradbench.measure.user_code import Mistake, kind, run_of_user
from gradbench.measure.variant import execute
from gradbench.record.devices import KINDS
from gradbench.record.user_file import FileFacts

_WANTED = "expected `model`, a torch.nn.Module, and `x`, the tensor that goes into it"


def inspect_user_file(
    text: str, file: str, seed: int, threads: int, asked: Asked | None = IN_FULL
) -> FileFacts | FileRejected:
    """The facts of a file after its run; FileRejected where it cannot be measured.

    Args:
        text: text of the file.
        file: path of the file.
        seed: seed of its random numbers.
        threads: threads of torch.
        asked: the request for a look at its training; None for a look at whether it works.
    """
    try:
        return _inspect(text, file, seed, threads, asked)
    except Mistake as mistake:
        return FileRejected(" ".join(str(mistake).split()))


def _inspect(text: str, file: str, seed: int, threads: int, asked: Asked | None) -> FileFacts:
    begun = time.perf_counter()
    names = run_of_user(lambda: _seeded(text, file, seed), "", file)
    load = time.perf_counter() - begun
    expect_modes(threads)
    model, x = names.get("model"), names.get("x")
    if model is None:
        raise Mistake(f"defines no `model`: {_WANTED}, at the top level of the file")
    if isinstance(model, type):
        raise Mistake(f"`model` is the class {model.__name__}: expected an object of it; call it once")
    if not isinstance(model, torch.nn.Module):
        raise Mistake(f"`model` is {kind(model)}: {_WANTED}")
    expect_functions(names)
    _expect_optimizer(names.get("optimizer"))
    x = expect_input(x)
    call: Callable[..., Any] | None = names.get("call")
    if any(is_lazy(each) for each in (*model.parameters(), *model.buffers())):
        raise Mistake(
            "the model has parameters that its first call makes: call it once in the file, as by model(x)"
        )
    subject = Subject(
        model,
        x,
        call if call is not None else lambda model, x: model(x),
        "model(x)" if call is None else "call(model, x)",
        file,
        "" if call is None else "have it return one",
    )
    if not subject.tracks_model and not subject.tracks_x:
        raise Mistake(_nothing_tracked(model, x))
    evaluated = evaluate(subject)
    trained = Trained(True, 0.0) if "loss" not in names else train(subject, names["loss"], evaluated)
    sizes = [(each.numel(), each.requires_grad) for each in model.parameters()]
    facts = facts_of(
        subject,
        x,
        evaluated,
        trained,
        parameters=sum(numel for numel, _ in sizes),
        trained_parameters=sum(numel for numel, needs in sizes if needs),
        calls=call is not None,
        trains="loss" in names,
        scripted=any(isinstance(each, torch.jit.ScriptModule) for each in model.modules()),
        load=load,
    )
    if asked is None:
        return facts
    examined = examine(
        UserCode(
            names=names,
            file=file,
            text=text,
            training=_training(names),
            trains="loss" in names,
            run_again=lambda: _run_again(text, file, seed),
            load=load,
            forward=evaluated.seconds,
            trained=trained,
        ),
        asked,
    )
    return msgspec.structs.replace(
        facts,
        faults=(*facts.faults, *examined.faults),
        anatomy=examined.anatomy,
        changes=tuple(examined.changes),
    )


def _seeded(text: str, file: str, seed: int) -> dict[str, Any]:
    """The names that the file defines, after a run with seeded random numbers."""
    torch.manual_seed(seed)
    return execute(text, file, file)


def _run_again(text: str, file: str, seed: int) -> Training:
    """The training of another run of the file, without its output, which the author has already seen."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return _training(_seeded(text, file, seed))


def _training(names: dict[str, Any]) -> Training:
    """The training that a file defines."""
    call, loss = names.get("call"), names.get("loss")

    def forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = model(x) if call is None else call(model, x)
        if not isinstance(y, torch.Tensor):
            raise TypeError(f"expected a tensor as the result; got {kind(y)}")
        return y

    def no_loss(y: torch.Tensor) -> torch.Tensor:
        raise Mistake("defines no loss(y)")

    x = names["x"].detach().requires_grad_(names["x"].requires_grad)
    return Training(names["model"], x, forward, no_loss if loss is None else loss)


def facts_of(
    subject: Subject,
    x: torch.Tensor,
    evaluated: Evaluated,
    trained: Trained,
    *,
    parameters: int = 0,
    trained_parameters: int = 0,
    calls: bool = False,
    trains: bool = False,
    scripted: bool = False,
    load: float = 0.0,
) -> FileFacts:
    """The observations as `FileFacts`."""
    dtypes = [str(each).removeprefix("torch.") for each in {evaluated.result, *subject.dtypes}]
    known = [each for each in dtypes if each in EPSILON] or ["float32"]
    return FileFacts(
        shape=tuple(x.shape),
        dtype=str(x.dtype).removeprefix("torch."),
        device=str(x.device),
        result=str(evaluated.result).removeprefix("torch."),
        coarsest=max(known, key=lambda name: EPSILON[name]),
        parameters=parameters,
        trained=trained_parameters,
        calls=calls,
        trains=trains,
        repeats=trained.repeats,
        load=load,
        forward=evaluated.seconds,
        step=trained.seconds,
        faults=(*evaluated.faults, *trained.faults),
        tracks_model=subject.tracks_model,
        tracks_x=subject.tracks_x,
        scripted=scripted,
        under=evaluated.under,
        training=trained.under,
        differs=evaluated.differs,
        training_apart=trained.apart,
    )


def _expect_optimizer(optimizer: object) -> None:
    """Raise Mistake where the file's `optimizer` is no optimizer."""
    if optimizer is None or isinstance(optimizer, torch.optim.Optimizer):
        return
    if isinstance(optimizer, type):
        raise Mistake(
            f"`optimizer` is the class {optimizer.__name__}: expected an object of it; call it once"
        )
    raise Mistake(f"`optimizer` is {kind(optimizer)}: expected a torch.optim.Optimizer, or none")


def _nothing_tracked(model: torch.nn.Module, x: torch.Tensor) -> str:
    """The advice where neither a parameter nor x requires gradients."""
    parameters = list(model.parameters())
    what = "no parameter of the model requires gradients" if parameters else "the model has no parameters"
    advice = []
    if x.is_floating_point():
        advice.append("set x.requires_grad_() in the file, for the gradient of x")
    if parameters:
        advice.append("model.requires_grad_(True), for those of the parameters")
    if not advice:
        return (
            f"{what}, and x is {str(x.dtype).removeprefix('torch.')}: expected something to differentiate by"
        )
    return f"{what}, nor does x, so every method would do nothing: {', or '.join(advice)}"


def expect_modes(threads: int) -> None:
    """Raise Mistake where the file has left a mode of torch changed, which all variants would run in."""
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        raise Mistake(
            "switches gradients off for all that follows: leave torch.set_grad_enabled(False) out; "
            "the run measures its gain"
        )
    if torch.get_num_threads() != threads:
        raise Mistake(
            f"sets torch's threads to {torch.get_num_threads()}: leave that out, and give --threads "
            f"{torch.get_num_threads()}"
        )


def expect_functions(names: Mapping[str, Any]) -> None:
    """Raise Mistake where the file's `call` or `loss` is no function."""
    for name in ("call", "loss"):
        if name in names and not callable(names[name]):
            raise Mistake(f"`{name}` is {kind(names[name])}: expected a function")


def expect_input(x: Any, wanted: str = _WANTED) -> torch.Tensor:
    """The file's x. Raises Mistake where no variant could work on it, with the expectation `wanted`."""
    if x is None:
        raise Mistake(f"defines no `x`: {wanted}")
    if not isinstance(x, torch.Tensor):
        hint = ""
        if isinstance(x, tuple | list | dict):
            hint = "; of several inputs, have x be one, and define call(model, x) to pass the others"
        raise Mistake(f"`x` is {kind(x)}: {wanted}{hint}")
    if x.device.type not in KINDS:
        raise Mistake(
            f"`x` is on {x.device}, which there is no clock for: expected it on {' or '.join(KINDS)}"
        )
    if x.layout != torch.strided or x.is_quantized or x.is_nested:
        raise Mistake(
            "`x` is a sparse, quantized or nested tensor: expected a plain one; let call(model, x) convert it"
        )
    if not x.numel():
        raise Mistake(f"`x` has no elements, its shape is {tuple(x.shape)}: expected some")
    if x.is_inference():
        raise Mistake("`x` was made in inference mode: make it outside, since recording refuses such tensors")
    if x.isnan().any():
        raise Mistake("`x` holds NaN, which no check can compare: fill it with numbers")
    return x
