"""The clock of an accelerator, on a simulated one whose times are known."""

import math

import pytest
from simulated import CAPACITY, CYCLES_PER_NS, LAUNCH_NS, Calls, Simulated

from gradbench.measure import clock
from gradbench.measure.clock import Accelerator, DeviceClock


@pytest.fixture
def device():
    return Simulated()


@pytest.fixture
def timer(device):
    return DeviceClock(Accelerator("cuda:0", device), device.clock)


def test_the_host_time_is_that_to_issue_and_the_wall_time_lasts_until_the_device_is_done(device, timer):
    variant = Calls(lambda: device.launch(device_ns=50_000))
    host, wall = timer.wall(variant, 10)
    assert host / 10 == pytest.approx(LAUNCH_NS, rel=0.01)
    # The device begins when the first kernel has been issued.
    assert wall == pytest.approx(LAUNCH_NS + 10 * 50_000, rel=0.001)


def test_a_batch_begins_with_an_empty_queue_so_that_nothing_of_another_is_waited_for(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100))
    device.launch(device_ns=10**9)
    _, wall = timer.wall(variant, 10)
    assert wall == pytest.approx(10 * LAUNCH_NS + 100, rel=0.01)


def test_the_calls_of_a_wall_batch_are_between_two_synchronisations_and_have_none_inside(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100))
    device.log.clear()
    timer.wall(variant, 3)
    assert device.log == ["launch", "synchronize", "launch", "launch", "launch", "synchronize"]


def test_the_device_time_has_no_gap_in_it_where_issuing_is_slower_than_the_device(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100, host_ns=10_000))
    _, wall = timer.wall(variant, 20)
    assert wall / 20 == pytest.approx(10_000, rel=0.01)
    assert timer.device(variant, 20) / 20 == pytest.approx(100)


def test_the_device_time_of_large_kernels_is_theirs(device, timer):
    variant = Calls(lambda: device.launch(device_ns=300_000))
    timer.wall(variant, 4)
    assert timer.device(variant, 4) / 4 == pytest.approx(300_000)


def test_what_launches_nothing_has_host_time_and_no_device_time(device, timer):
    variant = Calls(lambda: device.work(100))
    host, wall = timer.wall(variant, 1000)
    assert host / 1000 == pytest.approx(100, rel=0.01)
    assert wall == pytest.approx(host, rel=0.01)
    assert timer.device(variant, 1000) == 0


def test_a_device_batch_is_a_spin_two_events_and_the_calls_between_them(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100))
    timer.wall(variant, 3)
    device.log.clear()
    timer.device(variant, 3)
    assert device.log == [
        "launch", "synchronize", "spin", "event", "launch", "launch", "launch", "event", "synchronize",
    ]  # fmt: skip


def test_the_spin_is_as_long_as_issuing_with_a_margin_by_the_devices_own_counter(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100, host_ns=5_000))
    timer.wall(variant, 20)
    timer.device(variant, 20)
    assert device.spins[-1] == pytest.approx(clock.SPIN_MARGIN * 20 * 5_000 * CYCLES_PER_NS, rel=0.01)


@pytest.mark.parametrize("setup_per_call", [None, lambda: None])
def test_the_spin_covers_the_events_too_so_that_what_takes_less_than_they_do_has_a_device_time(
    device, setup_per_call
):
    device.event_ns = 3_000
    timer = DeviceClock(Accelerator("cuda:0", device), device.clock)
    variant = Calls(lambda: device.work(50), setup_per_call)
    timer.wall(variant, 4)
    before = len(device.spins)
    assert timer.device(variant, 4) == pytest.approx(0)
    # At the first attempt.
    assert len(device.spins) - before == (1 if setup_per_call is None else 4)


def test_a_spin_that_was_too_short_is_made_longer_and_its_batch_is_not_believed(device, timer):
    variant = Calls(lambda: device.launch(device_ns=100, host_ns=1_000))
    timer.wall(variant, 20)
    # The host has become four times as slow since.
    slow = Calls(lambda: device.launch(device_ns=100, host_ns=4_000))
    timer._issue[id(slow)] = timer._issue[id(variant)]
    assert timer.device(slow, 20) / 20 == pytest.approx(100)
    assert len(device.spins) > 3
    # The longer spin is kept for it.
    before = len(device.spins)
    assert timer.device(slow, 20) / 20 == pytest.approx(100)
    assert len(device.spins) == before + 1


def test_a_statement_that_waits_for_the_device_has_no_device_time_and_is_not_asked_again(device, timer):
    def statement():
        device.launch(device_ns=100)
        device.synchronize()

    variant = Calls(statement)
    timer.wall(variant, 5)
    for _ in range(clock.GIVEN_UP):
        assert math.isnan(timer.device(variant, 5))
    asked = len(device.spins)
    assert asked == 2 + clock.GIVEN_UP * clock.ATTEMPTS
    assert math.isnan(timer.device(variant, 5))
    assert len(device.spins) == asked


def test_a_call_that_fills_the_queue_has_no_device_time_and_is_not_waited_for_with_ever_longer_spins(
    device, timer
):
    def statement():
        for _ in range(4 * CAPACITY):
            device.launch(device_ns=100, host_ns=5_000)

    variant = Calls(statement)
    timer.wall(variant, 1)
    spins = len(device.spins)
    before = device.now
    for _ in range(5):
        assert math.isnan(timer.device(variant, 1))
    assert len(device.spins) - spins <= 2 * clock.GIVEN_UP
    assert device.now - before < 1e9


def test_a_variant_whose_host_was_held_up_in_one_batch_is_asked_again(device, timer):
    held_up = False

    def statement():
        device.launch(device_ns=100, host_ns=2_000)
        device.work(10**6 if held_up else 0)

    variant = Calls(statement)
    timer.wall(variant, 5)
    for held_up in (True, False, True):
        assert math.isnan(timer.device(variant, 5)) == held_up
    held_up = False
    assert timer.device(variant, 5) / 5 == pytest.approx(100)


def test_of_fed_calls_the_feed_is_in_no_time(device, timer):
    variant = Calls(lambda: device.launch(device_ns=700), setup=lambda: device.launch(10**6, host_ns=50_000))
    host, wall = timer.wall(variant, 8)
    assert host / 8 == pytest.approx(LAUNCH_NS, rel=0.02)
    assert wall / 8 == pytest.approx(LAUNCH_NS + 700, rel=0.02)
    assert timer.device(variant, 8) / 8 == pytest.approx(700)


@pytest.mark.parametrize(("host_ns", "device_ns"), [(2_000, 10), (2_000, 500_000), (5_000, 5_000)])
def test_batches_of_the_calibrated_length_never_fill_the_queue(device, timer, host_ns, device_ns):
    variant = Calls(lambda: device.launch(device_ns, host_ns))
    n = timer.calibrate(variant, clock.BATCH_SECONDS)
    timer.wall(variant, n)
    timer.device(variant, n)
    assert device.fullest < 600
    assert n * max(host_ns, device_ns) == pytest.approx(clock.BATCH_SECONDS * 1e9, rel=0.5)


def test_what_feeds_calls_is_in_the_length_of_their_batch(device, timer):
    variant = Calls(lambda: device.launch(100), setup=lambda: device.launch(200_000))
    assert timer.calibrate(variant, clock.BATCH_SECONDS) <= 6


def test_a_variant_is_warmed_up_before_its_calls_are_chosen(device, timer):
    first = iter([10**9, 10**8, 10**7])
    variant = Calls(lambda: device.launch(1_000, host_ns=next(first, 5_000)))
    assert timer.calibrate(variant, clock.BATCH_SECONDS) == pytest.approx(200, rel=0.1)


def test_a_device_whose_events_take_no_time_is_refused(device, monkeypatch):
    monkeypatch.setattr("simulated._Event.elapsed_time", lambda self, end: 0.0)
    with pytest.raises(RuntimeError, match="cuda:0: its events take no time"):
        DeviceClock(Accelerator("cuda:0", device), device.clock)


def test_what_a_variant_raises_passes_through(device, timer):
    def statement():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        timer.calibrate(Calls(statement), clock.BATCH_SECONDS)


def test_an_accelerator_makes_itself_the_current_device(device):
    Accelerator("cuda:1", device)
    assert device.log == ["use cuda:1"]
