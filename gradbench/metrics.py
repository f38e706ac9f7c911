"""The figures that are known of a variant: one row each.

Exports, the tables of a report, asv's cells and pytest's are made from these rows. What an extension adds is
measured by a function of its own; where gradbench's are found in a summary says `gradbench.analyse.metrics`.
"""

from __future__ import annotations

from gradbench.extension import distinct, extended
from gradbench.record.plan import Metric

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
        meaning="Most bytes live at once during one call, above what was live before.",
        followed=True,
    ),
    Metric(
        name="retained",
        unit="B",
        label="retained",
        meaning="Bytes live after one call, its result held.",
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


def metrics() -> tuple[Metric, ...]:
    """The metrics of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    rows = extended("metrics", METRICS, lambda metric: metric.name)
    return distinct("metrics", rows, lambda metric: metric.name)


def measured_metrics() -> tuple[Metric, ...]:
    """The metrics that a plan carries to the workers: those with a function of an extension."""
    return tuple(metric for metric in metrics() if metric.measure)
