"""The figures that extensions measure: their function, called with a variant that is set up."""

from __future__ import annotations

import functools
import math
import numbers
import pkgutil
from collections.abc import Callable
from typing import Any

from gradbench.measure.variant import ReadyVariant
from gradbench.record.metric import Metric
from gradbench.record.visits import Figure


def measure_figure(metric: Metric, ready: ReadyVariant, comparison: str) -> Figure:
    """The result of the metric's function for a variant, as a record.

    Errors of the function pass through. Raises TypeError or ValueError where it returns no finite number.
    """
    value = _function(metric.measure)(ready)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"expected a number from {metric.measure}; got {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number from {metric.measure}; got {value}")
    return Figure(comparison, ready.variant.name, metric.name, float(value))


@functools.cache
def _function(path: str) -> Callable[[ReadyVariant], Any]:
    """The function of `module:function`. Raises ImportError or AttributeError without such a function."""
    found: Callable[[ReadyVariant], Any] = pkgutil.resolve_name(path)
    return found
