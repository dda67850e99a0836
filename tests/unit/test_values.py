"""Text that is taken for a value, and text that is not."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from launcher.values import UNITS, UUID, PciAddress, VfSettings, is_uuid, parse_size

ALMOST = st.from_regex(rf"\A{UUID}\Z").flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.text("0aFg-é\n", max_size=2)).map(
        lambda change: text[: change[0]] + change[1] + text[change[0] + len(change[1]) :]
    )
)


@given(ALMOST)
def test_a_uuid_is_what_its_pattern_says_in_letters_of_either_size(text: str) -> None:
    assert is_uuid(text) == (re.fullmatch(UUID, text.lower()) is not None)


PCI = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])")
SIZE = re.compile("([0-9]+)(KiB|MiB|GiB|TiB)")
MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@given(st.from_regex(PCI, fullmatch=True) | st.text("01289afAFg:.\n", max_size=18))
def test_a_pci_address_is_read_as_its_pattern_has_it(text: str) -> None:
    found = PCI.fullmatch(text)
    expected = found and PciAddress(*(int(one, 16) for one in found.groups("0")))
    assert value_or_none(PciAddress.parse, text) == expected


@given(st.from_regex(SIZE, fullmatch=True) | st.text("019KMGTiB .\u0661", max_size=6))
def test_a_size_is_read_as_its_pattern_has_it(text: str) -> None:
    found = SIZE.fullmatch(text)
    assert value_or_none(parse_size, text) == (found and int(found[1]) * UNITS[found[2]])


@given(st.from_regex(MAC, fullmatch=True) | st.text("09afA:", min_size=16, max_size=18))
def test_a_mac_address_is_taken_as_its_pattern_has_it(text: str) -> None:
    assert (value_or_none(lambda mac: VfSettings(mac=mac), text) is not None) == bool(MAC.fullmatch(text))


def value_or_none(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except ValueError:
        return None
