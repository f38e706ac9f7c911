"""What failed, told in a line: how much, why mostly, and what would help."""

import msgspec
from synthetic import rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.failures import failed
from gradbench.record.plan import Request
from gradbench.record.visits import Failure

REQUEST = Request(workloads=("control", "elementwise"), sizes=("small",))
NO_MEMORY = (
    "RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
)


def lost(made, place, kind="out of memory", message=NO_MEMORY, variant="requires_grad_false"):
    """The results, in which one comparison, or one variant of it, failed whenever it was to be timed."""
    id = made.header.plan.comparisons[place].id
    if variant == "requires_grad_false":
        made.visits = [visit for visit in made.visits if visit.comparison != id]
    for number in [end.number for end in made.ends]:
        made.add(Failure(number, id, variant, "check", kind, message))
    return made


def test_where_nothing_failed_nothing_is_said():
    assert failed(results({})) == ""


def test_a_run_of_nothing_says_why_and_what_to_do_and_does_not_ask_for_passes():
    made = lost(results({}), 0)
    said = failed(made)
    assert said.startswith(
        "Nothing could be measured: out of memory: torch requested 40.0 GB (elementwise/100"
    )
    assert "--size" in said
    summary = analyse(made)
    assert summary.failed == said
    assert said in summary.warnings
    assert not any("--passes" in each for each in summary.warnings)
    assert {variant.verdict for variant in summary.comparisons[0].variants} == {"failed"}


def test_the_advice_is_for_the_reason_that_is_told():
    made = lost(results({}), 0, "check", "y.is_leaf: expected True, got False")
    for _ in range(100):
        made.add(Failure(0, made.header.plan.comparisons[0].id, None, "kernels", "out of memory", NO_MEMORY))
    assert "y.is_leaf" in failed(made)
    assert "--size" not in failed(made)


def test_the_page_of_a_run_of_nothing_has_no_chart():
    assert "<svg" in rendered(results({}))
    page = rendered(lost(results({}), 0))
    assert "<svg" not in page
    assert "÷ time of" not in page


def test_a_part_that_failed_is_counted_and_the_rest_asks_for_its_own_passes():
    said = failed(lost(results({}, request=REQUEST), 1))
    assert said.startswith("1 of 2 comparisons failed. The most frequent reason: out of memory")
    assert "The report" in said
    assert not any("0 passes" in each for each in analyse(lost(results({}, request=REQUEST), 1)).warnings)
    few = analyse(lost(results({}, passes=4, request=REQUEST), 1))
    assert any("have only 4 passes" in each for each in few.warnings)


def test_variants_are_counted_once_and_the_commonest_reason_is_told():
    made = lost(results({}, request=REQUEST), 0, "check", "y.is_leaf: expected True", variant="no_grad")
    made.add(Failure(1, made.header.plan.comparisons[1].id, None, "time", "died", "the process ended"))
    said = failed(made)
    assert said.startswith("1 variant of 1 comparison and 1 visit failed")
    assert "y.is_leaf: expected True (control/100/float32/cpu, no_grad)" in said


def test_giving_up_is_no_reason():
    made = results({}, passes=4)
    id = made.header.plan.comparisons[0].id
    made.visits.clear()
    made.add(Failure(1, id, None, "time", "hung", "silent for 2 s"))
    made.add(Failure(2, id, None, "time", "given up", "lost 3 visits in a row"))
    made.add(Failure(3, id, None, "time", "given up", "lost 3 visits in a row"))
    assert "silent for 2 s" in failed(made)
    assert "--timeout" in failed(made)


def test_a_model_is_told_to_change_its_file():
    made = lost(results({}), 0)
    own = msgspec.structs.replace(made.header, request=Request(workloads=("model",)))
    made.header = own
    assert failed(made).endswith("Give the file a smaller x.")
