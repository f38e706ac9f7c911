"""The predictor from scratch: gradients by hand, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from gradbench.placement.predictor import PlacementPredictor

Array = NDArray[Any]


def sigmoid(logits: Array) -> Array:
    """1 / (1 + e^-z), elementwise, in the dtype given; overflows for no logit. Shape: any, kept."""
    return _sigmoid(logits, numpy.exp(-numpy.abs(logits)))


def binary_cross_entropy(logits: Array, placed: Array) -> Any:
    """The mean of -(y log p + (1 - y) log(1 - p)), with p = sigmoid(z), for any logit z and y of 0 or 1.

    Shapes: (samples,) and (samples,) to a scalar of the logits' dtype.

    >>> float(binary_cross_entropy(numpy.float32([20]), numpy.float32([0])))
    20.0
    """
    return _terms(logits, placed, numpy.exp(-numpy.abs(logits))).mean()


class NumpyPlacementPredictor(PlacementPredictor[Array]):
    """From scratch: by the chain rule the gradients are mean((p - y) x) and mean(p - y)."""

    def epoch(self, data: tuple[Array, Array]) -> numpy.floating[Any]:
        """One step; the loss before it, a NumPy scalar of the predictor's dtype."""
        x, placed = data
        samples = self._scalar(len(x))
        logits = self._weight * x + self._bias
        decay = numpy.exp(-numpy.abs(logits))
        # sum() and @ in place of mean() halve the time of an epoch on five samples.
        loss: numpy.floating[Any] = _terms(logits, placed, decay).sum() / samples
        errors = _sigmoid(logits, decay) - placed
        self._weight -= self._rate * ((errors @ x) / samples)
        self._bias -= self._rate * (errors.sum() / samples)
        self.epochs_run += 1
        return loss

    @property
    def weight(self) -> float:
        """The change of the logit per unit of x."""
        return float(self._weight)

    @property
    def bias(self) -> float:
        """The logit at x = 0."""
        return float(self._bias)

    def _set(self, weight: float, bias: float) -> None:
        # Every scalar has the dtype: beside a Python number NumPy 1 makes float64 of a float32 scalar.
        self._scalar = numpy.dtype(self.dtype).type
        self._weight = self._scalar(weight)
        self._bias = self._scalar(bias)
        self._rate = self._scalar(self.learning_rate)

    def _adopt(self, values: Array) -> Array:
        return values

    def _probabilities(self, x: Array) -> Array:
        return sigmoid(self._weight * x + self._bias)


def _sigmoid(logits: Array, decay: Array) -> Array:
    """The sigmoid of z from e^-|z|, which is at most 1."""
    result: Array = numpy.where(logits >= 0, 1, decay) / (1 + decay)
    return result


def _terms(logits: Array, placed: Array, decay: Array) -> Array:
    """The loss of each sample: max(z, 0) - z y + log(1 + e^-|z|), from e^-|z|.

    It does not compute 1 - p, which would lose the digits of a small p.
    """
    result: Array = numpy.maximum(logits, 0) - logits * placed + numpy.log1p(decay)
    return result
