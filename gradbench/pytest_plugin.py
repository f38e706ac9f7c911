"""The pytest plugin: a fixture `gradbench` for the tests of any project.

pytest loads it wherever gradbench is installed. So it imports nothing expensive until a test uses the
fixture, and torch only for bytes. It changes nothing for tests that do not use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gradbench.guard import BytesFound, Limits, TimeRatio

# The name of the property of a test that holds the sentence on one assertion.
SENTENCE = "gradbench"


class Guards:
    """The assertions of the fixture. Each assertion stores its finding, whether it passes or not."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        """`record` takes the name and the value of a property of the test."""
        self._record = record

    def assert_not_slower(
        self,
        candidate: Callable[..., object],
        baseline: Callable[..., object],
        *,
        margin: float = 0.05,
        seconds: float = 5.0,
        setup: Callable[[], object] | None = None,
        device: str | None = None,
        require_proof: bool = False,
    ) -> TimeRatio:
        """As `gradbench.guard.assert_not_slower`."""
        __tracebackhide__ = True
        from gradbench.guard import compare_time

        found = compare_time(candidate, baseline, margin=margin, seconds=seconds, setup=setup, device=device)
        self._record(SENTENCE, found.sentence)
        for name, value in (
            ("verdict", found.verdict),
            ("ratio", found.ratio.mean),
            ("ratio_low", found.ratio.low),
            ("ratio_high", found.ratio.high),
            ("floor", found.floor),
            ("candidate_seconds", found.candidate),
            ("baseline_seconds", found.baseline),
        ):
            if value is not None:
                self._record(f"{SENTENCE}.{name}", value)
        found.check(require_proof=require_proof)
        return found

    def assert_bytes_at_most(
        self,
        function: Callable[..., object],
        *,
        setup: Callable[[], object] | None = None,
        device: str | None = None,
        **limits: Unpack[Limits],
    ) -> BytesFound:
        """As `gradbench.guard.assert_bytes_at_most`."""
        __tracebackhide__ = True
        from gradbench.guard import limit_bytes

        found = limit_bytes(function, setup=setup, device=device, **limits)
        self._record(SENTENCE, found.sentence)
        for name, figure in found.figures.items():
            self._record(f"{SENTENCE}.{name}", figure)
        found.check()
        return found


@pytest.fixture
def gradbench(request: pytest.FixtureRequest) -> Guards:
    """Assert that code is not slower than other code, and keeps at most a number of bytes."""
    # The fixture record_property stores the same, but warns where --junitxml has its default format.
    properties = request.node.user_properties
    return Guards(lambda name, value: properties.append((name, value)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the findings of all assertions, also of passed ones, from the reports, so that xdist works."""
    lines = list(_lines(terminalreporter))
    if lines:
        terminalreporter.section(SENTENCE)
        for line in lines:
            terminalreporter.line(line)


def _lines(terminalreporter: Any) -> Iterator[str]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name == SENTENCE:
                        yield f"{outcome}: {report.nodeid}: {value}"
