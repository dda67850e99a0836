"""`vmlaunch init`: a spec for this host that is valid, takes nothing, and whose comments are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.api.beginning import begun_spec
from launcher.cli import main
from launcher.record import replace
from launcher.spec.load import load_spec
from tests.budget import LONG
from tests.elves import pvh
from tests.planning import HOSTS, host, plan

ALL = sorted(path.stem for path in HOSTS.glob("*.json"))
SOME = ["cloud-vm", "gpu07", "kvm-denied", "lab-no-iommu", "lab-virtual-functions", "laptop", "no-kvm"]


@pytest.mark.parametrize("name", ALL if LONG else SOME)
def test_a_first_spec_is_valid_and_takes_nothing_of_the_host(name: str) -> None:
    text = begun_spec("web", host(name), root=None)
    spec = load_spec(text, "web.yaml").spec
    assert (spec.name, dict(spec.devices)) == ("web", {})
    assert all(len(line) <= 180 and line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("name", ["gpu07", "lab-zoo", "lab-shared", "gpu-server"])
def test_each_device_in_it_can_be_passed_as_it_is_written(name: str) -> None:
    """Alone, and nothing but the device is looked at: the kernel and the memory are the planner's tests'."""
    text = begun_spec("web", host(name), root=None)
    listed = re.findall(r'^#   ([a-z0-9-]+: (?:\{pci: )?"[0-9a-f]{4,}:.*?)  +# ', text, re.MULTILINE)
    assert listed
    for line in listed:
        made = plan(f"boot: {{kernel: ./bzImage}}\ncpus: 1\nmemory: 256MiB\ndevices:\n  {line}\n", host(name))
        wrong = [one for one in made.diagnostics if one.severity == "error" and one.where]
        assert [one.code for one in wrong if one.where and one.where.path.startswith("devices")] == [], line


def test_without_pci_ids_a_device_is_called_by_its_class() -> None:
    facts = host("gpu07")
    nameless = begun_spec("web", replace(facts, pci=tuple(replace(one, name=None) for one in facts.pci)), root=None)
    assert "10de:2684 VGA controller" in nameless
    assert "144d:a809 NVMe controller" in nameless
    assert "package pci.ids" in nameless
    assert "package pci.ids" not in begun_spec("web", facts, root=None)


def test_what_a_user_takes_the_sign_away_from_is_valid() -> None:
    text = begun_spec("web", host("gpu07"), root=None)
    wanted = ("# devices:", "#   ", "# disks:", "# nics:", "# shares:", "# vsock:", "  # initrd:")
    lines = (re.sub(r"^( *)# ", r"\1", line) if line.startswith(wanted) else line for line in text.splitlines())
    spec = load_spec("\n".join(lines), "web.yaml").spec
    assert {"gpu", "nvme", "nvme-2", "ethernet"} <= spec.devices.keys()
    assert "0000:c1:00.1" not in map(str, (one.pci for one in spec.devices.values()))  # it comes with its card
    assert (spec.boot.initrd, len(spec.disks), len(spec.nics), len(spec.shares)) == ("./initrd.img", 1, 2, 1)


def test_kernels_are_found_with_their_initial_ram_disks(tmp_path: Path) -> None:
    facts = host("gpu07")
    boot, modules = tmp_path / "boot", tmp_path / "usr/lib/modules/6.9.0-arch"
    boot.mkdir()
    modules.mkdir(parents=True)
    for name in ("vmlinuz-6.1.0", f"vmlinuz-{facts.kernel}"):
        (boot / name).write_bytes(pvh())
    (boot / "vmlinuz-9.9.9").write_text("no kernel")
    (boot / f"initrd.img-{facts.kernel}").write_bytes(b"070701")
    (boot / "vmlinuz").symlink_to("vmlinuz-6.1.0")
    (modules / "vmlinuz").write_bytes(pvh())
    (modules / "initrd").write_bytes(b"070701")
    text = begun_spec("web", facts, root=str(tmp_path))
    spec = load_spec(text, "web.yaml").spec
    assert spec.boot.kernel == f"{boot}/vmlinuz-{facts.kernel}"
    assert spec.boot.initrd == f"{boot}/initrd.img-{facts.kernel}"
    assert f"#   {boot}/vmlinuz-9.9.9   (no kernel that vmlaunch can start)\n" in text
    assert f"#   {modules}/vmlinuz\n" in text
    assert text.count("vmlinuz-6.1.0\n") == 1
    assert f"{boot}/vmlinuz\n" not in text


def test_a_new_file_is_written_and_none_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert "vm.yaml: a first spec;" in capsys.readouterr().err
    assert main(["validate", "vm.yaml"]) == 0
    before = Path("vm.yaml").read_text()
    assert main(["init"]) == 1
    assert "error[E028]: vm.yaml is there already" in capsys.readouterr().err
    assert Path("vm.yaml").read_text() == before
    assert main(["init", "123"]) == 0
    assert main(["validate", "123.yaml"]) == 0
    assert main(["init", "Web Server"]) == 2
    assert "`vmlaunch init web-server`" in capsys.readouterr().err
    assert main(["init", "web.yaml"]) == 2
    assert "write `vmlaunch init web`, which makes web.yaml" in capsys.readouterr().err
    assert main(["init", "./vms/web.yml"]) == 2
    assert "`vmlaunch init -o ./vms/web.yml web`" in capsys.readouterr().err
    assert main(["init", "web", "-o", "-", "--host", str(HOSTS / "gpu07.json")]) == 0
    assert 'gpu: {pci: "0000:c1:00.0", companions: attach}' in capsys.readouterr().out
    assert main(["init", "a", "-o", "no/such/a.yaml"]) == 1
    assert "error[E028]: failed to write the spec: no such file" in capsys.readouterr().err


def test_a_host_that_can_pass_nothing_yet_says_so_first_and_what_is_missing() -> None:
    text = begun_spec("web", host("cloud-vm"), root=None)
    assert "that a guest can have" not in text
    assert "can be passed to a guest yet:\n# - this host has no IOMMU in use, and devices need one (E209)\n" in text
    assert "`vmlaunch doctor --for devices` says what to do. Then a guest could have these" in text
    assert text.index("(E209)") < text.index("# devices:")
    assert "yet" not in begun_spec("web", host("gpu07"), root=None)
