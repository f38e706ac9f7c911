"""Guards for the tests of any project: this is not slower than that, and this keeps no more than N bytes.

The fixture `gradbench` of `gradbench.pytest_plugin` is made of these. They need no pytest; times need no
torch, and bytes import it.
"""

from gradbench.guard.memory import (
    Bytes,
    BytesFound,
    Limits,
    assert_bytes_at_most,
    limit_bytes,
    measure_bytes,
)
from gradbench.guard.time import TimeRatio, assert_not_slower, compare_time

__all__ = [
    "Bytes",
    "BytesFound",
    "Limits",
    "TimeRatio",
    "assert_bytes_at_most",
    "assert_not_slower",
    "compare_time",
    "limit_bytes",
    "measure_bytes",
]
