"""Results made by hand, whose truth is known: for tests of what comes after the results file."""

import math
from pathlib import Path

import numpy

from gradbench.environment import Environment
from gradbench.plan import Request, make_plan
from gradbench.results import (
    FORMAT,
    SCHEMA,
    Header,
    LaneTime,
    Memory,
    Options,
    PassEnd,
    PassStart,
    Results,
    Visit,
)
from gradbench.telemetry import Telemetry

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
        "plan": make_plan(request),
    }
    return Header(**{**known, **changes})


def results(ratios, passes=10, scatter=0.001, seconds=1e-6, empty=1e-8, request=None, seed=0, telemetry=None):
    """A run whose lanes have these true net ratios to the reference; those not named are 1.

    Each pass scatters each lane's log-ratio by `scatter`; `empty` is the loop's time in every lane.
    """
    made = Results(Path("results.jsonl"), header(request))
    rng = numpy.random.default_rng(seed)
    for number in range(1, passes + 1):
        made.add(PassStart(number, "time", 0.7, 0, 0))
        for comparison in made.header.plan.comparisons:
            lanes = {}
            for lane in comparison.lanes:
                net = ratios.get(lane.name, 1.0)
                if lane.role == "empty":
                    gross = empty
                else:
                    bias = 0.0 if lane.role == "reference" else rng.normal(0.0, scatter)
                    gross = seconds * net * math.exp(bias) + empty
                log = math.log(gross / (seconds + empty))
                lanes[lane.name] = LaneTime(50, gross, gross, gross, log)
            made.add(Visit(number, comparison.id, 100, 0.5, 0.02, 0.001, lanes, telemetry or Telemetry()))
        made.add(PassEnd(number, 1.5))
    return made


def memory(made, lane, **bytes_):
    """Add a memory record for a lane of every comparison; figures not named are 0."""
    fields = dict.fromkeys(("allocated", "allocations", "peak", "retained", "graph", "saved"), 0)
    for comparison in made.header.plan.comparisons:
        made.add(Memory(comparison.id, lane, **{**fields, **bytes_}, resident=None, source="by hand"))
    return made
