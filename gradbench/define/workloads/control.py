"""The control alone: nothing is computed."""

from gradbench.define.workloads.workload import Workload

WORKLOADS = (
    Workload(
        name="control",
        title="the control alone, in a hot loop",
        shows="What the method itself costs when nothing is computed under it, and whether that grows with "
        "the tensor.",
    ),
)
