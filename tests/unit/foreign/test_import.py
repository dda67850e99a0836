"""`vmlaunch import`: machines of many makers, hostile files, and files that are none of them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from launcher.cli import main
from launcher.errors import Refused
from launcher.foreign.telling import drafted
from launcher.foreign.writing import spec_text
from launcher.spec.load import load_spec
from launcher.spec.yaml_tree import read_tree
from tests.unit.foreign.machines import LINUX, MACHINES, Machine, domain, qemu, x


@pytest.mark.parametrize("one", MACHINES, ids=lambda one: one.maker)
def test_a_machine_becomes_a_spec_with_the_reasons_for_the_rest(one: Machine) -> None:
    draft = drafted(one.text.encode(), "vm.xml")
    draft.name = draft.name or "vm"
    text = spec_text(draft, "vm.xml")
    root = read_tree(text, "vm.yaml").root
    assert root is not None
    assert root.plain() == one.spec | ({"boot": one.firmware} if one.firmware else {})
    told = " ".join(text.replace("\n", " ").replace("# ", "").split())
    assert [words for words in one.lost if words not in told] == []
    load_spec(text, "vm.yaml")


def test_they_are_thirty_of_as_many_makers() -> None:
    assert len({one.maker for one in MACHINES}) >= 30


def test_a_spec_is_printed_and_what_is_not_in_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vm.sh").write_text(qemu("-kernel /k", "-m 1G", "-vga std"))
    assert main(["import", "vm.sh"]) == 0
    out, err = capsys.readouterr()
    assert "\nname: vm\nboot:\n  kernel: /k\ncpus: 1\nmemory: 1GiB\n" in out
    assert err == "vm.sh: a command line of QEMU; the spec is valid; 1 comment says what is not in it, and why\n"
    assert main(["import", "vm.sh", "-o", "new.yaml"]) == 0
    assert main(["validate", "new.yaml"]) == 0
    assert main(["import", "vm.sh", "-o", "new.yaml"]) == 1
    assert "E028" in capsys.readouterr().err
    assert main(["import", "vm.sh", "-o", "-"]) == 0
    assert (capsys.readouterr().out, Path("-").exists()) == (out, False)
    assert main(["import", "web01"]) == 1
    assert "`virsh dumpxml web01 | vmlaunch import -`" in capsys.readouterr().err
    assert main(["import", "vm.sh", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"]
    assert {"what": "-vga std", "line": 1, "beside": None, "lost": True}.items() <= answer["notes"][0].items()


def test_a_domain_comes_in_on_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(domain("web", LINUX).encode())))
    assert main(["import", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("# By `vmlaunch import` of a domain of libvirt, from stdin.")
    assert err == "stdin: a domain of libvirt; the spec is valid\n"


def test_a_spec_that_is_not_valid_is_printed_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two disks of one image, and the code says why not."""
    path = tmp_path / "vm.sh"
    path.write_text(qemu("-kernel /k", "-drive file=/a.img,if=virtio", "-drive file=/a.img,if=virtio"))
    assert main(["import", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "a-2: /a.img" in out
    assert "error[E147]" in err
    assert "the spec is not valid yet" in err


# ---- hostile ----

BOMB = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><domain><name>&b;</name></domain>'
DOUBLED = "A=aaaaaaaaaaaaaaaa\n" + "A=$A$A$A$A\n" * 20 + "qemu-system-x86_64 -name $A\n"
INTO = 'a\n# b\nboot: {kernel: /evil}\n"x": \x1b[31m\u2028\u202eö'


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (BOMB, "E025"),
        ('<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>', "E025"),
        ("<domain>" * 70, "E025"),
        (x("domain", "<a/>" * 20_001), "E025"),
        ("<domain><name>a</name>", "E025"),
        ('<?xml version="1.0" encoding="cp037"?><domain/>', "E025"),
        ('<?xml version="1.0" encoding="no-such"?><domain/>', "E025"),
        ("<domain type='lxc'><os><type>exe</type></os></domain>", "E026"),
        (domain("pi", x("os", x("type arch=aarch64", "hvm"))), "E026"),
        (qemu("-M virt", program="qemu-system-aarch64"), "E026"),
        (DOUBLED, "E027"),
        ("A+=x\n" * 2000 + "qemu-system-x86_64 -name $A\n", "E027"),
        ("qemu-system-x86_64 -name " + "$(" * 2000, "E027"),
        ("A+=(x)\n" * 6000 + 'qemu-system-x86_64 -hda "${A[@]}"\n', "E027"),
        ("qemu-system-x86_64 -name 'a", "E027"),
        ('qemu-system-x86_64 -name "a', "E027"),
        ("qemu-system-x86_64 -m 1G -name", "E027"),
        (qemu("-blockdev {" + '"a":[' * 9000), "E027"),
        ("<network><name>default</name></network>", "E024"),
        ("boot: {kernel: ./k}\n", "E024"),
        ('{"name": "a", "boot": {"kernel": "./k"}}', "E024"),
        ("<domain type='xen'><os><type>xen</type></os></domain>", "E026"),
        ("cores: 4\nscsi0: local:vm-1-disk-0,size=8G\n", "E024"),
        ('config.version = "8"\n', "E024"),
        ("<Envelope/>", "E024"),
        ("Vagrant.configure('2') do\n", "E024"),
        ("QFI\xfb", "E024"),
        ("\x7fELF", "E024"),
        ("", "E024"),
        ("\xff\xfe\x00\xd8", "E001"),
        ("just words\n", "E024"),
        ("a=(" * 2000, "E024"),
        ("echo a\n-x -y\nqemu-system-x86_64 --version\n", "E024"),
    ],
)
def test_what_is_no_machine_is_refused_with_a_code(raw: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        drafted(raw.encode("latin-1"), "given")
    assert [one.code for one in refused.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("# mine\nname: a\nmemory: 1GiB\nboot: uefi\n", "a spec of vmlaunch already"),
        ('{"name": "a", "boot": "uefi"}', "a spec of vmlaunch already"),
        ("memory: 2048\nscsi0: local:vm-1-disk-0,size=8G\n", "a configuration of Proxmox"),
        ('.encoding = "UTF-8"\nconfig.version = "8"\n', "a configuration of VMware"),
    ],
)
def test_what_it_is_instead_is_said(raw: str, what: str) -> None:
    with pytest.raises(Refused, match=what):
        drafted(raw.encode(), "given")


def test_a_value_behind_an_equals_sign_takes_no_word_of_the_next_option() -> None:
    """QEMU itself refuses it; people write it, and `-m` has its value."""
    found = spec_text(drafted(b"qemu-system-x86_64 -kernel k -initrd=i.img -m 512", "vm.sh"), "vm.sh")
    spec = load_spec(found, "vm.yaml", name="vm").spec
    assert (spec.boot.initrd, spec.memory[0].size, dict(spec.disks)) == ("i.img", 512 << 20, {})


def test_what_a_guest_of_xen_or_with_secure_boot_loses_is_said() -> None:
    xen = drafted(domain("a", LINUX).replace("kvm", "xen", 1).encode(), "a.xml")
    assert any("/dev/xvdX" in one.why for one in xen.notes)
    secure = qemu("-global driver=cfi.pflash01,property=secure,value=on", "-global ICH9-LPC.disable_s3=1")
    lost = [one.what for one in drafted(secure.encode(), "a.sh").notes]
    assert {"Secure Boot", "-global ICH9-LPC.disable_s3=1"} <= set(lost)


@pytest.mark.parametrize("number", ["9" * 5000, "²", "٣", "-1"])
def test_no_number_is_too_odd(number: str) -> None:
    """A number of more than 4300 digits is an exception to Python."""
    source, target = x("source file=/a"), x("target dev=vda bus=virtio")
    disk = x("disk type=file", x(f"driver type=raw queues={number}"), source, target)
    bridge = x("interface type=bridge", x("source bridge=br0"), x(f"mtu size={number}"))
    card = x("address type=pci domain=0 bus=1 slot=0 function=0")
    hostdev = x("interface type=hostdev", x("source", card), x("vlan", x(f"tag id={number}")))
    texts = (
        domain("a", LINUX, x("devices", disk, bridge, hostdev)),
        qemu("-netdev bridge,id=n,br=br0", f"-device virtio-net-pci,netdev=n,host_mtu={number}"),
        qemu("-drive file=/a,if=none,id=d", f"-device virtio-blk-pci,drive=d,num-queues={number},bootindex=0"),
        qemu(
            "-drive file=/a,if=none,id=d", f"-device virtio-blk-pci,drive=d,bootindex={number}", "-device x,bootindex=0"
        ),
    )
    for text in texts:
        root = read_tree(spec_text(drafted(text.encode(), "given"), "given"), "given").root
        assert root is not None
        assert number not in repr(root.plain())


@pytest.mark.parametrize("place", ["name", "path", "unknown", "cmdline"])
def test_words_of_the_file_stay_in_their_place(place: str) -> None:
    """None ends a comment, leaves its quotes, or steers a terminal."""
    word = INTO if place != "cmdline" else INTO.replace("\n", " ")
    text = qemu(
        f"-name {word if place == 'name' else 'a'}", "-kernel /k", f"-append {word if place == 'cmdline' else 'b'}",
        f"-drive if=virtio,file=/{word if place == 'path' else 'c'}", f"-what {word if place == 'unknown' else 'd'}",
    )  # fmt: skip
    made = spec_text(drafted(text.encode(), "vm\n.sh\x1b"), "vm\n.sh\x1b")
    spec = load_spec(made, "vm.yaml").spec
    assert spec.boot.kernel == "/k"
    assert all(sign.isprintable() or sign == "\n" for sign in made)
    if place == "path":
        assert [one.path for one in spec.disks.values()] == [f"/{INTO}"]
    if place == "cmdline":
        assert spec.boot.cmdline == word


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('qemu-system-x86_64 -version\nA=(\n  -kernel /k\n  -what x\n)\nkvm "${A[@]}" -m 1G\n', [4]),
        ("usermod -aG kvm ada\napt-get install qemu-system-x86 qemu-utils\nexec kvm -kernel /k -what x\n", [3]),
        ("sed -i s/kvm/x/ -e kvm -a\nqemu-system-x86_64 -kernel /k \\\n -what x\n", [3]),
        ("-kernel /k -what x", [1]),
    ],
)
def test_of_a_script_the_command_is_found_and_lines_are_those_of_the_words(text: str, lines: list[int]) -> None:
    draft = drafted(text.encode(), "vm.sh")
    assert draft.boot == {"kernel": "/k"}
    assert [one.line for one in draft.notes if one.what == "-what x"] == lines


def test_names_and_aliases_that_yaml_reads_as_numbers_or_truth_are_text() -> None:
    text = qemu(
        "-name 7", "-kernel /k", "-drive id=true,file=/a,if=virtio", "-hda -",
        "-drive id=1,file=size=4,,x,if=virtio",
    )  # fmt: skip
    spec = load_spec(spec_text(drafted(text.encode(), "vm.sh"), "vm.sh"), "vm.yaml").spec
    assert (spec.name, {alias: one.path for alias, one in spec.disks.items()}) == (
        "7",
        {"true": "/a", "disk": "-", "1": "./size=4,x"},
    )


def test_a_name_in_xml_stays_in_its_place_too() -> None:
    inner = "a&#10;boot: {kernel: /evil}&#x2028;"
    made = spec_text(drafted(domain(inner, LINUX, f"<{'q' * 300} name='{inner}'/>").encode(), "vm.xml"), "vm.xml")
    assert load_spec(made, "vm.yaml").spec.boot.kernel == "/k"


def test_thousands_of_unknown_things_are_one_comment() -> None:
    many = "".join(f"<odd{number}/>" for number in range(10_000))
    made = spec_text(drafted(domain("a", LINUX, many).encode(), "vm.xml"), "vm.xml")
    assert "and 9994 more: vmlaunch knows no such element" in " ".join(made.replace("# ", "").split())
    assert len(made) < 4000
