"""Two sides measured against each other: what is said of them, and how they are measured."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy
import psutil
import pytest
from synthetic import ENVIRONMENT, ONE_WORKLOAD, trial

import gradbench
from gradbench import __version__
from gradbench.analyse import stats
from gradbench.errors import EndedEarly, RequestError, ResultsFileError
from gradbench.measure.protocol import PROTOCOL, Finish, Ready
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.visits import Failure, Memory
from gradbench.versus import text
from gradbench.versus.cells import CALIBRATION_TASK, USUAL_METHODS, planned, written
from gradbench.versus.judge import INSTALLATION, LEVEL, LOOKS, decided, judge_trial
from gradbench.versus.page import write_versus
from gradbench.versus.processes import TrialOrder
from gradbench.versus.records import (
    Options,
    PairTime,
    PairVisit,
    SideFacts,
    SideFailure,
    SideMemory,
    Trial,
    read_trial,
)
from gradbench.versus.sides import Side, open_sides, same_file
from gradbench.versus.trial import Watcher, measure
from gradbench.versus.verdict import fairness, longer, verdict


def outcomes(made):
    return {each.variant.name: each.outcome for each in judge_trial(made).variants}


@pytest.mark.parametrize(("factor", "outcome"), [(1.05, "slower"), (0.95, "faster"), (1.0, "same")])
def test_a_change_of_five_per_cent_is_found_and_no_change_is_the_same(factor, outcome):
    found = outcomes(trial({"no_grad": factor}, pairs=27))
    assert found.pop("no_grad") == outcome
    assert set(found.values()) <= {"same", "cannot tell"}


def test_a_change_within_the_margin_is_the_same_however_well_it_is_shown():
    made = trial({"no_grad": 1.01}, pairs=90, scatter=0.002)
    assert outcomes(made)["no_grad"] == "same"
    assert outcomes(trial({"no_grad": 1.01}, pairs=90, scatter=0.002, margin=0.005))["no_grad"] == "slower"


@pytest.mark.parametrize("factor", [1.01, 1 / 1.01])
def test_a_change_within_the_margin_is_not_called_one_by_chance(factor):
    """With the scatter that pairs have, in trials of every length."""
    found = [
        outcomes(trial({"no_grad": factor}, pairs=pairs, seed=seed))["no_grad"]
        for pairs in (12, 40, 90)
        for seed in range(20)
    ]
    assert not {"slower", "faster"} & set(found)


def test_few_pairs_and_much_scatter_decide_nothing():
    assert set(outcomes(trial({"no_grad": 1.05}, pairs=3, scatter=0.1)).values()) == {"cannot tell"}
    assert set(outcomes(trial(pairs=1)).values()) == {"cannot tell"}


def test_of_trials_of_identical_code_at_most_one_in_a_hundred_calls_anything_different():
    alarms = 0
    for seed in range(300):
        # As in a trial, all looks until the end count, whatever is said at the last.
        made = trial(pairs=27, seed=seed)
        for look in (*[each for each in LOOKS if each < 27], 27):
            part = Trial(made.path, made.header)
            for visit in made.visits:
                if visit.number <= look:
                    part.add(visit)
            if any(each.outcome in ("slower", "faster") for each in judge_trial(part).variants):
                alarms += 1
                break
    # At a rate of 1 in 100 more than 9 of 300 come once in a thousand times.
    assert alarms <= 9
    assert LEVEL * (len(LOOKS) + 1) == pytest.approx(0.01)


def installed(seed, pairs=90, factors=None):
    """A trial of two installations, whose variants differ by what no pair shows."""
    dice = numpy.random.default_rng(seed)
    variants = [variant.name for variant in trial(pairs=0).header.comparisons[0].variants]
    own = {name: (factors or {}).get(name, 1.0) * math.exp(dice.normal(0, INSTALLATION)) for name in variants}
    made = trial(own | {"calibration_task": 1.0}, pairs=pairs, seed=seed)
    made.header = msgspec.structs.replace(made.header, shared=False)
    return made


def test_what_two_installations_differ_by_is_in_the_intervals_and_no_pair_lessens_it():
    held = {False: [], True: []}
    for seed in range(40):
        made = installed(seed)
        for shared, found in held.items():
            made.header = msgspec.structs.replace(made.header, shared=shared)
            judged = judge_trial(made)
            found += [each.ratio.low <= 1 <= each.ratio.high for each in judged.variants]
            if not shared:
                assert not {"slower", "faster"} & {each.outcome for each in judged.variants}
    # 400 and more variants: 95 %, within three binomial errors; without it one in ten and more is missed.
    assert numpy.mean(held[False]) > 0.95 - 3 * 0.011
    assert numpy.mean(held[True]) < 0.9
    many, few = (judge_trial(installed(1, pairs)).variants[0].ratio for pairs in (90, 18))
    assert 1.96 * INSTALLATION < math.log(many.high / many.mean) < math.log(few.high / few.mean)


def test_a_change_of_one_per_cent_is_shown_within_an_installation_and_not_between_two():
    made = trial({"no_grad": 1.01}, pairs=90, scatter=0.002, margin=0.005)
    assert outcomes(made)["no_grad"] == "slower"
    made.header = msgspec.structs.replace(made.header, shared=False)
    assert outcomes(made)["no_grad"] == "cannot tell"


def test_five_per_cent_are_found_between_installations_and_what_is_the_same_is_told_for_most():
    found = [outcomes(installed(seed, factors={"no_grad": 1.05})) for seed in range(20)]
    assert [each.pop("no_grad") for each in found].count("slower") >= 18
    told = [each for outcome in found for each in outcome.values()]
    assert set(told) <= {"same", "cannot tell"}
    assert told.count("same") > len(told) / 2


def test_whether_the_sides_are_one_installation_is_told_and_of_old_trials_guessed_by_the_build():
    made = trial(pairs=27)
    assert made.header.shared is None
    assert made.header.one_installation
    assert "two installations" not in text.control(judge_trial(made))
    other = msgspec.structs.replace(ENVIRONMENT, torch="0.1")
    sides = (made.header.sides[0], SideFacts("new", "0", other))
    made.header = msgspec.structs.replace(made.header, sides=sides)
    assert not made.header.one_installation
    assert "Identical installations differ by 0.50 %" in text.control(judge_trial(made))
    made.header = msgspec.structs.replace(made.header, shared=True)
    assert made.header.one_installation


def test_a_symbolic_link_is_the_same_file_and_a_copy_and_a_hard_link_are_not(tmp_path):
    one, hard, soft, copy = (tmp_path / name for name in ("one", "hard", "soft", "copy"))
    one.write_text("x")
    copy.write_text("x")
    hard.hardlink_to(one)
    soft.symlink_to(one)
    assert not same_file(one, hard)
    assert same_file(one, soft)
    assert not same_file(one, copy)
    assert not same_file(one, tmp_path / "gone")


def test_a_variant_must_stand_against_chance_over_all_variants():
    """A p that would do for one variant does not for the ten that were looked at."""
    logs = [0.03 + 0.012 * (-1) ** place * place for place in range(8)]
    p = float(stats.p_values(numpy.array([logs]).T)[0])
    made = trial(pairs=0)
    (comparison,) = made.header.comparisons
    variants = [variant.name for variant in comparison.variants]
    scale = 1.0
    while p > LEVEL / 2:
        scale *= 0.9
        p = float(stats.p_values(numpy.array([[0.03 + scale * (log - 0.03) for log in logs]]).T)[0])
    assert LEVEL / (len(variants) - 1) < p < LEVEL
    for number, log in enumerate(logs, start=1):
        own = dict.fromkeys(variants, (-1) ** number * 0.05) | {"no_grad": 0.03 + scale * (log - 0.03)}
        made.add(PairVisit(number, comparison.id, 9, {n: PairTime(9, 1.0, 1.0, x) for n, x in own.items()}))
    assert outcomes(made)["no_grad"] == "cannot tell"


def test_unbound_processes_are_compared_in_multiples_of_the_calibration_task():
    """Their processors may differ in speed, which bound ones cannot."""
    noisy = {"pairs": 27, "scatter": 0.005, "machine": 0.1}
    assert outcomes(trial({"no_grad": 1.05}, pinned=False, **noisy))["no_grad"] == "slower"
    assert outcomes(trial({"no_grad": 1.05}, pinned=True, **noisy))["no_grad"] == "cannot tell"
    assert "relative to the ratio of the calibration task" in text.control(judge_trial(trial(pinned=False)))


def test_the_calibration_task_says_what_the_machine_gave_the_two_sides():
    judged = judge_trial(trial(machine=0.01))
    assert judged.calibration_task.low < 1 < judged.calibration_task.high
    assert all(each.variant.role != "calibration_task" for each in judged.variants)


def bytes_of(made, side, variant, **changed):
    comparison = made.header.comparisons[0]
    known = Memory(comparison.id, variant, 400, 1, 400, 400, 0, 400, 4096, "by hand")
    made.add(SideMemory(side, msgspec.structs.replace(known, **changed)))


def test_sixty_four_bytes_more_are_told_before_anything_is_timed():
    made = trial(pairs=0)
    bytes_of(made, "A", "tracked")
    bytes_of(made, "B", "tracked", saved=464)
    (worse,) = judge_trial(made).worse
    assert worse.variant.name == "tracked"
    assert "saved 400 B to 464 B" in text.as_text(judge_trial(made), 140)


def test_fewer_bytes_are_told_and_are_not_worse():
    made = trial(pairs=0)
    bytes_of(made, "A", "tracked", saved=464)
    bytes_of(made, "B", "tracked")
    assert judge_trial(made).worse == []
    assert "less in 1" in text.sentence(judge_trial(made))


def test_more_allocations_are_told_and_are_not_worse(tmp_path):
    made = trial(pairs=0)
    bytes_of(made, "A", "tracked")
    bytes_of(made, "B", "tracked", allocations=2)
    judged = judge_trial(made)
    assert judged.worse == []
    assert "1 to 2 allocations" in text.as_text(judged, 140)
    write_versus(judged, tmp_path / "report.html")
    assert '<td class="">1 to 2 allocations</td>' in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("side", "worse"), [("B", True), ("A", False)])
def test_a_variant_that_fails_is_a_row_and_worse_where_it_fails_in_b_alone(side, worse):
    made = trial(pairs=0)
    comparison = made.header.comparisons[0]
    made.add(SideFailure(side, Failure(1, comparison.id, "tracked", "check", "raised", "ValueError: no")))
    judged = judge_trial(made)
    assert {each.variant.name: each.outcome for each in judged.variants}["tracked"] == "failed"
    assert bool(judged.worse) == worse
    assert "ValueError: no" in text.as_text(judged, 140)


def test_a_comparison_that_ends_its_process_in_b_alone_is_broken_there():
    made = trial(pairs=0)
    comparison = made.header.comparisons[0]
    for number in (1, 2, 3):
        made.add(SideFailure("B", Failure(number, comparison.id, None, "time", "died", "SIGSEGV")))
    judged = judge_trial(made)
    assert {each.outcome for each in judged.variants} == {"failed"}
    assert all(each.broken and each.worse for each in judged.variants)
    assert not any("more time" in note for note in text.notes(judged))


def test_a_visit_that_was_lost_once_does_not_break_what_was_timed():
    made = trial(pairs=27)
    made.add(SideFailure("B", Failure(3, made.header.comparisons[0].id, None, "time", "died", "killed")))
    assert judge_trial(made).worse == []


def test_bytes_that_are_known_on_one_side_only_are_not_the_same():
    made = trial(pairs=0)
    bytes_of(made, "A", "tracked")
    assert "memory is not known" in text.sentence(judge_trial(made))


def test_a_visit_without_its_calibration_task_is_left_out_where_times_are_net_of_it():
    made = trial(pairs=9, pinned=False)
    del made.visits[0].variants["calibration_task"]
    assert {each.ratio.count for each in judge_trial(made).variants} == {8}


def test_a_trial_is_decided_once_nothing_is_open():
    assert not decided(judge_trial(trial(pairs=5)))
    assert decided(judge_trial(trial(pairs=90, scatter=0.005)))
    assert not decided(judge_trial(trial(pairs=0)))


def test_the_usual_trial_is_of_small_tensors_and_of_what_people_choose_between():
    found = planned(Request(preset="quick"))
    assert {each.size for each in found} == {"small"}
    by_methods = [each for each in found if not each.alternatives]
    names = {variant.name for each in by_methods for variant in each.variants}
    assert names == {*USUAL_METHODS, "requires_grad_false", "calibration_task"}
    assert all(each.variants[-1].name == CALIBRATION_TASK.name for each in found)
    assert {each.workload for each in found} >= {"control", "elementwise", "custom"}


def test_a_named_workload_is_measured_under_all_its_methods():
    (found,) = planned(ONE_WORKLOAD)
    assert {"set_grad_enabled_false", "detach_clone"} < {variant.name for variant in found.variants}
    assert not {"twin", "empty"} & {variant.name for variant in found.variants}


@pytest.mark.parametrize(("setup", "statement"), [("", "y = ("), ("import (", "pass"), ("", "  ")])
def test_a_statement_that_is_no_python_is_one_line(setup, statement):
    with pytest.raises(RequestError, match="expected Python code") as caught:
        written(setup, statement)
    assert "\n" not in str(caught.value)


# Sides


def test_a_word_is_an_interpreter_an_environment_or_a_folder_of_sources(tmp_path):
    (tmp_path / "sources").mkdir()
    with open_sides(sys.executable, sys.prefix) as (one, other):
        assert Path(one.python).samefile(sys.executable)
        assert Path(other.python).samefile(sys.executable)
        assert one.label == other.label == Path(sys.prefix).name
    with open_sides(str(tmp_path / "sources"), "python3") as (one, other):
        assert one.label == "sources in sources"
        assert other.label == "python3"
        made = Path(one.python)
        assert made.exists()
    assert not made.exists()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose two revisions differ in what `thing.work()` does; the folder that we stand in."""
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    monkeypatch.chdir(folder)

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
            check=True, capture_output=True, text=True,
        )  # fmt: skip

    git("init", "--quiet")
    for tag, body in (("fast", "sum(range(300))"), ("slow", "sum(range(450))")):
        (folder / "src" / "thing.py").write_text(f"def work():\n    return {body}\n")
        # Also installed where the tests run: a revision's own goes before it.
        (folder / "src" / "jinja2.py").write_text(f"mine = {tag!r}\n")
        git("add", "--all")
        git("commit", "--quiet", "--message", tag)
        git("tag", tag)
    return folder


def test_a_revision_imports_its_own_sources_first_and_leaves_nothing_behind(repository):
    with open_sides("fast", "slow") as sides:
        for side, number in zip(sides, ("300", "450"), strict=True):
            code = "import inspect, jinja2, thing; from importlib.util import find_spec; "
            code += "print(find_spec('torch').origin, find_spec('gradbench').origin, jinja2.mine); "
            code += "print(inspect.getsource(thing.work))"
            done = subprocess.run([side.python, "-c", code], capture_output=True, text=True, check=True)
            found, source = done.stdout.split("\n", 1)
            # gradbench and torch are this interpreter's.
            torch, instrument, own = found.split()
            assert (torch, instrument) == (find_spec("torch").origin, gradbench.__file__)
            assert number in source
            assert side.label.startswith(f"{own} (")
        made = [Path(side.sources) for side in sides]
        assert all(each.is_dir() for each in made)
    assert not any(each.exists() for each in made)
    done = subprocess.run(["git", "worktree", "list"], check=True, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1


def test_a_revision_has_its_links_and_what_may_be_executed_and_the_repository_is_left_as_it_was(repository):
    def git(*arguments):
        done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
        return done.stdout

    (repository / "src" / "same.py").symlink_to("thing.py")
    (repository / "all").symlink_to("src")
    (repository / "tool").write_text("#!/bin/sh\n")
    (repository / "tool").chmod(0o755)
    git("add", "--all")
    git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "links")
    (repository / "src" / "thing.py").write_text("changed = True\n")
    (repository / "new").write_text("staged\n")
    git("add", "new")
    before = git("status", "--porcelain=v2"), git("worktree", "list")
    with open_sides("HEAD", "fast") as sides:
        folder = Path(sides[0].sources)
        assert (folder / "src" / "same.py").readlink() == Path("thing.py")
        assert (folder / "all").readlink() == Path("src")
        assert "450" in (folder / "all" / "same.py").read_text()
        assert os.access(folder / "tool", os.X_OK)
        assert not os.access(folder / "src" / "thing.py", os.X_OK)
        assert sorted(each.name for each in folder.iterdir()) == ["all", "src", "tool"]
        assert sorted(each.name for each in Path(sides[1].sources).iterdir()) == ["src"]
    assert (git("status", "--porcelain=v2"), git("worktree", "list")) == before


def test_a_program_of_the_same_name_does_not_hide_a_revision(repository, tmp_path, monkeypatch):
    program = tmp_path / "HEAD"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with open_sides("HEAD", "fast") as (one, _):
        assert one.label.startswith("HEAD (")


def test_a_word_that_means_nothing_is_one_line(repository):
    with (
        pytest.raises(RequestError, match=r"nowhere: expected a Python interpreter.*revision") as caught,
        open_sides("fast", "nowhere"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_a_revision_as_well_is_not_guessed(repository):
    (repository / "fast").mkdir()
    with (
        pytest.raises(RequestError, match=r"write \./fast, for the revision its hash"),
        open_sides("fast", "slow"),
    ):
        pass
    with open_sides("./fast", "slow") as (one, _):
        assert one.label == "sources in fast"


def test_a_file_that_cannot_be_executed_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("no interpreter")
    with (
        pytest.raises(RequestError, match="cannot be executed"),
        open_sides(str(tmp_path / "notes.txt"), "python3"),
    ):
        pass


# Measuring


def sources(folder, body):
    folder.mkdir()
    (folder / "thing.py").write_text(f"import torch\n\ndef work(x):\n    {body}\n")
    return str(folder)


SETUP = "import torch; from thing import work; x = torch.rand(100, requires_grad=True)"


@pytest.fixture(scope="module")
def found(gradbench, tmp_path_factory):
    """A real trial of two folders of sources: B does half as much again, and its graph keeps more."""
    folder = tmp_path_factory.mktemp("versus")
    a = sources(folder / "a", "return x * 2 + 0 * sum(range(400))")
    b = sources(folder / "b", "return (x * x) * 2 + 0 * sum(range(800))")
    done = gradbench(
        "versus", a, b, "--setup", SETUP, "--statement", "y = work(x)", "--pairs", "5",
        "--output", "trial", "--json", cwd=folder,
    )  # fmt: skip
    return folder, done


@pytest.mark.timing
def test_a_real_trial_finds_what_is_slower_and_what_is_larger(found):
    folder, done = found
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    (variant,) = data["variants"]
    assert variant["outcome"] == "slower"
    assert 1.2 < variant["ratio"]["mean"] < 4
    before, after = variant["memory"]["saved"]
    assert after > before
    assert [side["label"] for side in data["sides"]] == ["sources in a", "sources in b"]
    assert data["calibration_task"]["mean"] == pytest.approx(1.0, abs=0.1)
    kept = read_trial(folder / "trial")
    assert len(kept.visits) == len(kept.pairs) == 5
    assert kept.end.reason in ("decided", "pairs")


@pytest.mark.timing
def test_a_real_trial_has_a_page_that_can_be_built_again(found, gradbench):
    folder, _ = found
    page = (folder / "trial" / "report.html").read_text()
    assert "y = work(x)" in page
    assert "slower" in page
    again = gradbench("report", "trial", "--output", "again.html", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "again.html").read_text() == page


class Interrupted(Watcher):
    def paired(self, trial, elapsed):
        raise KeyboardInterrupt


def measure_interrupted(folder, python, pairs):
    """What is kept of a trial of an interpreter against itself, interrupted once it has a pair."""
    side = Side("here", python)
    cells = (written("", "sum(range(10))"),)
    with pytest.raises(EndedEarly, match="1 pairs are kept"):
        measure(folder, TrialOrder((side, side), cells, Options(0.02, 60.0, pairs)), Interrupted())
    return read_trial(folder)


def test_both_processes_of_a_pair_take_as_many_turns_of_as_many_calls(tmp_path):
    kept = measure_interrupted(tmp_path / "t", sys.executable, 1)
    (visit,), (pair,) = kept.visits, kept.pairs
    assert visit.turns >= 2
    assert set(visit.variants) == {"statement", "calibration_task"}
    assert (pair.processor is not None) == kept.header.pinned
    assert kept.header.shared


def test_a_trial_is_not_written_over_another(gradbench, tmp_path):
    saved(trial(), tmp_path / "trial")
    done = gradbench("versus", "python3", "python3", "--statement", "pass", "--output", "trial", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected a new or empty folder" in done.stderr


STAND_IN = """#!{python} -S
import json, sys
counted, died = {counted!r}, {died!r}
print({ready!r}, flush=True)
kind = json.loads(input())["kind"]
for line in sys.stdin:
    asked = json.loads(line)
    if "comparison" not in asked:
        seconds = dict.fromkeys(asked["calls"], 1e-6)
        print(json.dumps({{"type": "turned", "seconds": seconds}} if seconds else {{"type": "finish"}}))
    elif kind == "turns":
        print('{{"type": "calibrated", "calls": {{"statement": 9, "calibration_task": 9}}}}')
    elif died:
        sys.exit(died)
    else:
        print(counted)
    sys.stdout.flush()
"""


def stand_in(path, *failed, gradbench=__version__, protocol=PROTOCOL, died=0):
    """An interpreter whose processes have no torch and take no time; by its path.

    Variants that `failed` fall out where bytes are counted; or its processes end with an exit code there.
    """
    counted = [
        Failure(0, "statement", name, "check", "raised", "ValueError: not here")
        if name in failed
        else Memory("statement", name, 8, 1, 8, 8, 0, 0, None, "by hand")
        for name in ("statement", "calibration_task")
    ]
    text = STAND_IN.format(
        python=sys.executable,
        ready=msgspec.json.encode(Ready(ENVIRONMENT, 1.0, gradbench, protocol=protocol)).decode(),
        counted="\n".join(msgspec.json.encode(each).decode() for each in (*counted, Finish())),
        died=died,
    )
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_an_interrupted_trial_keeps_its_pairs_and_ends_the_processes_of_the_next(tmp_path):
    kept = measure_interrupted(tmp_path / "t", stand_in(tmp_path / "python"), 5)
    assert len(kept.visits) == 1
    assert kept.end is None
    assert any("interrupted" in note for note in text.notes(judge_trial(kept)))
    started = [each for each in psutil.Process().children() if str(tmp_path / "python") in each.cmdline()]
    assert started == []


FULL = """
import resource, signal, sys
from pathlib import Path
from gradbench.errors import EndedEarly
from gradbench.versus.cells import written
from gradbench.versus.processes import TrialOrder
from gradbench.versus.records import Options
from gradbench.versus.sides import Side
from gradbench.versus.trial import Watcher, measure

class Full(Watcher):
    def began(self, trial):
        # The system refuses what would make a file longer than this, as a full disk does.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        length = trial.path.stat().st_size + 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))

side = Side("here", sys.argv[2])
try:
    order = TrialOrder((side, side), (written("", "pass"),), Options(0.02, 60.0, 2))
    measure(Path(sys.argv[1]), order, Full())
except EndedEarly as ended:
    print(ended)
    sys.exit(ended.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the length of a file")
def test_a_full_disk_ends_a_trial_with_what_is_kept(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "t", stand_in(tmp_path / "python")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    kept = read_trial(tmp_path / "t")
    assert f"cannot go on: File too large; 0 pairs are kept in {kept.path}; see them with: " in done.stdout
    assert kept.path.read_bytes().endswith(b"\n")
    assert kept.memory


def test_code_that_cannot_be_measured_at_all_is_a_request_that_is_wrong(gradbench, tmp_path):
    a = stand_in(tmp_path / "a", died=3)
    done = gradbench("versus", a, a, "--statement", "pass", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing can be measured on side A" in done.stderr
    assert "exit code 3" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_code_that_fails_in_b_alone_is_worse_and_ends_the_trial(gradbench, tmp_path):
    a, b = stand_in(tmp_path / "a"), stand_in(tmp_path / "b", "statement")
    done = gradbench("versus", a, b, "--statement", "pass", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Fails in B and not in A" in done.stdout
    assert "not here" in " ".join(done.stdout.split())
    (folder,) = (tmp_path / "runs").glob("[!.]*")
    assert read_trial(folder).pairs == []


def test_a_module_that_raises_while_it_is_imported_in_b_is_broken_there(gradbench, tmp_path):
    a, b = sources(tmp_path / "a", "return x"), sources(tmp_path / "b", "return x")
    Path(b, "thing.py").write_text("raise RuntimeError('not on a Wednesday')\n")
    done = gradbench("versus", a, b, "--setup", SETUP, "--statement", "y = work(x)", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Fails in B and not in A: statement." in done.stdout
    assert "The first failure, on side B: RuntimeError: not on a Wednesday" in " ".join(done.stdout.split())
    (folder,) = (tmp_path / "runs").glob("[!.]*")
    assert read_trial(folder).pairs == []


def test_a_module_that_raises_while_it_is_imported_in_a_is_a_request_that_is_wrong(gradbench, tmp_path):
    a, b = sources(tmp_path / "a", "return x"), sources(tmp_path / "b", "return x")
    Path(a, "thing.py").write_text("raise RuntimeError('not on a Wednesday')\n")
    done = gradbench("versus", a, b, "--setup", SETUP, "--statement", "y = work(x)", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing can be measured on side A: RuntimeError: not on a Wednesday" in done.stderr


def test_sources_of_which_nothing_is_imported_are_refused(repository, gradbench):
    done = gradbench("versus", "fast", "slow", "--statement", "pass", cwd=repository)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing that is measured is imported from there" in done.stderr
    assert not (repository / "runs").exists()


def test_another_gradbench_is_refused(tmp_path):
    old = stand_in(tmp_path / "old", gradbench="0.0.1", protocol=0)
    sides = (Side("here", stand_in(tmp_path / "python")), Side("old", old))
    cells = (written("", "pass"),)
    with pytest.raises(RequestError, match=r"old: has gradbench 0\.0\.1"):
        measure(tmp_path / "t", TrialOrder(sides, cells, Options(0.02, 60.0, 1)), Watcher())
    assert not (tmp_path / "t").exists()


def test_a_program_that_is_none_is_one_line(tmp_path):
    program = tmp_path / "none"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o755)
    sides = (Side("here", stand_in(tmp_path / "python")), Side("none", str(program)))
    with pytest.raises(RequestError, match="cannot be started"):
        measure(tmp_path / "t", TrialOrder(sides, (written("", "pass"),), Options(0.02, 60.0, 1)), Watcher())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "python3"], "nowhere: expected a Python interpreter"),
        (["A", "A"], "ModuleNotFoundError: No module named 'torch'"),
        (["python3", "python3", "--margin", "0"], "--margin 0: expected per cent"),
        (["python3", "python3", "--budget", "nan"], "--budget nan: expected seconds"),
        (["python3", "python3", "--setup", "pass"], "--setup: expected together with --statement"),
        (["python3", "python3", "--statement", "pass", "--size", "10"], "leave out --workload"),
        (["python3", "python3", "--workload", "nothing"], "nothing"),
        (["python3", "python3", "--device", "cpu,cuda"], "expected one device"),
        ([sys.executable, sys.executable, "--device", "cuda:99"], "--device cuda:99: torch"),
    ],
)
def test_a_request_that_is_wrong_is_one_line_and_leaves_nothing(gradbench, tmp_path, arguments, says):
    without = tmp_path / "A"
    without.write_text(f"#!{sys.executable} -S\nraise ModuleNotFoundError(\"No module named 'torch'\")\n")
    without.chmod(0o755)
    done = gradbench("versus", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("gradbench: error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


# The file


def saved(made, folder):
    folder.mkdir(exist_ok=True)
    writer = Writer(folder / "versus.jsonl")
    for record in (made.header, *made.memory, *made.pairs, *made.visits, *made.failures, made.end):
        writer.write(record)
    writer.close()
    return folder


def test_a_trial_is_read_as_it_was_written(tmp_path):
    made = trial({"no_grad": 1.1})
    bytes_of(made, "A", "tracked")
    kept = read_trial(saved(made, tmp_path))
    assert (kept.header, kept.visits, kept.memory, kept.end) == (
        made.header,
        made.visits,
        made.memory,
        made.end,
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no complete line"),
        (b'{"format":"gradbench-results"}\n', "first line is not a header"),
        (b'{"format":"gradbench-versus","schema":99,"gradbench":"9"}\n', "schema 99"),
        (b"\x1f\x8bnonsense", "compressed and corrupt"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_line(tmp_path, content, says):
    path = tmp_path / "versus.jsonl"
    path.write_bytes(content)
    with pytest.raises(ResultsFileError, match=says) as caught:
        read_trial(path)
    assert "\n" not in str(caught.value)


def test_the_figure_has_each_variant_with_its_ratio_and_what_is_shown_is_filled(tmp_path):
    judged = judge_trial(trial({"no_grad": 1.2, "tracked": 0.8}, pairs=27))
    write_versus(judged, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    (figure,) = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    drawn = re.findall(r">([^<>]+)</text>", figure)
    for each in judged.variants:
        assert each.variant.name in drawn
        assert f"{each.ratio.mean:.3f}" in drawn
    assert "fill: var(--slower)" in figure
    assert "fill: var(--faster)" in figure
    assert "fill: var(--same)" not in figure


def test_the_answer_of_a_trial_counts_what_differs():
    made = judge_trial(trial({"no_grad": 1.2, "tracked": 0.8}, pairs=27))
    of = len(made.variants)
    assert text.answer(made) == f"B is slower in 1 and faster in 1 of {of} variants."
    same = judge_trial(trial(pairs=27))
    assert text.answer(same) == f"B takes as long as A, within 2.0 %, in {of} variants."
    few = judge_trial(trial(pairs=2, scatter=0.2))
    assert text.answer(few) == f"B is not shown to be slower or faster than A in {of} variants."
    none = judge_trial(trial(pairs=0))
    assert text.answer(none) == "No variant was timed on both sides."


def test_the_answer_of_a_trial_tells_of_bytes_and_of_failures_in_b_alone():
    made = trial(pairs=27)
    bytes_of(made, "A", "tracked", saved=400)
    bytes_of(made, "B", "tracked", saved=464)
    assert text.answer(judge_trial(made)).endswith(" It has more bytes in 1 variant.")


def of_statement(factor, statement="y = net.step(x)", **more):
    """A trial of a statement whose B takes this many times as long."""
    return trial({"statement": factor}, comparisons=(written("", statement),), **more)


def test_the_first_line_on_a_terminal_says_how_much_slower_and_larger_b_is():
    made = of_statement(2.42, pairs=27)
    bytes_of(made, "A", "statement", allocated=400)
    bytes_of(made, "B", "statement", allocated=812)
    first = text.as_text(judge_trial(made), 160).splitlines()[0]
    assert re.fullmatch(
        r"Slower: y = net\.step\(x\) takes 2\.4\d+ times as long in B as in A \(2\.\d+ to 2\.\d+\), and "
        r"allocates 412 B more\.",
        first,
    )


def test_the_verdict_of_one_statement_is_not_slower_or_not_decided_and_shows_the_ratio():
    faster = verdict(judge_trial(of_statement(0.5, pairs=27)))
    assert re.match(
        r"Not slower: y = net\.step\(x\) takes 0\.(49|50)\d* times as long in B as in A \(0\.", faster
    )
    open_ = verdict(judge_trial(of_statement(1.0, pairs=2, scatter=0.2)))
    assert open_.startswith("Not decided: y = net.step(x) takes ")
    once = verdict(judge_trial(of_statement(1.0, pairs=1)))
    assert "times as long in B as in A (1 pair, no interval)." in once
    long = verdict(judge_trial(of_statement(2.0, "y = 1\nz = 2", pairs=27)))
    assert long.startswith("Slower: the statement takes ")


def test_the_verdict_of_several_variants_counts_them_and_names_the_largest_difference():
    judged = judge_trial(trial({"no_grad": 1.2, "tracked": 1.4}, pairs=27))
    of = len(judged.variants)
    assert re.match(
        rf"Slower: 2 of {of} variants; elementwise 100 tracked takes 1\.(39|40)\d* times as long .*, "
        r"the largest difference\.$",
        verdict(judged),
    )
    same = judge_trial(trial(pairs=90, scatter=0.002))
    assert verdict(same) == f"Not slower: {of} variants take as long in B as in A, within 2.0 %."
    none = judge_trial(trial(pairs=0))
    assert verdict(none) == "No variant was timed on both sides."


def test_the_verdict_of_a_trial_whose_times_are_the_same_tells_of_more_bytes_and_of_failures():
    made = trial(pairs=90, scatter=0.002)
    bytes_of(made, "A", "tracked", saved=400)
    bytes_of(made, "B", "tracked", saved=464)
    assert verdict(judge_trial(made)).startswith(
        "Larger: elementwise 100 tracked keeps 64 B more for the backward in B. Not slower: "
    )
    failed = trial(pairs=0)
    comparison = failed.header.comparisons[0]
    failed.add(SideFailure("B", Failure(1, comparison.id, "tracked", "check", "raised", "ValueError: no")))
    assert verdict(judge_trial(failed)).startswith(
        "Worse: B fails in elementwise 100 tracked, where A does not."
    )


def test_the_control_says_in_plain_words_whether_the_machine_was_fair():
    even = fairness(judge_trial(trial(pairs=27)))
    assert even.startswith("Control: the same work took ")
    assert "times as long on B as on A, so the machine favoured neither side." in even
    skewed = fairness(judge_trial(trial({"calibration_task": 1.2}, pairs=27)))
    assert "favoured one side by so much" in skewed
    assert "not bound to one processor" in fairness(judge_trial(trial(pairs=27, pinned=False)))
    assert "One pair shows no interval." in fairness(judge_trial(trial(pairs=1)))
    assert fairness(judge_trial(trial(pairs=0))) == ""


def test_an_open_trial_names_the_command_that_measures_longer():
    made = of_statement(1.0, pairs=2, scatter=0.2)
    made.header = msgspec.structs.replace(
        made.header, command="gradbench versus v1 v2 --statement 'y = 1' --output old --budget=60"
    )
    again = longer(judge_trial(made))
    assert again == f"gradbench versus --budget {2 * made.header.options.budget:g} v1 v2 --statement 'y = 1'"
    decided_ = of_statement(2.0, pairs=27)
    decided_.header = made.header
    assert longer(judge_trial(decided_)) == ""


def test_the_page_of_a_trial_begins_with_the_answer_and_folds_a_long_table(tmp_path):
    judged = judge_trial(trial({"no_grad": 1.2}, pairs=27))
    write_versus(judged, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"<h1>{text.answer(judged)}</h1>" in page
    assert ('<details class="table" open>' in page) is (len(judged.variants) <= 8)
    many = replace(judged, variants=judged.variants * 9)
    write_versus(many, tmp_path / "report.html")
    assert '<details class="table"><summary>' in (tmp_path / "report.html").read_text()


def test_a_page_escapes_what_a_file_says(tmp_path):
    made = trial()
    label = "<script>alert(1)</script>"
    sides = (SideFacts(label, "0", ENVIRONMENT), made.header.sides[1])
    made.header = msgspec.structs.replace(made.header, sides=sides, command=label)
    write_versus(judge_trial(made), tmp_path / "report.html")
    assert label not in (tmp_path / "report.html").read_text()
