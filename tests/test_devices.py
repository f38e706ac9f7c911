"""What is said of a run on an accelerator, beside the CPU: from stored results whose truth is known."""

import csv
import io
import re

import msgspec
import pytest
from synthetic import LAUNCH, PER_ELEMENT, device_results

from gradbench.claims import verdicts
from gradbench.claims.text import as_data, counted
from gradbench.export import to_csv
from gradbench.nvml import DeviceReading
from gradbench.plan import Request
from gradbench.report import figures
from gradbench.report.page import render
from gradbench.results import FILENAME, Failure, LaneTime, Writer, read_results
from gradbench.summary import summarise

SIZES = ("100", "1e4", "1e5", "1e6", "1e7", "1e8")
BOTH = Request(("control", "elementwise"), ("no_grad", "tracked"), SIZES, device="cpu,cuda:0")
SLOW = {"no_grad": 1.5}


@pytest.fixture(scope="module")
def both():
    return device_results(BOTH, host=SLOW)


def lanes(made, device="cuda:0", workload="elementwise"):
    return {
        each.comparison.numel: {lane.lane.name: lane for lane in each.lanes}
        for each in summarise(made).comparisons
        if (each.comparison.device, each.comparison.workload) == (device, workload)
    }


def test_times_of_the_host_and_of_the_device_are_told_apart(both):
    found = lanes(both)
    for numel in (100, 10**8):
        lane = found[numel]["no_grad"]
        assert lane.host.mean == pytest.approx(1.5 * LAUNCH, rel=0.01)
        assert lane.host_ratio.mean == pytest.approx(1.5, rel=0.01)
        assert lane.host.count == 10
    assert found[10**8]["no_grad"].device_ratio.mean == pytest.approx(1.0)
    assert found[10**8]["no_grad"].device.mean == pytest.approx(PER_ELEMENT * 10**8)
    # The price of the host is that of the call where the device waits, and hidden where it does not.
    assert found[100]["no_grad"].ratio.mean == pytest.approx(1.5, rel=0.01)
    assert found[10**8]["no_grad"].ratio.mean == pytest.approx(1.0, rel=0.01)
    assert found[10**8]["no_grad"].verdict == "same"


def test_the_host_is_net_of_the_empty_loop(both):
    heavy = device_results(BOTH)
    for visit in heavy.visits:
        empty = visit.lanes["empty"]
        if empty.host is not None:
            loop = msgspec.structs.replace(empty.host, seconds=LAUNCH / 2, log_ratio=-0.6931471805599453)
            visit.lanes["empty"] = msgspec.structs.replace(empty, host=loop)
    assert lanes(heavy)[100]["tracked"].host.mean == pytest.approx(LAUNCH / 2, rel=0.01)
    # Of less than five turns of the loop nothing can be said, whatever the wall time is.
    assert lanes(heavy)[100]["tracked"].verdict == "no time of its own"
    assert lanes(both)[100]["tracked"].verdict != "no time of its own"


def test_the_page_begins_with_what_was_measured_on(both):
    more = device_results(msgspec.structs.replace(BOTH, device="cuda:0,cuda:1"), passes=1)
    assert more.header.measured_on == "A device (cuda:0), A device (cuda:1) and the host A processor"
    assert re.search(r'class="lead">(.*?), PyTorch', render(both))[1] == "A processor and A device (cuda:0)"


def test_on_the_cpu_there_are_no_parts(both):
    for lane in lanes(both, "cpu")[100].values():
        assert (lane.host, lane.device, lane.host_ratio, lane.device_ratio) == (None,) * 4
        assert not lane.device_idle


def test_a_lane_that_waits_for_the_device_has_no_device_time():
    lane = lanes(device_results(BOTH, waits=("tracked",)))[100]["tracked"]
    assert (lane.device, lane.device_ratio, lane.device_idle) == (None, None, False)
    assert lane.host is not None


def test_a_lane_of_which_the_device_sees_nothing_is_idle_and_not_zero():
    idle = ("tracked", "no_grad", "requires_grad_false", "twin", "twin_own_buffer")
    found = lanes(device_results(BOTH, idle=idle))[100]
    for name in idle:
        assert (found[name].device, found[name].device_ratio, found[name].device_idle) == (None, None, True)


def table(made):
    return list(csv.DictReader(io.StringIO(to_csv(summarise(made)))))


def test_the_table_has_host_and_device_times_of_accelerators_alone(both):
    rows = table(both)
    assert {row["metric"] for row in rows if row["device"] == "cpu"}.isdisjoint({"host_time", "device_time"})
    (row,) = [
        row for row in rows
        if (row["metric"], row["method"], row["numel"], row["workload"], row["device"])
        == ("host_time", "no_grad", "100", "elementwise", "cuda:0")
    ]  # fmt: skip
    assert float(row["value"]) == pytest.approx(1.5 * LAUNCH, rel=0.01)
    assert float(row["ratio"]) == pytest.approx(1.5, rel=0.01)
    assert (row["unit"], row["passes"]) == ("s", "10")


def test_a_device_time_that_is_not_known_is_an_empty_field():
    rows = table(device_results(BOTH, waits=("tracked",)))
    own = [row for row in rows if row["metric"] == "device_time" and row["method"] == "tracked"]
    assert own
    assert {(row["value"], row["ratio"]) for row in own} == {("", "")}


def test_a_claim_is_judged_on_each_device_by_its_own_results(both):
    found = {(each.claim.id, each.device): each for each in verdicts(summarise(both))}
    timed = [each for each in found.values() if each.claim.workloads]
    assert {each.device for each in timed} == {"cpu", "cuda:0"}
    for each in timed:
        assert all(case.comparison.endswith(f"/{each.device}") for case in each.cases if case.comparison)
    assert {each.device for each in found.values() if not each.claim.workloads} == {""}
    # On the GPU, here, a block costs the host half a launch; on the CPU nothing.
    apart = {each.claim.id for each in timed if each.verdict != found[each.claim.id, "cpu"].verdict}
    assert "best.medium" in apart
    assert "claims on cuda:0: " in counted(list(found.values()))
    assert {"cpu", "cuda:0", None} == {row.get("device") for row in as_data(list(found.values()))}


def test_of_one_device_claims_are_counted_as_they_were():
    alone = verdicts(summarise(device_results(msgspec.structs.replace(BOTH, device="cuda:0"))))
    assert {each.device for each in alone} == {""}
    assert re.fullmatch(r"\d+ claims: .*", counted(alone))


def of(made, device):
    own = [each for each in summarise(made).comparisons if each.comparison.device == device]
    return [each for each in own if each.comparison.workload == "elementwise"]


def test_where_the_host_turns_into_the_device_is_said_from_the_figures(both):
    own = of(both, "cuda:0")
    assert figures.has_turn(own)
    assert not figures.has_turn(of(both, "cpu"))
    assert not figures.has_turn(own[:2])
    # 5 µs at 1e-11 s an element: 500,000 elements; with no_grad 750,000.
    assert figures.turns(own)[:2] == [
        "requires_grad_false: the host's time is the longer up to 100,000 elements, the device's from "
        "1,000,000 on.",
        "no_grad: the host's time is the longer up to 100,000 elements, the device's from 1,000,000 on.",
    ]
    assert figures.turns(own[:3])[0].endswith(
        "the host's time is the longer at every size that was measured."
    )
    assert figures.turns(own[3:])[0].endswith(
        "the device's time is the longer at every size that was measured."
    )


def test_the_page_shows_both_devices_side_by_side_with_the_parts_of_the_one(both):
    page = render(both)
    assert "Where the host's time turns into the device's" in page.replace("&#39;", "'")
    assert page.count("of the device</th>") == len(of(both, "cuda:0")) * 2
    assert "On cuda:0: Alone, a control costs" in page
    assert "On cpu: Alone, a control costs" in page
    assert "A device, 80.0 GB, capability 9.0, driver 570.10" in page
    assert 'data-facet="device" value="cuda:0"' in page


def test_the_page_of_a_lane_that_waits_has_a_dash_and_of_one_that_is_idle_says_so():
    request = Request(("control",), ("no_grad",), ("100",), device="cuda:0")
    idle = ("no_grad", "requires_grad_false", "twin", "twin_own_buffer")
    assert render(device_results(request, idle=idle)).count("nothing seen") == 4
    assert "nothing seen" not in render(device_results(request, waits=idle))


def test_a_page_of_the_cpu_alone_says_nothing_of_hosts_and_devices():
    page = render(device_results(msgspec.structs.replace(BOTH, device="cpu")))
    assert "of the host</th>" not in page
    assert "turns into" not in page
    assert "On cpu:" not in page


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (DeviceReading(2e9, 300.0, 60.0, ()), None),
        (DeviceReading(None, None, None, None), None),
        (
            DeviceReading(2e9, 300.0, 60.0, ("power cap",)),
            "cuda:0 was held back in 120 of 120 visits (power cap)",
        ),
    ],
)
def test_a_device_that_was_held_back_is_warned_of(reading, says):
    warnings = summarise(device_results(BOTH, reading=reading)).warnings
    assert any(says in each for each in warnings) if says else not any("cuda" in each for each in warnings)


def test_a_clock_that_fell_is_warned_of():
    made = device_results(BOTH, reading=DeviceReading(2e9))
    slow = msgspec.structs.replace(made.visits[-1].telemetry, device=DeviceReading(1e9))
    assert not any("clock of cuda:0" in each for each in summarise(made).warnings)
    made.visits[-1] = msgspec.structs.replace(made.visits[-1], telemetry=slow)
    assert any("clock of cuda:0 fell to 1 GHz" in each for each in summarise(made).warnings)


def test_memory_that_ran_out_is_a_row_on_the_page(both):
    made = device_results(Request(("elementwise",), ("no_grad",), ("100",), device="cuda:0"))
    id = made.header.plan.comparisons[0].id
    made.add(Failure(1, id, "no_grad", "time", "out of memory", "Tried to allocate 80 GiB."))
    assert "out of memory: Tried to allocate 80 GiB." in render(made)


def test_what_is_written_is_read_again_with_its_parts(both, tmp_path):
    writer = Writer(tmp_path / FILENAME)
    writer.write(both.header)
    for visit in both.visits:
        writer.write(visit)
    writer.close()
    read = read_results(tmp_path)
    assert read.visits == both.visits
    assert read.header == both.header


def test_a_file_from_before_there_were_parts_is_read():
    old = b'{"calls":50,"seconds":1e-6,"q1":1e-6,"q3":1e-6,"log_ratio":0.0}'
    found = msgspec.json.decode(old, type=LaneTime)
    assert (found.host, found.device) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.json.decode(old)
