"""The analysis of a run: everything that a page, a table, a claim, an export or a terminal shows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

from gradbench.analyse.answer import RunAnswer, answer
from gradbench.analyse.claims import Judgement, verdicts
from gradbench.analyse.failures import failed
from gradbench.analyse.findings import findings_of_methods
from gradbench.analyse.limit import Limited, find_limits
from gradbench.analyse.model import Finding, RunSummary
from gradbench.analyse.operation import operation_findings
from gradbench.analyse.screen import ModelScreen, model_screen
from gradbench.analyse.summary import summarise
from gradbench.analyse.traits import Answer, Characteristics, answers, characteristics
from gradbench.analyse.user_model import user_file, user_model_findings
from gradbench.analyse.versions import version_files, versions_findings
from gradbench.analyse.warnings import find_warnings, unfinished
from gradbench.record.results import Results
from gradbench.record.versions import FileText


@dataclass(frozen=True)
class Analysis(RunSummary):
    """The figures of a run, and the conclusions from them, computed at their first use."""

    @cached_property
    def failed(self) -> str:
        """The failures with their reason; empty where nothing failed."""
        return failed(self.results)

    @cached_property
    def unfinished(self) -> tuple[str, ...]:
        """Warnings on a file that is cut off, and on a run that was interrupted."""
        return tuple(unfinished(self.results))

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Warnings: what limits the figures of a run, and how to fix it; with `failed` and `unfinished`."""
        return tuple(find_warnings(self))

    @cached_property
    def user_file(self) -> FileText | None:
        """The user's file with the model; None for any other run."""
        return user_file(self.results)

    @cached_property
    def screen(self) -> ModelScreen | None:
        """The first screen of a user's model; None for an operation, and for any other run."""
        if self.user_file is None or any(each.whole for each in self.results.header.plan.comparisons):
            return None
        return model_screen(self, self.user_file.name)

    @cached_property
    def version_files(self) -> tuple[FileText, ...]:
        """The user's files whose versions the run compares; empty for any other run."""
        return version_files(self.results)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on a user's model, operation or versions, or on the methods."""
        if self.version_files:
            return tuple(versions_findings(self))
        if self.user_file is None:
            return tuple(findings_of_methods(self))
        return (*operation_findings(self), *user_model_findings(self))

    @cached_property
    def answer(self) -> RunAnswer | None:
        """The first screen of a run of methods; None for other runs and where nothing was timed."""
        return None if self.user_file is not None or self.version_files else answer(self)

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """The verdicts on all claims, for every device."""
        return tuple(verdicts(self))

    @cached_property
    def characteristics(self) -> tuple[Characteristics, ...]:
        """The observed behaviour of every method, in words."""
        return tuple(characteristics(self.results.observations))

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """The observations that belong to no method."""
        return tuple(answers(self.results.observations))

    @cached_property
    def limits(self) -> tuple[Limited, ...]:
        """How near variants come to the limit of memory, in the comparisons that show it."""
        return find_limits(self.comparisons)


def analyse(results: Results) -> Analysis:
    """The analysis of a run, from its records alone. Imports no torch."""
    figures = summarise(results)
    return Analysis(**{each.name: getattr(figures, each.name) for each in fields(figures)})
