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
from gradbench.errors import RequestError
from gradbench.record.environment import FACTS, AcceleratorFacts, words
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.visits import Failure
from gradbench.report.terminal.compare import as_data, as_markdown, as_text, rows, sentences

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
    assert any("more passes" in said for said in sentences(found))


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
    assert any("baseline that changed" in said for said in sentences(compare(old, moved, 0.05)))
    one = results({**OLD, "no_grad": 2.0}, seed=1)
    assert not any("baseline that changed" in said for said in sentences(compare(old, one, 0.05)))


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
    assert any("by force" in said and name in said for said in sentences(found))


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
    assert not any("more passes" in said for said in sentences(found))
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


def test_the_exit_code_is_1_where_something_is_worse_and_else_0(runs, gradbench, tmp_path):
    assert gradbench("compare", runs[0], runs[1], cwd=tmp_path).returncode == 0
    slow = gradbench("compare", runs[0], runs[2], cwd=tmp_path)
    assert slow.returncode == 1, slow.stderr
    assert "slower" in slow.stdout
    assert gradbench("compare", runs[2], runs[0], cwd=tmp_path).returncode == 0


def test_the_answer_for_programs_is_json(runs, gradbench, tmp_path):
    data = json.loads(gradbench("compare", runs[0], runs[2], "--to", "json", cwd=tmp_path).stdout)
    assert data["worse"] is True
    (slow,) = [variant for variant in data["variants"] if variant["outcome"] == "slower"]
    assert slow["variant"] == "no_grad"
    assert slow["change"]["mean"] == pytest.approx(1.25, rel=0.01)


@pytest.mark.parametrize("margin", ["0", "-1", "100", "nan"])
def test_a_margin_that_is_none_is_one_line(runs, gradbench, tmp_path, margin):
    done = gradbench("compare", runs[0], runs[1], f"--margin={margin}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("gradbench: error: --margin")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(runs, gradbench, tmp_path):
    done = gradbench("compare", runs[0], "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nowhere" in done.stderr


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
