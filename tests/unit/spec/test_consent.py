"""The list `allow`: words, words with a name, and what is neither."""

from __future__ import annotations

import pytest

from launcher.errors import Refused
from launcher.spec.load import load_spec
from launcher.spec.parts import VM_SPEC

SPEC = "boot: {kernel: ./k}\ncpus: 1\nmemory: 1GiB\ndevices:\n  nic:\n    pci: 0000:05:00.0\n    allow: "


def allowed(text: str) -> tuple[str, ...]:
    return load_spec(SPEC + text, "vm.yaml", name="vm").spec.devices["nic"].allow


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[in-use, no-reset]", ("in-use", "no-reset")),
        ("[in-use=eth0]", ("in-use=eth0",)),
        ("[in-use: eth0]", ("in-use=eth0",)),
        ("[no-reset, in-use: [eth0, vtcon1]]", ("no-reset", "in-use=eth0", "in-use=vtcon1")),
        ("\n      - in-use: 0000:05:00.0", ("in-use=0000:05:00.0",)),
        ("[]", ()),
    ],
)
def test_a_use_is_accepted_by_its_name(text, words):
    assert allowed(text) == words


@pytest.mark.parametrize("text", ["[in-us]", "[in-use=]", "[no-reset: x]", "[in-use: 5]", "[4]", "[true]"])
def test_what_is_no_consent_is_refused_at_its_place(text):
    with pytest.raises(Refused) as refused:
        allowed(text)
    (found,) = refused.value.diagnostics
    assert (found.code, found.where.line) == ("E116", 7)


@pytest.mark.parametrize("text", ["[in-use=]", "[in-use: '']", "[in-use: [eth0, '']]", "['in-use=  ']"])
def test_a_name_that_is_empty_is_not_answered_with_a_consent_to_every_use(text):
    with pytest.raises(Refused) as refused:
        allowed(text)
    (found,) = refused.value.diagnostics
    assert "whose use" in " ".join(found.help)
    assert "did you mean" not in " ".join(found.help)


def test_a_consent_that_was_saved_is_read_again():
    loaded = load_spec(SPEC + "[in-use: eth0]", "vm.yaml", name="vm").spec
    plain = VM_SPEC.plain(loaded, short=True)
    assert VM_SPEC.read(plain) == loaded
