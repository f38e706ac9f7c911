"""The figures of a variant: one row for each figure.

Exports, the tables of a report, asv's cells and pytest's are made from these rows. The rows of extensions
travel in the plan, and gradbench reads them like these.
"""

from __future__ import annotations

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """A figure of a variant; less is better.

    Attributes:
        name: name in exports, asv and pytest.
        unit: `s`, `B`, or `1` for a number of something.
        label: title of its column in a report.
        meaning: the figure in a sentence.
        exact: the figure is counted, and the same in every pass; a time has an interval over passes instead.
        measure: `module:function` of an extension. In the pass that counts memory, the worker calls it with
            the `ReadyVariant`, and it returns a number. Empty for the metrics of gradbench.
        followed: asv keeps the figure from commit to commit.
        accelerator: only an accelerator has the figure.
    """

    name: str
    unit: str
    label: str
    meaning: str
    exact: bool = True
    measure: str = ""
    followed: bool = False
    accelerator: bool = False


# The figures in the records of gradbench.
METRICS: tuple[Metric, ...] = (
    Metric(
        name="time",
        unit="s",
        label="time",
        meaning="Seconds per call, net of the empty loop; on an accelerator until the device has finished.",
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
        meaning="Kernels, copies and fills of one call, as the profiler sees them.",
        accelerator=True,
    ),
    Metric(
        name="kernel_time",
        unit="s",
        label="in kernels",
        meaning="Sum of the durations of these kernels, copies and fills.",
        accelerator=True,
    ),
    Metric(
        name="peak_blocks",
        unit="B",
        label="peak in blocks",
        meaning="Most bytes live at once, in the blocks that the device's allocator gave.",
        accelerator=True,
    ),
    Metric(
        name="allocated",
        unit="B",
        label="allocated",
        meaning="Bytes that one call allocates in all.",
        followed=True,
    ),
    Metric(
        name="peak",
        unit="B",
        label="peak",
        meaning="Most bytes live at once during one call, above those live before it; gradients that were "
        "there count.",
        followed=True,
    ),
    Metric(
        name="retained",
        unit="B",
        label="retained",
        meaning="Bytes live after one call, its result held; gradients that were there count.",
    ),
    Metric(
        name="standing",
        unit="B",
        label="standing",
        meaning="Bytes of gradients that the call before left, and that this call clears or adds to.",
    ),
    Metric(
        name="left",
        unit="B",
        label="left",
        meaning="Bytes that every call adds to what stays after its result is released, as in a list.",
    ),
    Metric(
        name="graph",
        unit="B",
        label="graph",
        meaning="Bytes that the graph holds after one call, beside its result; unknown for a backward.",
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
        meaning="Growth of the process's resident set in bytes: whole pages, and noisy.",
        exact=False,
    ),
)
