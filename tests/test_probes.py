"""What the probes see agrees with the documentation, and a probe that goes wrong harms nothing."""

import dataclasses
import gc
import math
import re

import msgspec
import pytest
import torch

from gradbench.analyse.traits import OBSERVED, characteristics
from gradbench.define.methods import BASELINE, METHODS
from gradbench.define.probes import PROBES, Probe
from gradbench.measure.probes import observe_traits
from gradbench.record.observation import Observation

METHOD = {method.name: method for method in METHODS}
PROBE = {probe.id: probe for probe in PROBES}


def kind_of(name):
    """What a method acts on, as its row says: everything, a flag, the input, a block, or the result."""
    row = METHOD[name]
    kinds = {"nothing": row.tracks, "flag": name == BASELINE, "input": row.on_input, "block": row.disables}
    return next((kind for kind, holds in kinds.items() if holds), "result")


COPIES = {name for name, row in METHOD.items() if row.on_input and row.shares is False}
MB = 4_000_000  # a tensor of 1,000,000 elements of float32, in bytes


@pytest.fixture(scope="module")
def observed():
    """All observations of all methods, and of no method, by method and trait."""
    return {(each.method, each.trait): each for each in observe_traits()}


@pytest.fixture(scope="module")
def rows(observed):
    return {row.method: row for row in characteristics(observed.values())}


def seen_by(code, **row):
    (observation,) = observe_traits((), [Probe("made", "Is it?", "https://x.y/", code, **row)])
    return observation


def test_every_method_is_asked_everything_and_no_probe_fails(observed):
    of_methods = [probe.id for probe in PROBES if probe.work is not None]
    general = [probe.id for probe in PROBES if probe.work is None]
    expected = [(name, trait) for name in METHOD for trait in of_methods] + [("", trait) for trait in general]
    assert list(observed) == expected
    assert [each for each in observed.values() if each.error or not each.observed] == []


def test_every_combination_that_is_seen_has_words(rows):
    said = [word for row in rows.values() for word in msgspec.structs.astuple(row)]
    assert not [word for word in said if word is None or word.startswith(("other", "failed"))]


def test_all_that_is_seen_beside_the_methods_has_words(observed):
    for each in observed.values():
        if not each.method:
            names = {name for name in each.observed if not name.endswith("_says")}
            assert names == set(OBSERVED[each.trait])


def test_what_is_shown_is_what_was_run_and_stands_by_itself(observed):
    for each in observed.values():
        names = {}
        exec(each.code, names)  # noqa: S102  as a reader would paste it
        assert names["observed"] == each.observed, (each.method, each.trait)


@pytest.mark.parametrize("name", METHOD)
def test_a_method_holds_as_long_as_its_documentation_says(name, rows):
    # notes/autograd.html, "Locally disabling gradient computation": a flag holds until it is set again, a
    # mode until its block is left. Tensor.detach.html: a new tensor, detached from the graph.
    expected = {
        "nothing": "nothing is switched off",
        "flag": "until changed",
        "result": "as long as the new tensor lives; the work before it is recorded",
        "input": "as long as the new tensor lives",
        "block": "until the block is left",
    }
    assert rows[name].persistence == expected[kind_of(name)]


@pytest.mark.parametrize("name", METHOD)
def test_a_method_reaches_as_far_as_its_documentation_says(name, observed, rows):
    # no_grad.html, inference_mode.html: "thread-local; it will not affect computation in other threads".
    expected = {
        "nothing": "nothing",
        "flag": "this tensor",
        "result": "the new tensor, made of the result",
        "input": "the new tensor",
        "block": "all operations inside, in this thread",
    }
    assert rows[name].scope == expected[kind_of(name)]
    # no_grad.html: "All factory functions, or functions that create a new Tensor and take a requires_grad
    # kwarg, will NOT be affected by this mode."
    assert observed[name, "scope"].observed["leaf_made_inside_requires_grad"] is True
    assert observed[name, "scope"].observed["leaf_made_inside"] is not METHOD[name].disables


@pytest.mark.parametrize("name", METHOD)
def test_tracking_comes_back_as_the_documentation_says(name, rows):
    # enable_grad.html: "Enables gradient calculation, if it has been disabled", and not inference mode.
    expected = {
        "nothing": "nothing to reverse",
        "flag": "by requires_grad_(True) on the same tensor",
        "result": "x was never cut off; the result only as a leaf of its own",
        "input": "x was never cut off; the new tensor only as a leaf of its own",
        "block": "by itself; inside by enable_grad()",
    }
    if METHOD[name].inference:
        expected["block"] = "by itself; not inside by enable_grad()"
    assert rows[name].reversibility == expected[kind_of(name)]


@pytest.mark.parametrize("name", METHOD)
def test_only_a_copy_has_storage_of_its_own(name, observed):
    # Tensor.detach.html: "Returned Tensor shares the same storage with the original one."
    copied = MB if name in COPIES else 0
    assert observed[name, "memory"].observed == {"allocated": copied, "kept": copied}
    assert observed[name, "write"].observed["shares_storage"] is (name not in COPIES)


@pytest.mark.parametrize("name", METHOD)
def test_only_a_recorded_result_keeps_what_its_backward_needs(name, observed):
    # notes/autograd.html, "Saved tensors": exp saves its result, and sin reads that same tensor.
    assert observed[name, "graph"].observed == {"result": MB, "kept": MB if METHOD[name].tracks else 0}


@pytest.mark.parametrize("name", METHOD)
def test_objects_are_a_tensor_or_a_context_manager_or_none(name, observed):
    expected = {
        "nothing": ("", ""),
        "flag": ("", ""),
        "result": ("", "1 Tensor"),
        "input": ("1 Tensor", "1 Tensor"),
    }
    row, found = METHOD[name], observed[name, "objects"].observed
    if row.disables:
        (guard,) = re.findall(r"torch\.(no_grad|inference_mode|set_grad_enabled)\(", row.setup + row.within)
        # What the setup makes stays. A decorator makes an object to decorate with, and one for each call.
        stays = guard in row.setup
        expected["block"] = (f"{2 if '@' in row.setup else 1} {guard}", f"1 {guard}" if stays else "")
    assert (found["inside"], found["afterwards"]) == expected[kind_of(name)]
    assert found["result_is_x"] is (kind_of(name) not in ("input", "result"))


@pytest.mark.parametrize("name", METHOD)
def test_a_write_is_noticed_unless_it_goes_through_data(name, observed, rows):
    # Tensor.detach.html: "In-place modifications on either of them will be observed, and may trigger errors
    # in correctness checks." pytorch/pytorch#6990: those through .data are not reported.
    expected = dict.fromkeys(METHOD, "shows in x; backward refuses")
    expected["data"] = "shows in x, unnoticed: wrong gradient"
    expected |= dict.fromkeys(COPIES, "does not reach x")
    assert rows[name].write == expected[name]
    gradients = {"data": math.cos(2.0), **dict.fromkeys(COPIES, math.cos(1.0))}
    if name in gradients:
        assert observed[name, "write"].observed["gradient"] == pytest.approx(gradients[name])
    else:
        assert "modified by an inplace operation" in observed[name, "write"].observed["backward_says"]


@pytest.mark.parametrize("name", METHOD)
def test_only_inference_tensors_are_of_no_use_to_autograd(name, observed, rows):
    # notes/autograd.html, "Inference Mode": tensors made in it "will not be able to be used in computations
    # to be recorded by autograd"; they have no version counter.
    row, expected = METHOD[name], "ordinary, without history"
    if row.tracks:
        expected = "with history"
    elif row.inference:
        expected = "inference tensor: no backward, no write, no tracking; its clone can be tracked"
    assert rows[name].result == expected
    said = observed[name, "result"].observed.get("saved_for_backward_says")
    assert said == ("Inference tensors cannot be saved for backward" if row.inference else None)


@pytest.mark.parametrize("name", METHOD)
def test_a_view_made_in_a_block_requires_gradients_and_passes_none_on(name, rows):
    # DifferentiableViewMeta::requires_grad (torch/csrc/autograd/variable.h) asks the base of a view.
    expected = {
        "nothing": "gradient reaches x; refuses a write",
        "block": "requires_grad, but no gradient reaches x; refuses a write",
    }
    untracked = f"not tracked; a write {'does not reach' if name in COPIES else 'shows in'} x"
    assert rows[name].view == expected.get(kind_of(name), untracked)


@pytest.mark.parametrize("name", METHOD)
def test_only_the_flag_of_x_reaches_a_graph_recorded_before(name, rows):
    # AccumulateGrad (torch/csrc/autograd/functions/accumulate_grad.cpp) asks the flag when backward runs.
    assert rows[name].earlier == ("x gets no gradient from it" if kind_of(name) == "flag" else "untouched")


@pytest.mark.parametrize("name", METHOD)
def test_only_the_flag_is_refused_on_a_result(name, observed, rows):
    # Tensor.requires_grad.html: the flag of a tensor that is no leaf cannot be changed.
    refused = kind_of(name) == "flag"
    assert rows[name].on_result == ("refused" if refused else "accepted; its origin keeps its gradient")
    if refused:
        said = observed[name, "on_result"].observed["accepted_says"]
        assert said == "you can only change requires_grad flags of leaf variables"


def test_gradients_add_up_until_they_are_cleared(observed):
    # Tensor.backward.html: "This function accumulates gradients in the leaves".
    assert observed["", "zero_grad"].observed == {
        "after_one_backward": 4.0,
        "after_two": 8.0,
        "none_after_zero_grad": True,
        "after_zero_grad_and_one": 4.0,
    }


def test_a_second_backward_needs_the_graph_and_the_graph_needs_its_bytes(observed):
    # Tensor.backward.html, retain_graph: "If False, the graph used to compute the grads will be freed."
    observed = observed["", "retain_graph"].observed
    assert (observed["second_without"], observed["second_with"]) == (False, True)
    assert "backward through the graph a second time" in observed["second_without_says"]
    assert (observed["kept_without"], observed["kept_with"]) == (0, MB)


def test_the_uses_that_the_guide_names_are_served(observed):
    # notes/autograd.html, "Setting requires_grad" and "Evaluation Mode": eval() is not no_grad().
    expected = {
        "freeze": {
            "frozen_gets_gradient": False,
            "frozen_changed": False,
            "layer_before_gets_gradient": True,
            "layer_before_changed": True,
            "unfrozen_gets_gradient": True,
            "recorded_under_no_grad": False,
        },
        "target": {
            "same_value_detached": True,
            "same_value_no_grad": True,
            "gradient_tracked": True,
            "gradient_detached": False,
            "gradient_no_grad": False,
        },
        "inference": {
            "dropout_still_drops": True,
            "eval_alone_builds_a_graph": True,
            "no_grad_builds_a_graph": False,
            "same_predictions": True,
        },
        "components": {
            "leaf_grad_fn": False,
            "result_requires_grad": True,
            "result_grad_fn": "MulBackward0",
            "gradient_of_x_is_y": True,
            "gradient_of_y_is_x": True,
        },
    }
    assert {trait: observed["", trait].observed for trait in expected} == expected


def test_the_derivatives_are_those_of_the_calculus(observed):
    assert observed["", "square"].observed == {"at_2": 4.0, "at_3": 6.0}
    for trait, by_hand in (
        ("sin_square", 4 * math.cos(4)),
        ("exp_sin_square", 4 * math.cos(4) * math.exp(math.sin(4))),
    ):
        found = observed["", trait].observed
        assert found["gradient"] == pytest.approx(by_hand, rel=1e-12)
        assert found["by_formula"] == pytest.approx(by_hand, rel=1e-15)
        assert found["agree"] is True


def test_the_class_as_written_has_no_apply(observed):
    # notes/extending.html: a custom function is a subclass of torch.autograd.Function, which has apply.
    observed = observed["", "as_written"].observed
    assert observed["as_written"] == "AttributeError: type object 'Square' has no attribute 'apply'"
    assert observed["gradient_with_the_base_of_torch"] == 4.0


def altered(name, **row):
    """The characteristics of a method whose row was changed under the same name."""
    (row,) = characteristics(observe_traits([dataclasses.replace(METHOD[name], **row)]))
    return row


def test_what_is_seen_comes_from_the_lines_of_the_method_and_not_from_its_name(rows):
    for name, other in (("no_grad", "tracked"), ("tracked", "detach"), ("detach", "requires_grad_false")):
        row = altered(name, setup=METHOD[other].setup, within=METHOD[other].within)
        assert row == msgspec.structs.replace(rows[other], method=name)


def test_a_mode_that_a_statement_leaves_switched_off_is_told_from_a_block():
    row = altered("no_grad", within="torch.set_grad_enabled(False)\ny = WORK(x)")
    assert row.persistence == "until grad mode is switched back"
    assert row.reversibility.startswith("other: ")
    assert torch.is_grad_enabled()


def test_a_copy_that_is_recorded_is_told_from_one_that_is_not(rows):
    row = altered("detach_clone", within="y = WORK(x.clone())")
    assert row.memory == "4,000,000 B"
    assert row.write == rows["detach_clone"].write
    assert row.scope == "nothing"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("observed = {'before': True}\nraise ValueError('first\\nsecond')", "ValueError: first"),
        ("observed = {}\nraise RuntimeError", "RuntimeError"),
        ("observed = {", "SyntaxError: "),
        ("pass", "KeyError: 'observed'"),
        ("import torch\nobserved = {'x': torch.ones(1)}", "ValidationError: "),
        ("assert False", "AssertionError"),
    ],
)
def test_a_probe_that_raises_is_an_observation_with_the_error(code, said):
    before, good = PROBE["zero_grad"], PROBE["square"]
    bad = Probe("bad", "Is it?", "https://x.y/", code)
    observed = observe_traits((), (before, bad, good))
    assert [each.trait for each in observed] == ["zero_grad", "bad", "square"]
    assert observed[1].error.startswith(said)
    assert "\n" not in observed[1].error
    assert observed[1] == Observation("bad", "Is it?", code, error=observed[1].error)
    assert observed[2].observed == {"at_2": 4.0, "at_3": 6.0}


LEFT = {
    "grad mode": "torch.set_grad_enabled(False)",
    "inference mode": "guard = torch.inference_mode()\nguard.__enter__()",
    "no_grad": "guard = torch.no_grad()\nguard.__enter__()",
    "inference mode, beside a function": "def f(): pass\nguard = torch.inference_mode()\nguard.__enter__()",
    "inference mode, then an error": "guard = torch.inference_mode()\nguard.__enter__()\nraise ValueError",
    "generator": "torch.manual_seed(1)",
}


@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("code", LEFT.values(), ids=LEFT)
def test_the_modes_and_the_generator_are_afterwards_as_they_were(code, around):
    def state():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.random.get_rng_state().tolist(),
        )

    outside = state()
    with around():
        inside = state()
        seen_by(f"import torch\nobserved = {{}}\n{code}")
        gc.collect()
        assert state() == inside
    assert state() == outside


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_what_is_seen_does_not_hang_on_the_modes_of_who_asks(around, observed):
    asked = [PROBE["persistence"], PROBE["result"], PROBE["square"]]
    with around():
        again = observe_traits([METHOD["tracked"]], asked)
    assert again == [
        observed["tracked", "persistence"],
        observed["tracked", "result"],
        observed["", "square"],
    ]


def test_a_probe_starts_without_the_names_of_the_one_before():
    first = Probe("first", "Is it?", "https://x.y/", "observed = {}\nkept = 1")
    second = Probe("second", "Is it?", "https://x.y/", "observed = {'kept': 'kept' in globals()}")
    assert observe_traits((), (first, second))[1].observed == {"kept": False}


def test_the_records_come_back_from_json(observed):
    records = list(observed.values())
    assert msgspec.json.decode(msgspec.json.encode(records), type=list[Observation]) == records
