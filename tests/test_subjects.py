"""What is measured of a user's model, from its file to variants that pass their checks, in one process."""

import random
import textwrap

import msgspec
import pytest
import torch
from test_user_file import ENABLED, FORCES, NET, PATHS, RECORDED

from gradbench.define.user_model import plan_file
from gradbench.define.workloads.user_model import NAME, alternative_names
from gradbench.measure.memory import measure_memory
from gradbench.measure.user_file import inspect_user_file
from gradbench.measure.variant import prepare
from gradbench.measure.visit import build
from gradbench.models import share
from gradbench.record.plan import Request
from gradbench.record.user_file import FileFacts

LOSS = "def loss(y): return y.square().mean()\n"
# Of 16 × 8 float32 inputs, 512 bytes; weights of 8 × 32 and 32 × 4, 1,024 and 512 bytes.
INPUTS, FIRST, SECOND = 16 * 8 * 4, 8 * 32 * 4, 32 * 4 * 4
HIDDEN, OUT = 16 * 32 * 4, 16 * 4 * 4
ATTACKED = (
    "import torch\nfrom torch import nn\n"
    "model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))\n"
    "x = torch.rand(16, 8, requires_grad=True)\n" + LOSS
)


@pytest.fixture
def measured(tmp_path):
    """By part its comparison, its variants that passed their checks, and what failed."""

    def run(text, methods=()):
        file = str(tmp_path / "net.py")
        seen = inspect_user_file(text, file, 0, torch.get_num_threads())
        assert isinstance(seen, FileFacts), seen.message
        request = Request((NAME,), methods, (), seen.device, seen.result, 0, "quick")
        found = {}
        for each in plan_file("net.py", text, seen, request).comparisons:
            failed = []

            def fail(variant, error, failed=failed):
                failed.append((variant.name, str(error)))
                return True

            ready = build(each, "answers", random.Random(0), fail, prepare(each, file))
            found[each.part] = each, {one.variant.name: one for one in ready}, failed
        return found

    return run


def expect_all_pass(found):
    for each, ready, failed in found.values():
        assert failed == []
        assert ready.keys() == {variant.name for variant in each.variants}


def saved(found, part, variant):
    each, ready, _ = found[part]
    return measure_memory(ready[variant], each.id).saved


def test_an_x_that_is_tracked_beside_parameters_is_untracked_in_the_baseline(measured):
    found = measured(ATTACKED)
    expect_all_pass(found)
    assert set(found) == {"evaluation", "step", "forward", "backward"}
    evaluation, ready, _ = found["evaluation"]
    assert ready["tracked"].x.requires_grad
    assert not ready["requires_grad_false"].x.requires_grad
    assert not ready["requires_grad_false"].run().requires_grad
    # Detached, x leaves the parameters tracked.
    assert "as well" in evaluation.skipped["detach"]


def test_freezing_the_model_saves_the_bytes_of_the_inputs(measured):
    found = measured(ATTACKED)
    weights = FIRST + SECOND
    # Of the first layer its weight is kept for x and its input for the weight; the mean keeps the output.
    assert saved(found, "forward", "tracked") == weights + HIDDEN + OUT + INPUTS
    assert saved(found, "forward", "frozen") == weights + HIDDEN + OUT
    for name, parameters in (("backward", True), ("frozen", False), ("input_gradient", False)):
        ready = found["backward"][1][name]
        per_call = ready.set_up_call()
        ready.run_and_keep(per_call)
        assert [each.grad is not None for each in per_call["model"].parameters()] == [parameters] * 4
        assert (per_call["x"].grad is not None) == (name != "input_gradient")


def test_where_the_model_is_frozen_x_alone_is_what_methods_act_on(measured):
    found = measured(ATTACKED + "model.requires_grad_(False)\n")
    expect_all_pass(found)
    # No parameter has gradients that a step could clear.
    assert set(found) == {"evaluation", "forward", "backward"}
    evaluation, ready, _ = found["evaluation"]
    assert {"detach", "data", "detach_clone"} <= ready.keys()
    assert evaluation.baseline.setup.endswith("x.requires_grad_(False)")
    assert saved(found, "forward", "tracked") == FIRST + SECOND + HIDDEN + OUT
    assert saved(found, "forward", "unfrozen") == FIRST + SECOND + HIDDEN + OUT + INPUTS


def test_a_model_without_parameters_is_measured_by_the_gradient_of_x(measured):
    found = measured(
        "import torch\nmodel = torch.nn.Tanh()\nx = torch.rand(4, 3, requires_grad=True)\n" + LOSS
    )
    expect_all_pass(found)
    assert "unfrozen" not in found["forward"][1]
    assert saved(found, "evaluation", "tracked") == 4 * 3 * 4


def test_a_file_that_tracks_no_x_is_measured_as_before(measured):
    found = measured(NET + LOSS)
    expect_all_pass(found)
    assert {"frozen", "unfrozen", "input_gradient"}.isdisjoint({*found["forward"][1], *found["backward"][1]})
    assert not found["forward"][1]["tracked"].x.requires_grad
    assert {"frozen", "unfrozen", "input_gradient"} <= set(alternative_names())


@pytest.mark.parametrize(
    ("within", "create", "baseline", "methods"),
    [
        (RECORDED, "self.training", "requires_grad_false", {"tracked", "detach_after"}),
        (RECORDED, "True", "tracked", {"requires_grad_false", "detach_after"}),
        (ENABLED, "True", "tracked", {"requires_grad_false", "detach_after", "no_grad"}),
    ],
)
def test_what_works_of_a_model_that_differentiates_inside_passes_its_checks(
    measured, within, create, baseline, methods
):
    found = measured(FORCES.replace("WITHIN", within).replace("CREATE", create))
    expect_all_pass(found)
    evaluation, ready, _ = found["evaluation"]
    entered = {"no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false"}
    assert evaluation.baseline.name == baseline
    assert {name for name, each in ready.items() if each.variant.role == "method"} - entered == methods
    assert "model(x) raises RuntimeError" in evaluation.skipped["inference_mode"]
    # What is entered in another way falls with what it is.
    assert entered & evaluation.skipped.keys() == (set() if "no_grad" in methods else entered)


def test_paths_that_differ_are_each_held_against_themselves(measured):
    found = measured(PATHS.replace("RETURNED", "y if recorded else y + 0.5"))
    expect_all_pass(found)
    groups = {each.name: each.group for each in found["evaluation"][0].variants if each.role != "empty"}
    assert {name for name, group in groups.items() if group == "recorded"} == {"tracked", "detach_after"}
    assert set(groups.values()) == {"recorded", "unrecorded"}
    assert {each.group for each in found["forward"][0].variants if each.name == "no_grad"} == {"unrecorded"}


def test_other_operators_stand_with_the_comparison_that_they_explain(measured):
    text = PATHS.replace("RETURNED", "y.exp().log() if recorded else y.clone()").replace(LOSS, "")
    found = measured(text)
    expect_all_pass(found)
    assert (
        "Not recorded, torch runs aten.clone in place of aten.exp, aten.log." in found["evaluation"][0].shows
    )
    assert "torch runs" not in measured(NET)["evaluation"][0].shows


def test_nan_on_one_path_is_no_reason_to_refuse_either(measured):
    expect_all_pass(measured(PATHS.replace("RETURNED", "y if recorded else y / 0 * 0").replace(LOSS, "")))


def test_within_a_group_a_result_that_differs_is_still_refused(measured):
    text = PATHS.replace(
        "RETURNED", "y if recorded else y + 0.5 + torch.is_inference_mode_enabled()"
    ).replace(LOSS, "")
    _, ready, failed = measured(text)["evaluation"]
    assert [name for name, _ in failed] == ["inference_mode"]
    assert {"tracked", "no_grad", "requires_grad_false"} <= ready.keys()


def test_paths_that_agree_are_held_against_each_other(measured):
    for each, _, _ in measured(NET + LOSS).values():
        assert {variant.group for variant in each.variants} == {""}


def test_a_method_that_is_asked_for_and_cannot_work_is_told_with_its_reason(measured):
    text = FORCES.replace("WITHIN", RECORDED).replace("CREATE", "self.training").partition("def loss")[0]
    evaluation, ready, _ = measured(text, methods=("no_grad", "tracked"))["evaluation"]
    assert {"requires_grad_false", "tracked"} <= ready.keys()
    assert "raises RuntimeError" in evaluation.skipped["no_grad"]


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("made", ["torch.jit.script(model)", "nn.Sequential(torch.jit.script(model))"])
def test_torchscript_passes_its_checks_whatever_ran_before(measured, made):
    """What TorchScript compiles for a recorded call still records under no_grad()."""
    found = measured(NET + f"model = {made}\n" + LOSS)
    expect_all_pass(found)
    _, ready, _ = found["evaluation"]
    for _ in range(3):
        assert ready["tracked"].run().requires_grad
        assert not ready["no_grad"].run().requires_grad
        assert not ready["requires_grad_false"].run().requires_grad


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_shared_torchscript_module_has_flags_of_its_own_on_the_same_memory():
    model = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)))
    copied = share(model)
    for one, other in zip(
        (*copied.parameters(), *copied.buffers()), (*model.parameters(), *model.buffers()), strict=True
    ):
        assert one.data_ptr() == other.data_ptr()
        assert one.requires_grad == other.requires_grad
    for each in copied.parameters():
        each.requires_grad_(False)
    copied.eval()
    assert all(each.requires_grad for each in model.parameters())
    assert (copied.training, model.training) == (False, True)


def test_what_is_seen_of_a_file_travels_to_the_parent():
    text = PATHS.replace("RETURNED", "y if recorded else y + 0.5")
    seen = inspect_user_file(text, "net.py", 0, torch.get_num_threads())
    assert msgspec.json.decode(msgspec.json.encode(seen), type=FileFacts) == seen


def test_a_method_that_does_nothing_in_another_thread_is_told_with_the_threads(tmp_path):
    text = """
        from concurrent.futures import ThreadPoolExecutor
        import torch
        pool = ThreadPoolExecutor(1)
        model = torch.nn.Linear(4, 2)
        x = torch.rand(3, 4)
        def call(model, x): return pool.submit(model, x).result()
    """
    seen = inspect_user_file(textwrap.dedent(text), str(tmp_path / "net.py"), 0, torch.get_num_threads())
    told = {each.sentence for each in seen.faults if each.kind == "records under"}
    assert any(
        "the result of call(model, x) still requires gradients: it works in another thread" in each
        and "enter torch.no_grad() inside that thread" in each
        for each in told
    )
