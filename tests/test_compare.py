"""What changed between two results files."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import ENVIRONMENT, memory, results

from gradbench.analyse.compare import compare
from gradbench.analyse.compare_answer import answer, changed
from gradbench.analyse.compare_sentences import sentences
from gradbench.define.changes import fewer_samples, freeze, recompute
from gradbench.define.user_model import plan_file
from gradbench.errors import RequestError
from gradbench.record.environment import FACTS, AcceleratorFacts, words
from gradbench.record.lines import Writer
from gradbench.record.plan import USER_MODEL, Request
from gradbench.record.user_file import FileFacts
from gradbench.record.visits import Failure, Memory
from gradbench.report.terminal.compare import as_data, as_markdown, as_text, rows

OLD = {"tracked": 1.3, "no_grad": 1.6}


def outcomes(found):
    return {each.variant.name: each.outcome for each in found.changes if each.variant.role != "baseline"}


def change(found, name):
    return next(each for each in found.changes if each.variant.name == name)


def altered(made, **changes):
    """The same results under another header."""
    made.header = msgspec.structs.replace(made.header, **changes)
    return made


@pytest.mark.parametrize(
    ("factor", "outcome"), [(1.08, "slower"), (0.92, "faster"), (1.0, "same"), (1.02, "same")]
)
def test_a_change_beyond_the_margin_is_told_and_one_within_it_is_none(factor, outcome):
    new = results({**OLD, "no_grad": 1.6 * factor}, seed=1)
    found = compare(results(OLD), new, 0.05)
    assert outcomes(found)["no_grad"] == outcome
    assert outcomes(found)["tracked"] == "same"
    assert bool(found.worse) == (outcome == "slower")
    assert change(found, "no_grad").change.mean == pytest.approx(factor, rel=0.005)


def test_a_change_that_is_hidden_in_the_scatter_is_not_told():
    found = compare(results(OLD, scatter=0.1), results({**OLD, "no_grad": 1.7}, scatter=0.1, seed=1), 0.05)
    assert outcomes(found)["no_grad"] == "cannot tell"
    assert not found.worse
    assert any("More passes" in said for said in sentences(found))


def test_one_pass_tells_nothing():
    found = compare(results(OLD, passes=1), results({"no_grad": 3.0}, passes=1, seed=1), 0.05)
    assert set(outcomes(found).values()) == {"cannot tell"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.001, 0.01, 0.05]))
def test_two_runs_of_the_same_code_are_not_called_different(seed, scatter):
    found = compare(
        results(OLD, scatter=scatter, seed=seed), results(OLD, scatter=scatter, seed=seed + 1), 0.02
    )
    assert not found.worse
    assert "faster" not in outcomes(found).values()


def test_the_smaller_the_margin_the_smaller_the_change_that_counts():
    pair = results(OLD), results({**OLD, "tracked": 1.3 * 1.03}, seed=1)
    assert outcomes(compare(*pair, 0.05))["tracked"] == "same"
    assert outcomes(compare(*pair, 0.01))["tracked"] == "slower"


@pytest.mark.parametrize("figure", ["peak", "saved", "graph", "allocated"])
def test_memory_that_grew_by_any_byte_is_worse_and_that_shrank_is_not(figure):
    old, new = (
        memory(results(OLD), "tracked", **{figure: 400}),
        memory(results(OLD), "tracked", **{figure: 464}),
    )
    found = compare(old, new, 0.05)
    assert [each.variant.name for each in found.worse] == ["tracked"]
    assert not compare(new, old, 0.05).worse
    assert "less in 1" in sentences(compare(new, old, 0.05))[0]


def test_more_allocations_are_told_and_are_not_worse():
    old, new = (memory(results(OLD), "tracked", allocations=count) for count in (2, 3))
    found = compare(old, new, 0.05)
    assert not found.worse
    assert "the number of allocations differs in 1" in sentences(found)[0]
    assert any("2 to 3 allocations" in row[-1] for row in rows(found, everything=False))


def test_the_baseline_has_no_ratio_but_its_memory_is_compared():
    old = memory(results(OLD), "requires_grad_false", peak=1)
    found = compare(old, memory(results(OLD), "requires_grad_false", peak=2), 0.05)
    assert [each.variant.role for each in found.worse] == ["baseline"]
    assert change(found, "requires_grad_false").change is None


def test_a_baseline_that_is_as_it_was_is_no_open_question():
    found = compare(results(OLD), results(OLD), 0.05)
    assert "cannot tell" not in sentences(found)[0]
    assert len([row for row in rows(found, True) if row[4] == "same"]) == len(rows(found, True))
    baseline = found.changes[0].variant.name
    fails = compare(results(OLD), failing(results(OLD), baseline), 0.05)
    assert "1 fails" in sentences(fails)[0]


def test_where_all_variants_moved_alike_the_baseline_is_suspected():
    old = results({"tracked": 1.3, "no_grad": 1.6})
    moved = results(
        dict.fromkeys((variant.name for variant in old.header.plan.comparisons[0].variants), 2.0), seed=1
    )
    assert any("baseline may have changed" in said for said in sentences(compare(old, moved, 0.05)))
    one = results({**OLD, "no_grad": 2.0}, seed=1)
    assert not any("baseline may have changed" in said for said in sentences(compare(old, one, 0.05)))


OTHER = {
    "accelerators": ("another GPU",), "machine": "arm64",
    "processor": "Another", "cpus": 8, "threads": 4, "allocator": "system",
    "batch_seconds": 1e-3,
}  # fmt: skip


@pytest.mark.parametrize("name", [fact.name for fact in FACTS if fact.compared])
def test_runs_that_do_not_compare_are_refused_unless_by_force(name):
    new = results(OLD, seed=1)
    if hasattr(new.header.options, name):
        new = altered(new, options=msgspec.structs.replace(new.header.options, **{name: OTHER[name]}))
    else:
        new = altered(new, environment=msgspec.structs.replace(ENVIRONMENT, **{name: OTHER[name]}))
    with pytest.raises(
        RequestError, match=f"{name} .* and {re.escape(words(OTHER[name]))}.*--force"
    ) as caught:
        compare(results(OLD), new, 0.05)
    assert "\n" not in str(caught.value)
    found = compare(results(OLD), new, 0.05, force=True)
    assert any("--force" in said and name in said for said in sentences(found))


def test_of_another_device_it_is_said_in_words_what_differs():
    facts = [AcceleratorFacts("cuda:0", "H100", "9.0", "570.10", size) for size in (80, 94)]
    old, new = (
        altered(results(OLD), environment=msgspec.structs.replace(ENVIRONMENT, accelerators=(each,)))
        for each in facts
    )
    with pytest.raises(RequestError, match=r"cuda:0 H100 of 80 bytes.* and cuda:0 H100 of 94 bytes"):
        compare(old, new, 0.05)


@pytest.mark.parametrize("name", [fact.name for fact in FACTS if not fact.compared])
def test_what_may_be_what_is_compared_is_told(name):
    new = results(OLD, seed=1)
    if name == "gradbench":
        new = altered(new, gradbench="9.9")
    elif name == "torch_config":
        new = altered(new, environment=msgspec.structs.replace(ENVIRONMENT, torch_config="long"))
        said = sentences(compare(results(OLD), new, 0.05))
        assert any("another build of torch" in each for each in said)
        return
    else:
        new = altered(new, environment=msgspec.structs.replace(ENVIRONMENT, **{name: "9.9"}))
    assert any(f"{name} " in said and "9.9" in said for said in sentences(compare(results(OLD), new, 0.05)))


def recoded(made, role, **changes):
    """The same results, measured with other code in the variants of a role."""
    plan = made.header.plan
    comparisons = [
        msgspec.structs.replace(
            each,
            variants=tuple(
                msgspec.structs.replace(variant, **changes) if variant.role == role else variant
                for variant in each.variants
            ),
        )
        for each in plan.comparisons
    ]
    return altered(made, plan=msgspec.structs.replace(plan, comparisons=tuple(comparisons)))


@pytest.mark.parametrize("role", ["baseline", "method"])
@pytest.mark.parametrize("part", ["setup", "setup_per_call", "statement"])
def test_other_code_is_not_compared(role, part):
    found = compare(results(OLD), recoded(results({"no_grad": 9.0}, seed=1), role, **{part: "other"}), 0.05)
    assert set(outcomes(found).values()) == {"other code"}
    assert not found.worse


def failing(made, variant):
    """The same results, in which a variant raised in every pass."""
    for visit in made.visits:
        del visit.variants[variant]
        made.add(Failure(visit.number, visit.comparison, variant, "check", "raised", "ValueError: no"))
    return made


def test_a_variant_that_fails_in_the_new_run_alone_is_worse():
    found = compare(results(OLD), failing(results(OLD, seed=1), "tracked"), 0.05)
    assert outcomes(found)["tracked"] == "fails"
    assert [each.variant.name for each in found.worse] == ["tracked"]
    assert not any("More passes" in said for said in sentences(found))
    assert not compare(failing(results(OLD), "tracked"), results(OLD, seed=1), 0.05).worse
    both = compare(failing(results(OLD), "tracked"), failing(results(OLD, seed=1), "tracked"), 0.05)
    assert not both.worse


def test_memory_of_other_code_is_not_called_the_same():
    found = compare(results(OLD), recoded(results(OLD, seed=1), "method", statement="other"), 0.05)
    assert {row[-1] for row in rows(found, True)} == {"–"}


def test_other_inputs_are_other_code():
    old, new = results(OLD), results({"no_grad": 9.0}, seed=1)
    plan = new.header.plan
    inputs = tuple(msgspec.structs.replace(each, prepare="base = other") for each in plan.comparisons)
    new = altered(new, plan=msgspec.structs.replace(plan, comparisons=inputs))
    assert set(outcomes(compare(old, new, 0.05)).values()) == {"other code"}


def test_variants_that_only_one_run_has_are_told_and_are_no_change():
    both = Request(workloads=("elementwise",), sizes=("small", "medium"))
    found = compare(results(OLD), results(OLD, request=both, seed=1), 0.05)
    assert {each.outcome for each in found.changes if each.comparison.size == "medium"} == {"new"}
    assert not found.worse
    back = compare(results(OLD, request=both, seed=1), results(OLD), 0.05)
    assert {each.outcome for each in back.changes if each.comparison.size == "medium"} == {"gone"}


def test_runs_without_a_variant_in_common_are_refused():
    with pytest.raises(RequestError, match="no variant in common"):
        compare(results(OLD), results(OLD, request=Request(workloads=("chain",), sizes=("small",))), 0.05)


def test_only_what_changed_is_shown_unless_all_is_asked_for():
    found = compare(results(OLD), results({**OLD, "no_grad": 2.0}, seed=1), 0.05)
    assert [row[0] for row in rows(found, False)] == ["elementwise/100/float32/cpu no_grad"]
    assert len(rows(found, True)) == len(outcomes(found))
    assert "no_grad" in as_text(found, 140, False)
    assert "detach" not in as_text(found, 140, False)


def old_of(made):
    """The same run before it left bytes."""
    old = altered(of_file(NET, facts=FACTS_OF_NET), plan=made.header.plan)
    for each in made.memory:
        old.add(msgspec.structs.replace(each, left=0))
    return old


def test_the_answer_of_steps_that_leave_bytes_comes_first_and_counts_the_variants():
    trained = msgspec.structs.replace(FACTS_OF_NET, trains=True)
    # Few passes and much scatter decide no time.
    old = of_file(NET, facts=trained, passes=3, scatter=0.2)
    new = of_file(f"{NET}# leaks\n", facts=trained, seed=1, passes=3, scatter=0.2)
    step = next(each for each in old.header.plan.comparisons if each.part == "step")
    for made, left in ((old, 0), (new, 4)):
        for name in ("set_to_zero", "retain_graph"):
            made.add(Memory(step.id, name, 0, 0, 0, 0, 0, 0, resident=None, source="by hand", left=left))
    found = compare(old, new, 0.05)
    said = as_text(found, 80, False)
    assert len(found.worse) == 2
    assert said.startswith("Worse: each step now leaves 4 B (2 variants). Times: ")
    assert re.search(r"Times: (\d+ the same within 5\.0 %, )?\d+ not decided\.", " ".join(said.split()))
    more = of_file(f"{NET}# leaks\n", facts=trained, seed=1)
    memory(more, "set_to_zero", left=4)
    memory(more, "retain_graph", left=8708)
    assert "each step now leaves 4 B to 8,708 B (3 variants)" in answer(compare(old_of(more), more, 0.05))
    # The variants that did not change have no line.
    assert len(changed(found)) == 2
    assert all(line.endswith("larger, left 0 B to 4 B") for line in changed(found))


def test_the_answer_names_the_variant_that_is_slower_and_by_how_much():
    found = compare(results(OLD), results({**OLD, "no_grad": 2.0}, seed=1), 0.05)
    assert re.match(
        r"Worse: elementwise/100/float32/cpu no_grad takes 1\.2[45]\d* times as long as before \(1\.\d+ to "
        r"1\.\d+\)\. Memory is not known\. Times: 1 slower, ",
        answer(found),
    )
    better = compare(results({**OLD, "no_grad": 2.0}), results(OLD, seed=1), 0.05)
    assert answer(better).startswith("Not worse: 1 variant is faster.")
    same = compare(results(OLD), results(OLD, seed=1), 0.05)
    assert answer(same).startswith("Not worse: no variant is shown to be slower, larger or missing.")


def test_a_screen_shows_few_of_many_changes_and_names_the_way_to_the_rest(runs, call, monkeypatch):
    monkeypatch.setattr("gradbench.analyse.compare_answer.MOST_SHOWN", 4)
    names = [each.variant.name for each in compare(results(OLD), results(OLD, seed=1), 0.05).changes]
    slow = dict.fromkeys(names, 3.0)
    found = compare(results({}), results(slow, seed=1), 0.05)
    lines = changed(found)
    assert len(lines) == 5
    assert lines[-1] == f"{len(found.worse) - 4} more variants changed; --verbose shows them"
    assert "--verbose shows the table of all variants." in call("compare", *runs[:2])[1]
    table = call("compare", *runs[:2], "--verbose")[1]
    assert "set_grad_enabled_false" in table
    assert "--verbose" not in table


def test_a_narrow_screen_cuts_no_name():
    found = compare(results(OLD), results({**OLD, "no_grad": 2.0}, seed=1), 0.05)
    for everything in (False, True):
        assert "…" not in as_text(found, 80, everything)
    assert "elementwise/100/float32/cpu no_grad" in as_text(found, 80, False)


def test_a_comment_is_a_table_of_markdown():
    found = compare(results(OLD), results({**OLD, "no_grad": 2.0}, seed=1), 0.05)
    lines = as_markdown(found, False).splitlines()
    assert lines[1].startswith("| --- |")
    assert lines[2].startswith("| elementwise/100/float32/cpu no_grad |")
    assert re.search(r"\| \+2[45]\.\d % \(", lines[2])


def written(made, folder):
    folder.mkdir()
    writer = Writer(folder / "results.jsonl")
    for record in (made.header, *made.passes, *made.visits, *made.memory, *made.ends):
        writer.write(record)
    writer.close()
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    """The folders of three runs: before, the same again, and one that is slower."""
    return (
        written(results(OLD), tmp_path / "old"),
        written(results(OLD, seed=1), tmp_path / "same"),
        written(results({**OLD, "no_grad": 2.0}, seed=2), tmp_path / "slow"),
    )


def test_the_exit_code_is_1_where_something_is_worse_and_else_0(runs, gradbench, call, tmp_path):
    assert call("compare", runs[0], runs[1])[0] == 0
    slow = gradbench("compare", runs[0], runs[2], cwd=tmp_path)
    assert slow.returncode == 1, slow.stderr
    assert "slower" in slow.stdout
    assert call("compare", runs[2], runs[0])[0] == 0


def test_the_answer_for_programs_is_json(runs, call):
    data = json.loads(call("compare", runs[0], runs[2], "--to", "json")[1])
    assert data["worse"] is True
    (slow,) = [variant for variant in data["variants"] if variant["outcome"] == "slower"]
    assert slow["variant"] == "no_grad"
    assert slow["change"]["mean"] == pytest.approx(1.25, rel=0.01)


@pytest.mark.parametrize("margin", ["0", "-1", "100", "nan"])
def test_a_margin_that_is_none_is_one_line(runs, call, margin):
    code, _, err = call("compare", runs[0], runs[1], f"--margin={margin}")
    assert code == 2
    assert err.startswith("gradbench: error: --margin")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(runs, call):
    code, _, err = call("compare", runs[0], "nowhere")
    assert (code, err.count("\n")) == (2, 1)
    assert "nowhere" in err


def test_published_runs_compare_with_themselves_as_the_same():
    found = list(Path(__file__).parent.parent.glob("reports/runs/*/results.jsonl.gz"))
    assert found
    for path in found:
        from gradbench.record.results import read_results

        one = read_results(path)
        found = compare(one, one, 0.05)
        assert not found.worse
        assert {each.outcome for each in found.changes} <= {"same", "cannot tell"}
        json.dumps(as_data(found))


def test_intervals_of_two_passes_that_reach_beyond_all_numbers_are_told_without_a_warning():
    found = compare(results(OLD, passes=2, scatter=2.0), results(OLD, passes=2, scatter=2.0, seed=1), 0.05)
    assert set(outcomes(found).values()) == {"cannot tell"}
    json.dumps(as_data(found), allow_nan=False)
    as_text(found, 140, True)


NET = "import torch\nmodel = torch.nn.Linear(4, 4)\nx = torch.ones(2, 4)\n"
USED = Request((USER_MODEL,), (), (), "cpu", "float32", 0, "quick")
FACTS_OF_NET = FileFacts(
    (2, 4), "float32", "cpu", "float32", "float32", 20, 20, False, False, True, 0.1, 1e-4, 0.0
)


def of_file(text, seconds=1e-3, empty=1e-8, facts=FACTS_OF_NET, request=USED, ratios=(), **more):
    """A run of `gradbench model` whose calls take so long, and a turn of the empty loop."""
    plan = plan_file("net.py", text, facts, request)
    return altered(results(dict(ratios), seconds=seconds, empty=empty, plan=plan, **more), request=request)


def test_a_file_that_changed_is_compared_by_seconds_and_by_bytes():
    old = memory(of_file(NET), "tracked", peak=400, saved=100, allocated=1000)
    new = of_file(f"{NET}# slower\n", seconds=1.3e-3, seed=1)
    memory(new, "tracked", peak=464, saved=100, allocated=2000)
    found = compare(old, new, 0.05)
    assert {each.outcome for each in found.changes} == {"slower"}
    # The baseline is the file's as well.
    assert change(found, "requires_grad_false").worse
    assert change(found, "tracked").change.mean == pytest.approx(1.3, rel=0.01)
    assert change(found, "tracked").larger
    assert change(found, "no_grad").memory is None
    said = " ".join(sentences(found))
    assert f"Seconds per call, new against old: {len(found.changes)} slower, 0 faster;" in said
    assert "; held memory is more" in said
    assert "Slower: model.evaluation/8/float32/cpu " in said
    assert "requires_grad_false, 1.3" in said
    assert "Larger: model.evaluation/8/float32/cpu tracked, peak 400 B to 464 B." in said
    assert "`gradbench model OLD.py NEW.py` measures both files in turns" in said
    assert any("1.00 ms" in row and "1.30 ms" in row for row in rows(found, False))


def test_a_file_that_got_faster_and_smaller_is_no_worse():
    old = memory(of_file(NET), "tracked", peak=464)
    new = memory(of_file(f"{NET}\n# faster\n", seconds=0.7e-3, seed=1), "tracked", peak=400)
    found = compare(old, new, 0.05)
    assert {each.outcome for each in found.changes} == {"faster"}
    assert not found.worse
    same = compare(of_file(NET), of_file(f"{NET}# the same\n", seed=1), 0.05)
    assert {each.outcome for each in same.changes} == {"same"}


@pytest.mark.parametrize("figure", ["peak", "retained", "graph", "saved", "left"])
def test_of_other_code_any_byte_more_that_is_held_is_worse_and_one_more_that_passes_is_not(figure):
    old, new = of_file(NET), of_file(f"{NET}# other\n", seed=1)
    found = compare(
        memory(old, "tracked", **{figure: 1_511_424}), memory(new, "tracked", **{figure: 1_511_488}), 0.05
    )
    assert [each.variant.name for each in found.worse] == ["tracked"]
    # Three digits would not show it.
    assert any(f"{figure} 1,511,424 B to 1,511,488 B" in said for said in sentences(found))
    old, new = of_file(NET), of_file(f"{NET}# other\n", seed=1)
    passing = compare(memory(old, "tracked", allocated=4), memory(new, "tracked", allocated=8), 0.05)
    assert not passing.worse
    # The summary counts by the same rule, and what passes is not called the same.
    summary = sentences(passing)[0]
    assert "held memory is the same to the byte in 1 variant," in summary
    assert "the bytes allocated in total differ in 1." in summary


CHANGES = (freeze(["a"], ["b"]), recompute(["a"], every=False), fewer_samples(2, 4))


@pytest.mark.parametrize("text", [NET, f"{NET}# other\n"])
def test_a_change_of_training_that_there_was_no_time_for_is_said_and_not_worse(text):
    trained = msgspec.structs.replace(FACTS_OF_NET, trains=True)
    tried = msgspec.structs.replace(trained, changes=CHANGES)
    gone = compare(of_file(NET, facts=tried), of_file(text, facts=trained, seed=1), 0.05)
    assert not gone.worse
    assert any(
        said.startswith("Not measured this time") and "batch_2" in said and "freeze_to_a" in said
        for said in sentences(gone)
    )
    untimed = of_file(text, facts=tried, seed=1)
    for visit in untimed.visits:
        visit.variants.pop("checkpoint_a", None)
        visit.variants.pop("set_to_zero", None)
    found = compare(of_file(NET, facts=tried), untimed, 0.05)
    # What is no change of training is worse where it is gone.
    assert [each.variant.name for each in found.worse] == ["set_to_zero"]
    assert any("No longer timed: " in said and "set_to_zero." in said for said in sentences(found))
    slow = {"freeze_to_a": 1.5}
    found = compare(of_file(NET, facts=tried), of_file(NET, facts=tried, seed=1, ratios=slow), 0.05)
    assert [each.variant.name for each in found.worse] == ["freeze_to_a"]


def test_a_machine_that_slowed_down_is_not_called_a_slower_file():
    """All of it takes 1.6 times as long, the empty loop as well: nothing of that is the file's."""
    found = compare(of_file(NET), of_file(f"{NET}# other\n", 1.6e-3, 1.6e-8, seed=1), 0.05)
    assert not found.worse
    assert any("the empty loop, which took 1.6" in said for said in sentences(found))


def test_what_the_empty_loop_moved_by_is_added_to_the_margin():
    """The file takes 1.3 times as long and the loop 0.8 times: 1.6 relative to it, of which it made 1.25."""
    new = of_file(f"{NET}# other\n", 1.3e-3, 0.8e-8, seed=1)
    assert compare(of_file(NET), new, 0.05).worse
    barely = of_file(f"{NET}# other\n", 1.0e-3, 0.8e-8, seed=1)
    found = compare(of_file(NET), barely, 0.05)
    assert {each.outcome for each in found.changes} == {"cannot tell"}
    assert not found.worse


def test_of_a_long_model_other_work_must_have_stood_still_as_well():
    facts = msgspec.structs.replace(FACTS_OF_NET, forward=0.02)
    old, new = of_file(NET, 2e-2, facts=facts), of_file(f"{NET}# other\n", 2.8e-2, facts=facts, seed=1)
    # In both made by hand all takes the same: the price of the controls took 1.4 times as long as well.
    found = compare(old, new, 0.05)
    assert {each.comparison.workload for each in found.changes} == {"model", "price"}
    assert not found.worse
    for visit in new.visits:
        if visit.comparison.startswith("price"):
            for name, each in visit.variants.items():
                visit.variants[name] = msgspec.structs.replace(each, seconds=each.seconds / 1.4)
    assert compare(old, new, 0.05).worse


def test_one_pass_of_a_changed_file_tells_its_bytes_alone():
    old = memory(of_file(NET, passes=1), "tracked", saved=100)
    new = memory(of_file(f"{NET}# other\n", 9e-3, passes=1, seed=1), "tracked", saved=101)
    found = compare(old, new, 0.05)
    assert {each.outcome for each in found.changes} == {"cannot tell"}
    assert [each.variant.name for each in found.worse] == ["tracked"]
    assert any("needs two passes of both runs" in said for said in sentences(found))


def test_a_part_that_is_gone_is_worse_and_said():
    trained = msgspec.structs.replace(FACTS_OF_NET, trains=True)
    old, new = of_file(NET, facts=trained), of_file(f"{NET}# other\n", seed=1)
    found = compare(old, new, 0.05)
    gone = [each for each in found.worse if each.outcome == "gone"]
    assert {each.comparison.part for each in gone} == {"forward", "backward", "step"}
    assert any(said.startswith("No longer measured: model.step") for said in sentences(found))
    assert not compare(new, old, 0.05).worse


def test_a_method_that_the_new_run_was_not_asked_for_is_said_and_not_worse():
    fewer = msgspec.structs.replace(USED, methods=("tracked",))
    found = compare(of_file(NET), of_file(NET, request=fewer, seed=1), 0.05)
    assert "gone" in outcomes(found).values()
    assert not found.worse
    assert any("that the new run's options leave out" in said for said in sentences(found))


def test_an_x_of_another_shape_has_nothing_in_common():
    wide = msgspec.structs.replace(FACTS_OF_NET, shape=(4, 4))
    with pytest.raises(RequestError, match=r"x of another shape.*gradbench model OLD.py NEW.py"):
        compare(of_file(NET), of_file(f"{NET}# other\n", facts=wide, seed=1), 0.05)


@pytest.mark.parametrize("text", [NET, f"{NET}# other\n"])
def test_what_was_measured_before_and_is_not_any_more_is_worse(text):
    def both():
        return memory(of_file(NET), "tracked", peak=4), memory(of_file(text, seed=1), "tracked", peak=4)

    old, new = both()
    assert not compare(old, new, 0.05).worse
    old, new = both()
    new.memory.clear()
    found = compare(old, new, 0.05)
    assert [each.variant.name for each in found.worse] == ["tracked"]
    assert any(said.startswith("Bytes no longer known: model.evaluation") for said in sentences(found))
    assert not compare(new, old, 0.05).worse
    old, new = both()
    for visit in new.visits:
        del visit.variants["tracked"]
    found = compare(old, new, 0.05)
    assert [(each.variant.name, each.outcome) for each in found.worse] == [("tracked", "not timed")]
    assert any(
        "No longer timed: model.evaluation/8/float32/cpu tracked." in said for said in sentences(found)
    )
    old, new = both()
    found = compare(old, failing(new, "tracked"), 0.05)
    assert [(each.variant.name, each.outcome) for each in found.worse] == [("tracked", "fails")]
    assert any("Fails: model.evaluation/8/float32/cpu tracked." in said for said in sentences(found))


def test_a_variant_that_fails_in_some_passes_is_worse():
    new = results(OLD, seed=1)
    new.add(Failure(1, new.visits[0].comparison, "tracked", "check", "raised", "ValueError: no"))
    found = compare(results(OLD), new, 0.05)
    assert [each.variant.name for each in found.worse] == ["tracked"]
    assert any(
        "Fails in some passes: elementwise/100/float32/cpu tracked." in said for said in sentences(found)
    )
    assert not compare(new, results(OLD), 0.05).worse


def test_a_comparison_that_is_gone_though_it_was_asked_for_is_worse():
    both = Request(workloads=("elementwise",), sizes=("small", "medium"))
    old, new = results(OLD, request=both), results(OLD, request=both, seed=1)
    kept = tuple(each for each in new.header.plan.comparisons if each.size == "small")
    new = altered(new, plan=msgspec.structs.replace(new.header.plan, comparisons=kept))
    found = compare(old, new, 0.05)
    assert {each.comparison.size for each in found.worse} == {"medium"}
    small = results(OLD, request=Request(workloads=("elementwise",), sizes=("small",)), seed=1)
    assert not compare(old, small, 0.05).worse
    quick = altered(new, request=Request(workloads=("elementwise",), preset="quick"))
    assert not compare(old, quick, 0.05).worse
    again = altered(new, request=Request(workloads=("elementwise",)))
    assert {each.comparison.size for each in compare(old, again, 0.05).worse} == {"medium"}


def test_other_code_is_told_to_programs_and_in_a_comment():
    found = compare(of_file(NET), of_file(f"{NET}# slower\n", 1.3e-3, seed=1), 0.05)
    data = json.loads(json.dumps(as_data(found), allow_nan=False))
    assert data["worse"] is True
    (tracked,) = [each for each in data["variants"] if each["variant"] == "tracked"]
    assert (tracked["change_of"], tracked["other_code"], tracked["worse"]) == ("seconds", True, True)
    assert tracked["old_seconds"]["mean"] == pytest.approx(1e-3, rel=0.01)
    assert tracked["moved"] == {"the empty loop": pytest.approx(1.0)}
    text = as_markdown(found, False)
    assert "| 1.00 ms | 1.30 ms |" in text
    assert "\n\nSlower: " in text
    assert "drift of the machine" in as_text(found, 140, False)


def test_a_baseline_that_lost_its_bytes_has_a_row():
    found = compare(memory(results(OLD), "requires_grad_false", peak=1), results(OLD, seed=1), 0.05)
    assert [row[-1] for row in rows(found, False)] == [
        "not known any more: allocated, allocations, peak, retained, graph, saved"
    ]
