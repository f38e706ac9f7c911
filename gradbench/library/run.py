"""Read the results file of a run, or of a trial of two sides. Imports no torch."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradbench import format
from gradbench.analyse.model import Finding
from gradbench.guard.calls import in_a_line
from gradbench.library.table import Shown, Table, frame

if TYPE_CHECKING:
    from gradbench.analyse.analysis import Analysis
    from gradbench.analyse.claims import Judgement
    from gradbench.library.draw import Drawn
    from gradbench.versus.judge import Judged


def load(path: str | os.PathLike[str]) -> Run:
    """Read the results of `gradbench run`, `model` or `versus`: the results file, or its folder.

    >>> import gradbench
    >>> run = gradbench.load("tests/samples/schema2/results.jsonl")
    >>> run.ids[0]
    'control/100/float32/cpu'
    >>> run.sentence == run.findings[0].sentence
    True

    `run.to_pandas()` is the tidy table that `gradbench export` writes, and `run.plot(id)` draws a comparison.

    Raises:
        TypeError: for a value that is no path.
        gradbench.errors.RequestError: where there is no results file.
        gradbench.errors.ResultsFileError: for a file that is corrupt, newer, or from elsewhere.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"expected the path of a results file or its folder; got {in_a_line(path)}; give a string"
        )
    from gradbench.versus.records import is_trial

    return VersusRun(Path(path)) if is_trial(Path(path)) else AnalysedRun(Path(path))


# The columns of the tidy table with numbers that need not be whole.
_NUMBERS = ("value", "low", "high", "ratio", "ratio_low", "ratio_high")


class Run(Shown):
    """The results of a file.

    Attributes:
        path: of the file.
        comparisons: the summaries with their variants; for a trial the variants, on both sides.
    """

    path: Path
    comparisons: Sequence[Any]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, the most important first: a finding has a `sentence` and its `evidence`."""
        raise NotImplementedError

    @property
    def claims(self) -> tuple[Judgement, ...]:
        """Claims with their verdicts; empty where none was judged."""
        return ()

    @property
    def ids(self) -> list[str]:
        """The ids of the comparisons, for `plot`."""
        return list(dict.fromkeys(each.comparison.id for each in self.comparisons))

    @property
    def sentence(self) -> str:
        """The first finding."""
        return self.findings[0].sentence if self.findings else "No findings: the run measured nothing yet."

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every variant and metric; needs pandas."""
        raise NotImplementedError

    def plot(self, comparison: str | None = None, axes: Any = None) -> Any:
        """Draw the ratios of a comparison with their intervals.

        Args:
            comparison: its id, one of `ids`; may be left out where there is only one.
            axes: of matplotlib; None makes a new figure of pyplot.

        Returns the axes. Raises ValueError for an id that is not there.
        """
        if comparison is None and len(self.ids) == 1:
            comparison = self.ids[0]
        if comparison not in self.ids:
            near = difflib.get_close_matches(str(comparison), self.ids, n=3, cutoff=0.3) or self.ids[:3]
            raise ValueError(
                f"expected the id of a comparison; got {in_a_line(comparison)}; give one of `ids`, such as "
                f"{', '.join(near) or 'none: the file has no comparison'}"
            )
        from gradbench.library.draw import draw_ratios

        return draw_ratios(axes, *self._drawn(comparison))

    def _drawn(self, comparison: str) -> tuple[Sequence[Drawn], tuple[float, float] | None, str]:
        """The arguments of `draw_ratios` besides the axes."""
        raise NotImplementedError


class AnalysedRun(Run):
    """A run of `gradbench run` or `gradbench model`.

    Attributes:
        analysis: its analysis, a `gradbench.analyse.analysis.Analysis`.
    """

    def __init__(self, path: Path) -> None:
        """Raises RequestError and ResultsFileError, as `load`."""
        from gradbench.analyse.analysis import analyse
        from gradbench.record.results import read_results

        self.analysis: Analysis = analyse(read_results(path))
        self.path, self.comparisons = self.analysis.results.path, self.analysis.comparisons

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.analysis.findings

    @property
    def claims(self) -> tuple[Judgement, ...]:
        return self.analysis.judgements

    @property
    def table(self) -> Table:
        """A row for every method of every comparison."""
        rows = []
        for each in self.comparisons:
            for variant in each.methods:
                baseline = variant.verdict == "baseline"
                rows.append(
                    (
                        each.comparison.id,
                        variant.label,
                        format.seconds(variant.time.mean if variant.time else None),
                        "1" if baseline else format.ratio_with_ends(variant.ratio),
                        variant.verdict,
                        format.size(variant.memory.peak if variant.memory else None),
                        format.size(variant.memory.saved if variant.memory else None),
                    )
                )
        heads = ("comparison", "method", "time", "ratio (95 %)", "verdict", "peak", "saved")
        return Table(self.sentence, heads, tuple(rows), frozenset({0, 1, 4}), self.analysis.warnings)

    def to_pandas(self) -> Any:
        """The tidy table that `gradbench export` writes, as a DataFrame; needs pandas."""
        from gradbench.report.export.tidy_csv import COLUMNS, rows

        return frame(list(rows(self.analysis)), COLUMNS, _NUMBERS, ("numel", "passes"))

    def _drawn(self, comparison: str) -> tuple[Sequence[Drawn], tuple[float, float] | None, str]:
        each = next(each for each in self.analysis.comparisons if each.comparison.id == comparison)
        rows = [(variant.label, variant.ratio, variant.verdict) for variant in each.methods
                if variant.verdict != "baseline"]  # fmt: skip
        band = None if each.floor is None else (math.exp(-each.floor), math.exp(each.floor))
        return rows, band, f"time ÷ time of {each.comparison.baseline.label}"


class VersusRun(Run):
    """A trial of `gradbench versus`: every ratio is the time of side B to that of side A.

    Attributes:
        judged: its verdicts, a `gradbench.versus.judge.Judged`.
    """

    def __init__(self, path: Path) -> None:
        """Raises RequestError and ResultsFileError, as `load`."""
        from gradbench.versus.judge import judge_trial
        from gradbench.versus.records import read_trial

        self.judged: Judged = judge_trial(read_trial(path))
        self.path, self.comparisons = self.judged.trial.path, self.judged.variants

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        from gradbench.versus.text import control, sentence

        return (Finding(sentence(self.judged), control(self.judged)),)

    @property
    def table(self) -> Table:
        """A row for every variant of every comparison."""
        from gradbench.versus.text import notes

        rows = tuple(
            (
                each.comparison.id,
                each.variant.label,
                *(format.seconds(side) for side in each.seconds or (None, None)),
                format.ratio_with_ends(each.ratio),
                each.outcome,
            )
            for each in self.judged.variants
        )
        heads = ("comparison", "method", "time of A", "time of B", "B ÷ A (95 %)", "outcome")
        return Table(self.sentence, heads, rows, frozenset({0, 1, 5}), tuple(notes(self.judged)))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every variant: seconds on both sides, B ÷ A; needs pandas."""
        numbers = ("a", "b", "ratio", "ratio_low", "ratio_high")
        columns = ("workload", "method", "size", "numel", "device", "dtype", *numbers, "pairs", "outcome")
        rows = []
        for each in self.judged.variants:
            a, b = each.seconds or (None, None)
            ratio = each.ratio
            rows.append(
                {
                    "workload": each.comparison.name,
                    "method": each.name,
                    "size": each.comparison.size,
                    "numel": each.comparison.numel,
                    "device": each.comparison.device,
                    "dtype": each.comparison.dtype,
                    "a": a,
                    "b": b,
                    "ratio": ratio and ratio.mean,
                    "ratio_low": ratio and ratio.low,
                    "ratio_high": ratio and ratio.high,
                    "pairs": ratio and ratio.count,
                    "outcome": each.outcome,
                }
            )
        return frame(rows, columns, numbers, ("numel", "pairs"))

    def _drawn(self, comparison: str) -> tuple[Sequence[Drawn], tuple[float, float] | None, str]:
        there = [each for each in self.judged.variants if each.comparison.id == comparison]
        rows = [(each.variant.label, each.ratio, each.outcome) for each in there]
        margin = self.judged.trial.header.options.margin
        return rows, (1 / (1 + margin), 1 + margin), "time of B ÷ time of A"
