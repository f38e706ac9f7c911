"""Students: their CGPA, and whether they were placed."""

from __future__ import annotations

from numbers import Integral

import numpy
from numpy.typing import NDArray

# The five samples of the guide.
CGPA = numpy.array([9.11, 8.9, 7.0, 6.56, 4.56])
PLACED = numpy.array([1.0, 1.0, 0.0, 1.0, 0.0])
# All importers share these arrays.
CGPA.flags.writeable = False
PLACED.flags.writeable = False

# A cohort is drawn from this logistic model: even odds at 6.5, and e^1.5 times the odds for each point.
COHORT_WEIGHT = 1.5
COHORT_BIAS = -9.75


def make_cohort(samples: int, seed: int = 0) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """CGPA (samples,), on the scale from 0 to 10, and placed (samples,), each 0.0 or 1.0.

    CGPA is normal with mean 7 and standard deviation 1.5, clipped to the scale; a student is placed with
    probability sigmoid(COHORT_WEIGHT * cgpa + COHORT_BIAS). The same seed gives the same cohort.
    Raises ValueError where samples is not a whole number of 1 or more.
    """
    if not isinstance(samples, Integral) or samples < 1:
        raise ValueError(f"expected 1 sample or more; got samples={samples!r}; give a whole number")
    generator = numpy.random.default_rng(seed)
    cgpa = generator.normal(7.0, 1.5, samples).clip(0.0, 10.0)
    probability = 1.0 / (1.0 + numpy.exp(-(COHORT_WEIGHT * cgpa + COHORT_BIAS)))
    return cgpa, (generator.random(samples) < probability).astype(numpy.float64)
