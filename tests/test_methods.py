"""The table of methods: every row is complete, and does to the work what it says.

What a method is expected to do stands in its row; what it does is seen from inside the work, by a
workload whose only operation is a Python function that looks around.
"""

import re

import pytest
import torch

from gradbench.define import planner
from gradbench.define.methods import BASELINE, METHODS
from gradbench.define.planner import plan_run
from gradbench.define.workloads import Workload
from gradbench.measure.variant import ReadyVariant, prepare
from gradbench.record.plan import Request

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@pytest.fixture
def watched(monkeypatch):
    """Builds the variants of a workload that notes what it sees, and returns them with the notes."""
    spying = Workload(name="spying", title="-", shows="-", work="spy({x})", answer="x")
    monkeypatch.setattr(planner, "workloads", lambda: (spying,))

    def build(**request):
        notes = []

        def spy(x):
            notes.append(
                {
                    "storage": x.untyped_storage().data_ptr(),
                    "recorded": x.requires_grad and torch.is_grad_enabled(),
                    "grad_mode": torch.is_grad_enabled(),
                    "inference": torch.is_inference_mode_enabled(),
                }
            )
            return x * 1.0

        (comparison,) = plan_run(Request(sizes=("8",), **request)).comparisons
        shared = prepare(comparison)
        ready = {
            variant.name: ReadyVariant(variant, {**shared, "spy": spy}) for variant in comparison.variants
        }
        return ready, notes, shared["base"]

    return build


def test_names_are_unique_and_can_be_typed():
    names = [method.name for method in METHODS]
    assert len(set(names)) == len(names)
    # Commas separate names on the command line.
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert BASELINE == "requires_grad_false"
    assert BASELINE in names


@each_method
def test_a_row_says_what_it_does_since_when_and_who_says_so(method):
    assert re.fullmatch(r"https://[a-z.]+/\S+", method.source)
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", method.since)
    assert re.fullmatch(r"[A-Z][^\n]*\.", method.effect)
    assert method.label
    assert method.scope


@each_method
def test_the_work_runs_under_the_mode_that_the_method_promises(method, watched):
    ready, notes, _ = watched(methods=(method.name,))
    ready[method.name].run()
    assert len(notes) == 1
    assert notes[0]["grad_mode"] is not method.disables
    assert notes[0]["inference"] is method.inference


@each_method
def test_the_work_is_recorded_where_the_result_or_its_origin_is_tracked(method, watched):
    ready, notes, _ = watched(methods=(method.name,))
    y = ready[method.name].run()
    assert y.requires_grad is method.tracks
    # detach() after the work is the one method that lets the work be recorded and drops it.
    assert notes[0]["recorded"] is (method.tracks or method.name == "detach_after")


@each_method
def test_the_work_is_done_once_per_call(method, watched):
    ready, notes, _ = watched(methods=(method.name,))
    ready[method.name].batch(3)
    # Three that are timed, after one that is not.
    assert len(notes) == 4


@each_method
def test_all_work_reads_one_storage_unless_it_is_told_to_copy(method, watched):
    ready, notes, base = watched(methods=(method.name,))
    # The twin that copies is set up too, and must not move what the others read.
    assert "twin_own_buffer" in ready
    ready[method.name].run()
    assert (notes[0]["storage"] == base.untyped_storage().data_ptr()) is ("clone" not in method.label)


def test_a_twin_reads_the_same_storage_and_the_other_twin_one_of_its_own(watched):
    ready, notes, base = watched(methods=(BASELINE,))
    for name in (BASELINE, "twin", "twin_own_buffer"):
        ready[name].run()
    baseline, twin, own = (note["storage"] for note in notes)
    assert baseline == twin == base.untyped_storage().data_ptr() != own
    assert torch.equal(ready["twin_own_buffer"].x, base)


@each_method
def test_a_method_leaves_the_modes_of_the_process_as_they_were(method, watched):
    ready, _, _ = watched(methods=(method.name,))
    ready[method.name].batch(2)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
