"""A claim, and its judgement: from the cases that its question finds in a results file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gradbench import format
from gradbench.analyse.claims.case import Case
from gradbench.analyse.claims.deciding import deciding
from gradbench.analyse.model import RunSummary

Word = Literal["supported", "refuted", "depends", "unresolved", "not measured"]
VERDICTS: tuple[Word, ...] = get_args(Word)
# The marks and words of the verdicts for readers; programs read the words above.
SHOWN: dict[str, tuple[str, str]] = {
    "supported": ("✓", "true"),
    "refuted": ("✗", "false"),
    "depends": ("~", "depends"),
    "unresolved": ("?", "open"),
    "not measured": ("–", "not measured"),
}

# Nobody waits for more passes than these.
WORTHWHILE = 1_000

Topic = Literal["evaluate", "fine-tune", "write", "functions", "cost", "memory", "behaviour"]
# Topics of claims: evaluating a model, training a part of one, writing to parameters and tensors.
# Further topics: custom autograd Functions, the time of a control, its bytes, and its effect on tensors.
TOPICS: tuple[Topic, ...] = get_args(Topic)


Question = Callable[[RunSummary], list[Case]]


@dataclass(frozen=True)
class Claim:
    """A sentence that can be wrong.

    Attributes:
        id: stable identifier.
        says: the claim, in our words.
        source: a section of the guide, or an address.
        question: finds the cases of the claim in the results.
        tolerance: how far figures may be off and still agree, with the reason.
        workloads: the workloads whose results decide it; empty where observations decide it.
        topic: one of TOPICS; empty for the claim of an extension that names none.
    """

    id: str
    says: str
    source: str
    question: Question
    tolerance: str
    workloads: tuple[str, ...] = ()
    topic: Topic | Literal[""] = ""


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict.

    Attributes:
        evidence: the figures, in a sentence.
        takes: the run that would resolve it; empty where it is resolved.
        device: the device whose results decide, where a run has several devices; empty otherwise.
    """

    claim: Claim
    verdict: Word
    cases: tuple[Case, ...]
    evidence: str
    takes: str
    device: str = ""

    @property
    def topic(self) -> str:
        """The topic of the claim, one of TOPICS, or empty."""
        return self.claim.topic

    @property
    def shown(self) -> str:
        """The verdict for readers, with its mark: `✓ true`."""
        return " ".join(SHOWN[self.verdict])

    @property
    def deciding(self) -> str:
        """The one figure that decides, in about ten words; empty where nothing was measured."""
        return deciding(self.verdict, self.cases)


def _cases(claim: Claim, summary: RunSummary) -> tuple[Case, ...]:
    """The cases of the question; one open case with the error where the question of an extension raises."""
    try:
        return tuple(claim.question(summary))
    except Exception as error:
        says = f"the question failed: {type(error).__name__}: {error}"
        return (Case("its question", None, says, figure="the question failed"),)


def judge_claim(claim: Claim, summary: RunSummary) -> Judgement:
    """The verdict on a claim, from the results alone.

    A claim that holds in every case is supported, and one that holds in no case is refuted. A claim that
    holds in some cases and not in others depends. An open case leaves the claim unresolved, unless other
    cases already contradict each other.
    """
    cases = _cases(claim, summary)
    known = {case.holds for case in cases}
    verdict: Word
    if not cases:
        verdict = "not measured"
    elif {True, False} <= known:
        verdict = "depends"
    elif None in known:
        verdict = "unresolved"
    else:
        verdict = "supported" if True in known else "refuted"
    return Judgement(claim, verdict, cases, _evidence(cases, verdict), _takes(claim, cases, verdict))


_HOLDS = {True: "holds", False: "does not hold", None: "open"}


def _evidence(cases: tuple[Case, ...], verdict: Word) -> str:
    if verdict in ("supported", "refuted"):
        return "; ".join(case.says for case in cases)
    parts = []
    for holds, word in _HOLDS.items():
        figures = [case.says for case in cases if case.holds is holds]
        if figures:
            parts.append(f"{word}: {'; '.join(figures)}")
    return ". ".join(part[0].upper() + part[1:] for part in parts)


def _takes(claim: Claim, cases: tuple[Case, ...], verdict: Word) -> str:
    if verdict == "not measured":
        if not claim.workloads:
            return "a run without --workload, which observes the methods"
        return f"a run with --workload {','.join(claim.workloads)}"
    if verdict != "unresolved":
        return ""
    open_ = [case for case in cases if case.holds is None]
    wanted = [case.passes for case in open_ if case.passes is not None]
    where = ", ".join(dict.fromkeys(case.where for case in open_))
    if not wanted:
        return f"more passes, for {where}"
    if max(wanted) > WORTHWHILE:
        return f"more than {WORTHWHILE:,} passes, for {where}: not worth it here"
    return f"about {max(wanted):,} more {'pass' if max(wanted) == 1 else 'passes'}, for {where}"


def verdicts_in_words(kinds: Sequence[Word]) -> str:
    """How many verdicts are of each kind, in the words for readers.

    >>> verdicts_in_words(["supported", "depends", "depends"])
    '1 true, 2 depend'
    """
    numbers = {word: kinds.count(word) for word in VERDICTS if word in kinds}
    return ", ".join(
        f"{number} {'depend' if word == 'depends' and number > 1 else SHOWN[word][1]}"
        for word, number in numbers.items()
    )


def counted(judgements: Sequence[Judgement], shown: bool = False) -> str:
    """The number of verdicts of each kind; with `shown` in the words for readers.

    >>> counted([])
    'No claim was asked for.'
    """
    devices = list(dict.fromkeys(each.device for each in judgements))
    sentences = []
    for device in devices:
        kinds = [each.verdict for each in judgements if each.device == device]
        of = (
            verdicts_in_words(kinds)
            if shown
            else ", ".join(f"{kinds.count(word)} {word}" for word in VERDICTS if word in kinds)
        )
        where = f" on {device}" if device else " about observations" if len(devices) > 1 else ""
        sentences.append(f"{format.counted(len(kinds), 'claim')}{where}: {of}.")
    return " ".join(sentences) or "No claim was asked for."
