"""A variant runs what it shows: its setup once, its statement exactly n times, on the inputs it was given."""

import contextlib
import weakref
from types import SimpleNamespace

import msgspec
import numpy
import pytest
import torch

from gradbench.define.dtypes import DTYPES
from gradbench.define.planner import plan_run
from gradbench.define.workloads import WORKLOADS
from gradbench.measure import variant as variants
from gradbench.measure.variant import ReadyVariant, expected_answer, prepare
from gradbench.record.plan import Expectation, Request, Variant


def make_variant(statement, setup="", probe="", **changes):
    return Variant("made", "made by hand", "method", setup, statement, probe, Expectation(), **changes)


def comparison_of(workload="elementwise", size="8", part="", **request):
    comparisons = plan_run(Request(workloads=(workload,), sizes=(size,), **request)).comparisons
    (comparison,) = (each for each in comparisons if each.part == part)
    return comparison


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_a_batch_of_n_runs_the_statement_once_more_than_n_times_and_the_setup_never(n):
    done = []
    ready = ReadyVariant(make_variant("done.append('call')", setup="done.append('setup')"), {"done": done})
    ready.batch(n)
    assert done == ["setup"] + ["call"] * (1 + n)


def test_every_line_of_a_statement_is_in_the_loop():
    done = []
    ready = ReadyVariant(
        make_variant("if done is not None:\n    done.append(1)\ndone.append(2)"), {"done": done}
    )
    ready.batch(2)
    assert done == [1, 2] * 3


def test_a_batch_returns_the_nanoseconds_of_n_calls_after_one_that_is_not_timed(monkeypatch):
    done, clock = [], iter([1_000, 4_500])

    def perf_counter_ns():
        done.append("clock")
        return next(clock)

    monkeypatch.setattr(variants, "time", SimpleNamespace(perf_counter_ns=perf_counter_ns))
    assert ReadyVariant(make_variant("done.append('call')"), {"done": done}).batch(2) == 3_500
    assert done == ["call", "clock", "call", "call", "clock"]


@pytest.mark.parametrize(
    "statement",
    [
        "y = make()",
        "a = make()\ny = a",
    ],
)
def test_a_result_is_freed_before_the_next_call_and_before_the_clock_stops(monkeypatch, statement):
    made, alive = [], []

    class Result:
        pass

    def count():
        alive.append(sum(each() is not None for each in made))
        return 0

    def make():
        count()
        result = Result()
        made.append(weakref.ref(result))
        return result

    monkeypatch.setattr(variants, "time", SimpleNamespace(perf_counter_ns=count))
    ReadyVariant(make_variant(statement), {"make": make}).batch(3)
    assert alive == [0, 0, 0, 0, 0, 0]


def test_the_names_that_a_statement_reads_are_locals_of_the_loop():
    seen = []
    ReadyVariant(make_variant("seen.append((x, 'x' in locals()))", setup="x = 7"), {"seen": seen}).batch(1)
    assert seen == [(7, True)] * 2


def test_the_empty_variant_loops_over_nothing():
    comparison = comparison_of()
    (empty,) = (variant for variant in comparison.variants if variant.role == "empty")
    ready = ReadyVariant(empty, prepare(comparison))
    assert ready.x is None
    assert ready.run() is None
    assert type(ready.batch(10)) is int
    assert ready.batch(10) >= 0


def test_a_run_returns_its_own_result_and_never_an_older_one():
    flags = [False, True, False]
    ready = ReadyVariant(make_variant("if flags.pop(0):\n    y = 'made'"), {"flags": flags})
    assert [ready.run(), ready.run(), ready.run()] == [None, "made", None]


def test_a_run_does_not_take_a_name_of_its_setup_for_its_result():
    assert ReadyVariant(make_variant("pass", setup="y = 'set up'"), {}).run() is None


def test_a_probe_sees_the_setup_and_leaves_the_variant_alone():
    ready = ReadyVariant(make_variant("y = x", setup="x = 1", probe="x = x + 1\ny = x"), {})
    assert ready.run_probe() == 2
    assert ready.run() == 1


def test_a_setup_cannot_change_what_other_variants_share():
    shared = {"base": torch.zeros(2)}
    ReadyVariant(make_variant("y = base", setup="base = base + 1"), shared)
    assert ReadyVariant(make_variant("y = base"), shared).run().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: f"{each.name}.{each.part}")
def test_inputs_have_the_shape_and_dtype_that_were_asked_and_values_from_0_to_1(workload, dtype):
    if workload.dtypes and dtype not in workload.dtypes:
        pytest.skip("the workload is not measured in this dtype")
    comparison = comparison_of(workload.name, "512", dtype=dtype, part=workload.part)
    shared = prepare(comparison)
    assert {"base", *workload.inputs} <= set(shared)
    assert tuple(shared["base"].shape) == comparison.shape == workload.shape(512)
    assert 0 <= float(shared["base"].min()) < float(shared["base"].max()) < 1
    tensors = [each for each in shared.values() if isinstance(each, torch.Tensor)]
    modules = [each for each in shared.values() if isinstance(each, torch.nn.Module)]
    for each in [*tensors, *(parameter for module in modules for parameter in module.parameters())]:
        assert each.dtype is getattr(torch, dtype) or not each.is_floating_point()
        assert each.is_contiguous()
    assert not any(each.requires_grad for each in tensors)


def test_inputs_depend_on_the_seed_and_on_nothing_else():
    first = prepare(comparison_of("matmul", "100", seed=1))
    torch.rand(3)
    again, other = (prepare(comparison_of("matmul", "100", seed=seed)) for seed in (1, 2))
    for name in ("base", "w"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    assert not torch.equal(first["base"], first["w"])


def test_the_answer_is_numpys_in_double_precision_whatever_the_variant_computes_in():
    comparison = comparison_of("chain", dtype="bfloat16")
    base = torch.tensor([0.0, 0.5, 1.0], dtype=torch.bfloat16)
    answer = expected_answer(comparison, comparison.baseline, {"base": base}).numpy()
    assert answer.dtype == numpy.float64
    # exp(sin(x²)) at 0, 0.5 and 1, from tables: sin 0.25 = 0.247404, sin 1 = 0.841471.
    assert answer == pytest.approx([1.0, 1.2806967, 2.3197768], rel=1e-6)


class Log(list):
    """Tells in which order things were called; stands for something that takes no time."""

    def __call__(self, what):
        self.append(what)


def test_a_feed_runs_before_every_call_of_the_batch_and_outside_the_clock(monkeypatch):
    log, now = Log(), [0]

    def clock():
        log("clock")
        now[0] += 7
        return now[0]

    monkeypatch.setattr(variants, "time", SimpleNamespace(perf_counter_ns=clock))
    ready = ReadyVariant(make_variant("log('call')", setup_per_call="log('setup_per_call')"), {"log": log})
    # Between two readings of this clock 7 ns pass: one such pair for each of three calls.
    assert ready.batch(3) == 21
    assert log == ["setup_per_call", "call"] + 3 * ["setup_per_call", "clock", "call", "clock"]


def test_what_a_feed_makes_is_there_for_one_call_and_gone_before_the_next():
    seen = []
    ready = ReadyVariant(
        make_variant("seen.append(made)\ny = made", setup_per_call="made = object()"), {"seen": seen}
    )
    ready.batch(2)
    assert len(set(map(id, seen))) == 3
    assert ready.run() is seen[-1]


def test_a_result_may_be_an_expression_and_what_it_is_made_of_is_kept_without_computing_it():
    ready = ReadyVariant(make_variant("y = [x, x + 1]", setup="x = 1", result="sum(y)"), {})
    assert ready.run() == 3
    assert ready.run_and_keep(ready.set_up_call()) == [[1, 2]]


def test_a_promise_is_read_after_the_statement():
    ready = ReadyVariant(make_variant("y = x + 1", setup="x = 1", holds="y == 2"), {})
    assert ready.run_and_hold() == (2, True)
    ready = ReadyVariant(make_variant("y = x + 1", setup="x = 1", holds="y == 1"), {})
    assert ready.run_and_hold() == (2, False)


def test_a_statement_runs_line_by_line_with_a_block_as_one_line():
    log = Log()

    @contextlib.contextmanager
    def within(number):
        log(f"enter {number}")
        yield
        log(f"leave {number}")

    ready = ReadyVariant(make_variant("y = 1\nfor i in range(2):\n    log(i)\nz = y"), {"log": log})
    lines, names = ready.run_by_line(within)
    assert lines == ["y = 1", "for i in range(2):\n    log(i)", "z = y"]
    assert log == ["enter 0", "leave 0", "enter 1", 0, 1, "leave 1", "enter 2", "leave 2"]
    assert names["z"] == 1


def test_of_a_file_of_the_users_variants_see_only_what_is_theirs_to_read():
    """A name of the file that a statement makes as well would not be released after each call."""
    (comparison,) = plan_run(Request(("control",), ("no_grad",), ("small",))).comparisons
    text = "import torch\nmodel, x, y, value = 1, 2, 3, 4\nname = __file__\ndef call(model, x): return name"
    comparison = msgspec.structs.replace(comparison, prepare=text)
    names = prepare(comparison, "/somewhere/net.py")
    assert names.keys() == {"model", "x", "call"}
    assert names["call"](1, 2) == "/somewhere/net.py"
