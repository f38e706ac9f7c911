"""The dtypes that gradbench can measure, with their sizes and their precision."""

from __future__ import annotations

# By dtype its epsilon: twice the largest relative error of one rounding (IEEE 754; bfloat16 has 8 bits).
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}


DTYPES = tuple(EPSILON)


BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
