"""The real trials: plans whose truth is known, run by the product's code in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.pace import REPORT_SECONDS
from gradbench.measure.steering import Steering
from gradbench.record.plan import Comparison, Plan, Request, Role, Variant
from gradbench.record.results import BATCH_SECONDS, Allocator, Options, Results
from studies.files import Log, compress
from studies.instrument.variants import comparison, repeated, variant, with_twin

# The statements that are compared with themselves: from 50 ns to half a millisecond.
SAME: dict[str, tuple[str, int]] = {
    "flag": ("x.requires_grad_()", 100),
    "detach": ("y = x.detach()", 100),
    "no_grad": ("with torch.no_grad():\n    pass", 100),
    "inference_mode": ("with torch.inference_mode():\n    y = x * 2.0", 100),
    "multiply": ("y = x * 2.0", 100),
    "multiply 10,000": ("y = x * 2.0", 10_000),
    "multiply 100,000": ("y = x.detach() * 2.0", 100_000),
    "multiply 1,000,000": ("y = x.detach() * 2.0", 1_000_000),
    "chain": ("y = torch.exp(torch.sin(x ** 2))", 100),
    "chain 10,000": ("y = torch.exp(torch.sin(x ** 2))", 10_000),
    "copy 100,000": ("y = x.detach().clone()", 100_000),
    "sum 300,000": ("y = x.detach().sum()", 300_000),
}
COPIES = 18

FLAG = "x.requires_grad_()"
CHAIN = "y = torch.exp(torch.sin(x ** 2))"
NO_GRAD = "with torch.no_grad():\n    pass"
# A control after an operation needs these tensors, besides the operation's data.
CONTROLLED = "\nx = torch.rand(100).requires_grad_()\nbase = x.detach()"
# Bytes that an operation touches between two controls.
TOUCHED = (4_000, 40_000, 400_000, 2_000_000, 8_000_000, 32_000_000, 128_000_000)
# Elements of an expensive function whose data stay in the caches, up to 0.4 MB.
COMPUTED = (30, 300, 3_000, 15_000, 50_000)
POWER_RUNS = 20


@dataclass(frozen=True)
class Trial:
    """One run of the product on a plan of this study.

    Attributes:
        slice: seconds of a visit at most.
        budget: seconds of measuring in all; None if the number of passes decides.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    passes: int | None
    slice: float
    budget: float | None = None
    allocator: Allocator = "keep"
    batch_seconds: float = BATCH_SECONDS


def run_trial(trial: Trial, folder: Path) -> Results:
    # A run keeps a part of its budget for the report. This trial makes no report.
    budget = None if trial.budget is None else trial.budget + REPORT_SECONDS
    options = Options("study", 1, trial.allocator, 60.0, memory=False, batch_seconds=trial.batch_seconds)
    order = run.Order(Request(), options, f"make instrument ({trial.name})", Plan(trial.comparisons))
    return run.start(folder, order, Steering(Goal(trial.passes, budget, None, trial.slice)))


def measure(trial: Trial, output: Path) -> None:
    """Run a trial, and write its compressed results file to `output`."""
    with tempfile.TemporaryDirectory() as folder:
        compress(run_trial(trial, Path(folder)).path.read_bytes(), output)


def same() -> Trial:
    """Identical variants, 216 times, in comparisons of the product."""
    comparisons = tuple(
        with_twin(f"{name}/{copy}", statement, {"same": statement}, numel)
        for name, (statement, numel) in SAME.items()
        for copy in range(COPIES)
    )
    return Trial("same", comparisons, passes=25, slice=0.06)


def known(batch_seconds: float = BATCH_SECONDS) -> Trial:
    """Variants of k and k + 1 repetitions of one call: the true ratio is (k + 1) / k."""
    cases = {
        "flag": (FLAG, (1, 2, 5, 10, 20, 50)),
        "detach": ("x.detach()", (1, 2, 5, 10, 20, 50)),
        "multiply": ("x * 2.0", (1, 2, 10)),
    }
    comparisons = tuple(
        with_twin(f"{name} x {times}", repeated(call, times), {"more": repeated(call, times + 1)})
        for name, (call, counts) in cases.items()
        for times in counts
    )
    name = f"known {batch_seconds * 1e6:g} µs"
    return Trial(name, comparisons, passes=12, slice=0.2, batch_seconds=batch_seconds)


def power(number: int) -> Trial:
    """A call of about 3 µs with and without 2 % more, in ten seconds."""
    calls = repeated(FLAG, 50)
    comparisons = (
        with_twin("repeated", calls, {"same": calls, "more": repeated(FLAG, 51)}),
        with_twin("added", CHAIN, {"same": CHAIN, "more": f"{FLAG}\n{CHAIN}"}),
    )
    return Trial(f"power {number}", comparisons, passes=None, slice=0.25, budget=10.0)


NAMED = "the_tensor_that_this_variant_reads_under_a_name_of_seventy_letters_and_more"


def _on(buffer: str, name: str, role: Role = "method") -> Variant:
    return variant(name, "y = f * 2.0", role, f"f = {buffer}")


def hidden(allocator: Allocator) -> Trial:
    """Variants that differ in nothing that a user would call a difference.

    `place`: three variants use one buffer, one of them under a long name, and three use another buffer. So
    both buffers are equally warm. `align`: as `place`, with the second buffer 16 bytes off. `warm`: one
    variant has a buffer that no other variant touches; six share a buffer.
    """
    three = [_on("base", "baseline", "baseline"), _on("base", "twin", "twin")]
    three.append(variant("named" + "_" * 60, f"y = {NAMED} * 2.0", setup=f"{NAMED} = base"))
    second = {
        "place": ("other = base.clone()", [_on("other", f"second buffer {i}") for i in (1, 2, 3)]),
        "align": (
            "other = torch.rand({numel} + 4)[4:].copy_(base)",
            [_on("other", f"16 bytes off {i}") for i in (1, 2, 3)],
        ),
        "warm": (
            "other = base.clone()",
            [*(_on("base", f"same buffer {i}") for i in (1, 2, 3)), _on("other", "buffer of its own")],
        ),
    }
    comparisons = tuple(
        comparison(f"{name}/{numel}", [*three, *variants], numel, "base = torch.rand({numel})\n" + other)
        for name, (other, variants) in second.items()
        for numel in (100, 10_000, 100_000, 1_000_000, 4_000_000)
    )
    return Trial(f"hidden {allocator}", comparisons, passes=12, slice=0.25, allocator=allocator)


def in_place() -> Trial:
    """The price of a control around one multiplication, as the data outgrows each cache."""
    block = "with {}:\n    y = f * 2.0"
    others = {
        "no_grad": block.format("torch.no_grad()"),
        "inference_mode": block.format("torch.inference_mode()"),
        "nullcontext": block.format("nothing"),
        "tracked": "y = x * 2.0",
        "detach": "y = x.detach() * 2.0",
    }
    prepare = (
        "from contextlib import nullcontext\nnothing = nullcontext()\n"
        "base = torch.rand({numel})\nx = base.detach().requires_grad_()\nf = base.detach()"
    )
    comparisons = tuple(
        with_twin(f"in place/{numel}", "y = f * 2.0", others, numel, prepare)
        for numel in (100, 1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000)
    )
    return Trial("in place", comparisons, passes=12, slice=0.4)


def evicted() -> Trial:
    """A control after an operation that touches a growing number of bytes."""
    others = {
        "read, no_grad": f"junk.sum()\n{NO_GRAD}",
        "write": "junk.fill_(1.0)",
        "write, no_grad": f"junk.fill_(1.0)\n{NO_GRAD}",
        "read, flag": f"junk.sum()\n{FLAG}",
        "read, detach": "junk.sum()\nx.detach()",
    }
    prepare = "junk = torch.rand({numel})" + CONTROLLED
    comparisons = tuple(
        with_twin(f"evicted/{touched}", "junk.sum()", others, touched // 4, prepare) for touched in TOUCHED
    )
    return Trial("evicted", comparisons, passes=12, slice=0.5)


def computed() -> Trial:
    """A control after an operation that takes as long and touches little memory: the other explanation.

    If the price grew with the time since the control last ran, it would grow here too.
    """
    others = {
        "compute, no_grad": f"small.lgamma()\n{NO_GRAD}",
        "compute, detach": "small.lgamma()\nx.detach()",
    }
    prepare = "small = torch.rand({numel})" + CONTROLLED
    comparisons = tuple(
        with_twin(f"computed/{numel}", "small.lgamma()", others, numel, prepare) for numel in COMPUTED
    )
    return Trial("computed", comparisons, passes=12, slice=0.4)


_BUSY_EVERY_OTHER_SECOND = """\
import time
while True:
    until = time.monotonic() + 1
    while time.monotonic() < until:
        pass
    time.sleep(1)
"""


def loaded(output: Path) -> None:
    """A run beside processes that take a core every other second. It shows how much telemetry explains."""
    # One process per processor disturbs the worker on any processor.
    command = [sys.executable, "-c", _BUSY_EVERY_OTHER_SECOND]
    crowd = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        measure(Trial("loaded", known().comparisons[:8], passes=8, slice=0.3), output)
    finally:
        for each in crowd:
            each.kill()
            each.wait()


def study(data: Path, log: Log) -> None:
    """Run every trial; each writes a results file."""
    trials = [
        known(),
        known(10e-6),
        known(250e-6),
        hidden("keep"),
        hidden("system"),
        in_place(),
        evicted(),
        computed(),
        *(power(number) for number in range(1, POWER_RUNS + 1)),
        same(),
    ]
    for trial in trials:
        log(f"trial: {trial.name}")
        measure(trial, data / filename(trial.name))
    log("trial: loaded")
    loaded(data / filename("loaded"))


def filename(trial: str) -> str:
    """The name of a trial's results file."""
    return f"{trial.replace(' ', '-').replace('µ', 'u')}.jsonl.gz"
