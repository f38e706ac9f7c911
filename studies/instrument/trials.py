"""The real trials: plans whose truth is known, run by the product's own code in fresh processes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.pace import REPORT_SECONDS
from gradbench.measure.passes import Steering
from gradbench.record.plan import Comparison, Plan, Request, Role, Variant
from gradbench.record.results import BATCH_SECONDS, Allocator, Options
from studies.instrument.variants import comparison, repeated, variant

# The statements that are held against themselves: from 50 ns to half a millisecond.
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

# A second price of the same kind: what one call more adds to a call of about 3 µs.
ADDED = "torch.exp(torch.sin(x ** 2))"

NO_GRAD = "with torch.no_grad():\n    pass"
# Bytes that an operation touches between two controls.
TOUCHED = (4_000, 40_000, 400_000, 2_000_000, 8_000_000, 32_000_000, 128_000_000)
# Elements of a dear function whose data stay in the caches, up to 0.4 MB of them.
COMPUTED = (30, 300, 3_000, 15_000, 50_000)


@dataclass(frozen=True)
class Trial:
    """One run of the product on a plan of ours.

    Attributes:
        slice: seconds of a visit at most.
        budget: seconds in all; None leaves the passes to decide.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    passes: int | None
    slice: float
    budget: float | None = None
    allocator: Allocator = "keep"
    batch_seconds: float = BATCH_SECONDS


def measure(trial: Trial, output: Path) -> None:
    """Run a trial; leave its results file, compressed, at `output`."""
    with tempfile.TemporaryDirectory() as folder:
        order = run.Order(
            Request(),
            Options("study", 1, trial.allocator, 60.0, memory=False, batch_seconds=trial.batch_seconds),
            f"make instrument ({trial.name})",
            Plan(trial.comparisons),
        )
        goal = Goal(trial.passes, trial.budget, None, trial.slice)
        results = run.start(Path(folder), order, Steering(goal))
        output.write_bytes(gzip.compress(results.path.read_bytes(), mtime=0))


def same() -> Trial:
    """Identical variants, 216 times: each comparison as the product makes it."""
    return Trial(
        "same",
        tuple(
            comparison(
                f"{name}/{copy}",
                [
                    variant("baseline", statement, "baseline"),
                    variant("twin", statement, "twin"),
                    variant("same", statement),
                ],
                numel,
            )
            for name, (statement, numel) in SAME.items()
            for copy in range(COPIES)
        ),
        passes=25,
        slice=0.06,
    )


def known(batch_seconds: float = BATCH_SECONDS) -> Trial:
    """Variants of k and k + 1 repetitions of one call: the true ratio is (k + 1) / k."""
    cases = {
        "flag": ("x.requires_grad_()", (1, 2, 5, 10, 20, 50)),
        "detach": ("x.detach()", (1, 2, 5, 10, 20, 50)),
        "multiply": ("x * 2.0", (1, 2, 10)),
    }
    return Trial(
        f"known {batch_seconds * 1e6:g} µs",
        tuple(
            comparison(
                f"{name} x {times}",
                [
                    variant("baseline", repeated(call, times), "baseline"),
                    variant("twin", repeated(call, times), "twin"),
                    variant("more", repeated(call, times + 1)),
                ],
            )
            for name, (call, counts) in cases.items()
            for times in counts
        ),
        passes=12,
        slice=0.2,
        batch_seconds=batch_seconds,
    )


def power(number: int) -> Trial:
    """A call of about 3 µs with and without 2 % more, in ten seconds."""
    return Trial(
        f"power {number}",
        (
            comparison(
                "repeated",
                [
                    variant("baseline", repeated("x.requires_grad_()", 50), "baseline"),
                    variant("twin", repeated("x.requires_grad_()", 50), "twin"),
                    variant("same", repeated("x.requires_grad_()", 50)),
                    variant("more", repeated("x.requires_grad_()", 51)),
                ],
            ),
            comparison(
                "added",
                [
                    variant("baseline", f"y = {ADDED}", "baseline"),
                    variant("twin", f"y = {ADDED}", "twin"),
                    variant("same", f"y = {ADDED}"),
                    variant("more", f"x.requires_grad_()\ny = {ADDED}"),
                ],
            ),
        ),
        passes=None,
        slice=0.25,
        # The report that a run keeps time for is not made here.
        budget=10.0 + REPORT_SECONDS,
    )


NAMED = "the_tensor_that_this_variant_reads_under_a_name_of_seventy_letters_and_more"
MULTIPLY = "y = f * 2.0"


def _on(buffer: str, name: str, role: Role = "method") -> Variant:
    return variant(name, MULTIPLY, role, f"f = {buffer}")


def hidden(allocator: Allocator) -> Trial:
    """Variants that differ in nothing that a user would call a difference.

    `place`: three variants on one buffer, one of them under a long name, and three on another, so that both
    are equally warm. `align`: the same, the second buffer 16 bytes off. `warm`: one variant on a buffer that
    no other touches, against six that share theirs.
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
    return Trial(
        f"hidden {allocator}",
        tuple(
            comparison(f"{name}/{numel}", [*three, *variants], numel, "base = torch.rand({numel})\n" + other)
            for name, (other, variants) in second.items()
            for numel in (100, 10_000, 100_000, 1_000_000, 4_000_000)
        ),
        passes=12,
        slice=0.25,
        allocator=allocator,
    )


def in_place() -> Trial:
    """The price of a control around one multiplication, as the data outgrows each cache."""
    sizes = (100, 1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000)
    block = "with {context}:\n    y = f * 2.0"
    return Trial(
        "in place",
        tuple(
            comparison(
                f"in place/{numel}",
                [
                    variant("baseline", "y = f * 2.0", "baseline"),
                    variant("twin", "y = f * 2.0", "twin"),
                    variant("no_grad", block.format(context="torch.no_grad()")),
                    variant("inference_mode", block.format(context="torch.inference_mode()")),
                    variant("nullcontext", block.format(context="nothing"), setup="from contextlib import "
                         "nullcontext\nnothing = nullcontext()"),
                    variant("tracked", "y = x * 2.0"),
                    variant("detach", "y = x.detach() * 2.0"),
                ],
                numel,
                "base = torch.rand({numel})\nx = base.detach().requires_grad_()\nf = base.detach()",
            )
            for numel in sizes
        ),
        passes=12,
        slice=0.4,
    )  # fmt: skip


def evicted() -> Trial:
    """A control after an operation that touches so many bytes."""
    return Trial(
        "evicted",
        tuple(
            comparison(
                f"evicted/{touched}",
                [
                    variant("baseline", "junk.sum()", "baseline"),
                    variant("twin", "junk.sum()", "twin"),
                    variant("read, no_grad", f"junk.sum()\n{NO_GRAD}"),
                    variant("write", "junk.fill_(1.0)"),
                    variant("write, no_grad", f"junk.fill_(1.0)\n{NO_GRAD}"),
                    variant("read, flag", "junk.sum()\nx.requires_grad_()"),
                    variant("read, detach", "junk.sum()\nx.detach()"),
                ],
                touched // 4,
                "junk = torch.rand({numel})\nx = torch.rand(100).requires_grad_()\nbase = x.detach()",
            )
            for touched in TOUCHED
        ),
        passes=12,
        slice=0.5,
    )


def computed() -> Trial:
    """A control after an operation that takes as long and touches little: the rival explanation.

    If the price grew with the time since the control last ran, it would grow here too.
    """
    return Trial(
        "computed",
        tuple(
            comparison(
                f"computed/{numel}",
                [
                    variant("baseline", "small.lgamma()", "baseline"),
                    variant("twin", "small.lgamma()", "twin"),
                    variant("compute, no_grad", f"small.lgamma()\n{NO_GRAD}"),
                    variant("compute, detach", "small.lgamma()\nx.detach()"),
                ],
                numel,
                "small = torch.rand({numel})\nx = torch.rand(100).requires_grad_()\nbase = x.detach()",
            )
            for numel in COMPUTED
        ),
        passes=12,
        slice=0.4,
    )


def loaded(folder: Path) -> None:
    """A run while another process takes a core for half of every two seconds: what telemetry explains."""
    busy = (
        "import time\n"
        "while True:\n"
        "    until = time.monotonic() + 1\n"
        "    while time.monotonic() < until:\n"
        "        pass\n"
        "    time.sleep(1)\n"
    )
    # As many as there are processors, so that wherever the worker runs it has company.
    crowd = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(os.cpu_count() or 1)]
    try:
        trial = Trial("loaded", known().comparisons[:8], passes=8, slice=0.3)
        measure(trial, folder / "loaded.jsonl.gz")
    finally:
        for each in crowd:
            each.kill()
            each.wait()


Say = Callable[[str], None]


def study(folder: Path, say: Say = print) -> None:
    """Every trial, one results file each."""
    trials = [
        known(),
        known(10e-6),
        known(250e-6),
        hidden("keep"),
        hidden("system"),
        in_place(),
        evicted(),
        computed(),
        *(power(number) for number in range(1, 21)),
        same(),
    ]
    for trial in trials:
        say(f"trial: {trial.name}")
        measure(trial, folder / f"{trial.name.replace(' ', '-').replace('µ', 'u')}.jsonl.gz")
    say("trial: loaded")
    loaded(folder)
