"""Programs that are no engines: they end, say nonsense, hang, never stop talking. Each has its code, and is gone."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper import engine_sockets, engines
from launcher.executor.keeper.engine_limits import memory_limits
from launcher.executor.keeper.engine_watch import EngineWatch
from launcher.executor.keeper.last_words import last_words
from launcher.kernel import engine as kernel_engine
from launcher.kernel.real import RealKernel
from launcher.kernel.waiting import poll
from launcher.plan.virtio import StartUserNetwork
from launcher.values import GIB, MIB
from tests.name_spaces import needs_name_spaces
from tests.unit.executor.keeper.test_engines import disk, fails, image, kernel, step

pytestmark = needs_name_spaces
__all__ = ["kernel"]  # the fixture

# main() has the listening socket as the last of its descriptors: the number in the last word, behind "str".
SOURCE = """
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **words)
{
	int listening = atoi(strstr(words[count - 1], "\\"str\\": \\"") + 8);
	(void)listening;
	%s
	return 0;
}
"""
ODD = {
    "ends": 'fputs("I have\\n\\033[31mno colour\\n", stderr); return 3;',
    "nonsense": 'int one = accept(listening, NULL, NULL); write(one, "HTTP/1.1 400", 12); poll(NULL, 0, -1);',
    "short": 'int one = accept(listening, NULL, NULL); write(one, "HTTP", 4); close(one); poll(NULL, 0, -1);',
    "hangs": "poll(NULL, 0, -1);",
    "deaf": "signal(SIGTERM, SIG_IGN); for (;;) poll(NULL, 0, -1);",
    "silent": "close(1); close(2); poll(NULL, 0, -1);",
    "chatters": 'for (int n = 0; n < 100000; n++) fputs("and so on\\n", stderr); return 1;',
}


@pytest.fixture
def odd(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    def compiled(name: str) -> str:
        folder = tmp_path_factory.mktemp("odd")
        source, program = folder / "odd.c", folder / name
        source.write_text(SOURCE % ODD[name])
        subprocess.run(["cc", "-w", "-o", program, source], check=True)
        return str(program)

    return compiled


def found(kernel: RealKernel, tmp_path: Path, program: str) -> Diagnostic:
    one = step(disk(image(tmp_path / "a")), program=program)
    engines.prepare(one, kernel)
    with pytest.raises(StepFailed) as failed:
        engines.start(one, kernel)
    return failed.value.diagnostics[0]


def test_one_that_ends_at_once_is_quoted_without_what_a_terminal_acts_on(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str]
) -> None:
    told = found(kernel, tmp_path, odd("ends"))
    assert (told.code, told.message) == ("E561", "ends for root exited with status 3 before it served anything")
    assert told.evidence == ("I have", r"\x1b[31mno colour")


NETWORK = """
#include <stdio.h>
#include <unistd.h>
int main(void) { fprintf(stderr, "uid %d gid %d", getuid(), getgid()); return 1; }
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's engines have other uids")
def test_a_network_of_root_s_vm_is_served_by_a_user_that_no_other_vm_has(kernel: RealKernel, tmp_path: Path) -> None:
    """By a program that says who it is in place of passt."""
    (tmp_path / "passt.c").write_text(NETWORK)
    subprocess.run(["cc", "-o", tmp_path / "passt", tmp_path / "passt.c"], check=True)
    for one in (tmp_path, *tmp_path.parents):
        if str(one).startswith("/tmp/"):
            one.chmod(0o711)
    wanted = StartUserNetwork(str(tmp_path / "passt"), "inet", None, None, GIB)
    engines.prepare(wanted, kernel)
    with pytest.raises(StepFailed) as failed:
        engines.start(wanted, kernel)
    own = 0x7300_0000 + os.getpid()
    assert failed.value.diagnostics[0].evidence == (f"uid {own} gid {own}",)
    assert wanted.describe() == "start passt as a uid of its own for inet"


@pytest.mark.parametrize(
    ("name", "fact"), [("nonsense", "its answer is not vhost-user: 485454"), ("short", "it hung up")]
)
def test_one_that_answers_nonsense_does_not_serve(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str], name: str, fact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sockets, "LONGEST", 1.0)
    told = found(kernel, tmp_path, odd(name))
    assert told.code == "E562"
    assert fact in told.message


def test_one_that_hangs_is_not_waited_for_for_ever(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sockets, "LONGEST", 0.2)
    told = found(kernel, tmp_path, odd("hangs"))
    assert (told.code, told.message) == ("E562", "hangs does not serve root: no answer within 0.2 s")


def test_one_that_does_not_end_when_it_is_told_to_is_killed(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sockets, "LONGEST", 0.2)
    monkeypatch.setattr(kernel_engine, "TO_FLUSH", 0.2)
    found(kernel, tmp_path, odd("deaf"))
    (engine,) = kernel.engines
    engine.end(kernel.waits)
    assert engine.status == -9


def test_one_that_chatters_ends_all_the_same_and_its_last_lines_are_kept(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str]
) -> None:
    told = found(kernel, tmp_path, odd("chatters"))
    assert told.code == "E561"
    assert told.evidence[:4] == ("and so on",) * 4


def test_one_that_closes_its_streams_is_listened_to_no_more(
    kernel: RealKernel, tmp_path: Path, odd: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their end would wake its keeper for ever."""
    monkeypatch.setattr(engine_sockets, "LONGEST", 0.2)
    found(kernel, tmp_path, odd("silent"))
    (engine,) = kernel.engines
    nobody: Any = SimpleNamespace()
    watch = EngineWatch(kernel, nobody, nobody, nobody)
    while engine.said >= 0:
        assert poll(watch.interests(), 10), "its streams are open still"
        engine.listen()
    assert watch.interests() == {engine.pidfd: select.POLLIN}


def test_an_engine_may_execute_nothing_else_and_open_nothing_else(
    kernel: RealKernel, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As Landlock and seccomp have it: in words of a program that tries."""
    folder = tmp_path_factory.mktemp("tries")
    tries = {
        "open": 'open("/etc/passwd", O_RDONLY)',
        "make": f'open("{folder}/made", O_CREAT | O_WRONLY, 0600)',
        "run": 'execl("/bin/true", "true", (char *)0)',
        "socket": "socket(AF_INET, SOCK_STREAM, 0)",
        "kill": "kill(getppid(), 0)",
        "own": "fcntl(0, F_SETOWN, getppid())",  # whom the kernel then signals
        "signal": "fcntl(0, F_SETSIG, 9)",
        "fork": "fork()",
        "trace": "ptrace(PTRACE_ATTACH, getppid(), 0, 0)",
        "mount": "unshare(CLONE_NEWUSER)",
    }
    lines = "".join(f'if ({call} >= 0) fputs("{name}\\n", stderr);' for name, call in tries.items())
    includes = "\n".join(f"#include <{one}.h>" for one in ("fcntl", "sched", "sys/ptrace", "unistd"))
    source = f"#define _GNU_SOURCE\n{includes}\n{SOURCE % lines}"
    (folder / "tries.c").write_text(source)
    subprocess.run(["cc", "-w", "-o", folder / "tries", folder / "tries.c"], check=True)
    told = found(kernel, tmp_path, str(folder / "tries"))
    assert (told.message, told.evidence) == ("tries for root exited with status 0 before it served anything", ())
    assert not (folder / "made").exists()


TAKES = """
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
enum { SIZE = 64 << 20 };
static int take(int kind)
{
	int taken = 0;
	while (mmap(NULL, SIZE, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
		taken++;
	return taken;
}
int main(void)
{
	int private = take(MAP_PRIVATE), shared = take(MAP_SHARED);
	fprintf(stderr, "%d %d %d", private, shared, memfd_create("more", 0));
}
"""


def test_one_that_its_guest_has_taken_over_takes_no_more_memory_than_it_may(
    kernel: RealKernel, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of its own, shared with nobody, and in files without a name; the guest's, which it could give back, counts."""
    program = tmp_path_factory.mktemp("takes") / "takes"
    program.with_suffix(".c").write_text(TAKES)
    subprocess.run(["cc", "-o", program, program.with_suffix(".c")], check=True)
    one = step(disk(image(tmp_path / "image")), program=str(program))
    (_, data), (_, addresses) = memory_limits(one)
    (said,) = fails(kernel, one).diagnostics[0].evidence
    private, shared, file = map(int, said.split())
    assert file == -1
    assert data - 128 * MIB < 64 * MIB * private <= data < 2 * GIB
    assert addresses - 256 * MIB < 64 * MIB * (private + shared) <= addresses < 3 * GIB


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (b"", ()),
        (b"\n \n", ()),
        (b"one\ntwo", ("one", "two")),
        (b"\xff\n", (r"\xff",)),
        ("a\u202eb\u0007\n".encode(), (r"a\u202eb\x07",)),
        (b"x" * 300, (f"{'x' * 60} ... {'x' * 135}",)),
        (b"x" * 300 + b": what is wrong", (f"{'x' * 60} ... {'x' * 120}: what is wrong",)),
        (b"".join(b"%d\n" % n for n in range(9)), ("4", "5", "6", "7", "8")),
    ],
)
def test_last_words_are_few_short_and_plain(said: bytes, lines: tuple[str, ...]) -> None:
    assert last_words(said) == lines
