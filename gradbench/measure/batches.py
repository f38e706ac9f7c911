"""The peak of a training step on other numbers of samples, and the largest batch that fits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import torch

from gradbench.measure.memory import measure_call
from gradbench.measure.training import Training
from gradbench.models import share
from gradbench.record.anatomy import BatchPeak

# A peak takes this many executions, and two more where a step leaves bytes behind.
PEAK_EXECUTIONS = 6
# The search for a batch that fits executes this many, each at most twice as large as the one before. It ends
# with a batch that fills this part of the room.
_TRIALS, _GROWTH, _FULL = 6, 2, 0.9
# The peaks are on a line where the middle one is off by less than this part of it.
_STRAIGHT = 0.02


def batch_peaks(
    training: Training, samples: Sequence[int], in_time: Callable[[int], bool]
) -> tuple[BatchPeak, ...]:
    """The peaks of a step, gradients among them, on these numbers of samples.

    Numbers for which the step fails, or for which there is no time, are left out.
    """
    found = []
    for count in samples:
        with contextlib.suppress(Exception):
            if in_time(count):
                found.append(BatchPeak(count, _peak(training, count)))
    return tuple(found)


def _peak(training: Training, samples: int) -> int:
    """Most bytes live at once in a step on this many samples, which releases its gradients at its end."""
    model = share(training.model)
    x = _samples(training.x, samples).detach().requires_grad_(training.x.requires_grad)

    def step() -> None:
        training.step(model, x)
        model.zero_grad()
        x.grad = None

    counted, _ = measure_call(step)
    return counted.peak


def _samples(x: torch.Tensor, samples: int) -> torch.Tensor:
    """The first samples of x; its samples again where it has fewer."""
    if samples <= len(x):
        return x[:samples]
    return torch.cat([x.detach()] * -(-samples // len(x)))[:samples]


def most_samples(peaks: Sequence[BatchPeak], room: int) -> int | None:
    """The samples whose step fits into `room` bytes, by the line through the peaks.

    None where there are fewer than two sizes, where the peaks are on no line, or where no sample fits.
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
    known: BatchPeak,
    fit: int,
    total: Callable[[BatchPeak], BatchPeak],
    in_time: Callable[[int], bool],
) -> tuple[BatchPeak | None, BatchPeak | None]:
    """The largest batch that was executed and fits, and the smallest that does not; None where none was.

    Args:
        guess: samples that may fit; the executed batches grow towards them.
        known: the largest batch that was executed before.
        total: a peak with all bytes that are live before the step.
        in_time: whether there is time for a step on so many samples.
    """
    best, over = (known, None) if total(known).peak <= fit else (None, known)
    samples = min(guess, _GROWTH * known.samples)
    for _ in range(_TRIALS):
        enough = best is not None and total(best).peak > _FULL * fit
        if enough or samples < 1 or (best is not None and samples <= best.samples) or not in_time(samples):
            break
        try:
            found = BatchPeak(samples, _peak(training, samples))
        except Exception:
            break
        if total(found).peak <= fit:
            best = found
        else:
            over = found
        samples = min(guess, _GROWTH * samples) if over is None else _between(best, over, fit, total)
        if over is not None and samples >= over.samples:
            break
    return best, over


def _between(
    best: BatchPeak | None, over: BatchPeak, fit: int, total: Callable[[BatchPeak], BatchPeak]
) -> int:
    """Samples on the line from a batch that fits, or from nothing, to one that does not."""
    low = (best.samples, total(best).peak) if best is not None else (0, 0)
    slope = (total(over).peak - low[1]) / (over.samples - low[0])
    return low[0] + int((fit - low[1]) / slope)
