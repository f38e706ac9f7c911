"""The control alone, without work in it."""

from gradbench.define.workloads.workload import Workload

WORKLOADS = (
    Workload(
        name="control",
        title="the control alone, in a hot loop",
        shows="The price of the method itself, without work under it, and whether it grows with the tensor.",
    ),
)
