"""The rules of virtual functions' settings, as the fake kernel keeps them; and where sysfs says that they are."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from launcher.kernel.api import VfPlace
from launcher.kernel.rtnetlink import VirtualFunction
from launcher.kernel.virtual_functions import VirtualFunctions
from launcher.values import PciAddress, VfSettings
from tests.fakes.host import FakeHost, dual_card
from tests.fakes.kernel import FakeKernel
from tests.fakes.networks import INDEX, FakeLink
from tests.vf_rules import CARD, NIC, NOTHING, RULES, Rule
from tests.vfio_rules import refused


def a_link() -> FakeLink:
    addresses = (NIC, PciAddress.parse("0000:3b:01.1"))
    cards = [dual_card(str(one), 33 + n, physical=CARD, number=n, told=NOTHING) for n, one in enumerate(addresses)]
    return FakeLink(FakeKernel(host=FakeHost(tuple(cards))))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_fake_kernel_keeps_the_rule_that(rule: Rule) -> None:
    rule(a_link(), INDEX)


# ---- where they are ----


class Link(FakeLink):
    """Interface 5 is the one that answers."""

    def functions(self, index: int) -> tuple[VirtualFunction, ...]:
        return (VirtualFunction(0, VfSettings("52:54:00:00:00:05")),) if index == 5 else ()


def a_tree(folder: Path, *interfaces: tuple[str, int], virtual: str = "0000:3b:01.0") -> VirtualFunctions:
    """Of a physical function, as sysfs shows it."""
    card = folder / str(CARD)
    card.mkdir()
    (card / "virtfn0").symlink_to(f"../{virtual}")
    for name, index in interfaces:
        (card / "net" / name).mkdir(parents=True)
        (card / "net" / name / "ifindex").write_text(f"{index}\n")
    return VirtualFunctions(folder, lambda: Link(FakeKernel()))


PLACE = VfPlace(NIC, CARD, 0)


def test_the_interface_is_the_one_that_answers_whatever_it_is_called(tmp_path: Path) -> None:
    functions = a_tree(tmp_path, ("eth0", 3), ("eth1", 5))
    assert functions.settings(PLACE) == VfSettings("52:54:00:00:00:05")
    os.rename(tmp_path / str(CARD) / "net" / "eth1", tmp_path / str(CARD) / "net" / "a-new-name")
    assert functions.settings(PLACE) == VfSettings("52:54:00:00:00:05")


@pytest.mark.parametrize(
    ("interfaces", "virtual", "error"),
    [
        ((), "0000:3b:01.0", errno.ENODEV),
        ((("eth0", 3),), "0000:3b:01.0", errno.ENODEV),
        ((("eth1", 5),), "0000:3b:01.7", errno.ENOENT),
    ],
    ids=["no interface", "one that is silent", "another function"],
)
def test_nobody_is_told_in_its_place(
    tmp_path: Path, interfaces: tuple[tuple[str, int], ...], virtual: str, error: int
) -> None:
    functions = a_tree(tmp_path, *interfaces, virtual=virtual)
    with refused(error):
        functions.settings(PLACE)


def test_a_card_that_has_none_any_more_says_so(tmp_path: Path) -> None:
    with refused(errno.ENOENT):
        VirtualFunctions(tmp_path, lambda: Link(FakeKernel())).settings(PLACE)
