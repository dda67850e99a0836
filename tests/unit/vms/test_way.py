"""State folders among other users: what they can swap is not used, what they put in the way is not followed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.errors import LauncherError, Refused
from launcher.vms.channel import Channel, listen
from launcher.vms.folder import NameTaken, StateFolder
from launcher.vms.folder_state import JOURNAL, LOG, SOCKET, STATE
from launcher.vms.journal import Journal, pending
from launcher.vms.log import ConsoleLog
from launcher.vms.looking import all_folders, is_lost, is_up, read_file, read_json, wait_until_down
from launcher.vms.way import MOST, open_way
from tests.others import EVIL, as_evil, let_pass, needs_root

LOOKS: dict[str, Callable[[Path], object]] = {
    "claim": StateFolder.claim,
    "is_up": is_up,
    "is_lost": is_lost,
    "wait": wait_until_down,
    "read": lambda path: read_json(path / STATE),
    "list": lambda path: list(all_folders(path.parent)),
    "journal": lambda path: pending(path / JOURNAL),
}


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return LOOKS[request.param]


# ---- the way there ----


@needs_root
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_of_another_user_on_the_way_is_refused_by_whoever_looks(
    tmp_path: Path, look: Callable[[Path], object], depth: int
) -> None:
    let_pass(tmp_path)
    path = tmp_path / "theirs" / "vmlaunch" / "vm"
    path.mkdir(parents=True, mode=0o700)
    os.chown((path.parent.parent, path.parent, path)[depth], EVIL, EVIL)
    if depth == 2 and look is LOOKS["list"]:
        assert look(path) == []
        return
    with pytest.raises(Refused, match=rf"E541: .* belongs to uid {EVIL}"):
        look(path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, look: Callable[[Path], object], mode: int
) -> None:
    path = tmp_path / "shared" / "vmlaunch" / "vm"
    path.mkdir(parents=True)
    (tmp_path / "shared").chmod(mode)
    with pytest.raises(Refused, match=rf"E541: .*/shared: it is writable for others .mode 0{mode:o}"):
        look(path)


def test_a_sticky_folder_may_be_on_the_way_and_may_not_be_the_last(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    StateFolder.claim(tmp_path / "tmp" / "vmlaunch" / "vm").close()
    (tmp_path / "tmp" / "vmlaunch" / "vm").chmod(0o1777)
    with pytest.raises(Refused, match=r"E541"):
        StateFolder.claim(tmp_path / "tmp" / "vmlaunch" / "vm")


@needs_root
def test_who_makes_our_folder_first_in_a_sticky_one_makes_us_refuse_and_nothing_else(tmp_path: Path) -> None:
    let_pass(tmp_path)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert as_evil(lambda: os.makedirs(tmp_path / "tmp" / "vmlaunch" / "vm"))
    for look in LOOKS.values():
        with pytest.raises(Refused, match=rf"E541: .*belongs to uid {EVIL}"):
            look(tmp_path / "tmp" / "vmlaunch" / "vm")


@needs_root
def test_a_link_of_another_user_is_not_followed_and_one_of_ours_is(tmp_path: Path) -> None:
    let_pass(tmp_path)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "real").mkdir()
    assert as_evil(lambda: os.symlink(tmp_path / "real", tmp_path / "tmp" / "theirs"))
    with pytest.raises(Refused, match=rf"E541: .*is a link of uid {EVIL}"):
        StateFolder.claim(tmp_path / "tmp" / "theirs" / "vm")
    os.symlink("../real", tmp_path / "tmp" / "ours")
    StateFolder.claim(tmp_path / "tmp" / "ours" / "vm").close()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["vm"]


def test_the_folder_itself_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "vm")
    with pytest.raises(Refused, match=r"E541: .*/vm: it is no folder"):
        StateFolder.claim(tmp_path / "vm")
    assert not is_up(tmp_path / "vm")
    assert [path.name for path in all_folders(tmp_path)] == ["real"]


def test_links_that_lead_to_each_other_are_an_error_of_the_system(tmp_path: Path) -> None:
    os.symlink("two", tmp_path / "one")
    os.symlink("one", tmp_path / "two")
    with pytest.raises(OSError, match="Too many levels"):
        open_way(tmp_path / "one" / "vm")


@needs_root
def test_a_way_that_we_may_not_go_is_told_with_its_code(tmp_path: Path) -> None:
    """As XDG_RUNTIME_DIR is after `su` without `-`."""
    let_pass(tmp_path)
    (tmp_path / "roots").mkdir(mode=0o700)

    def look_at_all() -> None:
        for name, look in LOOKS.items():
            told = ""
            try:
                look(tmp_path / "roots" / "vmlaunch" / "vm")
            except LauncherError as error:
                told = error.diagnostics[0].code
            except PermissionError:
                told = name
            if told not in ("E541", "claim"):
                raise OSError

    assert as_evil(look_at_all)


@needs_root
def test_nobody_else_can_take_the_lock_of_a_folder_even_of_one_that_was_open_to_all(tmp_path: Path) -> None:
    let_pass(tmp_path)
    (tmp_path / "vm").mkdir(mode=0o755)
    StateFolder.claim(tmp_path / "vm").close()
    assert not as_evil(lambda: os.open(tmp_path / "vm", os.O_RDONLY | os.O_DIRECTORY))


# ---- what is in it ----


def swapped(folder: StateFolder, victim: Path) -> None:
    """What the owner of the folder above could do: another folder in its place, with links and a journal of his own."""
    Path(folder.path).rename(Path(folder.path).with_name("moved"))
    Path(folder.path).mkdir()
    for name in (STATE, f".{STATE}", LOG):
        os.symlink(victim, Path(folder.path) / name)
    (Path(folder.path) / JOURNAL).write_text('{"n": 9, "op": "bind-driver", "undo": {"address": "0000:00:01.0"}}\n')


def test_whoever_swaps_the_folder_neither_gets_a_file_written_nor_a_journal_obeyed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = StateFolder.claim(tmp_path / "vm")
    journal = Journal(folder)
    journal.before(1, "bind-driver", {"address": "0000:02:00.0"})
    swapped(folder, victim)
    folder.write(STATE, {"phase": "running"})
    ConsoleLog(folder.open(LOG)).append(b"hello")
    assert [entry.n for entry in journal.pending()] == [1]
    assert victim.read_text() == "precious"
    assert sorted(os.listdir(tmp_path / "moved")) == [LOG, STATE, JOURNAL]
    folder.remove()
    assert os.listdir(tmp_path / "moved") == []
    assert len(os.listdir(folder.path)) == 4  # not ours, and not removed
    folder.close()


@pytest.mark.parametrize("name", [STATE, f".{STATE}"])
def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = StateFolder.claim(tmp_path / "vm")
    os.symlink(victim, Path(folder.path) / name)
    folder.write(STATE, {"phase": "running"})
    assert victim.read_text() == "precious"
    assert read_json(Path(folder.path) / STATE) == {"phase": "running"}
    folder.close()


def test_a_log_that_is_there_already_is_not_written_to(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    os.symlink(tmp_path / "victim", Path(folder.path) / LOG)
    with pytest.raises(FileExistsError):
        folder.open(LOG)
    assert not (tmp_path / "victim").exists()
    folder.close()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    os.symlink("/dev/zero", path)


def link(path: Path) -> None:
    (path.parent / "other.json").write_text("{}")
    os.symlink("other.json", path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST + 1)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def foreign(path: Path) -> None:
    path.write_text("{}")
    os.chown(path, EVIL, EVIL)


ODD = [fifo, endless, link, huge, listener, Path.mkdir, pytest.param(device, marks=needs_root)]
ODD.append(pytest.param(foreign, marks=needs_root))


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_file_of_ours_is_never_read_nor_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    for name in (STATE, JOURNAL):
        make(Path(folder.path) / name)
    with pytest.raises(OSError, match=r".+"):
        read_file(Path(folder.path) / STATE)
    with pytest.raises(OSError, match=r".+"):
        folder.read(STATE)
    assert read_json(Path(folder.path) / STATE) is None
    with pytest.raises(Refused, match="E512: the journal of vm cannot be read"):
        pending(Path(folder.path) / JOURNAL)
    folder.close()
    assert not is_lost(tmp_path / "vm")


@pytest.mark.parametrize("make", [fifo, endless, link, huge, listener])
def test_whatever_is_in_the_place_of_a_file_is_removed_as_ours_and_made_anew(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    make(Path(folder.path) / STATE)
    folder.write(STATE, {})
    assert read_json(Path(folder.path) / STATE) == {}
    (Path(folder.path) / "other.json").unlink(missing_ok=True)
    assert folder.remove() == ()
    folder.close()


def test_a_folder_in_the_place_of_a_file_stays_and_is_named(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    (Path(folder.path) / STATE).mkdir()
    with pytest.raises(OSError, match=r".+"):
        folder.write(STATE, {})
    assert folder.remove() == (STATE,)
    folder.close()


def test_a_lock_that_no_vm_holds_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.vms.folder.PATIENCE", 0.0)
    held = StateFolder.claim(tmp_path / "vm")
    with pytest.raises(OSError, match="another process holds its lock"):
        StateFolder.claim(tmp_path / "vm")
    held.write(STATE, {"phase": "running"})
    with pytest.raises(NameTaken):
        StateFolder.claim(tmp_path / "vm")
    held.close()


def test_a_folder_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / ("long-" * 20) / "vmlaunch" / "vm")
    with folder.entered():
        listener = listen(Path(SOCKET))
    Channel.connect(Path(folder.path) / SOCKET).close()
    listener.close()
    folder.close()


def test_names_are_of_the_folder_while_it_is_entered(tmp_path: Path) -> None:
    folder, before = StateFolder.claim(tmp_path / "vm"), os.getcwd()
    with folder.entered():
        Path("control.sock").touch()
    assert (Path(folder.path) / "control.sock").exists()
    assert os.getcwd() == before
    folder.close()
