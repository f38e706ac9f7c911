"""What of a run failed, in a sentence or two: how much, why mostly, and what would help."""

from __future__ import annotations

import re
from collections import Counter

from gradbench import format
from gradbench.record.plan import USER_MODEL
from gradbench.record.results import Results
from gradbench.record.visits import Failure

# A line on a terminal has room for the beginning of what torch says.
LONGEST = 200


def failed(results: Results) -> str:
    """How much of a run failed, and why; empty where nothing did."""
    # Where the profiler does not see a device, no time and no byte is missing.
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
        parts.append(f"{len(lost)} of {_counted(len(results.header.plan.comparisons), 'comparison')}")
    if variants:
        of = f" of {_counted(len({id for id, _ in variants}), 'other' if lost else 'comparison')}"
        parts.append(_counted(len(variants), "variant") + of)
    if whole:
        parts.append(_counted(whole, "visit"))
    sentence = f"{' and '.join(parts)} failed, mostly by this: {why}. The report lists what failed."
    return sentence + _advice(results, failures)


def lost_comparisons(results: Results) -> set[str]:
    """The comparisons that failed whenever they were to be timed."""
    visited = {visit.comparison for visit in results.visits}
    return {each.comparison for each in results.failures if each.number and each.comparison not in visited}


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _commonest(failures: list[Failure]) -> Failure:
    """The first failure of the kind that most are of; to have given up is no reason."""
    reasons = [each for each in failures if each.kind != "given up"] or failures
    kind, _ = Counter(each.kind for each in reasons).most_common(1)[0]
    message, _ = Counter(each.message for each in reasons if each.kind == kind).most_common(1)[0]
    return next(each for each in reasons if (each.kind, each.message) == (kind, message))


def _why(failures: list[Failure]) -> str:
    most = _commonest(failures)
    where = most.comparison + (f", {most.variant}" if most.variant else "")
    message = most.message
    if most.kind == "out of memory":
        # What torch says besides is where in its source that was noticed.
        asked = re.search(r"tried to allocate ([\d.]+) ?(bytes|[KMGT]iB)", message, re.IGNORECASE)
        if asked:
            number, unit = asked.groups()
            message = f"{format.size(int(number)) if unit == 'bytes' else f'{number} {unit}'} were asked for"
        message = f"out of memory: {message}"
    if len(message) > LONGEST:
        message = message[:LONGEST] + "..."
    return f"{message.rstrip('.')} ({where})"


def _advice(results: Results, failures: list[Failure]) -> str:
    """What would help, with a space before it; empty where that is not known."""
    own = USER_MODEL in results.header.request.workloads
    most = _commonest(failures)
    if most.kind == "out of memory" or "SIGKILL" in most.message:
        return " Give the file a smaller x." if own else " Choose fewer elements by --size."
    if most.kind == "hung":
        return " Give it longer by --timeout."
    if own:
        return " Change that in the file."
    return ""
