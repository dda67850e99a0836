"""`down` of a dead VM: journals of other versions, damaged and hostile ones, groups that others have, kill -9 again."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.errors import HostNotRestored, LauncherError, Refused
from launcher.executor.keeper.changing import commands, left_of
from launcher.executor.keeper.restore import restore
from launcher.kernel import sysfs
from launcher.values import PciAddress
from launcher.version import VERSION
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL
from launcher.vms.groups import lock_groups
from tests.budget import runs
from tests.fakes.host import FakeHost, dual_card
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.keeper.test_binding import BEFORE, DRIVE, Keeper, a_kernel, drivers

RECORDED = Path(__file__).parents[3] / "journals"
BIND = {"address": str(DRIVE), "driver": "nvme", "override": None}


def a_dead_vm(folder: Path, kernel: FakeKernel | None = None) -> tuple[StateFolder, FakeKernel]:
    """Its keeper was killed when all drivers were changed."""
    claimed = StateFolder.claim(folder / "vm")
    keeper = Keeper(kernel or a_kernel(), claimed)
    keeper.change()
    keeper.journal.close()
    return claimed, keeper.kernel


# ---- versions ----


@pytest.mark.parametrize("journal", sorted(RECORDED.glob("format-*.jsonl")), ids=lambda path: path.stem)
def test_what_an_earlier_version_did_is_put_back(tmp_path: Path, journal: Path) -> None:
    folder, kernel = a_dead_vm(tmp_path)
    kernel.drivers.unbind(kernel.host.functions[2].address)
    kernel.drivers.set_override(kernel.host.functions[2].address, None)
    (Path(folder.path) / JOURNAL).write_bytes(journal.read_bytes())
    restore(folder, kernel)
    assert drivers(kernel) == BEFORE
    assert not Path(folder.path).exists()


def test_a_journal_says_who_wrote_it(tmp_path: Path) -> None:
    folder, _ = a_dead_vm(tmp_path)
    first = json.loads((Path(folder.path) / JOURNAL).read_text().splitlines()[0])
    assert (first["journal"], first["vmlaunch"]) == (1, VERSION)


def test_what_a_later_version_did_is_left_to_it(tmp_path: Path) -> None:
    folder, kernel = a_dead_vm(tmp_path)
    path = Path(folder.path) / JOURNAL
    ours, theirs = f'"journal": 1, "vmlaunch": "{VERSION}"', '"journal": 2, "vmlaunch": "9.3.0"'
    path.write_text(path.read_text().replace(ours, theirs))
    before, calls = path.read_bytes(), list(kernel.calls)
    with pytest.raises(Refused, match=r"E512: the journal of vm was written by vmlaunch 9\.3\.0 in format 2"):
        restore(folder, kernel)
    assert (path.read_bytes(), kernel.calls) == (before, calls)


# ---- groups ----


def test_a_device_is_not_pulled_from_under_the_vm_that_has_its_group_now(tmp_path: Path) -> None:
    folder, kernel = a_dead_vm(tmp_path)
    calls = list(kernel.calls)
    held = lock_groups({2}, tmp_path)
    with pytest.raises(Refused, match="E529: IOMMU group 2 is taken"):
        restore(folder, kernel)
    assert kernel.calls == calls
    for lock in held:
        os.close(lock)
    restore(folder, kernel)
    assert drivers(kernel) == BEFORE


def test_a_device_that_somebody_has_open_by_its_own_node_is_left_to_him(tmp_path: Path) -> None:
    """As by iommufd. /dev/null stands in for the node."""
    folder, kernel = a_dead_vm(tmp_path)
    calls, kernel.drivers.node = list(kernel.calls), lambda _: os.devnull
    holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with holder, pytest.raises(Refused, match=r"E529: IOMMU group \d+ is taken by .*has /dev/null open"):
        restore(folder, kernel)
    assert kernel.calls == calls
    for lock in folder.groups:
        os.close(lock)
    kernel.drivers.node = lambda _: None
    restore(folder, kernel)
    assert drivers(kernel) == BEFORE


def test_nobody_claims_a_group_while_its_devices_are_put_back(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions[0].refusing = ("nvme",)
    folder, _ = a_dead_vm(tmp_path, kernel)
    with pytest.raises(HostNotRestored):
        restore(folder, kernel)
    assert len(folder.groups) == 3


# ---- killed again ----


def test_killed_before_each_call_of_putting_back_a_second_down_finishes(tmp_path: Path) -> None:
    host = a_kernel().host
    host.paper = tmp_path / "drivers"
    whole = FakeKernel(host=host)
    folder, _ = a_dead_vm(tmp_path, whole)
    changed, journal, done = host.paper.read_text(), (Path(folder.path) / JOURNAL).read_bytes(), len(whole.calls)
    restore(folder, whole)
    folder.close()
    calls = whole.calls[done:]
    assert len(calls) >= 7
    for at, name in enumerate(calls, 1):
        folder = StateFolder.claim(tmp_path / "vm")
        (Path(folder.path) / JOURNAL).write_bytes(journal)
        host.paper.write_text(changed)
        assert _killed_at(at, folder, host) == -signal.SIGKILL, (at, name)
        kernel = FakeKernel(host=host)
        restore(folder, kernel)
        folder.close()
        host.recall()
        assert drivers(kernel) == BEFORE, (at, name)
        assert not Path(folder.path).exists(), (at, name)
    print(f"{len(calls)} times killed before a call of putting back")


class Dying(FakeKernel):
    def call(self, name: str) -> None:
        if len(self.calls) + 1 == self.fail_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super().call(name)


def _killed_at(at: int, folder: StateFolder, host: FakeHost) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            restore(folder, Dying(host=host, fail_at=at))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ---- damage ----


def test_a_line_that_cannot_be_read_keeps_the_folder_and_the_rest_is_put_back(tmp_path: Path) -> None:
    folder, kernel = a_dead_vm(tmp_path)
    path = Path(folder.path) / JOURNAL
    with path.open("a") as lines:
        lines.write("\0\0\0\0\n")
    with pytest.raises(HostNotRestored, match="could not be put back") as raised:
        restore(folder, kernel)
    assert raised.value.diagnostics[0].help == ("`# line 5 of the journal cannot be read`",)
    assert drivers(kernel) == BEFORE
    assert [entry.n for entry in left_of(path)] == [-5]


ODD = st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=6) | st.just([]) | st.just({})
ADDRESSES = st.sampled_from(
    [str(DRIVE), "01:00.0", "../../../etc", "0000:01:00.0/../x", "0000:01:00.0\n", "0000:1:0.0", "\u0661:00.0", "", "/"]
)
NAMES = st.sampled_from(["nvme", "vfio-pci", "../../outside", "a/b", "a\nb", "'; reboot; '", "x" * 300, "\ud800", ""])
UNDO = st.fixed_dictionaries({"address": ADDRESSES | ODD, "driver": NAMES | ODD, "override": NAMES | ODD})
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "mac": st.sampled_from(["52:54:00:12:34:56", "; reboot", "$(x)", ""]) | ODD,
        "vlan": st.fixed_dictionaries({"id": st.integers(-1, 5000) | ODD}, optional={"qos": ODD, "protocol": NAMES}),
        "trust": ODD,
        "spoofcheck": ODD,
    },
)
TOLD = st.fixed_dictionaries(
    {
        "address": st.just(str(DRIVE)) | ADDRESSES | ODD,
        "physical": st.just("0000:05:00.0") | ADDRESSES | ODD,
        "number": st.integers(-2, 9) | ODD,
        "interface": st.sampled_from(["eth0", "eth0; reboot", "../eth0", "e e", "$(x)", "-h", "\n"]) | ODD,
        "before": st.just({"mac": "52:54:00:12:34:56", "trust": False}) | SETTINGS,
        "after": st.just({"mac": "52:54:00:12:34:57", "trust": True}) | SETTINGS,
    }
)
OPS = st.sampled_from(["bind-driver", "bind-driver", "keep-state", "load-modules", "rm -rf /"])
LINES = (
    st.fixed_dictionaries({"n": st.integers(-3, 9), "op": OPS, "undo": UNDO}).map(json.dumps)
    | st.fixed_dictionaries({"n": ODD, "op": ODD, "undo": UNDO | ODD, "more": ODD}).map(json.dumps)
    | st.fixed_dictionaries({"undone": ODD}).map(json.dumps)
    | st.fixed_dictionaries({"journal": st.sampled_from([1, 1, 1, 2, "1", None])}).map(json.dumps)
    | st.just(json.dumps({"n": 1, "op": "bind-driver", "undo": BIND}))
    | st.fixed_dictionaries({"n": st.integers(1, 9), "op": st.just("set-virtual-function"), "undo": TOLD}).map(
        json.dumps
    )
    | st.text(max_size=8)
)


def a_bus(folder: Path) -> Path:
    """A tree as sysfs shows it, of one function without a driver."""
    device = folder / "bus" / "devices" / str(DRIVE)
    device.mkdir(parents=True)
    for file in (device / "driver_override", folder / "bus" / "drivers_probe", folder / "outside"):
        file.write_text("")
    return folder / "bus"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=runs(150), deadline=None)
@given(st.lists(LINES, max_size=5), st.integers(0, 3))
def test_no_journal_makes_it_write_outside_of_the_bus(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], torn: int
) -> None:
    """On files instead of sysfs, by the class that writes to sysfs."""
    top = tmp_path_factory.mktemp("host")
    folder, bus = StateFolder.claim(top / "vm"), a_bus(top)
    text = "".join(f"{line}\n" for line in lines)
    (Path(folder.path) / JOURNAL).write_bytes(text.encode("utf-8", "surrogateescape")[: len(text) - torn])
    before = files_of(top)
    try:
        restore(folder, replace_drivers(bus))
    except LauncherError as error:
        check_that_it_is_told(error, Path(folder.path))
    folder.close()
    changed = {name for name, data in files_of(top).items() if before.get(name) != data}
    assert changed <= {f"bus/devices/{DRIVE}/driver_override", "bus/drivers_probe", f"vm/{JOURNAL}"}


def replace_drivers(bus: Path) -> Any:
    kernel = FakeKernel()
    kernel.drivers = sysfs.PciDrivers(bus=bus)  # type: ignore[assignment]
    return kernel


def check_that_it_is_told(error: LauncherError, folder: Path) -> None:
    """And the words an administrator may paste name no odd place."""
    assert error.diagnostics[0].code in ("E512", "E540")
    assert (folder / JOURNAL).exists()
    if error.diagnostics[0].code == "E540":
        for entry in left_of(folder / JOURNAL):
            words = commands(entry)
            echoed = words.startswith(("# ", f"echo {DRIVE} > /sys/bus/pci/devices/{DRIVE}/"))
            assert echoed or is_one_command(words), words
            assert "\n" not in words


def is_one_command(words: str) -> bool:
    """Of ip(8), whatever the interface is called: all that a shell would make something of is quoted."""
    parts = shlex.split(words)
    plain = all(re.fullmatch(r"[0-9a-zQ.:]+", part) for part in parts[5:])
    return parts[:4] == ["ip", "link", "set", "dev"] and parts[5] == "vf" and plain and shlex.join(parts) == words


@settings(max_examples=runs(200), deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_in_a_journal_are_a_bug(tmp_path_factory: pytest.TempPathFactory, data: bytes, whole: bool) -> None:
    folder = StateFolder.claim(tmp_path_factory.mktemp("host") / "vm")
    (Path(folder.path) / JOURNAL).write_bytes(data + b"\n" * whole)
    try:
        restore(folder, a_kernel())
    except LauncherError as error:
        check_that_it_is_told(error, Path(folder.path))
    folder.close()


class Unreachable(FakeKernel):
    """Its virtual functions are there, and no interface answers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        functions = (dual_card(str(DRIVE), 1, physical=PciAddress.parse("0000:05:00.0"), number=3, answered=False),)
        self.host = FakeHost(functions)


@settings(max_examples=runs(150), deadline=None)
@given(TOLD)
def test_no_name_of_an_interface_leads_to_another_command(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, Any]
) -> None:
    folder = StateFolder.claim(tmp_path_factory.mktemp("host") / "vm")
    told |= {"number": 3, "physical": "0000:05:00.0", "address": str(DRIVE)}
    told |= {"before": {"trust": False}, "after": {"trust": True}}
    (Path(folder.path) / JOURNAL).write_text(json.dumps({"n": 1, "op": "set-virtual-function", "undo": told}) + "\n")
    with pytest.raises(HostNotRestored) as raised:
        restore(folder, Unreachable())
    check_that_it_is_told(raised.value, Path(folder.path))
    folder.close()
