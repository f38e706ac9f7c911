"""Texts hold for every run: of one pass or many, with nothing decided or all of it."""

import re

import pytest
from synthetic import memory, results, trial

from gradbench import format
from gradbench.analyse.analysis import analyse
from gradbench.analyse.compare import compare
from gradbench.analyse.compare_sentences import sentences
from gradbench.record.plan import Request
from gradbench.record.telemetry import Telemetry
from gradbench.record.visits import Failure, Look, RunEnd
from gradbench.report.terminal.brief import brief
from gradbench.report.terminal.claims import as_text
from gradbench.versus import text
from gradbench.versus.judge import judge_trial

REQUEST = Request(
    workloads=("control", "elementwise", "chain", "inference", "freeze", "update", "custom"), sizes=("small",)
)
ONE_COMPARISON = Request(workloads=("elementwise",), sizes=("small",))
# A plural after 1, a dash for an unknown figure, a sign of bytes, an option without its command.
WRONG = (
    r"\b1 (pass|process)es\b|\b1 (pair|variant|comparison|visit|claim|finding|warning|thread|allocation)s\b",
    r"(up to|by|of|than|differ by) –",
    r"-\d[\d.,]* [kMGT]?B\b",
    r"`--\w+",
    r"\(s\)",
    r"\bNone\b|\bnan\b|\binf\b",
)


def everything_decided():
    made = results({"no_grad": 1.5, "tracked": 2.0}, scatter=0.0, passes=20, request=REQUEST)
    made.add(RunEnd("passes", 30.0))
    return memory(memory(made, "tracked", peak=400, retained=-5_240_000), "no_grad", peak=100)


def nothing_decided():
    made = results({}, scatter=0.5, passes=5, request=REQUEST, telemetry=Telemetry(0.5, 0.1, 3, 2e9))
    made.add(Look(0.5, {}, "all"))
    made.add(RunEnd("budget", 30.0, asked=0.01))
    return memory(made, "tracked", peak=100)


def one_failure():
    made = results({}, passes=1, request=ONE_COMPARISON)
    made.add(Failure(1, made.header.plan.comparisons[0].id, "no_grad", "check", "check", "y: no"))
    return made


RUNS = {
    "no pass": lambda: results({}, passes=0, request=REQUEST),
    "one pass": lambda: results({"no_grad": 1.5}, passes=1, request=REQUEST),
    "one comparison": lambda: results({"twin": 1.05}, passes=2, request=ONE_COMPARISON),
    "one failure": one_failure,
    "a baseline that is too short": lambda: results({}, seconds=1e-10, request=REQUEST),
    "nothing decided": nothing_decided,
    "everything decided": everything_decided,
}


def right(words):
    for pattern in WRONG:
        assert not (found := re.search(pattern, words)), words[max(0, found.start() - 80) : found.end() + 80]
    return True


@pytest.mark.parametrize("made", RUNS.values(), ids=RUNS)
def test_what_a_run_says_on_a_terminal_holds_for_it(made):
    analysis = analyse(made())
    for words in (brief(analysis, 100), analysis.failed, *analysis.warnings):
        assert right(words)
    for each in analysis.findings:
        assert right(each.sentence)
    assert right(as_text(analysis.judgements, 100))
    # What an autograd Function gives is shown as it is, an infinite loss among it.
    assert all(right(each.deciding) for each in analysis.judgements if each.claim.id != "train.stable")


@pytest.mark.parametrize("passes", [1, 2, 12])
def test_what_a_comparison_of_two_runs_says_holds_for_it(passes):
    old, new = (
        results({"no_grad": ratio}, passes=passes, seed=seed) for seed, ratio in enumerate((1.5, 2.5))
    )
    assert all(right(each) for each in sentences(compare(old, new, 0.05)))


@pytest.mark.parametrize("pairs", [1, 2, 12])
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_what_a_trial_says_holds_for_it(pairs, ratio):
    judged = judge_trial(trial({"no_grad": ratio}, pairs=pairs))
    for words in (text.sentence(judged), *text.notes(judged)):
        assert right(words)


def test_fewer_bytes_than_before_are_freed():
    assert format.size(-5_240_000) == "5.24 MB freed"
    assert format.size(-200) == "200 B freed"
    assert format.size(0) == "0 B"
