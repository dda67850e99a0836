"""What users of other tools write in, what they are told out: the field that is meant, or what there is instead."""

from __future__ import annotations

import pytest

from launcher.codes import all_explanations
from launcher.errors import Diagnostic, Refused
from launcher.spec.fields import all_fields, keys_of
from launcher.spec.load import load_spec
from launcher.spec.words_of_others import CHOICES, FIELDS

START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"


def refused(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refused) as error:
        load_spec(text, "vm.yaml", name="vm")
    return error.value.diagnostics


def told(text: str) -> Diagnostic:
    (one,) = refused(text)
    return one


AT_THE_TOP = {
    "ram: 4GiB": "write `memory`",
    "vcpus: 2": "write `cpus`",
    "cores: 2": "write `cpus`",
    "bootVcpus: 2": "write `cpus`",
    "mem_limit: 4g": "write `memory`",
    "cpu: host": "nothing is to be written",
    "sockets: 2": "number of vCPUs in all",
    "kernel: /boot/vmlinuz": "`boot: {kernel: /boot/vmlinuz}`",
    "initrd: ./initrd.img": "`boot: {initrd: ./initrd.img}`",
    "append: console=ttyS0": "`boot: {cmdline: console=ttyS0}`",
    "args: ro": "`boot: {cmdline: ro}`",
    "affinity: 0-1": "`cpus: {count: 8, pin: 8-15}`",
    "hugepages: 1024": "`memory: [{size: 8GiB, pages: 1GiB}]`",
    "network: default": "the guest's NICs are passed devices",
    "networks: []": "the guest's NICs are passed devices",
    "net0: virtio": "the guest's NICs are passed devices",
    "nic: x": "the guest's NICs are passed devices",
    "disk: a.qcow2": "the guest's disks are passed devices",
    "image: a.qcow2": "the guest's disks are passed devices",
    "scsi0: local:1": "the guest's disks are passed devices",
    "drive: file=a": "the guest's disks are passed devices",
    "cdrom: a.iso": "the guest's disks are passed devices",
    "mac: 52:54:00:00:00:01": "network: {mac: ",
    "uefi: true": "without firmware",
    "firmware: ovmf": "without firmware",
    "cloud-init: {}": "root disk",
    "user_data: x": "root disk",
    "usb: []": "USB controller",
    "gpus: 1": "passed by `devices:`",
    "hostdev: x": "passed by `devices:`",
    "hostpci0: 0000:01:00.0": "passed by `devices:`",
    "hostDevices: []": "passed by `devices:`",
    "vga: std": "no screen",
    "volumes: []": "shares no folders",
    "restart: always": "systemd",
    "services: {}": "one file is one VM",
    "description: mine": "begin with x-",
    "version: 3": "vmlaunch: 1",
}


@pytest.mark.parametrize("written", AT_THE_TOP)
def test_a_word_of_another_tool_is_answered_by_what_it_means(written: str) -> None:
    one = told(START + written)
    assert one.code == "E101"
    assert AT_THE_TOP[written] in " ".join(one.help)


OF_A_DEVICE = {
    "id: 10de:2684": "`match: {id: 10de:2684}`",
    "host: 0000:c1:00.0": "write `pci`",
    "address: 0000:c1:00.0": "write `pci`",
    "class: gpu": "`match: {class: gpu}`",
    "node: 1": "`match: {node: 1}`",
    "managed: yes": "one of auto, never",
    "romfile: a.rom": "true, false or a path",
    "mac: 52:54:00:00:00:01": "`network: {mac: 52:54:00:00:00:01}`",
    "vlan: 7": "`network: {vlan: 100}`",
    "mdev: x": "no mediated devices",
    "count: 2": "an alias of its own",
    "memory: 4GiB": "at the left margin",
}


@pytest.mark.parametrize("written", OF_A_DEVICE)
def test_a_word_of_another_tool_in_a_device_is_answered_by_what_it_means(written: str) -> None:
    one = told(f"{START}devices: {{gpu: {{{written}}}}}")
    assert one.code == "E101"
    assert OF_A_DEVICE[written] in " ".join(one.help)


def test_reserved_words_say_what_there_is_instead() -> None:
    for word in ("disks", "nics", "shares"):
        one = told(f"{START}{word}: []")
        assert (one.code, len(one.help)) == ("E103", 1)


def test_what_a_word_means_is_not_reported_as_missing_beside_it() -> None:
    found = refused("kernel: ./bzImage\nvcpus: 2\nram: 1GiB\n")
    assert [one.code for one in found] == ["E101"] * 3


def test_a_misspelled_word_is_still_told_by_its_letters() -> None:
    assert told(START.replace("memory", "memroy")).help == ("did you mean `memory`?",)


PAGES = {"2M": "2MiB", "2048kB": "2MiB", "1G": "1GiB", "4k": "4KiB", "transparent": "thp", "2048": None, "huge": None}


@pytest.mark.parametrize("written", PAGES)
def test_page_sizes_of_others_are_told_and_a_bare_number_has_no_fix(written: str) -> None:
    one = told(START.replace("1GiB", f"[{{size: 1GiB, pages: {written}}}]"))
    assert (one.code, one.fix) == ("E116", PAGES[written])
    assert "2MiB" in " ".join(one.help)


@pytest.mark.parametrize(
    ("text", "help_", "fix"),
    [
        (
            "boot: /boot/vmlinuz\ncpus: 1\nmemory: 1GiB\n",
            "write `boot: {kernel: /boot/vmlinuz}`",
            "{kernel: /boot/vmlinuz}",
        ),
        (START.replace("}", ", cmdline: [a, b=c]}"), "write it as one text: `a b=c`", "a b=c"),
        (START.replace("cpus: 2", "cpus: 2.0"), "write `2`", "2"),
        (START.replace("cpus: 2", "cpus: two"), "write a number such as `8`", None),
        (f"{START}devices: {{a: {{match: gpu}}}}", "write `match: {class: gpu}`", "{class: gpu}"),
        (f"{START}devices: {{a: {{match: 10de:2684}}}}", "write `match: {id: 10de:2684}`", "{id: 10de:2684}"),
        (f"{START}devices: {{a: {{match: {{class: vga}}}}}}", "write `gpu`", "gpu"),
    ],
)
def test_a_value_of_another_kind_is_told_as_it_is_to_be_written(text: str, help_: str, fix: str | None) -> None:
    one = told(text)
    assert (one.help[0], one.fix) == (help_, fix)


def test_what_is_missing_is_shown_by_an_example_and_no_program_is_to_apply_it() -> None:
    for one in refused("name: vm"):
        assert (one.code, one.fix, len(one.help)) == ("E102", None, 1)


def test_every_word_leads_to_a_field_or_a_choice_that_there_is() -> None:
    fields = all_fields()
    assert {field for words in FIELDS.values() for field in words} <= fields.keys()
    assert FIELDS.keys() <= {"*", "boot", "cpus", "memory", "devices", "devices.match", "devices.network"}
    assert CHOICES.keys() <= {key.rpartition(".")[2] for key in fields}


def test_no_word_is_a_key_where_it_is_asked_for() -> None:
    """The keys of a section are known there, so such a word would never be reached."""
    for section, words in FIELDS.items():
        if section != "*":
            assert not {word for listed in words.values() for word in listed.split()} & set(keys_of(section))


@pytest.mark.parametrize("one", [one for one in all_explanations() if one.code[1] == "1"], ids=lambda one: one.code)
def test_every_problem_of_a_spec_has_a_way_out(one) -> None:
    if "vmlaunch" in one.example.split():
        return
    found = [found for found in refused(one.example) if found.code == one.code]
    assert found
    assert all(found.help for found in found)
