"""Guards: what is slower or keeps more is caught, what is identical is not, and bad input is one line."""

import math
import warnings
from types import SimpleNamespace

import msgspec
import numpy
import pytest
import torch
from simulated import Simulated

from gradbench.guard import (
    Bytes,
    TimeRatio,
    assert_bytes_at_most,
    assert_not_slower,
    compare_time,
    interleave,
    limit_bytes,
    measure_bytes,
)
from gradbench.guard import calls as guard_calls
from gradbench.guard import time as guard_time
from gradbench.guard.interleave import Interleaved
from gradbench.guard.time import ALPHA
from gradbench.measure import clock as device_clock
from gradbench.measure.memory import Unrepeatable
from gradbench.record.interval import Interval

x = torch.rand(100, requires_grad=True)


def ten():
    for _ in range(10):
        sum((1, 2, 3))


def ten_again():
    for _ in range(10):
        sum((1, 2, 3))


def thirteen():
    for _ in range(13):
        sum((1, 2, 3))


@pytest.mark.timing
def test_a_third_more_work_is_caught_with_a_sentence():
    with pytest.raises(AssertionError, match=r"candidate takes 1\.[23].* times baseline; at most 1.05 was"):
        assert_not_slower(thirteen, ten)


@pytest.mark.timing
def test_identical_code_passes_and_less_work_passes():
    assert assert_not_slower(ten_again, ten).verdict != "slower"
    assert assert_not_slower(ten, thirteen).ratio.mean < 0.95


def test_the_margin_is_heeded():
    assert assert_not_slower(thirteen, ten, margin=0.8).margin == 0.8


def test_setup_feeds_each_call_and_is_not_timed():
    def set_up_call():
        ten()
        return 13

    def work(n):
        for _ in range(n):
            sum((1, 2, 3))

    with pytest.raises(AssertionError, match=r"at most 1\.05 was allowed"):
        assert_not_slower(work, lambda n: work(10), setup=set_up_call)


class Clock:
    """Stands in for the module `time`: calls take as long as they are told to, and reading it 20 ns."""

    def __init__(self):
        self.now = 0

    def perf_counter_ns(self):
        self.now += 20
        return self.now

    def perf_counter(self):
        return self.perf_counter_ns() / 1e9

    def call(self, seconds):
        def work(*_):
            self.now += round(seconds * 1e9)

        return work


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    for module in (guard_time, guard_calls, interleave):
        monkeypatch.setattr(module, "time", made)
    for nothing in ("_nothing", "_take_nothing"):
        monkeypatch.setattr(interleave, nothing, made.call(25e-9))
    return made


@pytest.mark.parametrize("setup_per_call", [0.0, 0.005, 0.02, 0.4])
@pytest.mark.parametrize("call", [1e-6, 0.0009, 0.003, 0.009, 0.03, 0.1, 0.21, 0.7, 3.0])
@pytest.mark.parametrize("seconds", [0.05, 1.0, 5.0])
def test_the_time_is_held_as_well_as_the_length_of_a_call_permits(clock, call, setup_per_call, seconds):
    setup = clock.call(setup_per_call) if setup_per_call else None
    found = compare_time(clock.call(call), clock.call(call), seconds=seconds, setup=setup)
    # Each is called once in any case.
    assert found.seconds <= max(seconds, 2 * (call + setup_per_call)) * 1.001 + 1e-6
    # Two calls of each, and five rounds of three, with their setups; a round has another setup.
    if call + setup_per_call > 0.01 and seconds > (4 + 15) * call + (4 + 20) * setup_per_call + 0.1:
        assert found.verdict == "not slower"
    if seconds < 15 * (call + setup_per_call):
        assert (found.verdict, found.rounds, found.same, found.floor) == ("not shown", 0, None, None)
        assert found.ratio.mean == pytest.approx(1.0)
        assert "could not be shown in" in found.sentence
        assert found.sentence.endswith("into which too few calls fit; give more with seconds=")


def test_a_first_call_that_loads_what_later_ones_need_does_not_end_the_matter(clock):
    loads = iter([0.3])

    def work():
        clock.now += round(next(loads, 1e-5) * 1e9)

    assert compare_time(work, clock.call(1e-5), seconds=1.0).verdict == "not slower"


def test_long_calls_that_are_slower_are_caught_where_five_rounds_fit(clock):
    assert compare_time(clock.call(0.06), clock.call(0.04), seconds=1.5).verdict == "slower"


def test_no_more_time_is_taken_than_is_given_and_what_is_open_passes_unless_proof_is_wanted():
    import time

    def sleep():
        time.sleep(0.02)

    ratio = assert_not_slower(sleep, sleep, seconds=0.1)
    assert ratio.verdict == "not shown"
    assert ratio.ratio.low is None
    with pytest.raises(AssertionError, match="could not be shown in 0"):
        assert_not_slower(sleep, sleep, seconds=0.1, require_proof=True)


def test_a_call_as_short_as_an_empty_one_is_never_proved():
    ratio = compare_time(lambda: None, lambda: None)
    assert ratio.verdict == "not shown"
    assert "too near for a verdict" in ratio.sentence
    # It was known at once: the time is for what more rounds can show.
    assert ratio.rounds < 10_000


def test_whatever_a_function_raises_is_raised():
    calls = []

    def later():
        calls.append(1)
        if len(calls) > 50:
            raise ZeroDivisionError("the fifty-first")

    with pytest.raises(ZeroDivisionError, match="fifty-first"):
        assert_not_slower(later, ten)
    with pytest.raises(KeyError):
        assert_bytes_at_most(lambda: {}["no"], retained=0)


def record(verdict="slower", same=0.002, **fields):
    ratio = Interval(1.31, 1.28, 1.33, 10)
    plain = TimeRatio(verdict, ratio, 0.05, 0.003, same, 0.01, 1.31e-6, 1e-6, 400, 0.2)
    return msgspec.structs.replace(plain, **fields)


def test_the_sentence_has_the_figures():
    assert record().sentence == (
        "candidate takes 1.310 (1.280 to 1.330) times baseline; at most 1.05 was allowed; "
        "identical code differed by 0.20 %"
    )
    assert "and at most 1.05 is allowed" in record("not slower").sentence
    assert "whether it is at most 1.05 could not be shown in 0.2 s" in record("not shown").sentence
    assert record(same=1e-7).sentence.endswith("identical code differed by at most 0.010 %")


@pytest.mark.parametrize(
    ("verdict", "require_proof", "fails"),
    [
        ("slower", False, True), ("slower", True, True), ("not shown", False, False),
        ("not shown", True, True), ("not slower", False, False), ("not slower", True, False),
    ],
)  # fmt: skip
def test_what_is_open_fails_only_where_proof_is_wanted(verdict, require_proof, fails):
    if fails:
        with pytest.raises(AssertionError):
            record(verdict).check(require_proof=require_proof)
    else:
        record(verdict).check(require_proof=require_proof)


def simulated(monkeypatch, truth, scatter, seed, twin=1.0, empty=0.001):
    """The verdict on a machine whose rounds scatter, and stay alike for a while; no clock is read."""
    rng = numpy.random.default_rng(seed)

    class Simulated(Interleaved):
        def __init__(self, *batches, **_):
            self.times, self._per_copy = [], 20

        def take(self, rounds, until):
            more = rounds - len(self.times)
            # Eight rounds in a row share most of what disturbs them.
            shared = rng.normal(0, scatter, (more // 8 + 1, 4)).repeat(8, axis=0)[:more]
            noise = numpy.exp(shared + rng.normal(0, scatter, (more, 4)))
            self.times += (1000 * (numpy.array([truth, 1.0, twin, 0.0]) + empty) * noise).tolist()
            return rounds < 2000

    monkeypatch.setattr(guard_time, "Interleaved", Simulated)
    return compare_time(ten, ten).verdict


def test_at_the_edge_of_what_is_allowed_false_alarms_are_rare(monkeypatch):
    """The truth is 1.05, as allowed; four looks; the floor, which would hide an error here, is taken away."""
    real = guard_time._judge
    monkeypatch.setattr(
        guard_time, "_judge", lambda found: real(msgspec.structs.replace(found, floor=0.0, empty=0.0))
    )
    verdicts = [simulated(monkeypatch, 1.05, 0.01, seed) for seed in range(300)]
    # Of 300 at 1 in 1,000, more than 3 have a chance of 3 in 10,000.
    assert ALPHA == 0.001
    assert verdicts.count("slower") <= 3


def test_identical_code_is_not_called_slower_however_noisy_and_thirty_per_cent_is(monkeypatch):
    for scatter in (0.001, 0.01, 0.05, 0.2):
        verdicts = [simulated(monkeypatch, 1.0, scatter, seed) for seed in range(100)]
        assert "slower" not in verdicts
    assert {simulated(monkeypatch, 1.3, 0.01, seed) for seed in range(50)} == {"slower"}


def test_a_difference_within_what_identical_code_shows_is_no_verdict(monkeypatch):
    assert simulated(monkeypatch, 1.1, 0.001, 0, twin=1.0) == "slower"
    assert simulated(monkeypatch, 1.1, 0.001, 0, twin=1.1) == "not shown"


def test_a_difference_of_less_than_an_empty_call_is_no_verdict(monkeypatch):
    """Where the names of one of two identical functions lie may cost as much as that."""
    assert simulated(monkeypatch, 1.3, 0.001, 0, empty=0.2) == "slower"
    assert simulated(monkeypatch, 1.2, 0.001, 0, empty=0.2) == "not shown"
    assert simulated(monkeypatch, 1.0, 0.001, 0, empty=0.2) == "not slower"


# Bytes. 100 elements of float32 are 400 bytes. x * x saves x twice, one storage; exp saves its result.
def test_bytes_are_equal_to_arithmetic():
    figures = {"allocated": 800, "peak": 800, "retained": 400, "saved": 800, "device": "cpu"}
    wanted = {**figures, "standing": 0, "left": 0, "threads": 1}
    assert msgspec.structs.asdict(measure_bytes(lambda: (x * x).exp())) == wanted
    assert msgspec.structs.asdict(measure_bytes(lambda: (x * x).exp(), device="cpu")) == wanted


def test_what_is_kept_elsewhere_counts_as_retained():
    kept = []
    assert measure_bytes(lambda: kept.append(torch.empty(16))).retained == 64


def test_setup_is_not_counted():
    found = measure_bytes(lambda loss: loss.backward(), setup=lambda: (x * x).sum())
    assert found.retained <= 400
    assert measure_bytes(lambda made: None, setup=lambda: torch.empty(1000)).allocated == 0


@pytest.mark.parametrize("name", ["retained", "saved", "peak", "allocated"])
def test_sixty_four_bytes_more_are_caught_at_once(name):
    def keeps(more):
        w = torch.rand(100 + more, requires_grad=True)
        return lambda: w.exp()

    assert assert_bytes_at_most(keeps(0), **{name: 400}).most == {name: 400}
    with pytest.raises(AssertionError, match=f"bytes {name}: 464, at most 400 allowed"):
        assert_bytes_at_most(keeps(16), **{name: 400})


def test_only_what_is_exceeded_is_in_the_message():
    with pytest.raises(AssertionError) as caught:
        assert_bytes_at_most(lambda: x.exp(), retained=399, peak=400)
    assert str(caught.value) == "bytes retained: 400, at most 399 allowed"
    assert limit_bytes(lambda: x.exp(), retained=400, peak=400).sentence == (
        "bytes retained: 400, at most 400 allowed; bytes peak: 400, at most 400 allowed"
    )


def test_a_function_that_allocates_otherwise_each_time_is_not_given_a_figure():
    sizes = iter(range(1, 100))
    with pytest.raises(Unrepeatable):
        measure_bytes(lambda: torch.empty(next(sizes)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: assert_not_slower(1, ten), TypeError, "expected candidate to be callable; got 1"),
        (lambda: assert_not_slower(ten, None), TypeError, "expected baseline to be callable; got None"),
        (lambda: assert_not_slower(ten, ten, setup=3), TypeError, "expected setup to be callable; got 3"),
        (lambda: assert_not_slower(ten, ten, margin=-0.1), ValueError, "expected margin of at least 0.02"),
        (lambda: assert_not_slower(ten, ten, margin=math.nan), ValueError, "expected margin of at least"),
        (
            lambda: assert_not_slower(ten, ten, margin="5%"),
            TypeError,
            "expected margin to be a number; got '5%'",
        ),
        (lambda: assert_not_slower(ten, ten, seconds=0), ValueError, "expected seconds of at least 0.05"),
        (lambda: assert_not_slower(ten, ten, seconds=math.inf), ValueError, "expected seconds of at least"),
        (lambda: assert_bytes_at_most(5, retained=1), TypeError, "expected function to be callable; got 5"),
        (lambda: assert_bytes_at_most(ten), ValueError, "expected a limit; got none; give one of retained"),
        (lambda: assert_bytes_at_most(ten, peak=-1), ValueError, "expected peak in whole bytes, 0 or more"),
        (lambda: assert_bytes_at_most(ten, saved=1.5), ValueError, "expected saved in whole bytes"),
        (lambda: assert_bytes_at_most(ten, graph=1), TypeError, "expected a limit of retained, saved, peak,"),
        (
            lambda: assert_bytes_at_most(ten, peak=1, device="mps"),
            ValueError,
            "expected a device of cpu or cuda",
        ),
        (
            lambda: assert_not_slower(ten, ten, device="cuda:99"),
            ValueError,
            "expected a device that torch finds",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# On a device, which does later what is issued now.


@pytest.fixture
def device(monkeypatch):
    """A simulated accelerator in the place of torch.cuda, with the clock of its host."""
    made = Simulated()
    host = SimpleNamespace(perf_counter_ns=made.clock, perf_counter=lambda: made.clock() / 1e9)
    for module in (guard_time, guard_calls, interleave):
        monkeypatch.setattr(module, "time", host)
    for nothing in ("_nothing", "_take_nothing"):
        monkeypatch.setattr(interleave, nothing, lambda *_: made.work(25))
    monkeypatch.setattr(device_clock.torch, "get_device_module", lambda _: made)
    return made


@pytest.mark.parametrize("per_call", [False, True])
@pytest.mark.parametrize("named", [None, "cuda", "cuda:0"])
def test_what_a_call_only_issues_is_waited_for(device, named, per_call):
    """Both take the host as long to issue; the device takes half as long again for the candidate."""
    held = device.allocate(1000)
    setup = (lambda: device.launch(10**6)) if per_call else None
    found = compare_time(
        lambda *_: device.launch(30_000), lambda *_: device.launch(20_000), setup=setup, device=named
    )
    assert found.verdict == "slower"
    # A call that is waited for by itself has its launch in it.
    assert found.ratio.mean == pytest.approx(32 / 22 if per_call else 1.5, rel=0.03)
    assert found.baseline == pytest.approx(22e-6 if per_call else 20e-6, rel=0.05)
    del held


def test_a_batch_has_one_wait_at_its_end_and_never_fills_the_queue(device):
    held = device.allocate(1000)
    compare_time(lambda: device.launch(100), lambda: device.launch(100))
    between = " ".join(device.log).split("synchronize")
    assert max(each.count("launch") for each in between) > 300
    assert 0 < device.fullest < 700
    del held


def test_where_no_device_is_in_use_none_is_waited_for(device):
    def work():
        device.work(1000)

    compare_time(work, work, seconds=0.05)
    held = device.allocate(1000)
    compare_time(work, work, seconds=0.05, device="cpu")
    assert device.log == []
    compare_time(work, work, seconds=0.05)
    assert "synchronize" in device.log
    del held


def test_a_device_is_waited_for_and_not_made_the_current_one(device):
    held = device.allocate(1000)
    compare_time(lambda: device.launch(100), lambda: device.launch(100), seconds=0.05)
    measure_bytes(lambda: device.allocate(100))
    assert not any(each.startswith("use") for each in device.log)
    del held


def test_bytes_are_those_of_the_device_that_is_in_use(device):
    held = device.allocate(1000)
    found = measure_bytes(lambda: [device.allocate(300), device.allocate(100)][0])
    assert found == Bytes(allocated=400, peak=400, retained=300, saved=0, device="cuda:0")
    with pytest.raises(AssertionError, match="bytes peak on cuda:0: 400, at most 399 allowed"):
        assert_bytes_at_most(lambda: [device.allocate(300), device.allocate(100)][0], peak=399)
    del held


def test_a_call_that_leaves_the_device_alone_is_counted_on_the_cpu(device):
    held = device.allocate(1000)
    assert measure_bytes(lambda: x.exp()).device == "cpu"
    with pytest.raises(AssertionError, match="bytes retained: 400, at most 399 allowed"):
        assert_bytes_at_most(lambda: x.exp(), retained=399)
    assert measure_bytes(lambda: x.exp(), device="cuda").allocated == 0
    del held


def test_of_two_devices_in_use_one_has_to_be_named(device, monkeypatch):
    monkeypatch.setattr(device, "memory_reserved", lambda each: 1000)
    held = device.allocate(1000)
    with pytest.raises(ValueError, match="got cuda:0, cuda:1; say whose bytes are meant with device="):
        measure_bytes(lambda: device.allocate(100))
    assert measure_bytes(lambda: device.allocate(100), device="cuda:0").peak == 100
    del held


def test_nothing_is_said_by_way_of_warnings():
    """A project that turns warnings into errors would fail for what is only open."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_time(lambda: None, lambda: None, seconds=0.05)
