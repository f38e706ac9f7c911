"""Operations element by element."""

from gradbench.workloads.workload import Workload

WORKLOADS = (
    Workload(
        name="elementwise",
        title="one multiplication, x * 2",
        shows="The control in place, around the smallest piece of work: where its price weighs most.",
        work="{x} * 2.0",
        answer="x * 2.0",
    ),
    Workload(
        name="chain",
        title="a chain of three operations, exp(sin(x²))",
        shows="Three operations under one control: recording costs per operation, entering a block costs "
        "once. Only recording keeps intermediate results alive.",
        work="torch.exp(torch.sin({x} ** 2))",
        answer="numpy.exp(numpy.sin(x ** 2))",
        # Each of the three operations rounds, and exp and sin carry the error of their argument on.
        roundings=16.0,
    ),
)
