"""What a training step needs beside activations, and on fewer samples: optimizer, peaks, what would fit."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Sequence

import torch

from gradbench.measure.anatomy import storage_bytes
from gradbench.measure.changes import Training
from gradbench.measure.execution import tensors_in
from gradbench.measure.memory import measure_call
from gradbench.models import share
from gradbench.record.anatomy import BatchPeak, Change, OptimizerCost, Trained

# To find a batch that fits so many are executed, and one that fills this part of the room is enough.
_TRIALS, _FULL = 4, 0.9
# A peak takes so many executions.
PEAK_EXECUTIONS = 4
# A line through the peaks holds where the middle one is off by less than this part of it.
_STRAIGHT = 0.02


def optimizer_cost(
    optimizer: torch.optim.Optimizer, training: Training, steps: int
) -> tuple[OptimizerCost, dict[str, int]] | None:
    """What the optimizer keeps and takes, on a copy of the model; None where that cannot be had.

    Also, by the name of a parameter, bytes of its state. Gradients are zeros: their values do not matter to
    it. The time is the shortest of so many steps.
    """
    try:
        # One copy of both, so that the copied optimizer steps the copied parameters.
        model, copied = copy.deepcopy((training.model, optimizer))
        for each in model.parameters():
            each.grad = torch.zeros_like(each) if each.requires_grad else None
        copied.step()
        names = {each: name for name, each in model.named_parameters()}
        states = {
            names[parameter]: storage_bytes(tensors_in(list(state.values())))
            for parameter, state in copied.state.items()
            if parameter in names
        }
        state = storage_bytes(tensors_in([list(each.values()) for each in copied.state.values()]))
        seconds = []
        for _ in range(steps):
            begun = time.perf_counter()
            copied.step()
            seconds.append(time.perf_counter() - begun)
        counted, _ = measure_call(copied.step)
    except Exception:
        return None
    # The state and the gradients stand beside it.
    peak = counted.peak - counted.standing
    return OptimizerCost(type(optimizer).__name__, state, peak, min(seconds)), states


def trained_after(
    training: Training, states: dict[str, int], changes: Sequence[Change]
) -> dict[str, Trained]:
    """By change, what the parameters need that still get gradients; without the changes that leave it all.

    `states` are bytes of the optimizer's state, by the name of a parameter.
    """
    found = {}
    names = {each: name for name, each in training.model.named_parameters()}
    for change in changes:
        if not change.trained:
            continue
        # Also those that are tied to others.
        kept = {
            each
            for module in change.trained
            for each in training.model.get_submodule(module).parameters()
            if each.requires_grad
        }
        found[change.name] = Trained(
            storage_bytes(iter(kept)), sum(states.get(names[each], 0) for each in kept)
        )
    return found


def batch_peaks(training: Training, samples: Sequence[int]) -> tuple[BatchPeak, ...]:
    """The peaks of a step, gradients among them, on so many samples; those that do not work are left out."""
    found = []
    for count in samples:
        with contextlib.suppress(Exception):
            found.append(BatchPeak(count, _peak(training, count)))
    return tuple(found)


def _peak(training: Training, samples: int) -> int:
    """Most bytes live at once in a step on so many samples: its gradients are let go of at its end."""
    model = share(training.model)
    x = _samples(training.x, samples)

    def step() -> None:
        training.step(model, x)
        model.zero_grad()
        if x.grad is not None:
            x.grad = None

    counted, _ = measure_call(step)
    return counted.peak


def _samples(x: torch.Tensor, samples: int) -> torch.Tensor:
    """The first samples of x; its samples again where it has fewer."""
    if samples <= len(x):
        return x[:samples]
    return torch.cat([x] * -(-samples // len(x)))[:samples]


def most_samples(peaks: Sequence[BatchPeak], room: int) -> int | None:
    """The samples whose step fits into `room` bytes, by the line through the peaks.

    None where there are fewer than two sizes, where they are on no line, or where nothing fits.
    """
    ordered = sorted(peaks, key=lambda each: each.samples)
    if len(ordered) < 2:
        return None
    first, last = ordered[0], ordered[-1]
    slope = (last.peak - first.peak) / (last.samples - first.samples)
    start = first.peak - slope * first.samples
    for each in ordered[1:-1]:
        if abs(start + slope * each.samples - each.peak) > _STRAIGHT * each.peak:
            return None
    if slope <= 0:
        return None
    fits = int((room - start) / slope)
    return fits if fits >= 1 else None


def largest(
    training: Training,
    guess: int,
    fit: int,
    total: Callable[[BatchPeak], BatchPeak],
    in_time: Callable[[int], bool],
) -> tuple[BatchPeak | None, BatchPeak | None]:
    """The largest batch that was executed and fits, and the smallest that does not; None where none was.

    Args:
        guess: samples that may fit; more and fewer are tried from there, along the line through both.
        total: a peak with all that stands.
        in_time: whether there is time for a step on so many samples.
    """
    best: BatchPeak | None = None
    over: BatchPeak | None = None
    samples = guess
    for _ in range(_TRIALS):
        if samples < 1 or not in_time(samples):
            break
        try:
            found = BatchPeak(samples, _peak(training, samples))
        except Exception:
            break
        if total(found).peak <= fit:
            best = found
        else:
            over = found
        if best is not None and (total(best).peak > _FULL * fit or over is None):
            break
        low = (best.samples, total(best).peak) if best is not None else (0, 0)
        assert over is not None
        slope = (total(over).peak - low[1]) / (over.samples - low[0])
        samples = low[0] + int((fit - low[1]) / slope)
        if samples <= low[0] or samples >= over.samples:
            break
    return best, over
