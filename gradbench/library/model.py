"""Measure the caller's module in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gradbench.guard.calls import expect_callable, expect_number
from gradbench.guard.time import InTurns
from gradbench.library.compare import compare, count
from gradbench.library.model_report import ModelReport, Part, Training
from gradbench.library.modules import Modules

if TYPE_CHECKING:
    from gradbench.measure.user_module import Steps

# The parts of the seconds for training: the step with its forward, and the backward alone.
_STEP, _BACKWARD = 0.6, 0.4


def model(
    module: object,
    x: object,
    loss: Callable[[Any], Any] | None = None,
    call: Callable[[Any, Any], Any] | None = None,
    seconds: float = 20.0,
    seed: int | None = None,
) -> ModelReport:
    """Measure a module of torch in this process: its evaluation under every control, and its training.

    gradbench evaluates it in evaluation mode: fully recorded (`tracked`), after `requires_grad_(False)`,
    under `no_grad`, and under `inference_mode`. With a loss gradbench also trains it, without an optimizer,
    in its mode and with its flags. All of this happens to copies on the same storages. Flags, mode, buffers,
    gradients and random generators stay as they were.

    >>> import torch, gradbench
    >>> module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    >>> report = gradbench.model(module, torch.rand(4, 8), loss=lambda y: y.mean(), seconds=0.4)
    >>> [row.name for row in report.evaluation.rows]
    ['tracked', 'requires_grad_false', 'no_grad', 'inference_mode']
    >>> report.evaluation["tracked"].bytes.saved > report.evaluation["no_grad"].bytes.saved == 0
    True
    >>> report.training.forward.bytes.saved == report.modules.saved
    True

    `print(report)` and the last line of a notebook's cell show its tables. `report.sentence` gives the result
    in words. `report.evaluation` is a `gradbench.Comparison`, `report.training` a `gradbench.Training`, and
    `report.modules` has the bytes that every module keeps for the backward.

    Args:
        module: a torch.nn.Module with a parameter that requires gradients.
        x: the argument of the module, on the module's device.
        loss: from the module's result to a tensor of one number; None leaves training out.
        call: calls the module, as `call(module, x)`; None is `module(x)`.
        seconds: time to spend on timing, half of it on training where there is a loss.
        seed: for the random orders; None is a new one.

    Raises:
        TypeError, ValueError: for arguments that cannot be measured. An error of the module or the loss is
        raised; under a control other than recording it becomes the error of that row.
    """
    for name, function in (("loss", loss), ("call", call)):
        if function is not None:
            expect_callable(name, function)
    expect_number("seconds", seconds, 0.2, "less leaves too few rounds to judge by")
    from gradbench.measure.user_module import RECORDING, UserModule

    measured = UserModule(module, x, call)
    spent = seconds if loss is None else seconds / 2
    with measured.left_as_it_is():
        evaluations = measured.evaluations()
        differing = measured.differing(evaluations)
        evaluation = compare(
            evaluations, seconds=spent, baseline=RECORDING, device=measured.device, seed=seed
        )
        training = None
        if loss is not None:
            training = _train(measured.steps(loss), spent, measured.device, seed)
        modules = Modules(measured.kept(loss), loss is not None)
    return ModelReport(measured.name, evaluation, modules, training, differing)


def _train(steps: Steps, seconds: float, device: str, seed: int | None) -> Training:
    whole = InTurns([steps.forward], steps.step, _STEP * seconds, setup=None, device=device)
    rounds, (forward, step) = _seconds(whole, seed)
    alone = InTurns([], steps.backward, _BACKWARD * seconds, setup=steps.set_up_backward, device=device)
    _, (backward,) = _seconds(alone, seed)
    return Training(
        forward=Part("forward", forward, *count(steps.forward, None, device)),
        backward=Part("backward", backward),
        step=Part("step", step, *count(steps.step, None, device)),
        rounds=rounds,
    )


def _seconds(turns: InTurns, seed: int | None) -> tuple[int, list[float]]:
    """The rounds that fit into the time, and seconds of the alternatives and of the baseline."""
    blocks = turns.use_up(seed)
    return blocks.rounds, [blocks.seconds(column) for column in range(len(turns.calls))]
