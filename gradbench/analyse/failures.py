"""Failures of a run in a sentence or two: how many, the most frequent reason, and advice."""

from __future__ import annotations

import re
from collections import Counter

from gradbench import format
from gradbench.record.plan import USER_MODEL
from gradbench.record.results import Results
from gradbench.record.visits import Failure

# A line on a terminal has room for the beginning of torch's message.
LONGEST = 200


def failed(results: Results) -> str:
    """How many variants, comparisons and visits failed, and why; empty where none did."""
    # A profiler that does not see a device costs no time and no byte.
    failures = [each for each in results.failures if each.stage != "kernels"]
    if not failures:
        return ""
    why = _why(failures)
    lost = lost_comparisons(results)
    if lost and not results.visits:
        what = "No time" if results.memory else "Nothing"
        return f"{what} could be measured: {why}.{_advice(results, failures)}"
    variants = {
        (each.comparison, each.variant) for each in failures if each.variant and each.comparison not in lost
    }
    whole = sum(each.variant is None and each.comparison not in lost for each in failures)
    parts = []
    if lost:
        parts.append(f"{len(lost)} of {format.counted(len(results.header.plan.comparisons), 'comparison')}")
    if variants:
        of = f" of {format.counted(len({id for id, _ in variants}), 'other' if lost else 'comparison')}"
        parts.append(format.counted(len(variants), "variant") + of)
    if whole:
        parts.append(format.counted(whole, "visit"))
    reason = f"{why}." if len(failures) == 1 else f"The most frequent reason: {why}. The report lists all."
    failed_ = f"{' and '.join(parts)} failed{':' if len(failures) == 1 else '.'}"
    return f"{failed_} {reason}{_advice(results, failures)}"


def lost_comparisons(results: Results) -> set[str]:
    """The comparisons that failed in every visit."""
    visited = {visit.comparison for visit in results.visits}
    return {each.comparison for each in results.failures if each.number and each.comparison not in visited}


def _commonest(failures: list[Failure]) -> Failure:
    """The first failure of the most frequent kind; giving up is no reason."""
    reasons = [each for each in failures if each.kind != "given up"] or failures
    kind, _ = Counter(each.kind for each in reasons).most_common(1)[0]
    message, _ = Counter(each.message for each in reasons if each.kind == kind).most_common(1)[0]
    return next(each for each in reasons if (each.kind, each.message) == (kind, message))


def _why(failures: list[Failure]) -> str:
    most = _commonest(failures)
    where = most.comparison + (f", {most.variant}" if most.variant else "")
    message = most.message
    if most.kind == "out of memory":
        # The rest of torch's message is a place in its source.
        asked = re.search(r"tried to allocate ([\d.]+) ?(bytes|[KMGT]iB)", message, re.IGNORECASE)
        if asked:
            number, unit = asked.groups()
            message = f"torch requested {format.size(int(number)) if unit == 'bytes' else f'{number} {unit}'}"
        message = f"out of memory: {message}"
    if len(message) > LONGEST:
        message = message[:LONGEST] + "..."
    return f"{message.rstrip('.')} ({where})"


def _advice(results: Results, failures: list[Failure]) -> str:
    """Advice, with a space before it; empty where none is known."""
    own = USER_MODEL in results.header.request.workloads
    most = _commonest(failures)
    if most.kind == "out of memory" or "SIGKILL" in most.message:
        return " Give the file a smaller x." if own else " Choose fewer elements with --size."
    if most.kind == "hung":
        return " Allow more time with --timeout."
    if own:
        return " Correct that in the file."
    return ""
