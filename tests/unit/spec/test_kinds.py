"""What each word for a kind of device means: classes and ids that it has, and those that it almost has."""

from __future__ import annotations

import pytest

from launcher.errors import LauncherError
from launcher.spec.kinds import KINDS, is_of, meant_by
from launcher.spec.load import load_spec

# Word, class and id of devices that people have.
MEANT = [
    ("gpu", "030000", "10de:2684"),  # GeForce
    ("gpu", "030200", "10de:2330"),  # H100
    ("gpu", "038000", "1002:744c"),  # Radeon without a picture
    ("gpu", "120000", "1002:74a1"),  # Instinct MI300X
    ("gpu", "120000", "1da3:1020"),  # Gaudi2
    ("gpu", "030000", "1af4:1050"),  # virtio-gpu renders
    ("display", "030000", "1a03:2000"),
    ("ethernet", "020000", "15b3:1021"),
    ("infiniband", "020700", "15b3:1021"),  # ConnectX-7 in that mode
    ("infiniband", "028000", "15b3:1003"),  # ConnectX-3
    ("infiniband", "020800", "8086:24f0"),
    ("wifi", "028000", "8086:a0f0"),
    ("network", "020000", "8086:1572"),
    ("network", "020700", "15b3:1021"),
    ("network", "028000", "8086:a0f0"),
    ("storage", "010802", "144d:a80a"),
    ("storage", "010601", "8086:7a62"),
    ("storage", "010700", "1000:0097"),
    ("storage", "010400", "1000:005d"),
    ("nvme", "010802", "144d:a80a"),
    ("usb", "0c0330", "10de:1aec"),
    ("audio", "040300", "10de:1aeb"),
    ("fpga", "120000", "10ee:5020"),  # Alveo
    ("fpga", "120000", "8086:09c4"),
    ("0302", "030200", "10de:2330"),
    ("030000", "030000", "1a03:2000"),  # what is literal takes a BMC, too
]
NOT_MEANT = [
    *(("gpu", "030000", id_) for id_ in ("1a03:2000", "1a03:2010", "102b:0522", "102b:0538", "19e5:1711", "1234:1111")),
    ("gpu", "030000", "1013:00b8"),
    ("gpu", "120000", "10ee:5020"),
    ("gpu", "120000", "8086:7d1d"),  # a neural processor
    ("gpu", "068000", "10de:22a3"),  # an NVSwitch
    ("ethernet", "020700", "15b3:1021"),
    ("wifi", "028000", "15b3:1003"),
    ("infiniband", "020000", "15b3:1021"),
    ("nvme", "010601", "8086:7a62"),
    ("nvme", "010803", "144d:a80a"),
    ("usb", "0c0340", "8086:9a1b"),  # USB4
    ("usb", "0c8000", "10de:1aed"),
    ("fpga", "060400", "10ee:9134"),
    ("tpm", "108000", "1022:15df"),
]


@pytest.mark.parametrize(("kind", "class_code", "id_"), MEANT)
def test_a_word_means_what_people_have(kind: str, class_code: str, id_: str) -> None:
    assert is_of(kind, class_code, id_)


@pytest.mark.parametrize(("kind", "class_code", "id_"), NOT_MEANT)
def test_and_not_what_only_looks_like_it(kind: str, class_code: str, id_: str) -> None:
    assert not is_of(kind, class_code, id_)


def test_no_word_is_near_two_kinds_or_is_one() -> None:
    near = [word for one in KINDS for word in one.near]
    assert len(near) == len({*near, *(one.word for one in KINDS)}) - len(KINDS)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("vga", "gpu"),
        ("screen", "display"),
        ("NIC", "ethernet"),
        ("disk", "storage"),
        ("ssd", "nvme"),
        ("wlan", "wifi"),
        ("GPU", "gpu"),
    ],
)
def test_a_word_of_another_tool_is_answered_by_its_meaning(word: str, meant: str) -> None:
    assert meant_by(word) == meant
    text = f"boot: {{kernel: ./k}}\ncpus: 1\nmemory: 1GiB\ndevices: {{it: {{match: {{class: {word}}}}}}}\n"
    with pytest.raises(LauncherError) as refused:
        load_spec(text, "vm.yaml", name="vm")
    (found,) = refused.value.diagnostics
    assert (found.code, found.help[0]) == ("E116", f"write `{meant}`")
    assert all(one.word in found.help[1] for one in KINDS)
