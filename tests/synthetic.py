"""Results made by hand, whose truth is known: for tests of what comes after the results file."""

import functools
import math
from pathlib import Path

import msgspec
import numpy

from gradbench.define.planner import plan_run
from gradbench.record.environment import AcceleratorFacts, Environment
from gradbench.record.lines import SCHEMA
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.record.results import FORMAT, Header, Options, Results
from gradbench.record.telemetry import Telemetry
from gradbench.record.visits import (
    Memory,
    PartTime,
    PassEnd,
    PassStart,
    Stretch,
    Timeline,
    VariantTime,
    Visit,
)
from gradbench.versus import records as versus
from gradbench.versus.cells import planned
from gradbench.versus.records import PairStart, PairTime, PairVisit, SideFacts, Trial

ENVIRONMENT = Environment(
    "3.11.7", "CPython", "Linux 6", "x86_64", "A processor", 2, 8 * 10**9, "glibc 2.36", "2.0", "2.13.0",
    "abcdef0123456789", "build <flags>", 1, ("cpu",),
)  # fmt: skip


def header(request=None, **changes):
    request = request or Request(workloads=("elementwise",), sizes=("small",))
    known = {
        "format": FORMAT,
        "schema": SCHEMA,
        "gradbench": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "command": "gradbench run",
        "request": request,
        "options": Options("standard", 1, "keep", 120.0),
        "environment": ENVIRONMENT,
        "plan": changes.get("plan") or plan_run(request),
    }
    return Header(**{**known, **changes})


def results(
    ratios,
    passes=10,
    scatter=0.001,
    seconds=1e-6,
    empty=1e-8,
    request=None,
    seed=0,
    telemetry=None,
    plan=None,
):
    """A run whose variants have these true net ratios to the baseline; those not named are 1.

    Each pass scatters each variant's log-ratio by `scatter`; `empty` is the loop's time in every variant.
    `seconds` is the net time of the baseline, or a function that gives it for a comparison.
    """
    made = Results(Path("results.jsonl"), header(request, **({} if plan is None else {"plan": plan})))
    rng = numpy.random.default_rng(seed)
    for number in range(1, passes + 1):
        made.add(PassStart(number, "time", 0.7, 0, 0))
        for comparison in made.header.plan.comparisons:
            variants = {}
            base = seconds(comparison) if callable(seconds) else seconds
            for variant in comparison.variants:
                net = ratios.get(variant.name, 1.0)
                if variant.role == "empty":
                    gross = empty
                else:
                    bias = 0.0 if variant.role == "baseline" else rng.normal(0.0, scatter)
                    gross = base * net * math.exp(bias) + empty
                log = math.log(gross / (base + empty))
                variants[variant.name] = VariantTime(50, gross, gross, gross, log)
            made.add(Visit(number, comparison.id, 100, 0.5, 0.02, 0.001, variants, telemetry or Telemetry()))
        made.add(PassEnd(number, 1.5))
    return made


def followed(made):
    """Add a timeline where a comparison has one, and an observation."""
    for comparison in made.header.plan.comparisons:
        if comparison.timeline:
            lines = (Stretch("y = f(x)", (9000, 5000)), Stretch("loss.backward()", (9321, 12)))
            made.add(Timeline(comparison.id, comparison.baseline.name, lines))
    made.add(Observation("persistence", "How long?", "code", "no_grad", {"x_inside": False, "x_after": True}))
    return made


def memory(made, variant, **bytes_):
    """Add a memory record for a variant of every comparison; figures not named are 0."""
    fields = dict.fromkeys(("allocated", "allocations", "peak", "retained", "graph", "saved"), 0)
    for comparison in made.header.plan.comparisons:
        made.add(Memory(comparison.id, variant, **{**fields, **bytes_}, resident=None, source="by hand"))
    return made


ONE_WORKLOAD = Request(workloads=("elementwise",), sizes=("small",), preset="quick")


@functools.cache
def planned_of_one_workload():
    return planned(ONE_WORKLOAD)


def trial(
    factors=None,
    pairs=18,
    scatter=0.015,
    pinned=True,
    machine=0.0,
    seed=0,
    margin=0.02,
    labels=("old", "new"),
    comparisons=(),
):
    """A trial whose variants have these true ratios of B to A; those not named are 1.

    Each pair scatters each variant's log-ratio by `scatter`, and all variants of a pair alike by `machine`.
    """
    comparisons = comparisons or planned_of_one_workload()
    facts = tuple(SideFacts(label, "0.1", ENVIRONMENT) for label in labels)
    options = versus.Options(margin, 60.0, 90)
    made = Trial(
        Path("versus.jsonl"),
        versus.Header(
            versus.FORMAT, SCHEMA, "0.1", "2026-01-02", "gradbench versus a b", options, facts,
            comparisons, pinned,
        ),
    )  # fmt: skip
    dice = numpy.random.default_rng(seed)
    for number in range(1, pairs + 1):
        made.add(PairStart(number, 1.0, 0))
        for comparison in comparisons:
            common = dice.normal(0.0, machine)
            variants = {}
            for variant in comparison.variants:
                own = 0.0 if variant.role == "calibration_task" else dice.normal(0.0, scatter)
                log = math.log((factors or {}).get(variant.name, 1.0)) + own + common
                variants[variant.name] = PairTime(50, 1e-6, 1e-6 * math.exp(log), log)
            made.add(PairVisit(number, comparison.id, 12, variants))
    made.add(versus.End("pairs", 60.0))
    return made


LAUNCH, PER_ELEMENT, SYNCHRONISATION = 5e-6, 1e-11, 1e-8


def device_results(request, passes=10, waits=(), idle=(), reading=None, host=None, device=None):
    """A run on accelerators whose host and device times are known.

    A call takes the host LAUNCH, times its variant's factor in `host`, and the device PER_ELEMENT for each
    element, times that in `device`; its wall time is the longer one. Variants in `waits` have no device time,
    those in `idle` nothing for the device to do. On the CPU a call takes a nanosecond an element, and a
    microsecond.
    """
    facts = tuple(
        AcceleratorFacts(each, "A device", "9.0", "570.10", 80 * 10**9)
        for each in request.devices
        if each != "cpu"
    )
    environment = msgspec.structs.replace(ENVIRONMENT, accelerators=facts)
    made = Results(Path("results.jsonl"), header(request, environment=environment))
    dice = numpy.random.default_rng(0)
    for number in range(1, passes + 1):
        made.add(PassStart(number, "time", 0.7, 0, 0))
        for comparison in made.header.plan.comparisons:
            variants = {}
            on_device = comparison.device != "cpu"
            for variant in comparison.variants:
                own = LAUNCH * (host or {}).get(variant.name, 1.0) * math.exp(dice.normal(0.0, 1e-3))
                factor = 0.0 if variant.name in idle else (device or {}).get(variant.name, 1.0)
                work = factor * PER_ELEMENT * comparison.numel
                if variant.role == "empty":
                    own = work = SYNCHRONISATION
                base = 0.0 if set(idle) & {comparison.baseline.name} else PER_ELEMENT * comparison.numel
                wall = max(own, work) if on_device else 1e-6 + 1e-9 * comparison.numel
                baseline = max(LAUNCH, base) if on_device else 1e-6 + 1e-9 * comparison.numel
                if variant.role == "empty":
                    wall = SYNCHRONISATION
                time = VariantTime(50, wall, wall, wall, math.log(wall / baseline))
                if on_device:
                    issued = PartTime(own, own, own, math.log(own / LAUNCH))
                    done = None
                    if variant.name not in waits:
                        ratio = math.log(work / base) if work and base else None
                        done = PartTime(work, work, work, ratio, 1e-8)
                    time = msgspec.structs.replace(time, host=issued, device=done)
                variants[variant.name] = time
            telemetry = Telemetry(device=reading if on_device else None)
            made.add(Visit(number, comparison.id, 100, 0.5, 0.02, 0.001, variants, telemetry))
        made.add(PassEnd(number, 1.5))
    return made


def rendered(made, *more):
    """The page of a run, as text."""
    from gradbench.analyse.analysis import analyse
    from gradbench.report.page import render

    return render(analyse(made), *more)
