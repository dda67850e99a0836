"""What is the host's word and what is a bug of ours; the help names the limit."""

from __future__ import annotations

import errno

import pytest

from launcher.refusals import cause, in_words, refusal_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (PermissionError(errno.EPERM, "Operation not permitted", "/x"), "Operation not permitted (/x)"),
        (MemoryError(), "Cannot allocate memory"),
        (MemoryError("machine_create"), "Cannot allocate memory (machine_create)"),
        (RuntimeError("can't start new thread"), "Resource temporarily unavailable (pthread_create)"),
        (SystemError("error return without exception set"), "Cannot allocate memory"),
        (ImportError("x.so: failed to map segment from shared object"), "x.so: failed to map segment"),
    ],
)
def test_a_refusal_in_whatever_python_makes_of_it(error: Exception, words: str) -> None:
    refused = refusal_of(error)
    assert refused is not None
    assert cause(refused).startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError(errno.EINVAL, "Invalid argument"),
        OSError("no errno"),
        RuntimeError("dictionary changed size during iteration"),
        ImportError("cannot import name 'x'"),
        SystemError("bad argument to internal function"),
        ZeroDivisionError(),
    ],
)
def test_a_bug_is_none(error: Exception) -> None:
    assert refusal_of(error) is None


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.ENOSPC, "No space left on device"), "df -i"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable", "fork"), "TasksMax="),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable", "KVM_IRQFD"), None),
        (OSError(errno.EPERM, "Operation not permitted"), None),
    ],
)
def test_the_way_out_is_that_of_the_limit(error: OSError, word: str | None) -> None:
    found = in_words("run", error)
    assert found.code == "E552"
    assert (word is None and not found.help) or (word is not None and word in found.help[0])
