"""The report's figures on DMA and teardown: for those who ask, and for programs always."""

from __future__ import annotations

import io
import json

from launcher.errors import Diagnostic
from launcher.plan.codec import report_to_json
from launcher.plan.outcome import FORMAT_VERSION, ContainerReport, Counts, End, NodeReport, RamReport, Report
from launcher.record import replace
from launcher.report.report_text import print_report
from launcher.values import MIB

RAM = (RamReport(0, 64 * MIB, "4 KiB pages", None, True), RamReport(1 << 32, 32 * MIB, "4 KiB pages", None, True))
SPACES = (ContainerReport((1, 3), 2, 96 * MIB, 7), ContainerReport((2,), 2, 96 * MIB, 0))
RUNNING = Report(FORMAT_VERSION, "vm", "running", 7, "2026-01-01T00:00:00+00:00", 1.5, memory=RAM, containers=SPACES)
ENDED = replace(RUNNING, phase="ended", end=End("power-off", "the guest powered off", 0), failed_undos=2)


def drawn(report: Report, *, verbose: bool) -> str:
    stream = io.StringIO()
    print_report(report, stream, colour=False, verbose=verbose)
    return stream.getvalue()


def test_who_asks_is_told_what_is_mapped_for_dma_and_whether_the_teardown_went_well() -> None:
    text = drawn(ENDED, verbose=True)
    assert "groups 1 3: 1.0 x RAM in 2 maps, 7 maps of BARs" in text
    assert "group 2: 1.0 x RAM in 2 maps, 0 maps of BARs" in text
    assert "2 failed calls" in text


def test_who_asks_is_told_by_which_nodes_devices_are_had_and_which_were_handed_in() -> None:
    """/dev/kvm and /dev/vfio/vfio are no news, unless somebody had to open them for us."""
    nodes = (NodeReport("/dev/kvm", (), False), NodeReport("/dev/iommu", (), True))
    cdev = "/dev/vfio/devices/vfio3"
    told = replace(
        RUNNING, nodes=(*nodes, NodeReport(cdev, ("gpu", "nic"), True), NodeReport("/dev/vfio/9", ("a",), False))
    )
    lines = [line.split(maxsplit=1) for line in drawn(told, verbose=True).splitlines()]
    assert [line[1] for line in lines if line[0] == "node"] == [
        "/dev/iommu, handed in",
        f"{cdev}, of gpu, nic, handed in",
        "/dev/vfio/9, of a",
    ]
    assert cdev not in drawn(told, verbose=False)


def test_while_it_runs_there_is_no_teardown() -> None:
    text = drawn(replace(RUNNING, counts=Counts(faults=1234)), verbose=True)
    assert "1,234 on BARs that did not answer" in text
    assert "failed calls" not in text


def test_who_does_not_ask_is_told_none_of_it() -> None:
    assert "maps" not in drawn(ENDED, verbose=False)
    assert "failed calls" not in drawn(ENDED, verbose=False)


def test_a_log_that_could_not_be_kept_whole_is_not_said_to_be() -> None:
    ended = replace(ENDED, counts=Counts(serial_written=7), console="/log")
    assert "7 bytes written; kept in /log" in drawn(ended, verbose=False)
    lost = replace(ended, diagnostics=(Diagnostic("W501", "failed to keep the console log: No space left on device"),))
    assert "7 bytes written; not all kept in /log" in drawn(lost, verbose=False)


def test_programs_get_the_figures_always() -> None:
    plain = json.loads(json.dumps(report_to_json(ENDED)))
    assert plain["containers"][0] == {"groups": [1, 3], "ram_maps": 2, "ram_bytes": 96 * MIB, "peer_maps": 7}
    assert plain["failed_undos"] == 2


def test_a_guest_that_halted_for_good_is_told_while_it_is_up_and_in_its_last_report() -> None:
    halted = drawn(replace(RUNNING, halted=True), verbose=False)
    assert "nothing but an NMI, a reset or `down` wakes this guest" in " ".join(halted.split())
    ended = drawn(replace(ENDED, halted=True), verbose=False)
    assert "had executed HLT with interrupts off when the guest was ended" in " ".join(ended.split())
    for one in (RUNNING, ENDED):
        assert "HLT" not in drawn(replace(one, halted=False), verbose=False) + drawn(one, verbose=False)
