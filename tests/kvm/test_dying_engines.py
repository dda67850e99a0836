"""An engine that dies at each message, before the guest and under it: told in the same words, whoever sees it first."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.budget import LONG
from tests.conftest import PATIENCE, ROOT, Cli
from tests.disk_images import STORAGE_DAEMON, lettered, storage_daemon
from tests.name_spaces import needs_name_spaces

pytestmark = [
    pytest.mark.kvm,
    needs_name_spaces,
    pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}"),
]
Payload = Callable[[str], Path]

# It is in a folder of the name REQUEST-NTH when it is to die in place of that answer, REQUEST-NTH-behind: with it.
SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
enum { GET_FEATURES = 1, GET_VRING_BASE = 11, GET_PROTOCOL_FEATURES = 15, GET_QUEUE_NUM = 17, GET_CONFIG = 24 };
static struct { uint32_t request, flags, size; unsigned char payload[4096]; } message;
static size_t take(int end, void *to, size_t size)
{
	struct iovec piece = { to, size };
	struct msghdr head = { .msg_iov = &piece, .msg_iovlen = 1 };
	return size && recvmsg(end, &head, MSG_WAITALL) != (ssize_t)size;
}
static int answer(void)
{
	uint64_t features = 1ull << 32 | 1ull << 30, protocol = 1 << 9 | 1 << 3 | 1, one = 1, sectors = 2048;
	switch (message.request) {
	case GET_FEATURES: return memcpy(message.payload, &features, 8), 8;
	case GET_PROTOCOL_FEATURES: return memcpy(message.payload, &protocol, 8), 8;
	case GET_QUEUE_NUM: return memcpy(message.payload, &one, 8), 8;
	case GET_CONFIG: return memcpy(message.payload + 12, &sectors, 8), message.size;
	case GET_VRING_BASE: return 8;
	default: return message.flags & 8 ? memset(message.payload, 0, 8), 8 : 0;
	}
}
int main(int count, char **words)
{
	unsigned last, nth;
	char behind[8] = "", *name = strrchr(words[0], '/');
	if (!strcmp(words[1], "--version"))
		return puts("qemu-storage-daemon version 9.9 (with vhost-user-blk,id=)"), 0;
	*name = 0;
	sscanf(strrchr(words[0], '/'), "/%u-%u-%6s", &last, &nth, behind);
	int end = accept(atoi(strstr(words[count - 1], "\"str\": \"") + 8), NULL, NULL);
	while (!take(end, &message, 12) && !take(end, message.payload, message.size)) {
		int dies = message.request == last && !--nth;
		if (dies)
			fprintf(stderr, "I had enough at %u\n", last);
		if (dies && !*behind)
			__builtin_trap();
		int size = answer();
		struct iovec piece = { &message, 12 + size };
		struct msghdr head = { .msg_iov = &piece, .msg_iovlen = 1 };
		message.flags = 5, message.size = size;
		if (size && sendmsg(end, &head, MSG_NOSIGNAL) < 0)
			return 2;
		if (dies)
			__builtin_trap();
	}
	return 1;
}
"""
# Messages as they come: the keeper asks for features once, then the runner; from SET_FEATURES on the guest runs.
STEPS = {"behind its keeper": "1-1-behind", "GET_FEATURES": "1-2", "GET_CONFIG": "24-1", "told all": "17-2-behind"}
STEPS |= {"SET_MEM_TABLE": "5-1", "SET_VRING_ENABLE": "18-1", "GET_VRING_BASE": "11-1"}
if LONG:
    STEPS |= {"GET_PROTOCOL_FEATURES": "15-1", "SET_PROTOCOL_FEATURES": "16-1", "SET_OWNER": "3-1", "NUM": "17-1"}
    STEPS |= {"SET_FEATURES": "2-1", "SET_VRING_NUM": "8-1", "SET_VRING_KICK": "12-1", "SET_VRING_CALL": "13-1"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    (folder / "engine.c").write_text(SOURCE)
    subprocess.run(["cc", "-Wall", "-o", folder / "engine", folder / "engine.c"], check=True)
    return folder / "engine"


@pytest.mark.parametrize("at", STEPS.values(), ids=STEPS)
def test_an_engine_that_dies_is_told_of_at_each_step(
    cli: Cli, payload: Payload, tmp_path: Path, program: Path, at: str
) -> None:
    folder = tmp_path / at
    folder.mkdir()
    (folder / STORAGE_DAEMON).hardlink_to(program)
    boot = {"kernel": str(payload("blocks")), "cmdline": "midway 10"}
    spec = cli.spec(Path("replaced"), boot=boot, disks={"root": str(lettered(tmp_path / "root.img"))})
    command = [sys.executable, "-m", "tests.kvm.other_engines", folder, "up", spec, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 11, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    (found,) = report["diagnostics"]
    assert (found["code"], found["message"]) == ("E560", f"{STORAGE_DAEMON}, which served root, was killed by SIGILL")
    assert found["evidence"] == [f"I had enough at {at.partition('-')[0]}"]
    (engine,) = report["engines"]
    assert (engine["state"], engine["how"]) == ("died", "was killed by SIGILL")
    assert report["left_behind"] == []
    assert cli.run("down", cli.name).code == 0
