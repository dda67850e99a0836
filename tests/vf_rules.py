"""What a physical function's driver does with what it is told of its virtual ones, as stories: a link, and the index of
an interface with two virtual functions of which nothing is set, in.

They hold for the fake kernel and for a real one with netdevsim.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from launcher.kernel.api import VfChange, VfPlace
from launcher.kernel.virtual_functions import Link, make, settings
from launcher.values import NO_MAC, PciAddress, VfSettings, Vlan
from tests.vfio_rules import refused

Rule = Callable[[Link, int], None]

NOTHING = VfSettings(NO_MAC, Vlan(0), trust=False, spoofcheck=False)
ALL = VfSettings("52:54:00:12:34:56", Vlan(100), trust=True, spoofcheck=True)
OTHER = VfSettings("02:00:00:00:00:07", Vlan(7, 3, "802.1ad"), trust=False, spoofcheck=False)
NIC, CARD = PciAddress.parse("0000:3b:01.0"), PciAddress.parse("0000:3b:00.0")


def change(was: VfSettings, becomes: VfSettings) -> VfChange:
    return VfChange(VfPlace(NIC, CARD, 0), was, becomes)


def each_virtual_function_is_there_with_what_it_has(link: Link, index: int) -> None:
    assert [(one.number, one.settings) for one in link.functions(index)] == [(0, NOTHING), (1, NOTHING)]


def what_is_set_is_read_and_the_other_one_is_as_before(link: Link, index: int) -> None:
    for one in (ALL, OTHER):
        link.set(index, 0, one)
        assert settings(link, index, 0) == one
        assert settings(link, index, 1) == NOTHING


def what_is_not_said_stays(link: Link, index: int) -> None:
    link.set(index, 0, ALL)
    for name in ALL.said():
        link.set(index, 0, OTHER.only([name]))
        assert settings(link, index, 0).only([name]) == OTHER.only([name])
    assert settings(link, index, 0) == OTHER


def six_zeros_take_a_mac_away(link: Link, index: int) -> None:
    link.set(index, 0, ALL)
    link.set(index, 0, VfSettings(NO_MAC))
    assert settings(link, index, 0).mac == NO_MAC


def the_address_of_a_group_is_refused_and_what_comes_after_it_is_not_set(link: Link, index: int) -> None:
    with refused(errno.EINVAL):
        link.set(index, 0, VfSettings("53:54:00:12:34:56", Vlan(100), trust=True))
    assert settings(link, index, 0) == NOTHING


def a_virtual_function_that_is_not_there_is_refused(link: Link, index: int) -> None:
    with refused(errno.EINVAL):
        link.set(index, 2, VfSettings(trust=True))
    with refused(errno.ENOENT):
        settings(link, index, 2)


def an_interface_that_is_not_there_is_refused(link: Link, index: int) -> None:
    with refused(errno.ENODEV):
        link.functions(index + 1000)
    with refused(errno.ENODEV):
        link.set(index + 1000, 0, ALL)


def a_change_is_made_and_undone(link: Link, index: int) -> None:
    there = change(NOTHING, ALL)
    assert make(link, index, there) == ()
    assert settings(link, index, 0) == ALL
    assert make(link, index, there) == ()
    assert make(link, index, there.undone) == ()
    assert settings(link, index, 0) == NOTHING


def what_somebody_else_has_set_stays(link: Link, index: int) -> None:
    make(link, index, change(NOTHING, ALL))
    link.set(index, 0, OTHER.only(["mac", "vlan"]))
    assert make(link, index, change(NOTHING, ALL).undone) == ("mac", "vlan")
    assert settings(link, index, 0) == VfSettings(OTHER.mac, OTHER.vlan, trust=False, spoofcheck=False)


RULES: tuple[Rule, ...] = (
    each_virtual_function_is_there_with_what_it_has,
    what_is_set_is_read_and_the_other_one_is_as_before,
    what_is_not_said_stays,
    six_zeros_take_a_mac_away,
    the_address_of_a_group_is_refused_and_what_comes_after_it_is_not_set,
    a_virtual_function_that_is_not_there_is_refused,
    an_interface_that_is_not_there_is_refused,
    a_change_is_made_and_undone,
    what_somebody_else_has_set_stays,
)
