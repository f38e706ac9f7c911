"""The kind of an error in measured code, and whether the process can go on after it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import torch

from gradbench.measure.checks import CheckFailed
from gradbench.measure.environment import first_line

# Errors that leave the device usable: a graph could not be captured, a library declined.
_PASSING = ("captur", "CUBLAS_STATUS")

# Texts of errors that memory ran out: from torch's allocator on the CPU, the driver, a library's workspace.
_NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


class Fault(NamedTuple):
    """An error in words.

    Attributes:
        kind: kind, as in a Failure.
        message: one line.
        breaks: the device's error, where every further call in this process fails as well; else empty.
    """

    kind: Literal["check", "raised", "out of memory"]
    message: str
    breaks: str = ""


def fault_of(error: Exception) -> Fault:
    """The fault of an error: a failed check, memory that ran out, a device in error, or another error."""
    if isinstance(error, CheckFailed):
        return Fault("check", _line(str(error)))
    text = f"{type(error).__name__}: {error}"
    # On the CPU torch reports this as a RuntimeError of the allocator.
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _NO_MEMORY):
        # The rest is about the allocator's blocks, and advice on its settings.
        return Fault("out of memory", _line(re.split(" (?=Of the allocated memory)", text)[0]))
    if "CUDA error" in text and not any(words in text for words in _PASSING):
        first = first_line(error)
        return Fault("raised", _line(f"{type(error).__name__}: {first}"), first)
    return Fault("raised", _line(text))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
