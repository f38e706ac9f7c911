"""Bytes are equal to arithmetic: no tolerance anywhere.

A float32 tensor of N elements is 4N bytes, the unit of the tables below. What the graph keeps for
backward is what PyTorch's tools/autograd/derivatives.yaml names in the formula of each operation.
"""

import gc
import itertools
import warnings
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from simulated import Simulated

from gradbench.analyse.timeline import split
from gradbench.define.methods import METHODS
from gradbench.define.planner import plan_run
from gradbench.define.workloads import LEAF
from gradbench.measure import device_memory
from gradbench.measure import memory as memory_module
from gradbench.measure import profiled as profiled_module
from gradbench.measure.clock import Accelerator
from gradbench.measure.marked import Kept, Marked, let_go, storages_made
from gradbench.measure.memory import (
    Counted,
    Uncounted,
    Unrepeatable,
    follow,
    measure_call,
    measure_long,
    measure_memory,
    measure_once,
)
from gradbench.measure.profiled import Event
from gradbench.measure.threads import Unseen
from gradbench.measure.variant import ReadyVariant, prepare
from gradbench.record.plan import Expectation, Request, Variant

FIELDS = ("allocated", "allocations", "peak", "retained", "graph", "saved")

# As in a worker, unless it is told otherwise.
torch.set_num_threads(1)


def comparison_of(workload, size, dtype="float32"):
    (comparison,) = plan_run(Request(workloads=(workload,), sizes=(size,), dtype=dtype)).comparisons
    return comparison


def measured(workload, size, dtype="float32"):
    """By variant, what was measured; and the bytes of x."""
    comparison = comparison_of(workload, size, dtype)
    shared = prepare(comparison)
    found = {}
    for variant in comparison.variants:
        if variant.role != "empty":
            memory = measure_memory(ReadyVariant(variant, shared), comparison.id)
            assert (memory.comparison, memory.variant) == (comparison.id, variant.name)
            found[variant.name] = tuple(getattr(memory, field) for field in FIELDS)
    return found, shared["base"].untyped_storage().nbytes()


def measured_by_hand(statement, setup="", numel="100", shared=None):
    comparison = comparison_of("control", numel)
    variant = Variant("made", "-", "method", f"{LEAF}\n{setup}", statement, "", Expectation())
    memory = measure_memory(ReadyVariant(variant, {**prepare(comparison), **(shared or {})}), comparison.id)
    return tuple(getattr(memory, field) for field in FIELDS)


def in_bytes(units, unit):
    """A row of a table: all but the number of allocations are multiples of the unit."""
    return tuple(
        each if field == "allocations" else each * unit for field, each in zip(FIELDS, units, strict=True)
    )


# exp(sin(x ** 2)) makes three tensors: a = x², b = sin a, y = exp b.
# Recorded: pow keeps x, sin keeps a, exp keeps y; b is free once y exists. All three new tensors are live
# at the peak; a and y stay, of which y is the result; and the graph holds x, a and y.
CHAIN_RECORDED = (3, 3, 3, 2, 1, 3)
# Not recorded: each is free once the next exists, so two are live at the peak, and y stays.
CHAIN_PLAIN = (3, 3, 2, 1, 0, 0)
# Recorded, then detached: the peak of the one, and what stays of the other.
CHAIN_DROPPED = (3, 3, 3, 1, 0, 0)
# A copy of x comes before: one more tensor, which is free once a exists, so the peak stays at two.
CHAIN_COPIED = (4, 4, 2, 1, 0, 0)

# x @ w makes one tensor; to differentiate by x, mm keeps w, which is as large as x, and not x.
MATMUL_RECORDED = (1, 1, 1, 1, 0, 1)
MATMUL_PLAIN = (1, 1, 1, 1, 0, 0)
MATMUL_COPIED = (2, 2, 2, 1, 0, 0)

# No method allocates by itself, but the one that copies: a view of x is on the storage of x.
CONTROL = (0, 0, 0, 0, 0, 0)
CONTROL_COPIED = (1, 1, 1, 1, 0, 0)

PLAIN_METHODS = {method.name for method in METHODS} - {"tracked", "detach_after", "detach_clone"}
PLAIN_VARIANTS = {*PLAIN_METHODS, "twin", "twin_own_buffer"}


@pytest.mark.parametrize("size", ["1", "2", "small", "medium", "large"])
def test_the_chain_keeps_what_its_derivatives_need_and_nothing_else(size):
    found, unit = measured("chain", size)
    expected = dict.fromkeys(PLAIN_VARIANTS, CHAIN_PLAIN) | {
        "tracked": CHAIN_RECORDED,
        "detach_after": CHAIN_DROPPED,
        "detach_clone": CHAIN_COPIED,
    }
    assert found == {name: in_bytes(units, unit) for name, units in expected.items()}


@pytest.mark.parametrize("size", ["1", "small", "medium", "large"])
def test_a_matrix_product_keeps_the_other_factor(size):
    found, unit = measured("matmul", size)
    expected = dict.fromkeys(PLAIN_VARIANTS, MATMUL_PLAIN) | {
        "tracked": MATMUL_RECORDED,
        "detach_after": MATMUL_PLAIN,
        "detach_clone": MATMUL_COPIED,
    }
    assert found == {name: in_bytes(units, unit) for name, units in expected.items()}


@pytest.mark.parametrize("size", ["1", "small", "medium", "large"])
def test_a_control_alone_allocates_nothing_unless_it_copies(size):
    found, unit = measured("control", size)
    expected = dict.fromkeys(PLAIN_VARIANTS, CONTROL) | {"detach_clone": CONTROL_COPIED}
    assert found == {name: in_bytes(units, unit) for name, units in expected.items()}


@pytest.mark.parametrize(("dtype", "cast"), [("float32", 4), ("float64", 0), ("bfloat16", 2)])
@pytest.mark.parametrize("size", ["1", "small", "medium", "large"])
def test_a_multiplication_pays_for_its_result_and_for_its_number(size, dtype, cast):
    # The Python number 2.0 becomes a float64 tensor of no dimension, 8 bytes, and where x is of another
    # dtype a copy in that dtype: a number does not promote a tensor of its own category.
    # To differentiate by x, mul keeps the number: 8 bytes of graph. They are not among the saved, since
    # PyTorch shows no wrapped number to the hooks (torch/csrc/autograd/saved_variable.cpp).
    found, unit = measured("elementwise", size, dtype)
    number = 8
    allocations = 3 if cast else 2
    everything = unit + number + cast
    plain = (everything, allocations, everything, unit, 0, 0)
    expected = dict.fromkeys(PLAIN_VARIANTS, plain) | {
        "tracked": (everything, allocations, everything, unit + number, number, 0),
        "detach_after": plain,
        "detach_clone": (everything + unit, allocations + 1, everything + unit, unit, 0, 0),
    }
    assert found == expected


def test_twice_as_wide_a_dtype_takes_twice_the_bytes():
    single, double = (measured("chain", "small", dtype)[0] for dtype in ("float32", "float64"))
    for name, units in single.items():
        assert double[name] == in_bytes(units, 2)


@pytest.mark.parametrize(
    ("statement", "units"),
    [
        # mul keeps both factors, which are one storage.
        ("y = x * x", (1, 1, 1, 1, 0, 1)),
        # Two views of one storage are one storage; the result is half as large.
        ("y = x[:50] * x[50:]", (0.5, 1, 0.5, 0.5, 0, 1)),
        # Nothing on x is needed to differentiate a sum of tensors.
        ("y = x + x", (1, 1, 1, 1, 0, 0)),
        # exp keeps its own result, which would keep itself if it were held as a tensor.
        ("y = x.exp()", (1, 1, 1, 1, 0, 1)),
        # What is made and dropped is allocated, and neither live at the end nor kept.
        ("x.exp()", (1, 1, 1, 0, 0, 0)),
        ("z = x.detach().exp().exp()\ndel z", (2, 2, 2, 0, 0, 0)),
        ("a = x.detach().exp()\nb = x.detach().exp()\ndel a, b\ny = x.detach().exp()", (3, 3, 2, 1, 0, 0)),
        ("y = x.detach()[:10]", (0, 0, 0, 0, 0, 0)),
    ],
)
def test_a_storage_counts_once_for_as_long_as_it_lives(statement, units):
    assert measured_by_hand(statement) == in_bytes(units, 400)


def test_a_statement_that_allocates_otherwise_each_time_is_not_given_a_figure():
    with pytest.raises(Unrepeatable, match="expected the same"):
        measured_by_hand("y = torch.empty(next(sizes))", shared={"sizes": itertools.count(1)})


@pytest.mark.parametrize(
    ("statement", "units"),
    [
        ("a = x.detach().exp()\ny = a.exp()", (2, 2, 2, 1, 0, 0)),
        # Each exp keeps its own result.
        ("a = x.exp()\ny = a.exp()", (2, 2, 2, 2, 1, 2)),
    ],
)
def test_a_statement_may_name_what_it_makes_on_the_way(statement, units):
    assert measured_by_hand(statement) == in_bytes(units, 400)


def test_measuring_leaves_no_result_and_no_mode_behind():
    comparison = comparison_of("chain", "small")
    shared = prepare(comparison)
    before = shared["base"].clone()
    for variant in comparison.variants:
        ready = ReadyVariant(variant, shared)
        measure_memory(ready, comparison.id)
        assert ready.x is None or ready.x.grad is None
    assert torch.equal(shared["base"], before)
    assert torch.is_grad_enabled()
    assert torch.exp(torch.ones(1, requires_grad=True)).grad_fn is not None


def part_of(workload, part, size="small"):
    comparisons = plan_run(Request(workloads=(workload,), sizes=(size,))).comparisons
    (comparison,) = (each for each in comparisons if each.part == part)
    shared = prepare(comparison)
    return comparison, {variant.name: ReadyVariant(variant, shared) for variant in comparison.variants}


def test_what_feeds_a_statement_is_not_counted_and_its_release_is():
    comparison = comparison_of("control", "100")
    # The feed makes two tensors; the statement lets go of one and makes one of half the size.
    variant = Variant(
        "made", "-", "method", LEAF, "a.clear()\ny = x.detach()[:50].clone()", "", Expectation(),
        setup_per_call="a = [x.detach().clone()]\nb = x.detach().clone()",
    )  # fmt: skip
    memory = measure_memory(ReadyVariant(variant, prepare(comparison)), comparison.id)
    assert (memory.allocated, memory.allocations) == (200, 1)
    assert (memory.peak, memory.retained, memory.graph) == (0, -200, -400)


def test_a_result_that_is_computed_for_the_check_alone_is_not_counted():
    comparison = comparison_of("control", "100")
    variant = Variant("made", "-", "method", LEAF, "z = x.detach()", "", Expectation(), result="z.clone()")
    memory = measure_memory(ReadyVariant(variant, prepare(comparison)), comparison.id)
    assert (memory.allocated, memory.peak, memory.retained) == (0, 0, 0)


# Of the chain the graph saves x, its square (for the sine) and the result: 400 bytes each.
def test_a_backward_that_retains_the_graph_keeps_what_it_saved():
    comparison, ready = part_of("retain", "")
    once, retain = (measure_memory(ready[name], comparison.id) for name in ("once", "retain"))
    assert (once.saved, retain.saved) == (0, 1200)
    # What is released is x² alone: x is the variant's, and the result is held by the setup of the statement.
    assert retain.retained - once.retained == 400


def test_a_running_loss_with_its_history_keeps_what_every_step_saved():
    comparison, ready = part_of("accumulate", "evaluation")
    kept = {
        name: measure_memory(ready[name], comparison.id).retained for name in ("tracked", "detach", "item")
    }
    # Each of 1,000 steps squares x, 400 bytes that its sine saves; the sum itself is 4, and a number is none.
    assert kept == {"tracked": 1000 * 400 + 4, "detach": 4, "item": 0}


def test_a_fused_function_keeps_at_most_one_tensor_beside_input_and_output():
    comparison, ready = part_of("custom", "forward")
    kept = {name: measure_memory(ready[name], comparison.id).graph for name in ready if name != "empty"}
    assert kept["composed"] == 400
    assert 0 <= kept["fused"] <= 400
    assert 0 <= kept.get("fused_native", 0) <= 400


def test_a_timeline_follows_the_bytes_line_by_line():
    comparison = comparison_of("control", "100")
    variant = Variant(
        "made", "-", "method", LEAF,
        "y = x.detach().clone()\nz = y.clone()\nwith torch.no_grad():\n    y = None\n    w = z.clone()", "",
        Expectation(),
    )  # fmt: skip
    found = follow(ReadyVariant(variant, prepare(comparison)), comparison.id)
    assert [stretch.live for stretch in found.stretches] == [(400,), (800,), (400, 800)]
    assert found.stretches[1].code == "z = y.clone()"


def test_a_frozen_backbone_keeps_less_for_backward_than_one_that_is_trained():
    comparison, ready = part_of("freeze", "training")
    kept = {name: split(follow(ready[name], comparison.id)) for name in ("tracked", "no_grad", "detach")}
    # The features of 8 samples, 256 float32 each, twice: after each of the two ReLUs.
    hidden = 8 * 256 * 4
    assert kept["tracked"].kept - kept["no_grad"].kept == hidden
    assert kept["no_grad"].kept == kept["detach"].kept
    assert kept["no_grad"].forward < kept["detach"].forward


def test_garbage_of_others_is_not_counted_among_a_variants_releases():
    class Held:
        """Holds a tensor, and itself, so that only the collector releases it."""

        def __init__(self):
            self.me, self.tensor = self, torch.empty(1000)

    comparison = comparison_of("control", "100")
    # Each call leaves garbage, and would have the collector run if it were on.
    variant = Variant(
        "made",
        "-",
        "method",
        LEAF,
        "Held()\nz = [[] for _ in range(5000)]\ny = x.detach()",
        "",
        Expectation(),
    )
    before = gc.get_threshold()
    gc.set_threshold(100, 1, 1)
    try:
        memory = measure_memory(ReadyVariant(variant, {**prepare(comparison), "Held": Held}), comparison.id)
    finally:
        gc.set_threshold(*before)
    assert gc.isenabled()
    assert (memory.allocated, memory.allocations, memory.retained) == (4000, 1, 4000)


def test_the_fused_function_keeps_nothing_for_a_backward_that_cannot_come():
    comparison, _ = part_of("custom", "forward")
    variant = Variant(
        "made", "-", "method", LEAF, "with torch.no_grad():\n    y = exp_sin_square(x)", "", Expectation()
    )
    memory = measure_memory(ReadyVariant(variant, prepare(comparison)), comparison.id)
    assert (memory.allocated, memory.allocations) == (400, 1)


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_off_while_bytes_are_counted_and_then_as_it_was(on):
    was = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with profiled_module.uncollected():
            assert not gc.isenabled()
        assert gc.isenabled() == on
    finally:
        (gc.enable if was else gc.disable)()


def test_of_the_profilers_warnings_that_of_a_forgotten_cycle_alone_is_not_heard():
    @contextmanager
    def profiler(said):
        warnings.warn(said, UserWarning, stacklevel=2)
        yield

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with profiled_module.started(profiler("Warning: Profiler clears events at the end of each cycle.")):
            pass
        assert heard == []
        with profiled_module.started(profiler("another")):
            pass
        assert [str(each.message) for each in heard] == ["another"]


def test_a_result_has_no_storage_of_x_and_is_not_held():
    made, base = torch.ones(3), torch.ones(3)
    found = storages_made([made, [made[:1], base]], base)
    assert list(found.values()) == [12]
    assert not any(each.expired() for each in found)
    del made
    assert all(each.expired() for each in found)


def on_device(statement):
    """What is counted of a statement on a simulated accelerator."""
    device = Simulated()
    ready = SimpleNamespace(
        variant=SimpleNamespace(name="a"), x=None, set_up_call=dict, run_and_keep=lambda _: statement(device)
    )
    return memory_module.measure_memory(ready, "c", Accelerator("cuda:0", device))


def test_on_a_device_what_stays_is_told_from_what_the_result_held():
    found = on_device(lambda device: [device.allocate(400), device.allocate(100)][:1])
    assert (found.allocated, found.peak, found.retained, found.graph, found.left) == (500, 500, 400, 0, 0)
    kept = []

    def keeps(device):
        kept.append(device.allocate(100))
        return [device.allocate(400)]

    found = on_device(keeps)
    assert (found.retained, found.graph, found.left, found.cycles) == (500, 0, 100, 0)


def test_a_record_has_every_figure_in_its_field():
    counted = Counted(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    found = counted.record(SimpleNamespace(variant=SimpleNamespace(name="a")), "c", 11, 12, "source", 13)
    assert (found.comparison, found.variant, found.source) == ("c", "a", "source")
    assert (found.allocated, found.allocations, found.peak, found.retained, found.graph) == (1, 2, 3, 4, 5)
    assert (found.standing, found.left, found.cycles, found.threads) == (6, 7, 8, 9)
    assert (found.peak_blocks, found.saved, found.resident, found.executions) == (10, 11, 12, 13)
    assert (Counted(1, 2, 3, 4, 5).threads, Counted(1, 2, 3, 4, 5).peak_blocks) == (1, None)
    assert (Counted(1, 2, 3, 4, 5).standing, Counted(1, 2, 3, 4, 5).left, Counted(1, 2, 3, 4, 5).cycles) == (
        0,
    ) * 3


def taken(*sizes, own=0, standing=0, over=0, threads=1):
    events = [Event(time, size) for time, size in enumerate(sizes, 1)]
    return memory_module._Taken(events, own, standing, over, threads, False)


def test_the_levels_of_an_execution_are_the_most_at_once_and_what_is_live_at_its_end():
    assert taken(400, 800, -400, 100).levels == (1200, 900)
    # What was there before is released.
    assert taken(-400, 100).levels == (0, -300)
    assert taken().levels == (0, 0)


def test_executions_are_the_same_in_order_or_in_threads_in_any_order():
    same = memory_module._expect_same
    same(taken(400, 100), taken(400, 100))
    same(taken(400, 100, threads=2), taken(100, 400, threads=2))
    for one, other in (
        (taken(400, 100), taken(100, 400)),
        (taken(400), taken(400, 400)),
        (taken(400, 100, threads=2), taken(400, 200, threads=2)),
    ):
        with pytest.raises(
            Unrepeatable, match=r"^two executions allocated \[.*\] and \[.*\] bytes; expected the"
        ):
            same(one, other)
    for what, field in (("found gradients of", "standing"), ("left", "over"), ("gave a result of", "own")):
        with pytest.raises(Unrepeatable, match=f"^two executions {what} 8 and 12 bytes; expected the same$"):
            same(taken(400, **{field: 8}), taken(400, **{field: 12}))


def test_the_figures_are_of_the_last_execution_and_the_peak_is_the_highest():
    def unasked():
        pytest.fail("nothing stays")

    first, last = taken(400, 800, -800, threads=2, own=100), taken(400, -400, 800, -400, own=100, standing=50)
    assert memory_module._figures((first, last), unasked) == Counted(
        allocated=1200, allocations=2, peak=1250, retained=450, graph=300, standing=50, threads=2
    )
    kept = Kept(7, 8, 9)
    found = memory_module._figures((taken(400, over=1),), lambda: kept)
    assert (found.graph, found.left, found.cycles, found.threads) == (7, 8, 9, 1)


def test_events_are_of_the_line_in_which_they_end_and_the_last_line_has_the_rest():
    events = [Event(1, 400), Event(5, -400), Event(6, 100), Event(9, 8), Event(12, -8)]
    found = memory_module._stretches(["a", "b", "c"], events, [5, 5, 9], 50)
    assert [(each.code, each.live) for each in found] == [
        ("a", (450, 50)),
        ("b", ()),
        ("c", (150, 158, 150)),
    ]


def test_of_a_long_call_the_lines_have_the_bytes_until_the_last_of_them_ends():
    profile = SimpleNamespace(ends_of_lines=lambda begin, count: {(7, 2): [5, 9]}[begin, count])
    marked = Marked(6, 7, 8, 9, 10, 11, 0, 0)
    events = [Event(5, 400), Event(9, 8), Event(10, -8)]
    taken = memory_module._Taken(events, 0, 50, 0, 1, False)
    ready = SimpleNamespace(variant=SimpleNamespace(name="v"))
    for holds, last in ((False, (458,)), (True, (458, 450))):
        statement = SimpleNamespace(lines=["a", "b"], holds=holds)
        found = memory_module._timeline(ready, "c", statement, profile, marked, taken)
        assert (found.comparison, found.variant) == ("c", "v")
        assert [(each.code, each.live) for each in found.stretches] == [("a", (450,)), ("b", last)]


def test_what_is_let_go_of_is_the_graphs_or_the_collectors_or_stays():
    live = {"done": 1000, "released": 700, "over": 500, "collected": 350}
    marked = Marked("start", "begin", "done", "released", "over", "collected", 100, 0)
    found = let_go(marked, live.get, None, "cpu")
    assert found == (200, 350, 150)
    saved = SimpleNamespace(bytes_of_graph_alone={"cuda:0": 30}.get)
    assert let_go(marked, live.get, saved, "cuda:0") == (230, 320, 150)


def counters(allocated=0, allocations=0, live=0, peak=0, blocks=0, blocks_peak=0):
    return {
        "requested_bytes.all.allocated": allocated,
        "allocation.all.allocated": allocations,
        "requested_bytes.all.current": live,
        "requested_bytes.all.peak": peak,
        "allocated_bytes.all.current": blocks,
        "allocated_bytes.all.peak": blocks_peak,
    }


def test_the_counters_of_a_device_are_taken_from_begin_to_done():
    start, over = counters(live=10), counters(live=17)
    begin = counters(allocated=100, allocations=3, live=20, blocks=512)
    done = counters(allocated=900, allocations=8, live=120, peak=420, blocks_peak=2560)
    marked = Marked(start, begin, done, done, over, over, 30, 5)
    assert device_memory._between(marked) == Counted(
        allocated=800, allocations=5, peak=405, retained=105, graph=70, standing=5, left=7, peak_blocks=2048
    )


def test_executions_on_a_device_are_compared_without_their_blocks_and_in_threads_without_their_peak():
    counted = Counted(1, 2, 3, 4, 5, peak_blocks=6)
    assert device_memory._comparable(counted, 1) == Counted(1, 2, 3, 4, 5, peak_blocks=0)
    assert device_memory._comparable(counted, 2) == Counted(1, 2, 0, 4, 5, peak_blocks=0)


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        (counters(), True),
        (counters(live=8, blocks=512), True),
        (counters(blocks=512), False),
        ({"allocated_bytes.all.current": 0, "requested_bytes.all.current": 0}, False),
    ],
)
def test_an_allocator_counts_where_it_has_requested_bytes_for_the_blocks_that_it_gave(found, counts):
    done = []
    accelerator = SimpleNamespace(synchronize=lambda: done.append(True), statistics=lambda: found)
    if counts:
        assert device_memory._counters(accelerator) == found
    else:
        with pytest.raises(
            Uncounted, match=r"^expected torch's own allocator, which .* \(PYTORCH_CUDA_ALLOC_CONF"
        ):
            device_memory._counters(accelerator)
    assert done == [True]


def test_what_the_setup_of_a_call_returns_is_passed_and_is_not_counted():
    counted, saved = measure_call(lambda made: made * 2.0, lambda: torch.ones(100, requires_grad=True))
    # The result; and the number 2.0, once as float64 and once as float32, of which the graph keeps the first.
    assert (counted.allocated, counted.retained, counted.graph, saved) == (412, 408, 8, 0)
    counted, _ = measure_call(lambda: torch.ones(100))
    assert (counted.allocated, counted.allocations, counted.left) == (400, 1, 0)


def test_a_call_on_a_device_has_the_bytes_of_the_device():
    device = Simulated()
    counted, saved = measure_call(
        lambda made: [made, device.allocate(100)], lambda: device.allocate(400), Accelerator("cuda:0", device)
    )
    assert (counted.allocated, counted.allocations, counted.peak, counted.retained) == (100, 1, 100, 100)
    assert (counted.peak_blocks, saved) == (512, 0)


def test_resident_memory_is_its_growth_with_the_result_held(monkeypatch):
    made, held, sizes = [], [], iter([5 << 20, 8 << 20])

    def info():
        held.append([each() is not None for each in made])
        return SimpleNamespace(rss=next(sizes))

    def run(per_call):
        assert per_call == {"z": 1}
        result = torch.ones(3)
        made.append(weakref.ref(result))
        return [result]

    monkeypatch.setattr(memory_module.psutil, "Process", lambda: SimpleNamespace(memory_info=info))
    ready = SimpleNamespace(set_up_call=lambda: {"z": 1}, run_and_keep=run)
    assert memory_module._resident(ready) == 3 << 20
    # Before it was made, and after.
    assert held == [[], [True]]


def test_a_timeline_on_a_device_begins_with_what_stands_and_goes_on_from_line_to_line():
    device, kept = Simulated(), []
    kept.append(device.allocate(64))

    def by_line(within, names):
        with within(0):
            big = device.allocate(1000)
            names["a"] = device.allocate(100)
            del big
        # Between two lines nothing is counted.
        kept.append(device.allocate(7))
        with within(1):
            names["b"] = device.allocate(50)
        return ["one", "two"], names

    ready = SimpleNamespace(variant=SimpleNamespace(name="a"), x=None, set_up_call=dict, run_by_line=by_line)
    found = follow(ready, "c", Accelerator("cuda:0", device))
    assert (found.comparison, found.variant) == ("c", "a")
    assert [(each.code, each.live) for each in found.stretches] == [("one", (1100, 100)), ("two", (150, 150))]


class Ring:
    """Holds a tensor of 100 numbers, and itself, so that only the collector releases it."""

    def __init__(self):
        self.me, self.tensor = self, torch.empty(100)


# Of x in 400 bytes: allocated, allocations, peak, retained, graph and saved; what stands, is left, and is
# left to the collector.
ALIKE = {
    # Each exp keeps its own result.
    "recorded": ("a = x.exp()\ny = a.exp()", (800, 2, 800, 800, 400, 800), (0, 0, 0)),
    "not recorded": ("a = x.detach().exp()\na = a.exp()\ny = a", (800, 2, 800, 400, 0, 0), (0, 0, 0)),
    "kept elsewhere": (
        "kept.append(x.detach().clone())\ny = x.exp()",
        (800, 2, 800, 800, 0, 400),
        (0, 400, 0),
    ),
    "in a ring": ("Ring()\ny = x.exp()", (800, 2, 800, 800, 0, 400), (0, 0, 400)),
    # A gradient stands, and the new one is there before it is added; the loss is a number.
    "gradients": (
        "y = (x * x).sum()\ny.backward()",
        None,
        (400, 0, 0),
    ),
}


@pytest.mark.parametrize(("statement", "six", "stays"), ALIKE.values(), ids=ALIKE)
def test_a_long_call_has_the_bytes_of_a_short_one_in_fewer_executions(statement, six, stays):
    comparison = comparison_of("control", "100")
    variant = Variant("made", "-", "method", f"{LEAF}\n", statement, "", Expectation(), result="y")

    def ready():
        return ReadyVariant(variant, {**prepare(comparison), "kept": [], "Ring": Ring})

    short = measure_memory(ready(), comparison.id)
    twice, lines = measure_long(ready(), comparison.id, lambda _: False, repeats=True, by_line=True)
    alone, nothing = measure_long(ready(), comparison.id, lambda _: False, repeats=False, by_line=False)
    observed, once, same_lines = measure_once(ready(), comparison.id, by_line=True)
    _, unlined, _ = measure_once(ready(), comparison.id, by_line=False)
    assert nothing is None
    names = (*FIELDS, "standing", "left", "cycles")
    found = {tuple(getattr(each, name) for name in names) for each in (short, twice, alone, once, unlined)}
    assert len(found) == 1
    (figures,) = found
    assert six is None or figures[:6] == six
    assert figures[6:] == stays
    executions = [each.executions for each in (short, twice, alone, once, unlined)]
    assert executions == [2, 2, 1, 1, 1]
    assert {each.source for each in (short, twice, alone, once)} == {memory_module.SOURCE}
    assert (twice.resident is None, once.resident) == (False, observed.resident)
    assert observed.saved == once.saved
    # The lines have the same bytes, from what stands to what the names hold.
    for timeline in (lines, same_lines):
        assert [each.code for each in timeline.stretches] == statement.splitlines()
        assert max(level for each in timeline.stretches for level in each.live) == short.peak
    assert lines.stretches == same_lines.stretches
    assert (lines.comparison, lines.variant) == (comparison.id, "made")


def test_bytes_that_are_known_are_not_counted_again():
    comparison = comparison_of("control", "100")
    variant = Variant("made", "-", "method", f"{LEAF}\n", "y = x.exp()", "", Expectation())
    ready, seen = ReadyVariant(variant, prepare(comparison)), []

    def known(observed):
        seen.append(observed.saved)
        return True

    assert measure_long(ready, comparison.id, known, repeats=True, by_line=True) is None
    assert seen == [400]


def test_work_that_was_not_seen_is_refused_with_what_is_seen(monkeypatch):
    calls = []
    ready = SimpleNamespace(set_up_call=lambda: {"z": 1}, run_and_keep=calls.append)

    def worked(call):
        call()
        return len(calls) == 1

    monkeypatch.setattr(memory_module, "worked_unseen", worked)
    with pytest.raises(Unseen) as refused:
        memory_module._expect_seen(ready)
    assert str(refused.value) == (
        "expected work in the caller's thread, in an executor of concurrent.futures or in threads that the "
        "call starts; another thread worked, where bytes are not seen: work in one of these"
    )
    memory_module._expect_seen(ready)
    assert calls == [{"z": 1}] * 2
