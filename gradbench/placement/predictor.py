"""The common base of the three predictors: settings, samples, and the loop of a fit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from numbers import Integral, Real
from typing import Any, Generic, Literal, SupportsFloat, TypeVar

import numpy
from numpy.typing import ArrayLike, NDArray

from gradbench.placement.bar import Progress, watching

Vector = TypeVar("Vector")
Self = TypeVar("Self", bound="PlacementPredictor[Any]")


class PlacementPredictor(ABC, Generic[Vector]):
    """Logistic regression on one feature: p = sigmoid(weight * x + bias).

    Trained by full-batch gradient descent on the mean binary cross-entropy, as in the guide.

    learning_rate: the step per gradient, above 0.
    epochs: the most steps that `fit` takes, 1 or more.
    tolerance: `fit` stops after the first epoch whose loss is not at least this much below the loss before.
        None means never.
    seed: None starts from a weight and a bias of 0. A whole number of 0 or more starts from two standard
        normal numbers, the same in every implementation.
    dtype: "float32" or "float64", for the data, the parameters and the arithmetic.

    The implementations take the same steps and round them differently. `rounding_bound` says how far apart
    rounding may set them. Raises ValueError for a setting outside these ranges.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.1,
        epochs: int = 1000,
        tolerance: float | None = None,
        seed: int | None = None,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"expected dtype 'float32' or 'float64'; got {dtype!r}; give one of the two")
        limits = numpy.finfo(dtype)
        # Below the least normal number a learning rate would lose digits, and at last be 0.
        if not _between(learning_rate, float(limits.tiny), float(limits.max)):
            raise ValueError(
                f"expected a finite learning_rate above 0; got {learning_rate!r}; give a number such as 0.1"
            )
        if tolerance is not None and not _between(tolerance, 0.0, float(limits.max)):
            raise ValueError(
                f"expected a finite tolerance of 0 or more, or None; got {tolerance!r}; "
                "give a number such as 1e-6"
            )
        if not _whole(epochs, 1):
            raise ValueError(
                f"expected epochs of 1 or more; got {epochs!r}; give a whole number such as 1000"
            )
        if seed is not None and not _whole(seed, 0):
            raise ValueError(f"expected a seed of 0 or more, or None; got {seed!r}; give a whole number")
        self.learning_rate = float(learning_rate)
        self.epochs = int(epochs)
        self.tolerance = tolerance
        self.seed = seed
        self.dtype = dtype
        self.restart()

    def restart(self) -> None:
        """Go back to the start that `seed` defines."""
        # Number of steps since the start, by `fit` or by `epoch`.
        self.epochs_run = 0
        # The loss of each epoch of the last fit, before the step of the epoch: (epochs_run,).
        self.losses: NDArray[numpy.float64] = numpy.empty(0)
        self._set(*self._start())

    def prepare(self, x: ArrayLike, placed: ArrayLike) -> tuple[Vector, Vector]:
        """A copy of the samples in the form that `epoch` takes.

        x: (samples,), finite. placed: (samples,), only 0 and 1. Raises ValueError for other samples.
        """
        features = _samples("x", x, self.dtype)
        targets = _samples("placed", placed, self.dtype)
        if len(features) != len(targets):
            raise ValueError(
                f"expected x and placed of one length; got {len(features)} and {len(targets)}; "
                "give one of each per student"
            )
        wrong = targets[(targets != 0) & (targets != 1)]
        if len(wrong):
            raise ValueError(f"expected 0 or 1 in placed; got {wrong[0]:g}; give 1 for placed and 0 for not")
        return self._adopt(features), self._adopt(targets)

    @abstractmethod
    def epoch(self, data: tuple[Vector, Vector]) -> SupportsFloat:
        """One step of gradient descent on prepared data, from the current parameters.

        Returns the mean loss before the step, in the implementation's array type. It checks and converts
        nothing, since a benchmark times it.
        """

    def fit(self: Self, x: ArrayLike, placed: ArrayLike, progress: Progress | None = None) -> Self:
        """Train on x (samples,) and placed (samples,), from the start; returns the predictor.

        progress: called after each epoch with its number, from 1, and its loss. Without one, a bar appears
        on a terminal when the fit takes longer than two seconds.

        Each loss becomes a Python number here. Raises ValueError for samples that `prepare` refuses. Raises
        ValueError also where the loss or a parameter becomes infinite or NaN; the predictor is then back at
        its start.
        """
        data = self.prepare(x, placed)
        self.restart()
        losses = array("d")
        loss = previous = math.inf
        # A fit that diverges overflows, and its loss shows that.
        with watching(self.epochs, progress) as report, numpy.errstate(over="ignore", invalid="ignore"):
            for number in range(1, self.epochs + 1):
                loss = float(self.epoch(data))
                if not math.isfinite(loss):
                    break
                losses.append(loss)
                report(number, loss)
                if self.tolerance is not None and previous - loss < self.tolerance:
                    break
                previous = loss
        if not all(map(math.isfinite, (loss, self.weight, self.bias))):
            reached = self.epochs_run
            self.restart()
            raise ValueError(
                f"expected the fit to stay finite; it left the range of {self.dtype} in epoch {reached}; "
                f"give a learning_rate below {self.learning_rate:g}, or scale x down"
            )
        self.losses = numpy.array(losses)
        return self

    def predict(self, x: ArrayLike) -> Any:
        """The probability of being placed, in the predictor's dtype: (samples,), or a scalar for a scalar.

        Raises ValueError before the first epoch, and where x is not a finite number or a list of them.
        """
        if not self.epochs_run:
            raise ValueError("expected a trained predictor; got one without an epoch; call fit first")
        numbers = _numbers("x", x)
        values = _samples("x", numbers.reshape(1) if numbers.ndim == 0 else numbers, self.dtype)
        # A logit that overflows has the probability 0 or 1.
        with numpy.errstate(over="ignore"):
            probabilities = self._probabilities(self._adopt(values))
        return probabilities[0] if numbers.ndim == 0 else probabilities

    def rounding_bound(self, x: ArrayLike) -> float:
        """How far rounding may set two implementations' weights or biases apart after the same epochs on x.

        The loss curves by at most mean(x² + 1) / 4. So in exact arithmetic a step brings no two sets of
        parameters further apart where learning_rate * mean(x² + 1) <= 8. Then the roundings of the epochs add
        up, and no more. The roundings of an epoch are half an epsilon of several values. The first are the
        parameters. By way of the learning rate come the logits (a quarter of which reaches p), p itself, and
        the sums. Sums round as a random walk does, with the root of the number of samples. Two
        implementations make twice as much. Parameters are taken at the larger of the start and the end. The
        bound is infinite for a longer step, since it lets differences grow.
        """
        values = _samples("x", x, "float64")
        length = float((values**2 + 1).mean())
        if self.learning_rate * length > 8:
            return math.inf
        weight, bias = (
            max(abs(start), abs(end))
            for start, end in zip(self._start(), (self.weight, self.bias), strict=True)
        )
        logit = weight * float(abs(values).max()) + bias
        gradient = math.sqrt(length) * (logit / 2 + 8 + math.sqrt(len(values)))
        epsilon = float(numpy.finfo(self.dtype).eps)
        return self.epochs_run * epsilon * (weight + bias + self.learning_rate * gradient)

    @property
    @abstractmethod
    def weight(self) -> float:
        """The change of the logit per unit of x."""

    @property
    @abstractmethod
    def bias(self) -> float:
        """The logit at x = 0."""

    def _start(self) -> tuple[float, float]:
        """The first weight and bias."""
        if self.seed is None:
            return 0.0, 0.0
        weight, bias = numpy.random.default_rng(self.seed).standard_normal(2)
        return float(weight), float(bias)

    @abstractmethod
    def _set(self, weight: float, bias: float) -> None:
        """Take these parameters, and forget gradients."""

    @abstractmethod
    def _adopt(self, values: NDArray[Any]) -> Vector:
        """An array (samples,) of the predictor's dtype as the implementation's array type, without a copy."""

    @abstractmethod
    def _probabilities(self, x: Vector) -> NDArray[Any]:
        """The probabilities (samples,) for values of the implementation's array type."""


def _numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    """The values as an array of real numbers, of any shape."""
    try:
        given = numpy.asarray(values)
    # A list of lists of unequal lengths, or a tensor that NumPy cannot take, such as one that requires
    # gradients.
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected numbers in {name}; got a {type(values).__name__} that NumPy cannot read; "
            "give one list or array"
        ) from error
    if given.dtype.kind not in "biuf":
        raise ValueError(
            f"expected real numbers in {name}; got {given.dtype.name}; give one list or array of them"
        )
    return given


def _samples(name: str, values: ArrayLike, dtype: str) -> NDArray[Any]:
    """A copy of the values as a finite array (samples,) of the dtype, with one sample or more."""
    given = _numbers(name, values)
    if given.ndim != 1:
        raise ValueError(
            f"expected {name} of shape (samples,); got {given.shape}; give one number per student"
        )
    if not len(given):
        raise ValueError(f"expected at least one sample; got an empty {name}; give one number per student")
    with numpy.errstate(over="ignore"):
        result: NDArray[Any] = given.astype(dtype)
    outside = given[~numpy.isfinite(result)]
    if len(outside):
        raise ValueError(f"expected {name} finite in {dtype}; got {outside[0]:g}; leave such samples out")
    return result


def _between(value: object, least: float, most: float) -> bool:
    return isinstance(value, Real) and least <= float(value) <= most


def _whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and int(value) >= least
