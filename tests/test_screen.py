"""The first screen of a user's model, from results of known truth: what it says, and what it must not."""

import re

import msgspec
import pytest
from synthetic import memory, rendered, results
from test_user_model import FILE, REQUEST, SEEN, parts

from gradbench.analyse.analysis import analyse
from gradbench.analyse.screen_evaluation import evaluation_sentences
from gradbench.define.changes import fewer_samples, freeze, recompute
from gradbench.define.user_model import plan_file
from gradbench.record.anatomy import Anatomy, BatchPeak, Kept, OptimizerCost, Trained
from gradbench.record.plan import Request
from gradbench.record.telemetry import Telemetry
from gradbench.record.user_file import Fault
from gradbench.record.visits import Failure
from gradbench.report.terminal.brief import brief
from gradbench.report.terminal.model import first_screen

MB = 10**6
CHANGES = (
    freeze(["embed", "norm"], ["drop", "head"]),
    recompute(["norm"], every=False),
    fewer_samples(16, 32),
)
KEPT = (
    Kept("", 4 * MB, "input", "embedding", (32, 4), "int64"),
    Kept("embed", 40 * MB, "activation", "add", (1000, 1000), "float32", "net.py:24"),
    Kept("norm", 20 * MB, "activation", "batch_norm", (500, 1000), "float32", "net.py:24", passes_on=True),
    Kept("head", 6 * MB, "parameter", "linear", (20, 16), "float32"),
)
ANATOMY = Anatomy(
    True, KEPT, 30 * MB, 0, 4 * MB, batch=4 * MB, gradients=30 * MB,
    optimizer=OptimizerCost("Adam", 60 * MB, 10 * MB, 0.002),
    changed={"freeze_to_norm": Trained(10 * MB, 20 * MB)},
)  # fmt: skip
# A step peaks at these bytes above what stands, which is 94 MB.
PEAKS = {"set_to_none": 100, "freeze_to_norm": 40, "checkpoint_norm": 90, "batch_16": 60, "set_to_zero": 130}
METHODS = ("no_grad", "no_grad_decorator", "no_grad_prebuilt", "inference_mode", "set_grad_enabled_false")


def made(ratios=None, request=REQUEST, anatomy=ANATOMY, faults=(), peaks=PEAKS, **more):
    """A run whose variants take these times, in times of the baseline of their comparison."""
    seen = msgspec.structs.replace(SEEN, changes=CHANGES)
    found = results(ratios or {}, plan=plan_file("net.py", FILE, seen, request), request=request, **more)
    memory(found, "requires_grad_false", peak=10 * MB)
    for name in METHODS:
        memory(found, name, peak=10 * MB)
    memory(found, "tracked", peak=40 * MB)
    for name, peak in peaks.items():
        memory(found, name, peak=peak * MB)
    if anatomy is not None:
        found.add(anatomy)
    for fault in faults:
        found.add(fault)
    return found


def screen(*arguments, **more):
    return analyse(made(*arguments, **more)).screen


def rows(found):
    return {each.label: each for each in found.savings}


SLOWER = {"tracked": 1.25, "detach_after": 1.25}


def test_evaluation_names_the_methods_that_are_quickest_and_what_they_gain_in_time_and_memory():
    (first, second) = screen(SLOWER).evaluation
    assert first.startswith("Use torch.no_grad() or torch.inference_mode(): 20 % less time than recording (")
    assert first.endswith("75 % less memory at the peak (40.0 MB → 10.0 MB).")
    assert second.startswith("No difference between the two that matters (")


def test_a_method_that_is_shown_to_be_slower_is_not_advised():
    (only,) = screen({**SLOWER, "inference_mode": 1.1}).evaluation
    assert only.startswith("Use torch.no_grad(): ")
    assert "inference" not in only


@pytest.mark.parametrize("scatter", [0.001, 0.05])
def test_nothing_is_the_fastest_where_nothing_is_told_apart(scatter):
    (first, *_) = screen(scatter=scatter).evaluation
    assert "less time" not in first
    assert "no difference in time to recording" in first
    assert ("that matters" in first) == (scatter == 0.001)


def test_a_ratio_that_is_not_known_is_no_figure():
    found = screen(scatter=2.0)
    assert "is not known yet" in found.evaluation[0]
    assert all(each.time is None for each in found.savings)
    assert {each.time_in_words for each in found.savings} == {"not known yet"}
    # Of what neither bytes nor a time are known there is no row, and it is no gap.
    assert (
        "backward(retain_graph=True), zero_grad(): its time is not known yet, and the run did not count its "
        "bytes" in found.left_out
    )


def test_what_has_no_row_has_its_true_reason():
    found = made(peaks={"set_to_none": 100})
    step = parts(found.header.plan)["step"].id
    for visit in found.visits:
        if visit.comparison == step:
            del visit.variants["freeze_to_norm"], visit.variants["batch_16"]
    found.add(Failure(0, step, "batch_16", "memory", "raised", "ValueError: odd."))
    # A profiler that sees nothing takes no row away.
    found.add(Failure(0, step, "checkpoint_norm", "kernels", "raised", "no events"))
    shown = analyse(found).screen
    assert "freeze embed to norm: not measured" in shown.left_out
    assert "16 of the 32 samples in a step: failed: ValueError: odd" in shown.left_out
    assert "checkpoint norm" in rows(shown)


def test_what_is_not_known_is_named_where_there_is_no_row_at_all():
    found = made(peaks={})
    found.visits[:] = [each for each in found.visits if each.comparison.startswith("model.evaluation")]
    shown = analyse(found).screen
    assert shown.savings == ()
    text = first_screen(shown, 100)
    assert "Would save   Not known, for reasons in the report: " in text
    assert "freeze embed to norm" in text
    assert "freeze embed to norm: not measured" in rendered(found)


def test_nothing_is_saved_of_nothing():
    (frozen,) = [
        each
        for each in screen(peaks={"set_to_none": 0, "freeze_to_norm": 0}, anatomy=None, scatter=2.0).savings
        if each.label == "freeze embed to norm"
    ]
    assert (frozen.before, frozen.after, frozen.mark) == (0, 0, "✗")


def test_with_two_methods_that_were_asked_for_the_answer_is_of_one_against_the_other():
    request = msgspec.structs.replace(REQUEST, methods=("no_grad", "inference_mode"))
    (only,) = screen({"inference_mode": 1.3}, request=request).evaluation
    assert only.startswith("torch.inference_mode() against torch.no_grad(): 1.3")
    assert "times as long; both peak at 10.0 MB." in only


def test_a_step_says_where_its_peak_goes():
    (times, peak) = screen().training
    # Forward and backward take as long as a step here, each of them.
    assert times.endswith("Adam.step() about 2.00 ms (forward and backward were timed apart).")
    assert peak == (
        "Peak 194 MB: parameters 30.0 MB, x 4.00 MB, state of Adam 60.0 MB, activations 60.0 MB, "
        "gradients and temporaries 40.0 MB."
    )


def test_an_optimizer_that_needs_more_than_the_step_is_said_to():
    small = {**PEAKS, "set_to_none": 20}
    assert screen(peaks=small).training[-1] == (
        "Adam.step() peaks higher, at 134 MB: it needs 10.0 MB besides the gradients."
    )


def test_what_would_save_is_marked_by_whether_it_saves_and_what_it_costs():
    found = rows(screen({"freeze_to_norm": 0.6, "checkpoint_norm": 1.3, "batch_16": 0.5}))
    assert {label: each.mark for label, each in found.items()} == {
        "freeze embed to norm": "✓",
        "16 of the 32 samples in a step": "✓",
        "checkpoint norm": "~",
        "model.zero_grad(set_to_none=False)": "✗",
        "backward(retain_graph=True), zero_grad()": "?",
    }
    frozen = found["freeze embed to norm"]
    # Of what is frozen neither gradients nor the state of the optimizer are needed: 30 + 4 + 20 + 40 MB.
    assert (frozen.before, frozen.after) == (194 * MB, 94 * MB)
    assert frozen.time_in_words.startswith("0.60 (0.60 to 0.60)")
    assert screen().savings[0].label == "freeze embed to norm"
    assert "model.requires_grad_(False)" in frozen.code


def test_with_a_size_to_fit_into_the_mark_says_what_fits_and_a_batch_is_named():
    fit = msgspec.structs.replace(
        ANATOMY, fit=160 * MB, batches=(BatchPeak(16, 60 * MB), BatchPeak(32, 100 * MB)), predicted=24,
        verified=BatchPeak(19, 65 * MB),
    )  # fmt: skip
    found = screen(anatomy=fit)
    marks = {label: each.mark for label, each in rows(found).items()}
    assert marks["freeze embed to norm"] == "✓"
    assert marks["checkpoint norm"] == "~"
    assert marks["model.zero_grad(set_to_none=False)"] == "✗"
    (as_it_is, batch) = found.batches
    assert as_it_is == "Unchanged, training peaks at 194 MB, and does not fit into 160 MB."
    # 90 MB that stand, 19 of 32 samples of x, and 65 MB.
    assert batch == "A batch of 19 samples fits into 160 MB: executed, it peaks at 157 MB."


def test_a_batch_is_promised_only_as_far_as_it_was_executed():
    fit = msgspec.structs.replace(ANATOMY, fit=160 * MB, batches=(BatchPeak(32, 100 * MB),))

    def says(**changes):
        (_, sentence) = screen(anatomy=msgspec.structs.replace(fit, **changes)).batches
        return sentence

    assert says().endswith("the loss accepts only 32 samples.")
    two = (BatchPeak(16, 60 * MB), *fit.batches)
    assert "should fit" in says(batches=two, predicted=19)
    # What was executed counts, and not what was guessed.
    assert says(batches=two, predicted=40, verified=BatchPeak(19, 65 * MB)).startswith(
        "A batch of 19 samples"
    )
    over = says(batches=two, predicted=40, over=BatchPeak(40, 120 * MB))
    assert over == (
        "No batch is known that fits into 160 MB: executed, a batch of 40 samples peaks at 215 MB."
    )
    # 90 MB that stand, gradients of 30, and 10 that the optimizer needs.
    assert "take 130 MB without any sample" in says(batches=two, fit=120 * MB)


def test_memory_names_what_is_kept_by_module_and_what_only_passes_a_gradient_on():
    found = screen()
    assert found.memory[0] == (
        "A training step keeps 60.0 MB of activations for the backward, besides 10.0 MB of parameters and "
        "inputs that exist anyway."
    )
    assert "20.0 MB of that is in modules that are not trained (norm)" in found.memory[1]
    assert [(each.name, each.activations) for each in found.modules][:2] == [
        ("embed", 40 * MB),
        ("norm", 20 * MB),
    ]
    # Whether more can be frozen is not known: x may be tracked, or what comes before is trained on purpose.
    assert found.memory[1].endswith("passes through them to the modules before.")
    assert found.kept == sum(each.activations + each.others for each in found.modules) == 70 * MB


FAULTS = (
    Fault("grows", "each evaluation leaves 80 B that nothing frees: `kept` holds it", "net.py:4", 80),
    Fault("values differ", "not recorded, model(x) gives another result than recorded"),
)


def test_values_that_differ_are_the_first_thing_said():
    text = first_screen(screen(faults=FAULTS), 100)
    assert [line[:9] for line in text.split("\n") if line[:1] not in ("", " ")][1] == "Watch out"
    assert (
        text.index("Not recorded, model(x)")
        < text.index("net.py:4: each evaluation")
        < text.index("Evaluation")
    )


LONG = Kept(
    "encoder.layers.11.attention.output.dense.of.a.long.name", 9 * MB, "activation", "add", (9, 9), "float32"
)


@pytest.mark.parametrize("width", [60, 80, 110])
@pytest.mark.parametrize("fit", [None, 160 * MB])
def test_the_terminals_screen_is_one_screen_of_its_width(width, fit):
    anatomy = msgspec.structs.replace(ANATOMY, kept=(*KEPT, LONG), fit=fit, left_out={"b": "b: no other"})
    found = screen({**SLOWER, "freeze_to_norm": 0.6}, faults=FAULTS, anatomy=anatomy)
    text = first_screen(found, width)
    assert max(map(len, text.split("\n"))) <= width
    assert len(text.split("\n")) <= (45 if width > 60 else 60)
    assert re.search(r"✓ freeze embed to norm\s+194 MB → 94\.0 MB;?\s+0\.60 \(0\.60 to 0\.60\)", text)
    table = first_screen(found, width, every_module=True)
    assert max(map(len, table.split("\n"))) <= width
    assert re.search(r"^embed +40\.0 MB +0 B\s+add 1000×1000 +net\.py:24$", table, re.MULTILINE)
    assert re.search(r"^all +69\.0 MB +10\.0 MB$", table, re.MULTILINE)
    assert "of.a.long.name" in table


def test_what_a_reader_must_know_beside_trust_is_on_the_screen_and_no_more_than_twice():
    busy = made(telemetry=Telemetry(others=0.5))
    busy.cut_off = 7
    text = first_screen(analyse(busy).screen, 110)
    assert "Mind         The last line of the results file is cut off (7 bytes)" in text
    assert "The run was interrupted" in text
    assert "Other processes used" not in text
    assert "1 more in the report." in text
    plain = first_screen(screen(), 110)
    assert "Identical code differed" in plain
    assert "identical code may seem" not in plain


def test_a_file_without_a_loss_says_once_that_training_and_its_leaks_were_not_measured():
    seen = msgspec.structs.replace(SEEN, trains=False)
    found = results({}, plan=plan_file("net.py", FILE, seen, REQUEST), request=REQUEST)
    found.add(Anatomy(False, KEPT, 30 * MB, 0, 4 * MB, batch=4 * MB))
    text = " ".join(first_screen(analyse(found).screen, 110).split())
    said = "Training net.py defines no loss(y): training and leaks of training steps were not measured."
    assert text.count(said) == 1
    found.anatomy = None
    assert said in " ".join(first_screen(analyse(found).screen, 110).split())
    assert "defines no loss" not in first_screen(screen(), 110)
    # The request left training out, and the file defines a loss.
    some = msgspec.structs.replace(REQUEST, methods=("no_grad",))
    assert "defines no loss" not in first_screen(screen(request=some), 110)


def test_the_trust_of_a_screen_says_which_differences_mean_nothing():
    loud = analyse(made({"twin": 1.028}, scatter=0.03)).screen.trust
    found = re.match(
        r"Differences under (\d+\.\d) % mean nothing here\. Identical code differed by (\d+\.\d) % at most\. "
        r"Times are rough\. ",
        loud,
    )
    assert float(found[1]) >= float(found[2]) > 2
    quiet = screen(scatter=0.0001).trust
    assert re.fullmatch(
        r"Differences under 0\.\d+ % mean nothing here\. Identical code differed by 0\.\d+ % at most\.", quiet
    )


def test_a_run_without_an_evaluation_still_says_what_x_is():
    found = screen(request=msgspec.structs.replace(REQUEST, methods=("set_to_zero",)))
    assert found.facts == "x of 32 × 4, float32; CPU, 1 thread"


def test_a_fault_reads_alike_on_the_screen_the_page_and_in_brief():
    """Of an operation there is no screen: the page and the brief say it."""
    found = results({"tracked": 1.2})
    for fault in FAULTS:
        found.add(fault)
    told = " ".join(brief(analyse(found), 110).split())
    for words in ("Not recorded, model(x) gives another result", "net.py:4: each evaluation leaves 80 B"):
        assert words in first_screen(screen(faults=FAULTS), 110)
        assert words in told
    for page in (rendered(found), rendered(made(faults=FAULTS))):
        assert "<code>net.py:4</code> each evaluation leaves" in page
        assert "<li>Not recorded, model(x)" in page


def test_the_page_begins_with_the_screen_and_holds_every_module():
    page = rendered(made(SLOWER, faults=FAULTS))
    assert page.index('id="answer"') < page.index('id="savings"') < page.index('id="modules"')
    assert page.index('id="modules"') < page.index('id="found"')
    assert page.count("Use torch.no_grad() or torch.inference_mode()") == 1
    assert page.index('id="found"') < page.index("Evaluation, by method.") < page.index("Times relative to ")
    assert "<code>net.py:4</code>" in page
    assert "they add up to 70.0 MB" in page


def test_without_a_loss_there_is_no_training_and_nothing_that_would_save():
    plan = plan_file("net.py", FILE, msgspec.structs.replace(SEEN, trains=False), REQUEST)
    found = analyse(results(SLOWER, plan=plan)).screen
    assert (found.savings, found.parts) == ((), ())
    assert "were not measured" in " ".join(found.training)
    assert len(found.evaluation) == 2
    assert "and its bytes are not known" in found.evaluation[0]


def test_any_other_run_has_no_such_screen():
    assert analyse(results({"tracked": 1.2})).screen is None


def test_a_step_that_nobody_timed_still_says_what_it_holds():
    found = made()
    found.visits[:] = [each for each in found.visits if each.comparison.startswith("model.evaluation")]
    (peak,) = analyse(found).screen.training[-1:]
    assert peak.startswith("Peak 194 MB")
    assert rendered(found)


def test_no_advice_is_given_to_use_what_is_unsafe():
    """Of an operation on x `.data` may be the quickest, and hides writes from autograd."""
    request = Request(workloads=("elementwise",), sizes=("small",))
    found = analyse(results({"tracked": 1.5, "detach_after": 1.5, "data": 0.5}, request=request))
    (elementwise,) = found.comparisons
    assert ".data" not in " ".join(evaluation_sentences(elementwise, []))
    assert ".data" in " ".join(evaluation_sentences(elementwise, ["data", "no_grad"]))
