"""The kinds of device that there is a clock for."""

from __future__ import annotations

# The kinds of device that there is a clock for.
KINDS = ("cpu", "cuda")


def kind_of(device: str) -> str:
    """The kind of a device: `cuda` of `cuda:1`."""
    return device.partition(":")[0]
