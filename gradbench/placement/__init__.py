"""One neuron that predicts placement from CGPA, by gradient descent: in NumPy by hand, and twice in PyTorch.

The three predictors have one interface and take the same steps. The package imports torch when code first
uses a predictor that needs it.

>>> predictor = NumpyPlacementPredictor().fit(CGPA, PLACED)
>>> low, high = predictor.predict([5.0, 7.5])
>>> bool(low < high)
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradbench.placement.data import CGPA, COHORT_BIAS, COHORT_WEIGHT, PLACED, make_cohort
from gradbench.placement.predictor import PlacementPredictor
from gradbench.placement.scratch import NumpyPlacementPredictor, binary_cross_entropy, sigmoid

if TYPE_CHECKING:
    from gradbench.placement.tensors import (
        ModulePlacementPredictor,
        TensorPlacementPredictor,
        clamped_loss,
    )

__all__ = [
    "CGPA",
    "COHORT_BIAS",
    "COHORT_WEIGHT",
    "PLACED",
    "ModulePlacementPredictor",
    "NumpyPlacementPredictor",
    "PlacementPredictor",
    "TensorPlacementPredictor",
    "binary_cross_entropy",
    "clamped_loss",
    "make_cohort",
    "sigmoid",
]

_WITH_TORCH = {"ModulePlacementPredictor", "TensorPlacementPredictor", "clamped_loss"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("gradbench.placement.tensors"), name)
    # The next access finds the name without this function.
    globals()[name] = value
    return value
