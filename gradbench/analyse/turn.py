"""The size from which the device's time exceeds the host's, on an accelerator."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench.analyse.model import ComparisonSummary

# The variants to follow: one without price, one whose price the host pays, one that records.
FOLLOWED = ("requires_grad_false", "no_grad", "tracked")


def followed(comparisons: Sequence[ComparisonSummary]) -> list[str]:
    """The variants of FOLLOWED with a host time in one of these comparisons, the baseline first."""
    names = dict.fromkeys((comparisons[0].comparison.baseline.name, *FOLLOWED))
    return [
        name
        for name in names
        if any((variant := each.variant(name)) and variant.host for each in comparisons)
    ]


def has_turn(comparisons: Sequence[ComparisonSummary]) -> bool:
    """Whether there are three sizes on an accelerator: a line over fewer shows little."""
    known = [each for each in comparisons if any(variant.host and variant.device for variant in each.methods)]
    return len({each.comparison.numel for each in known}) >= 3


def turns(comparisons: Sequence[ComparisonSummary]) -> list[str]:
    """A sentence for every variant in `followed`: from which size on the device takes longer."""
    sentences = []
    for name in followed(comparisons):
        known = [
            (each.comparison.numel, variant.device is None or variant.device.mean < variant.host.mean)
            for each in comparisons
            if (variant := each.variant(name)) is not None
            and variant.host is not None
            and (variant.device is not None or variant.device_idle)
        ]
        hidden = [numel for numel, host_bound in known if not host_bound]
        bound = [numel for numel, host_bound in known if host_bound]
        if hidden and bound and max(bound) < min(hidden):
            sentences.append(
                f"{name}: the host's time is longer up to {max(bound):,} elements, the device's from "
                f"{min(hidden):,} on."
            )
        elif known and not hidden:
            sentences.append(f"{name}: the host's time is longer at every measured size.")
        elif known and not bound:
            sentences.append(f"{name}: the device's time is longer at every measured size.")
    return sentences
