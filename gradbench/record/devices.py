"""The kinds of device that gradbench has a clock for."""

from __future__ import annotations

from collections.abc import Iterable

# The kinds of device that gradbench has a clock for.
KINDS = ("cpu", "cuda")


def kind_of(device: str) -> str:
    """The kind of a device: `cuda` of `cuda:1`."""
    return device.partition(":")[0]


def all_of(here: Iterable[str]) -> str:
    """The devices that `--device all` means, of the devices here: the CPU, and those with a clock."""
    return ",".join(["cpu", *(each for each in here if kind_of(each) in KINDS[1:])])
