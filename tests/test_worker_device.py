"""A visit on an accelerator, in this process: on a simulated one whose times and bytes are known."""

import builtins
import io
import math
from functools import partial

import msgspec
import numpy
import pytest
import torch
from simulated import Profiler, Simulated

from gradbench.measure import clock, kernels, worker
from gradbench.measure.device_rounds import with_parts
from gradbench.measure.protocol import Message, Task, Turn, WorkerSettings
from gradbench.measure.visit import FEWEST_ROUNDS, Rounds
from gradbench.measure.worker import Worker
from gradbench.record.plan import STATEMENT, Comparison, Expectation, Variant
from gradbench.record.visits import Failure, Kernels, Memory, Timeline, VariantTime, Visit


@pytest.fixture
def device(monkeypatch):
    """The simulated accelerator that a worker finds in the place of torch.cuda, and statements by name."""
    simulated = Simulated()
    for name in ("launch", "work", "allocate", "synchronize"):
        monkeypatch.setattr(builtins, name, getattr(simulated, name), raising=False)
    monkeypatch.setattr(builtins, "device", simulated, raising=False)
    monkeypatch.setattr(clock, "Accelerator", partial(clock.Accelerator, module=simulated))
    monkeypatch.setattr(clock, "DeviceClock", partial(clock.DeviceClock, clock=simulated.clock))
    watched(monkeypatch, simulated)
    return simulated


def watched(monkeypatch, simulated, **options):
    profiler = Profiler(simulated, **options)
    monkeypatch.setattr(kernels, "profile", profiler)
    monkeypatch.setattr(kernels, "record_function", profiler.record_function)


def comparison(*variants, per_call=False, timeline=False):
    feed = "launch(100_000)" if per_call else ""
    every = [
        Variant(
            name,
            name,
            role,
            "",
            statement,
            "",
            Expectation(),
            setup_per_call=feed or "",
            result="y" if "y" in name else "",
        )
        for name, role, statement in variants
    ]
    # A loop takes time, which the simulated clock has to be told.
    every.append(
        Variant(
            "empty",
            "empty",
            "empty",
            "",
            "work(100)",
            "",
            Expectation(),
            setup_per_call="pass" if per_call else "",
            result="",
        )
    )
    return Comparison(
        "c", "control", "", "", "small", 1, (1,), "float32", "cuda:0", "base = torch.ones(1)", "", 1e-6,
        tuple(every), timeline=timeline,
    )  # fmt: skip


def visit(*variants, kind="time", **options):
    output = io.BytesIO()
    worker = Worker(WorkerSettings(7, kind, 0, torch.get_num_threads()), output, io.BytesIO())
    try:
        worker.visit(Task(comparison(*variants, **options), 0.0))
    except SystemExit as ended:
        print(ended)
    return [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]


def test_a_visit_has_the_wall_time_and_the_hosts_and_the_devices_part_of_each_variant(device):
    (found,) = visit(
        ("a", "baseline", "launch(10_000)"),
        ("host", "method", "launch(100, host_ns=20_000)"),
        ("device", "method", "launch(40_000)"),
    )
    assert isinstance(found, Visit)
    assert (found.number, found.rounds) == (7, FEWEST_ROUNDS)
    a, host, large = (found.variants[name] for name in ("a", "host", "device"))
    assert (a.seconds, a.host.seconds, a.device.seconds) == pytest.approx((10e-6, 2e-6, 10e-6), rel=0.02)
    assert (host.seconds, host.host.seconds, host.device.seconds) == pytest.approx(
        (20e-6, 20e-6, 1e-7), rel=0.02
    )
    assert (large.seconds, large.host.seconds, large.device.seconds) == pytest.approx(
        (40e-6, 2e-6, 40e-6), rel=0.02
    )
    assert host.log_ratio == pytest.approx(math.log(2), abs=0.02)
    assert host.host.log_ratio == pytest.approx(math.log(10), abs=0.02)
    assert large.device.log_ratio == pytest.approx(math.log(4), abs=0.02)
    assert a.host.log_ratio == a.device.log_ratio == 0.0


def turns(worked, *taken):
    """What a worker says that takes turns, of one comparison."""
    source = b"".join(msgspec.json.encode(each) + b"\n" for each in (*taken, Turn()))
    output = io.BytesIO()
    worker = Worker(WorkerSettings(7, "turns", 0, torch.get_num_threads()), output, io.BytesIO(source))
    worker.visit(Task(worked, 0.0))
    return [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]


IN_TURN = (("a", "baseline", "launch(10_000)"), ("host", "calibration_task", "work(30_000)"))


@pytest.mark.parametrize("per_call", [False, True])
def test_a_turn_lasts_until_the_device_has_done_what_was_issued(device, per_call):
    calibrated, turned = turns(comparison(*IN_TURN, per_call=per_call), Turn({"a": 50, "host": 50}))
    assert 0 < device.fullest < 700
    # A batch of a millisecond, what feeds its calls included.
    assert calibrated.calls["a"] == pytest.approx(9 if per_call else 100, rel=0.4)
    assert turned.seconds["a"] == pytest.approx(12e-6 if per_call else 10e-6, rel=0.05)
    assert turned.seconds["host"] == pytest.approx(30e-6, rel=0.02)


def test_a_statement_that_turns_out_to_use_a_device_is_waited_for(device, monkeypatch):
    monkeypatch.setattr(clock.torch, "get_device_module", lambda _: device)
    for variants, seconds in ((IN_TURN, 10e-6), ((("a", "baseline", "work(10_000)"),), 1e-9)):
        held = device.allocate(100) if variants is IN_TURN else None
        stated = msgspec.structs.replace(comparison(*variants), workload=STATEMENT, device="cpu")
        before = device.log.count("synchronize")
        *_, turned = turns(stated, Turn({"a": 50}))
        if held is None:
            assert device.log.count("synchronize") == before
        else:
            assert turned.seconds["a"] == pytest.approx(seconds, rel=0.05)
        del held


def test_a_statement_that_uses_two_devices_is_not_timed(device, monkeypatch):
    monkeypatch.setattr(clock.torch, "get_device_module", lambda _: device)
    monkeypatch.setattr(device, "memory_reserved", lambda each: 100)
    held = device.allocate(100)
    stated = msgspec.structs.replace(comparison(*IN_TURN), workload=STATEMENT, device="cpu")
    (failure,) = turns(stated)
    assert failure.kind == "check"
    assert "it uses cuda:0 and cuda:1" in failure.message
    del held


def test_the_batches_of_a_visit_never_fill_the_queue(device):
    visit(("a", "baseline", "launch(10_000)"), ("b", "method", "for _ in range(30): launch(50)"))
    assert 0 < device.fullest < 700


def test_a_variant_that_waits_for_the_device_has_no_device_time_and_the_others_have(device):
    (found,) = visit(("a", "baseline", "launch(10_000)"), ("b", "method", "launch(10_000)\nsynchronize()"))
    assert found.variants["b"].device is None
    assert found.variants["b"].host.seconds == pytest.approx(12e-6, rel=0.05)
    assert found.variants["a"].device.seconds == pytest.approx(10e-6, rel=0.02)


def test_what_launches_nothing_has_no_ratio_of_device_times(device):
    (found,) = visit(("a", "baseline", "work(500)"), ("b", "method", "launch(10_000)"))
    for name in ("a", "b"):
        assert found.variants[name].device.log_ratio is None
    assert found.variants["a"].device.seconds <= found.variants["a"].device.least


def test_fed_calls_are_timed_by_themselves(device):
    (found,) = visit(("a", "baseline", "launch(10_000)"), ("b", "method", "launch(30_000)"), per_call=True)
    assert found.variants["b"].device.seconds == pytest.approx(30e-6, rel=0.02)
    assert found.variants["b"].seconds == pytest.approx(32e-6, rel=0.05)


def test_memory_that_runs_out_in_a_variant_is_its_row_and_the_others_are_timed_with_it_given_back(device):
    failure, found = visit(
        ("a", "baseline", "y = allocate(1000)\nlaunch(10_000)"),
        ("b", "method", "y = [allocate(1000)]\ny.append(allocate(10**10))"),
        ("c", "twin", "y = allocate(1000)\nlaunch(10_000)"),
    )
    assert (failure.variant, failure.kind) == ("b", "out of memory")
    assert "Tried to allocate 10000000000 bytes" in failure.message
    assert found.variants.keys() == {"a", "c", "empty"}
    assert device.free == device.total
    assert device.given_back == 1


def test_of_an_error_the_row_has_what_happened_and_no_advice_on_settings_or_debugging(device):
    ran_out = (
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which "
        "7.00 GiB is free. Of the allocated memory 1.00 GiB is allocated by PyTorch. If reserved but "
        "unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF."
    )
    failure, _ = visit(
        ("a", "baseline", "launch(1)"), ("b", "method", f"raise torch.OutOfMemoryError({ran_out!r})")
    )
    assert failure.message.endswith("of which 7.00 GiB is free.")
    bad = "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress'."
    (failure,) = visit(("a", "baseline", "launch(1)"), ("b", "method", f"raise RuntimeError({bad!r})"))
    assert failure.message == "RuntimeError: CUDA error: an illegal memory access was encountered"


def test_memory_that_runs_out_while_variants_are_timed_costs_one_variant(device, monkeypatch):
    left = iter(range(12))
    monkeypatch.setattr(builtins, "left", left, raising=False)
    failure, found = visit(
        ("a", "baseline", "launch(10_000)"),
        ("b", "method", "y = allocate(1000 if next(left, None) is not None else 10**10)"),
    )
    assert (failure.variant, failure.stage, failure.kind) == ("b", "time", "out of memory")
    assert found.variants.keys() == {"a", "empty"}
    assert device.free == device.total


@pytest.mark.parametrize(
    "message",
    ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"],
)
def test_memory_that_a_library_does_not_get_ran_out_as_well(device, message):
    failure, _ = visit(("a", "baseline", "launch(1)"), ("b", "method", f"raise RuntimeError({message!r})"))
    assert (failure.variant, failure.kind) == ("b", "out of memory")


def test_a_device_in_error_ends_the_process_after_its_failure_is_told(device, capsys):
    bad = "device.broken = 'CUDA error: an illegal memory access was encountered\\nMore.'"
    (failure,) = visit(("a", "baseline", "launch(1)"), ("b", "method", f"{bad}\nlaunch(1)"))
    assert (failure.kind, failure.variant) == ("raised", "b")
    assert "an illegal memory access" in failure.message
    assert "cannot use its device any more" in capsys.readouterr().out


def seen(kind, *variants, **options):
    """The records of one kind that come of an execution that is not timed."""
    return [each for each in visit(*variants, kind="memory", **options) if isinstance(each, kind)]


def test_bytes_are_those_that_were_asked_for_and_blocks_are_told_beside_them(device):
    kept = "y = allocate(1000)\nz = allocate(600)\ndel z\nw = allocate(100)"
    (found,) = seen(Memory, ("y", "baseline", kept))
    assert (found.allocated, found.allocations, found.peak, found.retained) == (1700, 3, 1600, 1000)
    assert found.peak_blocks == 2048
    assert found.resident is None
    assert found.source == "torch.cuda.memory_stats, requested bytes"


def test_an_allocator_that_does_not_count_what_it_is_asked_for_is_a_failure_and_no_figure(
    device, monkeypatch
):
    statistics = device.memory_stats
    monkeypatch.setattr(
        device, "memory_stats", lambda _: {k: 0 if "requested" in k else v for k, v in statistics(_).items()}
    )
    held = device.allocate(8)
    (failure,) = seen(Failure, ("y", "baseline", "y = allocate(8)"))
    del held
    assert "PYTORCH_CUDA_ALLOC_CONF may name another" in failure.message


def test_the_counters_are_read_when_the_device_has_done_all_that_was_issued(device, monkeypatch):
    before, statistics = [], device.memory_stats

    def read(*arguments):
        before.append(device.log[-1])
        return statistics(*arguments)

    monkeypatch.setattr(device, "memory_stats", read)
    seen(Memory, ("y", "baseline", "y = allocate(8); launch(10)"))
    assert set(before) == {"synchronize"}


def test_executions_that_allocate_differently_are_a_failure(device, monkeypatch):
    monkeypatch.setattr(builtins, "sizes", iter(range(1000, 2000)), raising=False)
    (failure,) = seen(Failure, ("y", "baseline", "y = allocate(next(sizes))"))
    assert "two executions counted" in failure.message


def test_a_timeline_has_the_most_and_the_last_of_each_line(device):
    lines = "y = allocate(1000)\nz = allocate(500); del z\ny = None"
    (found,) = seen(Timeline, ("y", "baseline", lines), timeline=True)
    assert found.stretches[0].live == (1000, 1000)
    assert found.stretches[-1].live[-1] == 0
    assert max(live for each in found.stretches for live in each.live) == 1500


def test_kernels_are_counted_and_added_up_for_one_call_of_each_variant(device):
    variants = (
        ("a", "baseline", "launch(30_000); launch(20_000)"),
        ("b", "method", "work(500)"),
        ("c", "method", "launch(70_000)"),
    )
    found = {each.variant: (each.count, each.seconds) for each in seen(Kernels, *variants)}
    assert found == {"a": (2, 5e-5), "b": (0, 0.0), "c": (1, 7e-5)}


def test_what_feeds_a_call_is_not_among_its_kernels(device):
    (found,) = seen(Kernels, ("a", "baseline", "launch(30_000)"), per_call=True)
    assert (found.count, found.seconds) == (1, 3e-5)


def test_where_the_profiler_does_not_see_the_device_nothing_is_said_of_kernels(device, monkeypatch):
    watched(monkeypatch, device, blind=True)
    assert seen(Kernels, ("a", "baseline", "launch(30_000)")) == []
    assert seen(Failure, ("a", "baseline", "launch(30_000)")) == []


def test_a_profiler_that_raises_is_a_failure_that_costs_no_variant(device, monkeypatch):
    def refuse(**_):
        raise RuntimeError("no profiler here")

    monkeypatch.setattr(kernels, "profile", refuse)
    (failure,) = seen(Failure, ("a", "baseline", "launch(30_000)"))
    assert (failure.variant, failure.stage, failure.message) == (
        None,
        "kernels",
        "RuntimeError: no profiler here",
    )
    assert len(seen(Memory, ("a", "baseline", "launch(30_000)"))) == 1


def test_work_belongs_to_the_call_in_which_its_middle_lies():
    calls = [(100, 50), (0, 50)]
    work = [(40, 8), (10, 5), (48, 10), (101, 40), (200, 5)]
    assert kernels.by_call(work, calls) == [[5, 8], [40]]


VARIANTS = [VariantTime(10, 1e-6, 1e-6, 1e-6, 0.0)] * 3
ROLES = ("baseline", "method", "empty")


def parts(device_ns, per_call=False, calls=10):
    variants = [msgspec.structs.replace(each, calls=calls) for each in VARIANTS]
    device = numpy.broadcast_to(numpy.array(device_ns, dtype=float), (5, 3))
    return [each.device for each in with_parts(variants, ROLES, numpy.ones((5, 3)), device, per_call)]


def test_the_devices_part_is_net_of_one_pair_of_events_a_batch():
    baseline, method, _ = parts([21_000, 41_000, 1_000])
    assert (baseline.seconds, method.seconds) == pytest.approx((2e-6, 4e-6))
    assert method.log_ratio == pytest.approx(math.log(2))
    assert baseline.least == pytest.approx(0.5e-7)


def test_of_fed_calls_it_is_net_of_one_pair_a_call():
    baseline, method, _ = parts([30_000, 50_000, 10_000], per_call=True)
    assert (baseline.seconds, method.seconds) == pytest.approx((2e-6, 4e-6))
    assert baseline.least == pytest.approx(0.5e-6)


def test_a_part_that_cannot_be_told_from_nothing_has_no_ratio():
    baseline, method, _ = parts([1_400, 41_000, 1_000])
    assert baseline.log_ratio is None
    assert method.log_ratio is None
    assert method.seconds == pytest.approx(4e-6)


@pytest.mark.parametrize("lost", [1, 2, 3, 5])
@pytest.mark.parametrize("column", [0, 1])
def test_of_a_variant_whose_device_time_is_known_in_most_rounds_it_is_told_from_those(lost, column):
    device = numpy.tile([1e5, 2e5, 0.0], (5, 1))
    device[:lost, column] = math.nan
    found = parts(device)
    if lost > 2:
        assert found[column] is None
        # Where it is the baseline's that is not known, others have no ratio.
        assert (found[1 - column].log_ratio is None) == (column == 0)
    else:
        assert found[0].seconds / found[1].seconds == pytest.approx(0.5)
        assert found[1].log_ratio == pytest.approx(math.log(2))


def test_times_on_the_cpu_have_no_parts_and_say_nothing_of_them():
    assert b"host" not in msgspec.json.encode(VARIANTS[0])
    assert Rounds(numpy.ones((1, 1))).host is None


def test_a_look_finds_what_is_free_on_each_accelerator_and_why_one_cannot_be_used(device):
    real = device.set_device

    def use(name):
        if name == "cuda:1":
            raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA to debug.")
        real(name)

    device.set_device = use
    found = worker.inspect_devices(("cpu", "cuda:0", "cuda:1", "mps:0"))
    assert found == ({"cuda:0": 10**9}, {"cuda:1": "CUDA error: out of memory"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_an_accelerator_a_look_says_in_a_line_what_torch_says():
    free, lacks = worker.inspect_devices(("cpu",))
    assert free == {}
    assert "CUDA" in lacks["cuda"] or "NVIDIA" in lacks["cuda"]
    assert "\n" not in lacks["cuda"]
