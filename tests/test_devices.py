"""What is said of a run on an accelerator, beside the CPU: from stored results whose truth is known."""

import csv
import io
import math
import re

import msgspec
import pytest
from synthetic import LAUNCH, PER_ELEMENT, device_results, memory, rendered

from gradbench.analyse import turn
from gradbench.analyse.analysis import analyse
from gradbench.analyse.claims import verdicts
from gradbench.analyse.failures import failed
from gradbench.analyse.summary import summarise
from gradbench.analyse.trust import agreement
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, read_results
from gradbench.record.telemetry import DeviceReading
from gradbench.record.visits import Failure, Kernels, VariantTime
from gradbench.report import devices, limit_table
from gradbench.report.export.tidy_csv import to_csv
from gradbench.report.slides import slides
from gradbench.report.terminal.claims import as_data, counted

SIZES = ("100", "1e4", "1e5", "1e6", "1e7", "1e8")
BOTH = Request(("control", "elementwise"), ("no_grad", "tracked"), SIZES, device="cpu,cuda:0")
SLOW = {"no_grad": 1.5}


@pytest.fixture(scope="module")
def both():
    return device_results(BOTH, host=SLOW)


@pytest.fixture(scope="module")
def page_of_both(both):
    return rendered(both)


def variants(made, device="cuda:0", workload="elementwise"):
    return {
        each.comparison.numel: {variant.name: variant for variant in each.variants}
        for each in summarise(made).comparisons
        if (each.comparison.device, each.comparison.workload) == (device, workload)
    }


def test_times_of_the_host_and_of_the_device_are_told_apart(both):
    found = variants(both)
    for numel in (100, 10**8):
        variant = found[numel]["no_grad"]
        assert variant.host.mean == pytest.approx(1.5 * LAUNCH, rel=0.01)
        assert variant.host_ratio.mean == pytest.approx(1.5, rel=0.01)
        assert variant.host.count == 10
    assert found[10**8]["no_grad"].device_ratio.mean == pytest.approx(1.0)
    assert found[10**8]["no_grad"].device.mean == pytest.approx(PER_ELEMENT * 10**8)
    # The price of the host is that of the call where the device waits, and hidden where it does not.
    assert found[100]["no_grad"].ratio.mean == pytest.approx(1.5, rel=0.01)
    assert found[10**8]["no_grad"].ratio.mean == pytest.approx(1.0, rel=0.01)
    assert found[10**8]["no_grad"].verdict == "same"


def test_the_host_is_net_of_the_empty_loop(both):
    heavy = device_results(BOTH)
    for visit in heavy.visits:
        empty = visit.variants["empty"]
        if empty.host is not None:
            loop = msgspec.structs.replace(empty.host, seconds=LAUNCH / 2, log_ratio=-0.6931471805599453)
            visit.variants["empty"] = msgspec.structs.replace(empty, host=loop)
    assert variants(heavy)[100]["tracked"].host.mean == pytest.approx(LAUNCH / 2, rel=0.01)
    # Of less than five turns of the loop nothing can be said, whatever the wall time is.
    assert variants(heavy)[100]["tracked"].verdict == "no time of its own"
    assert variants(both)[100]["tracked"].verdict != "no time of its own"


def test_the_hosts_ratio_is_net_of_the_empty_loop():
    made = device_results(
        Request(("control",), ("no_grad",), ("100",), device="cuda:0"), host={"no_grad": 1.5}
    )
    for visit in made.visits:
        empty = visit.variants["empty"]
        loop = msgspec.structs.replace(empty.host, seconds=LAUNCH / 10, log_ratio=math.log(0.1))
        visit.variants["empty"] = msgspec.structs.replace(empty, host=loop)
    (comparison,) = summarise(made).comparisons
    # Of 1.5 and 1 the tenth is taken off.
    assert comparison.variant("no_grad").host_ratio.mean == pytest.approx(1.4 / 0.9, rel=0.01)
    assert comparison.variant("no_grad").host.mean == pytest.approx(1.4 * LAUNCH, rel=0.01)


def test_the_page_begins_with_what_was_measured_on(page_of_both):
    more = device_results(msgspec.structs.replace(BOTH, device="cuda:0,cuda:1"), passes=1)
    assert more.header.measured_on == "A device (cuda:0), A device (cuda:1) and the host A processor"
    facts = 'class="facts">{} · torch 2.13.0 · 1 thread · 2026-01-02</p>'
    assert facts.format("A processor · A device") in page_of_both
    gpu = msgspec.structs.replace(BOTH, device="cuda:0")
    assert facts.format("A device") in rendered(device_results(gpu, passes=1))
    # What the machine has beside the processor is no matter where it did not work.
    cpu = device_results(msgspec.structs.replace(BOTH, device="cpu"), passes=1)
    there = msgspec.structs.replace(cpu.header.environment, accelerators=more.header.environment.accelerators)
    cpu.header = msgspec.structs.replace(cpu.header, environment=there)
    assert facts.format("A processor") in rendered(cpu)


def test_on_the_cpu_there_are_no_parts(both):
    for variant in variants(both, "cpu")[100].values():
        assert (variant.host, variant.device, variant.host_ratio, variant.device_ratio) == (None,) * 4
        assert not variant.device_idle


def test_a_variant_that_waits_for_the_device_has_no_device_time():
    variant = variants(device_results(BOTH, waits=("tracked",)))[100]["tracked"]
    assert (variant.device, variant.device_ratio, variant.device_idle) == (None, None, False)
    assert variant.host is not None


def test_a_variant_of_which_the_device_sees_nothing_is_idle_and_not_zero():
    idle = ("tracked", "no_grad", "requires_grad_false", "twin", "twin_own_buffer")
    found = variants(device_results(BOTH, idle=idle))[100]
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
    assert turn.has_turn(own)
    assert not turn.has_turn(of(both, "cpu"))
    assert not turn.has_turn(own[:2])
    # 5 µs at 1e-11 s an element: 500,000 elements; with no_grad 750,000.
    assert turn.turns(own)[:2] == [
        "requires_grad_false: the host's time is longer up to 100,000 elements, the device's from "
        "1,000,000 on.",
        "no_grad: the host's time is longer up to 100,000 elements, the device's from 1,000,000 on.",
    ]
    assert turn.turns(own[:3])[0].endswith("the host's time is longer at every measured size.")
    assert turn.turns(own[3:])[0].endswith("the device's time is longer at every measured size.")


def test_the_page_shows_both_devices_side_by_side_with_the_parts_of_the_one(page_of_both, both):
    page = page_of_both
    assert "Where the host's time turns into the device's" in page.replace("&#39;", "'")
    assert page.count("of the device</th>") == len(of(both, "cuda:0")) * 2
    assert "On cuda:0: Alone, a control costs" in page
    assert "On cpu: Alone, a control costs" in page
    assert "A device, 80.0 GB, capability 9.0, driver 570.10" in page
    assert 'data-facet="device" value="cuda:0"' in page


def test_side_by_side_a_row_has_the_time_and_the_ratios_of_each_device(both):
    summary = analyse(both)
    times, sides = devices.tables(summary)
    assert times.columns == (
        "workload, elements", "requires_grad_(False), cpu", "requires_grad_(False), cuda:0",
        "torch.no_grad(), cpu", "torch.no_grad(), cuda:0", "recording (no control), cpu",
        "recording (no control), cuda:0",
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in times.rows}
    # A microsecond and a nanosecond an element on the CPU; 5 µs to issue on the GPU, where 1e8 take 1 ms;
    # less 10 ns, the empty loop's.
    assert rows["elementwise, 100"][:2] == ("1.09 µs", "4.99 µs")
    assert rows["elementwise, 100,000,000"][:2] == ("100 ms", "1.00 ms")
    assert [float(each) for each in rows["elementwise, 100"][2:4]] == [1.0, pytest.approx(1.5, rel=0.01)]
    assert len(rows) == len(times.sizes) == 12
    names = {each.claim.says for each in summary.judgements if each.device}
    assert sides.columns == ("claim", "cpu", "cuda:0")
    for claim, *found in sides.rows:
        assert claim in names
        assert len(set(found)) == 2


def test_of_one_device_nothing_is_side_by_side(page_of_both):
    alone = analyse(device_results(msgspec.structs.replace(BOTH, device="cuda:0")))
    assert devices.tables(alone) == []
    assert 'id="devices"' not in rendered(alone.results)
    assert 'id="devices"' in page_of_both
    assert "cpu and cuda:0 side by side</h2>" in page_of_both


FUSED = Request(("custom",), ("native", "fused", "copy"), ("100", "1e8"), device="cuda:0")


def test_how_near_a_way_comes_to_what_memory_allows_is_told_by_the_devices_time():
    # The device copies in 1 ms; of native the call takes as long, since the host needs 2 ms to issue it.
    made = device_results(FUSED, device={"fused": 1.25, "composed": 1.5}, host={"native": 400.0})
    memory(made, "copy", allocated=4 * 10**8)
    (table,) = limit_table.tables(analyse(made).limits)
    assert table.columns == ("variant", *(f"{part}, 100,000,000" for part in ("forward", "backward", "both")))
    rows = {row[0]: row[1] for row in table.rows}
    assert re.fullmatch(r"640 GB/s, 80\.0+ % \(80\.0+ to 80\.0+\)", rows["one fused Function"])
    assert rows["torch's own operations"].startswith("800 GB/s, 100.0")
    assert table.rows[-1] == ("copies of as many bytes", *["800 GB/s"] * 3)
    page = rendered(made)
    assert "How near custom comes to the limit of memory (cuda:0, float32)" in page
    assert "comes nearest to the limit of memory" in page


def test_what_a_copys_bytes_are_not_known_of_has_no_rate():
    (table,) = limit_table.tables(analyse(device_results(FUSED)).limits)
    assert {cell for row in table.rows for cell in row[1:]} == {""}
    assert limit_table.tables(analyse(device_results(BOTH)).limits) == []


def seen(made, **seconds):
    """The results, with what the profiler saw a device do for each variant: one kernel of so many seconds."""
    for comparison in made.header.plan.comparisons:
        for variant, value in seconds.items():
            made.add(Kernels(comparison.id, variant, 1, value))
    return made


def test_the_two_clocks_of_a_device_are_held_against_each_other_where_kernels_are_long():
    request = Request(("elementwise",), ("no_grad", "tracked"), ("1e6", "1e8"), device="cuda:0")
    # By its events 10 µs at a million, and 1 ms at a hundred million.
    made = seen(device_results(request), requires_grad_false=1e-3, no_grad=0.98e-3, tracked=1e-5)
    # tracked's kernel is too short to say anything. At a million elements all kernels are as long by the
    # profiler, and by events a hundredth of that.
    assert agreement(summarise(made).comparisons) == (
        "Events and profiler agree within 51 % in the median of 4 variants with kernels over 20.0 µs. "
        "The worst is 0.0100 times, in elementwise/1000000/float32/cuda:0, requires_grad_false."
    )
    assert agreement(summarise(made).comparisons) in analyse(made).answer.trust.evidence
    assert agreement(summarise(device_results(request)).comparisons) == ""


def test_what_identical_code_differs_by_is_told_of_the_hosts_and_of_the_devices_time():
    request = Request(("elementwise",), ("no_grad",), ("100", "1e8"), device="cuda:0")
    made = device_results(request, host={"twin": 1.02}, device={"twin": 1.001})
    evidence = analyse(made).answer.trust.evidence
    (host,) = [each for each in evidence if each.startswith("In the host's time")]
    assert host.startswith("In the host's time identical code differs by 2.0 % in the median, 2.0 % at worst")
    assert host.endswith("; 0 of 2 by at most 0.3 %.")
    assert (
        "In the device's time identical code differs by 0.10 % in the median, 0.10 % at worst; "
        "1 of 1 by at most 0.3 %."
    ) in evidence
    alone = device_results(msgspec.structs.replace(request, device="cpu"))
    assert not any("time identical code" in each for each in analyse(alone).answer.trust.evidence)


def test_the_number_of_kernels_is_shown_and_exported():
    request = Request(("elementwise",), ("no_grad",), ("1e8",), device="cuda:0")
    made = memory(seen(device_results(request), no_grad=1e-3), "no_grad", peak=1000, peak_blocks=1024)
    assert "1,024 B in the allocator's blocks" in rendered(made)
    assert 'title="1.00 ms, by the profiler">1</td>' in rendered(made)
    rows = {(row["method"], row["metric"]): row["value"] for row in table(made)}
    assert rows["no_grad", "kernels"] == "1"
    assert float(rows["no_grad", "kernel_time"]) == 1e-3
    assert (rows["no_grad", "peak"], rows["no_grad", "peak_blocks"]) == ("1000", "1024")
    assert rows["requires_grad_false", "kernels"] == rows["requires_grad_false", "kernel_time"] == ""


def test_kernels_that_were_not_seen_are_no_lost_visit():
    made = device_results(Request(("elementwise",), ("no_grad",), ("100",), device="cuda:0"))
    id = made.header.plan.comparisons[0].id
    made.add(Failure(0, id, None, "kernels", "raised", "RuntimeError: none"))
    page = rendered(made)
    assert "Kernels were not seen (raised): RuntimeError: none" in page
    assert "visit lost" not in page
    assert failed(made) == ""


def test_every_picture_of_two_devices_has_a_name_of_its_own(both):
    names = [each.name for each in slides(analyse(both))]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    assert {"table-devices", "table-sides", "table-time-cpu", "table-time-cuda0"} <= set(names)
    assert {name for name in names if name.startswith("turn")} == {
        "turn-control-cuda-0-float32",
        "turn-elementwise-cuda-0-float32",
    }


def test_the_page_of_a_variant_that_waits_has_a_dash_and_of_one_that_is_idle_says_so():
    request = Request(("control",), ("no_grad",), ("100",), device="cuda:0")
    idle = ("no_grad", "requires_grad_false", "twin", "twin_own_buffer")
    assert rendered(device_results(request, idle=idle)).count("nothing seen") == 4
    assert "nothing seen" not in rendered(device_results(request, waits=idle))


def test_a_page_of_the_cpu_alone_says_nothing_of_hosts_and_devices():
    page = rendered(device_results(msgspec.structs.replace(BOTH, device="cpu")))
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
            "cuda:0 was throttled in 120 of 120 visits (power cap)",
        ),
        (DeviceReading(2e9, 300.0, 60.0, (), 2), "used cuda:0 in 120 of 120 visits"),
    ],
)
def test_a_device_that_was_held_back_or_shared_is_warned_of(reading, says):
    warnings = analyse(device_results(BOTH, reading=reading)).warnings
    assert any(says in each for each in warnings) if says else not any("cuda" in each for each in warnings)


def test_a_clock_that_fell_is_warned_of():
    made = device_results(BOTH, reading=DeviceReading(2e9))
    slow = msgspec.structs.replace(made.visits[-1].telemetry, device=DeviceReading(1e9))
    assert not any("clock of cuda:0" in each for each in analyse(made).warnings)
    made.visits[-1] = msgspec.structs.replace(made.visits[-1], telemetry=slow)
    assert any("clock of cuda:0 fell to 1 GHz" in each for each in analyse(made).warnings)


def test_memory_that_ran_out_is_a_row_on_the_page(both):
    made = device_results(Request(("elementwise",), ("no_grad",), ("100",), device="cuda:0"))
    id = made.header.plan.comparisons[0].id
    made.add(Failure(1, id, "no_grad", "time", "out of memory", "Tried to allocate 80 GiB."))
    assert "out of memory: Tried to allocate 80 GiB." in rendered(made)


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
    found = msgspec.json.decode(old, type=VariantTime)
    assert (found.host, found.device) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.json.decode(old)
