"""How the seconds of a pass are shared among its visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradbench.record.visits import Visit

# A visit shorter than this is mostly calibration.
SHORTEST_SLICE = 0.1


def noise_of(visits: Iterable[Visit]) -> dict[str, float]:
    """By comparison the √k of `share`: the median over its visits of error · √time."""
    found: dict[str, list[float]] = {}
    for visit in visits:
        found.setdefault(visit.comparison, []).append(visit.error * visit.timed_seconds**0.5)
    return {id: sorted(each)[len(each) // 2] for id, each in found.items()}


def share(noise: Mapping[str, float | None], seconds: float, longest: float) -> dict[str, float]:
    """Seconds for each visit: more where the visits so far were noisier.

    The error of a visit falls with the square root of its time t: error² = k/t. The sum of all errors
    squared, for a given total time, is least when each t is proportional to √k (Neyman 1934).

    Args:
        noise: √k by comparison; where one is None, all visits are equally long.
        seconds: for all visits together.
        longest: seconds of one visit at most.

    Returns:
        By comparison seconds from SHORTEST_SLICE to `longest`, within `seconds` together. Where `seconds` are
        too few for that, equal parts of them.
    """
    equal = min(longest, seconds / max(1, len(noise)))
    known = [each for each in noise.values() if each is not None]
    # So little noise that its mean is no number above 0 is none.
    mean = sum(known) / max(1, len(known))
    if len(known) < len(noise) or mean == 0 or equal <= SHORTEST_SLICE:
        return dict.fromkeys(noise, equal)
    # A quarter whatever the noise, so that no visit depends on one bad guess.
    weights = {id: 0.25 + 0.75 * (each or 0.0) / mean for id, each in noise.items()}
    low, high = 0.0, longest / min(weights.values())
    for _ in range(60):
        scale = (low + high) / 2
        if sum(_clamp(scale * each, longest) for each in weights.values()) <= seconds:
            low = scale
        else:
            high = scale
    return {id: _clamp(low * each, longest) for id, each in weights.items()}


def _clamp(seconds: float, longest: float) -> float:
    return min(longest, max(SHORTEST_SLICE, seconds))
