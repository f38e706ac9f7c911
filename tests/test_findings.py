"""The findings of a run: sentences made from the figures, and none that a result was expected for."""

import math
import re

import msgspec
from synthetic import memory, results

from gradbench.analyse.findings import findings
from gradbench.analyse.summary import summarise
from gradbench.define.methods import METHODS
from gradbench.record.plan import Request
from gradbench.record.results import Results

REQUEST = Request(workloads=("control", "elementwise"), sizes=("small", "large"))


def sentences(made):
    return " ".join(f"{each.sentence} {each.evidence}" for each in findings(summarise(made)))


def test_findings_follow_the_figures_and_not_a_story():
    dear = sentences(results({"no_grad": 1.5, "tracked": 1.2, "inference_mode": 1.6}, request=REQUEST))
    cheap = sentences(results({"no_grad": 1.1, "tracked": 1.4, "inference_mode": 0.9}, request=REQUEST))
    recording = "no_grad() block against recording:"
    assert f"{recording} slower in 2 of 2 comparisons." in dear
    assert f"{recording} faster in 2 of 2 comparisons." in cheap
    inference = "inference_mode() against no_grad():"
    assert f"{inference} slower in 4 of 4 comparisons." in dear
    assert f"{inference} faster in 4 of 4 comparisons." in cheap
    alike = sentences(results({}, request=REQUEST))
    assert f"{inference} the same in 4 of 4 comparisons." in alike


def test_a_difference_is_never_claimed_without_a_noise_floor():
    made = results({"inference_mode": 0.9}, request=REQUEST)
    for visit in made.visits:
        del visit.variants["twin"]
    assert "inference_mode() against no_grad(): open in 4 of 4 comparisons." in sentences(made)


def test_growth_is_told_with_its_figures_and_not_called_the_same():
    made = results({}, request=REQUEST)
    for visit in made.visits:
        if visit.comparison.startswith("control/1000000"):
            for name, times in (("detach", 2.5), ("detach_clone", 40.0)):
                variant = visit.variants[name]
                log = variant.log_ratio + math.log(times)
                visit.variants[name] = msgspec.structs.replace(
                    variant, seconds=times * variant.seconds, log_ratio=log
                )
    alone = findings(summarise(made))[0]
    # A call and its turn of the loop take 1.01 µs. The turn, 0.01 µs, does not grow.
    assert alone.figure == "detach().clone() before grows with the tensor"
    assert re.search(r"detach\(\)\.clone\(\) before 40\.[345] times", alone.evidence)
    assert re.search(r"detach\(\) before 2\.5[012] times", alone.evidence)
    count = sum(method.alone is not None for method in METHODS)
    still = findings(summarise(results({}, request=REQUEST)))[0]
    assert still.figure == f"0 of {count} grow with the tensor"


def test_what_keeps_memory_is_named_from_the_records():
    made = memory(results({}, request=REQUEST), "detach_clone", saved=1200, graph=800, peak=1600)
    made = memory(made, "tracked", peak=400)
    found = findings(summarise(made))[-1]
    assert found.sentence == "Only detach().clone() before keeps memory for the backward."
    assert found.figure == "1,200 B in control"
    assert "the graph saves 1,200 B, and the graph holds 800 B" in found.evidence
    assert found.evidence.endswith("1,600 B: detach().clone() before.")
    assert "No method keeps memory" in sentences(memory(results({}, request=REQUEST), "tracked", peak=400))
    assert "memory" not in sentences(results({}, request=REQUEST))


def test_findings_leave_out_what_was_not_measured():
    made = results({}, request=Request(("elementwise",), ("detach",), ("small",)))
    assert findings(summarise(made)) == []
    empty = Results(made.path, made.header)
    assert findings(summarise(empty)) == []


def test_from_which_number_of_operations_a_block_pays_is_told_from_the_figures():
    made = results({}, request=Request(workloads=("break_even",), sizes=("small",), preset="thorough"))
    for visit in made.visits:
        operations = int(visit.comparison.partition("/")[0].partition(".")[2])
        # A block costs what recording three operations does.
        for variant, cost in (("no_grad", 1 + 0.3 / operations), ("tracked", 1.1)):
            before = visit.variants[variant]
            gross = 1e-6 * cost + 1e-8
            visit.variants[variant] = msgspec.structs.replace(
                before, seconds=gross, log_ratio=math.log(gross / 1.01e-6) + before.log_ratio
            )
    said = sentences(made)
    assert "is slower than recording up to 2 operations and faster from 5 operations on" in said


def breaking_even(costs):
    """What is found where no_grad() takes so many times as long as recording, by the number of operations."""
    request = Request(workloads=("break_even",), sizes=("small",), preset="thorough")
    made = results({}, request=request, scatter=1e-5)
    for visit in made.visits:
        times = costs(int(visit.comparison.partition("/")[0].partition(".")[2]))
        before = visit.variants["no_grad"]
        visit.variants["no_grad"] = msgspec.structs.replace(
            before, seconds=times * before.seconds, log_ratio=before.log_ratio + math.log(times)
        )
    return next(each for each in findings(summarise(made)) if "operations on 100 elements" in each.sentence)


def test_a_block_that_pays_at_two_places_has_no_single_number_of_operations():
    found = breaking_even(lambda operations: 0.9 if operations == 2 else 1.1)
    assert "up to" not in found.sentence
    assert "faster in 1, slower in " in found.sentence


def test_a_block_that_costs_what_recording_does_is_called_the_same():
    found = breaking_even(lambda operations: 1.0)
    assert re.search(r"against recording: the same in (\d+) of \1 comparisons\.$", found.sentence)


def test_growth_is_not_counted_where_one_size_is_known():
    made = results({}, request=REQUEST)
    made.visits = [each for each in made.visits if not each.comparison.startswith("control/1000000")]
    alone = findings(summarise(made))[0]
    assert alone.figure == ""
    assert "Growth" not in alone.evidence


def test_a_graph_without_storages_keeps_no_memory():
    """The node of a product of a number is a few bytes of the graph, and saves nothing."""
    made = memory(results({}, request=REQUEST), "tracked", peak=400, graph=8)
    found = findings(summarise(made))[-1]
    assert found.sentence == "No method keeps memory for the backward in these comparisons."
