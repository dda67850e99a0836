"""Mediated devices in a spec: one by its UUID, any of a type, or a parent and a type that one is made of."""

from __future__ import annotations

import pytest

from launcher.spec.parts import VM_SPEC, Vgpu
from launcher.values import Mdev
from tests.unit.spec.test_load_spec import SHORT, codes, loaded, refused

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"


def with_mdev(text: str) -> str:
    return SHORT.replace("{disk: 02:00.0}", f"{{gpu: {{mdev: {text}}}}}")


def mdev(text: str) -> Vgpu:
    found = loaded(with_mdev(text)).spec.devices["gpu"].mdev
    assert found is not None
    return found


def test_a_uuid_is_short_for_the_one_that_it_names() -> None:
    assert mdev(UUID) == mdev(f"{{uuid: {UUID.upper()}}}")
    assert (mdev(UUID).uuid, mdev(UUID).parent) == (Mdev(UUID), None)


@pytest.mark.parametrize(
    ("parent", "means"), [("mtty", "mtty"), ("0000:41:00.0", "0000:41:00.0"), ("41:00.0", "0000:41:00.0")]
)
def test_a_parent_and_a_type_are_names_of_sysfs(parent: str, means: str) -> None:
    found = mdev(f'{{parent: "{parent}", type: i915-GVTg_V5_4}}')
    assert (found.uuid, found.parent, found.type) == (None, means, "i915-GVTg_V5_4")


def test_a_type_alone_is_any_of_it() -> None:
    assert (mdev("{type: mtty-2}").uuid, mdev("{type: mtty-2}").parent) == (None, None)


def test_it_is_written_as_it_is_read() -> None:
    whole = f"{{uuid: {UUID}, parent: mtty, type: mtty-2}}"
    for text in (UUID, whole, "{parent: mtty, type: mtty-2}", "{type: mtty-2}"):
        spec = loaded(with_mdev(text)).spec
        assert VM_SPEC.read(VM_SPEC.plain(spec, short=True)) == spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{parent: mtty}", ["E122"]),
        (f"{{uuid: {UUID}, type: mtty-2}}", ["E122"]),
        ("{}", ["E121"]),
        ("{parent: /sys/class/mdev_bus/mtty, type: mtty-2}", ["E137"]),
        ("{parent: .., type: mtty-2}", ["E137"]),
        ("{parent: mtty, type: 2}", ["E105"]),
        ("nvidia-63", ["E136"]),
        ("7", ["E105"]),
    ],
)
def test_what_names_none_is_refused(text: str, expected: list[str]) -> None:
    assert codes(refused(with_mdev(text))) == expected


def test_a_path_of_sysfs_is_answered_with_its_last_part() -> None:
    (said,) = refused(with_mdev("{parent: /sys/class/mdev_bus/mtty, type: mtty-2}"))
    assert (said.fix, said.help[0]) == ("mtty", "write `mtty`")


def test_two_may_be_made_of_one_type_and_not_be_the_same() -> None:
    made = "{parent: mtty, type: mtty-2}"
    both = with_mdev(made).replace("}}}", f"}}}}, other: {{mdev: {made}}}}}")
    assert list(loaded(both).spec.devices) == ["gpu", "other"]
    same = both.replace("parent:", f"uuid: {UUID}, parent:")
    assert codes(refused(same)) == ["E124"]
