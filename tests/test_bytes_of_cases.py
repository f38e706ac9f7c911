"""Bytes of calls as users write them: in other threads, with gradients that stand, with hooks that keep.

A float32 is 4 bytes. Expectations are arithmetic on shapes; what is saved is what PyTorch's
tools/autograd/derivatives.yaml names.
"""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import pytest
import torch
from synthetic import memory, rendered, results

from gradbench.analyse.findings import findings
from gradbench.analyse.memory_difference import memory_differences
from gradbench.analyse.metrics import known
from gradbench.analyse.phrases import memory_notes
from gradbench.analyse.summary import summarise
from gradbench.analyse.user_model import user_model_findings
from gradbench.define.planner import plan_run
from gradbench.define.user_model import plan_file
from gradbench.define.workloads import LEAF
from gradbench.define.workloads.user_model import NAME
from gradbench.guard import limit_bytes, measure_bytes
from gradbench.measure import profiled as profiled_module
from gradbench.measure.counting import Counting
from gradbench.measure.memory import follow, measure_long, measure_memory, measure_once
from gradbench.measure.threads import Unseen
from gradbench.measure.variant import ReadyVariant, prepare
from gradbench.record.metric import METRICS
from gradbench.record.plan import Expectation, Request, Variant
from gradbench.record.user_file import FileFacts
from gradbench.record.visits import Memory
from gradbench.report.bars import bars
from gradbench.report.export import form

torch.set_num_threads(1)

FLOAT = 4
# Two layers: 16 rows of 8 go to 32, and back to 8.
ROWS, FEW, MANY = 16, 8, 32
IN = OUT = ROWS * FEW * FLOAT
HIDDEN = ROWS * MANY * FLOAT
WEIGHT = FEW * MANY * FLOAT
PARAMETERS = (2 * FEW * MANY + MANY + FEW) * FLOAT

x = torch.rand(ROWS, FEW)
# Its thread is there before anything is measured.
pool = ThreadPoolExecutor(1)
pool.submit(int).result()
submitted = pool.submit


def two_layers():
    return torch.nn.Sequential(torch.nn.Linear(FEW, MANY), torch.nn.ReLU(), torch.nn.Linear(MANY, FEW))


model = two_layers()


def here():
    return model(x)


def in_pool():
    return pool.submit(model, x).result()


def by_a_method_of_the_pool_that_was_kept():
    return submitted(model, x).result()


def in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(model(x)))
    thread.start()
    thread.join()
    return found.pop()


def in_a_class_of_thread():
    class Calls(threading.Thread):
        def run(self):
            self.found = model(x)

    thread = Calls()
    thread.start()
    thread.join()
    return thread.__dict__.pop("found")


# The result and what the ReLU returns stay; saved are the input, what the ReLU returns, and the weight of the
# second layer.
RETAINED, SAVED = OUT + HIDDEN, IN + HIDDEN + WEIGHT
PEAK = HIDDEN + HIDDEN


@pytest.mark.parametrize(
    "call", [here, in_pool, by_a_method_of_the_pool_that_was_kept, in_a_thread, in_a_class_of_thread]
)
def test_a_call_in_another_thread_has_the_bytes_that_it_has_here(call):
    found = measure_bytes(call)
    assert (found.retained, found.saved, found.peak) == (RETAINED, SAVED, PEAK)
    assert (found.left, found.standing) == (0, 0)
    assert found.threads == (1 if call is here else 2)
    with pytest.raises(
        AssertionError, match=f"bytes retained: {RETAINED:,}, at most {RETAINED - 1:,} allowed"
    ):
        limit_bytes(call, retained=RETAINED - 1).check()
    with pytest.raises(AssertionError, match="bytes saved"):
        limit_bytes(call, saved=SAVED - 1).check()
    limit_bytes(call, retained=RETAINED, saved=SAVED, peak=PEAK).check()


def test_two_threads_at_once_have_the_bytes_of_both():
    def both():
        found = {}
        threads = [threading.Thread(target=lambda at=at: found.update({at: model(x)})) for at in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return list(found.values())

    found = measure_bytes(both)
    assert (found.retained, found.saved) == (2 * RETAINED, 2 * (HIDDEN) + IN + WEIGHT)
    # One after the other, or both at once.
    assert RETAINED + PEAK <= found.peak <= 2 * PEAK


def test_grad_mode_belongs_to_a_thread():
    def outside():
        with torch.no_grad():
            return in_pool()

    assert measure_bytes(outside).saved == SAVED


def test_what_a_thread_is_given_is_released_in_it():
    def handed_over():
        return pool.submit(lambda made: made.sum(), torch.ones(1000)).result()

    found = measure_bytes(handed_over)
    assert (found.retained, found.left) == (FLOAT, 0)


@pytest.fixture
def served():
    """Calls a function in a thread that takes its work from a queue, and was there before."""
    work, done = queue.SimpleQueue(), queue.SimpleQueue()

    def serve():
        while (function := work.get()) is not None:
            done.put(function())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def call(function):
        work.put(function)
        return done.get()

    yield call
    work.put(None)
    thread.join()


def test_what_a_thread_does_that_cannot_be_entered_is_refused_and_never_0(served):
    with pytest.raises(Unseen, match="another thread worked") as refused:
        measure_bytes(lambda: served(here))
    assert "\n" not in str(refused.value)
    with pytest.raises(Unseen):
        limit_bytes(lambda: served(here), retained=10**9)


def test_without_torchs_record_of_all_threads_it_is_refused_too(served, monkeypatch):
    def older(**_):
        raise TypeError("no such argument")

    config = torch._C._profiler._ExperimentalConfig
    monkeypatch.setattr(
        torch._C._profiler, "_ExperimentalConfig", lambda **given: older() if given else config()
    )
    with pytest.raises(Unseen, match="another thread worked"):
        measure_bytes(lambda: served(here))
    assert measure_bytes(in_pool).retained == RETAINED


def test_a_thread_that_does_nothing_with_torch_is_no_reason_to_refuse(served):
    def call():
        served(lambda: sum(range(10_000)))
        return here()

    assert measure_bytes(call).retained == RETAINED


def test_a_torch_whose_profiler_runs_in_one_thread_alone_is_told(monkeypatch):
    def missing():
        raise AttributeError("no older profiler")

    monkeypatch.setattr(profiled_module, "_enable", missing)
    assert measure_bytes(here).retained == RETAINED
    with pytest.raises(Unseen, match="call the model in the caller's thread"):
        measure_bytes(in_pool)


def test_threads_are_as_they_were_when_bytes_have_been_counted():
    before = threading.Thread.start, ThreadPoolExecutor.submit
    measure_bytes(in_a_thread)
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before
    assert pool.submit(torch._C._autograd._top_saved_tensors_default_hooks, False).result() is None
    assert pool.submit(torch.autograd._profiler_enabled).result() is False


def ready(statement, setup="", per_call="", result="y", **shared):
    """A comparison, and a variant of it made by hand."""
    (comparison,) = plan_run(Request(workloads=("control",), sizes=("100",))).comparisons
    variant = Variant(
        "made", "-", "method", f"{LEAF}\n{setup}", statement, "", Expectation(), setup_per_call=per_call,
        result=result,
    )  # fmt: skip
    return comparison, ReadyVariant(variant, {**prepare(comparison), **shared})


def counted(statement, setup="", per_call="", result="y", **shared):
    comparison, made = ready(statement, setup, per_call, result, **shared)
    return measure_memory(made, comparison.id)


def test_a_run_counts_the_bytes_of_threads_and_says_that_there_are_some():
    found = counted("y = pool.submit(model, rows).result()", pool=pool, model=model, rows=x)
    assert (found.retained, found.graph, found.saved, found.threads) == (RETAINED, HIDDEN, SAVED, 2)


def test_a_timeline_and_a_long_call_have_the_bytes_of_threads_too():
    comparison, made = ready(
        "a = pool.submit(model, rows).result()\ny = a * a", pool=pool, model=model, rows=x
    )
    lines = follow(made, comparison.id).stretches
    assert [each.live[-1] for each in lines] == [RETAINED, RETAINED + OUT]
    watched = []
    long, timeline = measure_long(made, comparison.id, watched.append, repeats=True, by_line=True)
    assert timeline.stretches == lines
    assert (long.retained, long.threads) == (RETAINED + OUT, 2)
    # The dispatcher was watched in one thread alone, so nobody can be copied from it.
    assert watched[0].signature is watched[0].operators is None


def test_what_cannot_be_seen_is_an_error_of_the_variant_and_no_figure(served):
    comparison, made = ready("y = served(here)", served=served, here=here)
    with pytest.raises(Unseen):
        list(Counting(comparison, [made], None).of(made))


def test_of_long_calls_too_what_cannot_be_seen_is_refused_and_what_does_nothing_is_not(served):
    comparison, made = ready("y = served(here)", served=served, here=here)
    with pytest.raises(Unseen):
        measure_long(made, comparison.id, lambda _: False, repeats=False, by_line=False)
    with pytest.raises(Unseen):
        measure_once(made, comparison.id, by_line=False)
    _, quiet = ready("served(idle)\ny = here()", served=served, here=here, idle=lambda: sum(range(10_000)))
    memory, _ = measure_long(quiet, comparison.id, lambda _: False, repeats=False, by_line=False)
    assert memory.retained == RETAINED
    _, once, _ = measure_once(quiet, comparison.id, by_line=False)
    assert once.retained == RETAINED


# Gradients that stand.


def step(clears, net, rows):
    loss = net(rows).square().mean()
    loss.backward()
    net.zero_grad(set_to_none=clears)
    return loss


def test_gradients_that_stand_are_in_the_peak_and_those_that_are_released_are_not():
    none, zeros = (measure_bytes(partial(step, clears, two_layers(), x)) for clears in (True, False))
    assert (none.standing, zeros.standing) == (0, PARAMETERS)
    # The loss is a number.
    assert (none.retained, zeros.retained) == (FLOAT, PARAMETERS + FLOAT)
    assert none.allocated == zeros.allocated
    assert (none.left, zeros.left) == (0, 0)


MANY_PARAMETERS = (2 * 64 * 128 + 128 + 64) * FLOAT


def test_zeros_peak_higher_by_the_largest_new_gradient():
    """Of mostly parameters: gradients stand, and one more is made before it is added."""

    def net():
        return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64))

    rows = torch.rand(1, 64)
    none, zeros = (measure_bytes(partial(step, clears, net(), rows)) for clears in (True, False))
    largest = 64 * 128 * FLOAT
    # All activations of one row are less than this.
    activations = 20 * 128 * FLOAT
    assert MANY_PARAMETERS <= none.peak <= MANY_PARAMETERS + activations
    assert MANY_PARAMETERS + largest <= zeros.peak <= MANY_PARAMETERS + largest + activations


@pytest.mark.parametrize("name", ["set_to_none", "set_to_zero", "by_hand"])
def test_gradients_that_a_call_finds_and_clears_are_counted_in_by_every_way_of_clearing(name):
    comparisons = plan_run(Request(workloads=("zero_grad",), sizes=("small",))).comparisons
    (comparison,) = (each for each in comparisons if each.part == "step")
    shared = prepare(comparison)
    (variant,) = (each for each in comparison.variants if each.name == name)
    gradients = sum(each.numel() for each in shared["model"].parameters()) * FLOAT
    made = ReadyVariant(variant, shared)
    found = measure_memory(made, comparison.id)
    assert (found.standing, found.retained, found.graph) == (gradients, gradients + FLOAT, 0)
    # What is released before the forward is not there at its peak.
    assert (found.peak > gradients * 1.5) == (name == "set_to_zero")
    stretches = follow(made, comparison.id).stretches
    assert stretches[-1].live[-1] >= gradients
    assert max(level for each in stretches for level in each.live) == found.peak


def test_gradients_that_a_call_only_reads_are_an_input_as_parameters_are():
    (comparison,) = plan_run(Request(workloads=("update",), sizes=("small",))).comparisons
    shared = prepare(comparison)
    found = {
        each.name: measure_memory(ReadyVariant(each, shared), comparison.id)
        for each in comparison.variants
        if each.name in ("no_grad_alpha", "optimizer")
    }
    assert {(each.standing, each.peak) for each in found.values()} == {(0, 0)}


def test_gradients_of_others_and_those_made_for_a_call_do_not_stand():
    held = torch.ones(50, requires_grad=True)
    held.sum().backward()
    assert measure_bytes(lambda: held * 2.0).standing == 0
    found = counted("x.grad = None", per_call="x.grad = torch.ones_like(x)", result="")
    assert (found.standing, found.retained, found.left) == (0, -400, 0)


def test_gradients_that_add_up_stand():
    held = torch.ones(50, requires_grad=True)
    found = measure_bytes(lambda: held.sum().backward())
    assert (found.standing, found.retained) == (200, 200)


# What stays when the result is let go of.


def hooked(activations):
    made = two_layers()
    for layer in made:
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda module, inputs, output: activations.append(output))
    return made


def test_what_a_hook_puts_by_is_not_the_graphs():
    recorded = counted("y = model(rows)", model=hooked([]), rows=x)
    # Both outputs are in the list, and what the ReLU returned in the graph.
    assert (recorded.retained, recorded.left, recorded.graph) == (OUT + 2 * HIDDEN, OUT + HIDDEN, HIDDEN)
    assert (recorded.saved, recorded.cycles) == (SAVED, 0)
    plain = counted("with torch.no_grad():\n    y = model(rows)", model=hooked([]), rows=x)
    assert (plain.retained, plain.left, plain.graph, plain.saved) == (OUT + HIDDEN, OUT + HIDDEN, 0, 0)


def test_a_long_call_with_a_hook_is_counted_alike():
    comparison, made = ready("y = model(rows)", model=hooked([]), rows=x)
    for repeats in (True, False):
        found, _ = measure_long(made, comparison.id, lambda _: False, repeats=repeats, by_line=False)
        assert (found.left, found.graph, found.executions) == (OUT + HIDDEN, HIDDEN, 1 + repeats)


def test_what_is_in_the_graph_and_in_a_list_counts_once_as_left():
    kept = []

    def call():
        hidden = model[:2](x)
        kept.append(hidden.detach())
        return model[2](hidden)

    found = counted("y = call()", call=call)
    assert (found.retained, found.left, found.graph) == (RETAINED, HIDDEN, 0)
    assert measure_bytes(call).left == HIDDEN


def test_what_a_later_call_can_still_run_backward_through_is_whole_after_counting():
    states = [torch.zeros(ROWS, FEW)]

    def call():
        states.append(model(x + states[-1]))
        return states[-1]

    found = measure_bytes(call)
    assert found.left == OUT
    model.zero_grad()
    states[-1].sum().backward()
    assert all(each.grad.isfinite().all() for each in model.parameters())
    model.zero_grad()


def test_what_replaces_what_the_call_before_left_is_no_growth():
    last = {}

    def call():
        last["y"] = torch.ones(100) * 2.0
        return last["y"].sum()

    assert measure_bytes(call).left == 0


def test_what_the_first_call_fills_is_not_left_by_those_that_follow():
    cache = {}

    def call():
        if "made" not in cache:
            cache["made"] = torch.ones(1000)
        return cache["made"] * 2.0

    found = counted("y = call()", call=call)
    assert (found.left, found.retained, found.graph) == (0, 4000, 0)


def test_what_only_the_collector_frees_is_told_from_what_stays():
    class Output:
        def __init__(self, tensor):
            self.me, self.tensor = self, tensor

    found = counted("y = Output(x.detach() * 2.0).tensor[:50]", Output=Output)
    assert (found.left, found.cycles, found.retained, found.graph) == (0, 400, 400, 0)


def test_a_result_that_was_there_before_is_not_taken_off_the_graph():
    assert counted("y = held[:10]", held=torch.ones(100)).graph == 0


# What works under no hook.


def derivative():
    return torch.func.grad(lambda tensor: (tensor * tensor).sum())(torch.ones(100))


def test_under_torch_func_all_but_what_is_saved_is_known():
    found = counted("y = torch.func.grad(lambda tensor: (tensor * tensor).sum())(x.detach())")
    assert (found.saved, found.retained, found.graph, found.left) == (None, 400, 0, 0)
    # The square, its gradient and the sum are there at some time.
    assert 800 < found.peak <= found.allocated
    assert measure_bytes(derivative).saved is None


def test_a_limit_on_what_is_not_seen_is_one_clear_line():
    with pytest.raises(ValueError, match="limit retained, peak or allocated") as refused:
        limit_bytes(derivative, saved=1000)
    assert "\n" not in str(refused.value)
    limit_bytes(derivative, retained=400).check()
    with pytest.raises(AssertionError, match="bytes retained: 400, at most 399 allowed"):
        limit_bytes(derivative, retained=399).check()


def test_an_error_of_the_call_is_no_hook_that_is_refused():
    def fails():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        counted("y = fails()", fails=fails)


# What readers see of it.


def summary_of(**bytes_):
    made = results({"no_grad": 1.4}, request=Request(workloads=("elementwise",), sizes=("small",)))
    for name in ("requires_grad_false", "no_grad"):
        memory(made, name, peak=400, retained=400)
    memory(made, "tracked", peak=800, retained=800, graph=400, **bytes_)
    return summarise(made)


def test_what_is_not_seen_is_a_dash_for_every_reader():
    summary = summary_of(saved=None)
    (each,) = summary.comparisons
    tracked = each.variant("tracked")
    saved, left = (next(metric for metric in METRICS if metric.name == name) for name in ("saved", "left"))
    assert known(tracked, saved).value is None
    # Of a file that does not say it.
    assert known(tracked, left).value is None
    assert ",tracked,small,100,cpu,float32,saved,B,," in form("csv").write(summary)
    assert not [row for row in form("github-action").write(summary).splitlines() if "tracked: saved" in row]
    assert "| – |" in form("markdown").write(summary)
    found = bars(each)
    assert found.highest == 800
    assert {row.name: row.values for row in found.rows}["tracked"] == (800, None, 800)
    assert "saved bytes are not visible" in next(
        found.evidence for found in findings(summary) if "memory for the backward" in found.sentence
    )
    assert "Saved bytes are not visible for" in memory_notes(each)


def test_notes_say_what_stands_what_is_left_and_who_worked():
    (each,) = summary_of(saved=0, standing=4000, left=131072, cycles=64, threads=3).comparisons
    notes = memory_notes(each)
    label = each.variant("tracked").label
    for words in (
        f"{label}: peak and retained count 4,000 B",
        f"{label}: each call leaves 131 kB",
        f"{label}: 64 B are in reference cycles",
        f"{label}: other threads work too",
    ):
        assert words in notes
    (silent,) = summary_of(saved=0).comparisons
    assert memory_notes(silent) == ""


NET = """
import torch
model = torch.nn.Linear(8, 2)
x = torch.rand(4, 8)
def loss(y): return y.square().mean()
"""
FACTS = FileFacts((4, 8), "float32", "cpu", "float32", "float32", 18, 18, False, True, True, 0.1, 1e-3, 1e-3)


def findings_of(**bytes_):
    """What is told of a model in whose every part some variants have these bytes."""
    request = Request((NAME,), (), (), "cpu", "float32", 0, "quick")
    made = results({}, plan=plan_file("net.py", NET, FACTS, request))
    # The baseline of training in a whole step, and of its forward.
    for name in ("set_to_none", "tracked"):
        memory(made, name, **{"peak": 800, "graph": 400, **bytes_})
    memory(made, "set_to_zero", peak=1200, standing=400)
    return user_model_findings(summarise(made)), rendered(made)


def test_of_a_model_that_grows_memory_it_is_told():
    told, page = findings_of(left=131072)
    (left,) = (each for each in told if "behind" in each.sentence)
    assert left.sentence.startswith("A call of net.py leaves up to 131 kB behind")
    assert "each call leaves 131 kB that stay" in page
    assert not [each for each in findings_of(left=0)[0] if "behind" in each.sentence]


def test_of_a_model_that_works_in_threads_it_is_told():
    told, page = findings_of(threads=2)
    (threads,) = (each for each in told if "other threads" in each.sentence)
    assert "separate grad mode" in threads.sentence
    assert "other threads work too" in page
    assert not [each for each in findings_of(threads=1)[0] if "other threads" in each.sentence]


def test_the_step_says_what_stands_by_how_gradients_are_cleared():
    told, _ = findings_of()
    (step_,) = (each for each in told if each.sentence.startswith("A training step"))
    assert "800 B: model.zero_grad()" in step_.evidence
    assert "1,200 B: model.zero_grad(set_to_none=False)" in step_.evidence
    assert "zero_grad(set_to_none=False): peak and retained count 400 B of gradients" in step_.evidence


def test_of_a_model_under_no_hook_what_is_saved_is_not_seen():
    told, page = findings_of(saved=None)
    (recorded,) = (each for each in told if each.sentence.startswith("Recorded"))
    assert "keeps 400 B alive" in recorded.sentence
    assert "Bytes saved for backward are not visible" in recorded.evidence
    assert "None" not in page.partition("<tbody>")[2].partition("</tbody>")[0]


def test_a_figure_that_one_side_does_not_know_is_no_difference():
    one = Memory("c", "v", 1, 1, 1, 1, 0, None, None, "by hand")
    other = msgspec.structs.replace(one, saved=400, left=64)
    assert memory_differences(one, other) == ()
