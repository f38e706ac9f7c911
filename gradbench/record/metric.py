"""The figures that are known of a variant: one row each.

Exports, the tables of a report, asv's cells and pytest's are made from these rows. Those of extensions travel
in the plan, and are read like these.
"""

from __future__ import annotations

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """A figure that is known of a variant; less of it is better.

    Attributes:
        name: as exports, asv and pytest name it.
        unit: `s`, `B`, or `1` for a number of something.
        label: as a column of a report names it.
        meaning: what it is, in a sentence.
        exact: it is counted, and the same each time; a time has an interval over passes instead.
        measure: `module:function`, of an extension: the worker calls it with the `ReadyVariant` in the pass
            that counts memory, and it returns a number. Empty for gradbench's own.
        followed: asv keeps it from commit to commit.
        accelerator: it is only asked of an accelerator.
    """

    name: str
    unit: str
    label: str
    meaning: str
    exact: bool = True
    measure: str = ""
    followed: bool = False
    accelerator: bool = False


# The figures that gradbench's own records hold.
METRICS: tuple[Metric, ...] = (
    Metric(
        name="time",
        unit="s",
        label="time",
        meaning="Seconds per call, net of the empty loop; on an accelerator until the device has done it.",
        exact=False,
    ),
    Metric(
        name="host_time",
        unit="s",
        label="host",
        meaning="Seconds that the host takes to issue a call.",
        exact=False,
        accelerator=True,
    ),
    Metric(
        name="device_time",
        unit="s",
        label="device",
        meaning="Seconds that the device takes for a call, without waiting for the host.",
        exact=False,
        accelerator=True,
    ),
    Metric(
        name="kernels",
        unit="1",
        label="kernels",
        meaning="Kernels, copies and fills of a call, as the profiler sees them.",
        accelerator=True,
    ),
    Metric(
        name="kernel_time",
        unit="s",
        label="in kernels",
        meaning="The durations of those, added up.",
        accelerator=True,
    ),
    Metric(
        name="peak_blocks",
        unit="B",
        label="peak in blocks",
        meaning="As peak, in the blocks that the device's allocator gave.",
        accelerator=True,
    ),
    Metric(
        name="allocated",
        unit="B",
        label="allocated",
        meaning="Bytes allocated in all by one call.",
        followed=True,
    ),
    Metric(
        name="peak",
        unit="B",
        label="peak",
        meaning="Most bytes live at once during one call, above what was live before, with what stood.",
        followed=True,
    ),
    Metric(
        name="retained",
        unit="B",
        label="retained",
        meaning="Bytes live after one call, its result held, with what stood.",
    ),
    Metric(
        name="standing",
        unit="B",
        label="standing",
        meaning="Bytes of gradients that the call before left, and that this one clears or adds to.",
    ),
    Metric(
        name="left",
        unit="B",
        label="left",
        meaning="Bytes that each call adds to what stays when its result is let go of, as in a list.",
    ),
    Metric(
        name="graph",
        unit="B",
        label="graph",
        meaning="Bytes that the graph holds after one call, beside its result; not known of a backward.",
        followed=True,
    ),
    Metric(
        name="saved",
        unit="B",
        label="saved",
        meaning="Bytes of the storages that one call saves for its backward.",
        followed=True,
    ),
    Metric(
        name="allocations",
        unit="1",
        label="allocations",
        meaning="Number of allocations of one call.",
    ),
    Metric(
        name="resident",
        unit="B",
        label="resident",
        meaning="Bytes that the process's resident set grew by: whole pages, and noisy.",
        exact=False,
    ),
)
