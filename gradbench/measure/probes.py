"""Runs the probes of `gradbench.define.probes` on real tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import torch

from gradbench.define.methods import Method, methods
from gradbench.define.probes import PROBES, Probe
from gradbench.record.observation import Observation, Value


def observe_traits(
    asked_of: Iterable[Method] | None = None, probes: Iterable[Probe] = PROBES
) -> list[Observation]:
    """The observation of each probe: first for each method (these, or all), then the probes of no method.

    A probe that raises becomes an observation with the error. Grad mode, inference mode and the state of
    torch's generator are restored after every probe.
    """
    probes = tuple(probes)
    asked = [
        Observation(probe.id, probe.question, probe.asks(method), method.name)
        for method in (methods() if asked_of is None else asked_of)
        for probe in probes
        if probe.work is not None
    ]
    asked += [Observation(each.id, each.question, each.code) for each in probes if each.work is None]
    return [_observe(each) for each in asked]


def _observe(asked: Observation) -> Observation:
    # Leaving inference mode also sets grad mode. A probe starts from the modes of a fresh process, and both
    # modes are restored after it.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        try:
            return msgspec.structs.replace(asked, observed=_seen(asked))
        except Exception as error:
            said = str(error).splitlines()[:1]
            return msgspec.structs.replace(asked, error=": ".join([type(error).__name__, *said]))


def _seen(asked: Observation) -> dict[str, Value]:
    names: dict[str, Any] = {"__name__": "probe"}
    try:
        exec(compile(asked.code, f"<probe {asked.trait} {asked.method}>", "exec"), names)  # noqa: S102
        return msgspec.convert(names["observed"], dict[str, Value])
    finally:
        # A guard that the probe left open restores its modes when it is collected, so collect it now.
        names.clear()
