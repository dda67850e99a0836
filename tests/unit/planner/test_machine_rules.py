"""What the planner makes of the machine, its IOMMU, its modules, and of who runs `up`, beyond the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.errors import Diagnostic
from launcher.host.facts import Config, DeviceNode, Firmware, Holder, HostFacts, IommuUnit, Linux, Use, UseKind
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, LoadModules
from launcher.planner.linux import last_of, settings_of
from launcher.record import replace
from launcher.report.plan_text import plan_text
from launcher.values import Missing
from tests.catalogue.drivers import spec
from tests.catalogue.row import with_function, with_linux, with_process
from tests.planning import SMALL, codes, host, plan

ONE = SMALL + "devices: {gpu: 0000:e1:00.0}\n"  # on vfio-pci
DISK = SMALL + "devices: {disk: 0000:02:00.0}\n"  # on nvme
TWO = SMALL + "devices: {gpu: 0000:e1:00.0, disk: 0000:02:00.0}\n"
WILLING = SMALL + "devices: {gpu: {pci: 0000:e1:00.0, allow: [unsafe-interrupts]}}\n"
UNSAFE = "vfio_iommu_type1.allow_unsafe_interrupts"
VFIO = ("vfio_pci", "vfio_iommu_type1")


@pytest.fixture
def gpu07() -> HostFacts:
    return host("gpu07")


def unloaded(facts: HostFacts, **linux: Any) -> HostFacts:
    return with_linux(facts, **{"modules": ("kvm",), "loadable": ("kvm", *VFIO)} | linux)


def only(made: Plan, code: str) -> Diagnostic:
    (found,) = (one for one in made.diagnostics if one.code == code)
    return found


def loads(made: Plan) -> list[tuple[str, ...]]:
    return [step.modules for step in made.steps if isinstance(step, LoadModules)]


# ---- modules ----


def test_modules_that_are_not_loaded_are_loaded_before_any_driver_changes(gpu07):
    made = plan(DISK, unloaded(gpu07))
    kinds = [type(step) for step in made.steps]
    assert loads(made) == [VFIO]
    assert kinds.index(LoadModules) < kinds.index(BindDriver)
    assert {"E222", "E224", "W216"}.isdisjoint(codes(made))


def test_what_is_loaded_is_not_loaded_again(gpu07):
    assert loads(plan(DISK, unloaded(gpu07, modules=("vfio", "vfio_pci")))) == [("vfio_iommu_type1",)]
    assert loads(plan(DISK, unloaded(gpu07, modules=("vfio", *VFIO)))) == []


def test_a_plan_says_that_modules_stay_loaded(gpu07):
    made = plan(DISK, unloaded(gpu07))
    (line,) = (line for line in plan_text(made, "").splitlines() if "load the kernel modules" in line)
    assert "~ load the kernel modules vfio_pci vfio_iommu_type1" in line
    assert line.endswith("stay loaded")


def test_a_saved_plan_keeps_the_modules_it_loads(gpu07):
    made = plan(DISK, unloaded(gpu07))
    assert plan_from_json(plan_to_json(made)).steps == made.steps


def test_a_vm_without_devices_loads_nothing(gpu07):
    assert loads(plan(SMALL, unloaded(gpu07))) == []


def test_nothing_is_loaded_where_it_is_not_recorded_what_is(gpu07):
    made = plan(DISK, with_linux(gpu07, modules=None, loadable=None))
    assert (loads(made), "E222" in codes(made)) == ([], False)


def test_modules_that_could_not_be_listed_make_the_plan_unsure(gpu07):
    denied = Missing("denied", "/lib/modules/6.12.9/modules.dep")
    made = plan(DISK, unloaded(gpu07, loadable=denied))
    assert "denied: /lib/modules/6.12.9/modules.dep" in only(made, "W216").message
    assert loads(made) == []


def test_root_of_a_user_namespace_loads_no_modules(gpu07):
    made = plan(ONE, with_process(unloaded(gpu07), own_user_namespace=True))
    assert (loads(made), only(made, "E224").fix) == ([], "modprobe -a vfio_pci vfio_iommu_type1")


@pytest.mark.parametrize(
    "lacking",
    [
        {"loadable": ("kvm",)},
        {"loadable": Missing("denied", "/lib/modules/6.12.9/modules.dep"), "config": {"VFIO_PCI": "m"}},
    ],
    ids=["no module", "no groups"],
)
def test_where_the_kernel_has_no_vfio_nobody_is_told_to_load_it(gpu07, lacking):
    found = codes(plan(WILLING, unloaded(gpu07, remapping=False, **lacking)))
    assert ("E222" in found, "W216" in found) == (True, False)


def test_containers_served_by_iommufd_need_no_type1(gpu07):
    config = {"VFIO_PCI": "m", "VFIO_GROUP": "y", "IOMMUFD": "m", "IOMMUFD_VFIO_CONTAINER": "y"}
    assert loads(plan(DISK, unloaded(gpu07, config=config))) == [("vfio_pci",)]


def test_an_old_kernel_has_groups_and_containers_without_a_word_for_them(gpu07):
    config = {"VFIO": "m", "VFIO_PCI": "m", "VFIO_IOMMU_TYPE1": "m"}
    assert "E222" not in codes(plan(ONE, replace(with_linux(gpu07, config=config), kernel="6.1.0-56-amd64")))
    assert "E222" in codes(plan(ONE, with_linux(gpu07, config=config)))


# ---- interrupts ----


def test_what_the_module_will_allow_is_not_known_before_it_is_loaded(gpu07):
    made = plan(WILLING, unloaded(gpu07, remapping=False))
    assert ("W216" in codes(made), "E225" in codes(made)) == (True, False)


@pytest.mark.parametrize("word", [f"{UNSAFE}=1", f"{UNSAFE}=Y", UNSAFE, "vfio-iommu-type1.allow_unsafe_interrupts=y"])
def test_a_module_takes_its_parameter_from_the_command_line(gpu07, word):
    made = plan(WILLING, unloaded(gpu07, remapping=False, cmdline=f"quiet {word}"))
    assert {"E225", "E226", "W216"}.isdisjoint(codes(made))


def test_a_loaded_module_has_the_last_word_on_unsafe_interrupts(gpu07):
    facts = with_linux(gpu07, remapping=False, cmdline=f"{UNSAFE}=1", parameters={UNSAFE: "N"})
    assert "E225" in codes(plan(WILLING, facts))


def test_unsafe_interrupts_are_told_once_and_name_every_device_that_does_not_accept_them(gpu07):
    made = plan(TWO, with_linux(gpu07, remapping=False, parameters={UNSAFE: "Y"}))
    found = only(made, "E226")
    assert found.message.startswith("gpu, disk: ")
    assert sum("allow: [unsafe-interrupts]" in line for line in found.help) == 2


def test_an_iommu_that_cannot_remap_says_so(gpu07):
    assert gpu07.iommu
    units = (IommuUnit("dmar0", 48, remaps=False), IommuUnit("dmar1", 48, remaps=True))
    facts = replace(with_linux(gpu07, remapping=False), iommu=replace(gpu07.iommu, units=units))
    assert only(plan(ONE, facts), "E225").evidence == ("dmar0: not able to remap interrupts",)


# ---- the command line ----


def test_the_last_of_contrary_words_counts_and_those_for_init_do_not():
    linux = Linux(cmdline='quiet intel_iommu=on,sm_on "intel_iommu=off" -- intel_iommu=on')
    assert settings_of(linux, "intel_iommu") == ("on", "sm_on", "off")
    assert last_of(linux, "intel_iommu", ("on", "off")) == "off"
    assert last_of(Linux(cmdline=Missing("denied", "/proc/cmdline")), "intel_iommu", ("on", "off")) is None


def test_removing_a_word_and_adding_one_are_said_together(gpu07):
    linux = Linux(cmdline="iommu=off intel_iommu=off")
    dark = replace(gpu07, iommu=None, groups=(), firmware=Firmware(tables=("DMAR",)), linux=linux)
    found = only(plan(ONE, dark), "E221")
    assert found.help[0] == "boot the host without `iommu=off` and `intel_iommu=off` and with `intel_iommu=on iommu=pt`"


# ---- who runs `up` ----


def user(facts: HostFacts, *nodes: DeviceNode, **process: Any) -> HostFacts:
    return replace(with_process(facts, uid=1000, gid=1000, capabilities=(), **process), device_nodes=nodes)


def node(path: str, **fields: Any) -> DeviceNode:
    return replace(DeviceNode(path, 0o600, 0, 0, usable=True), **fields)


def test_root_of_a_user_namespace_binds_nothing(gpu07):
    made = plan(DISK, with_process(gpu07, own_user_namespace=True))
    assert "root of a user namespace" in only(made, "E228").message


def test_a_user_whose_devices_are_bound_already_needs_only_the_nodes(gpu07):
    made = plan(ONE, user(gpu07, node("/dev/vfio/vfio"), node("/dev/vfio/77", uid=1000)))
    assert codes(made) == []


def test_the_container_node_must_be_usable_too(gpu07):
    made = plan(ONE, user(gpu07, node("/dev/vfio/vfio", usable=False), node("/dev/vfio/77")))
    assert only(made, "E228").fix == "chown 1000 /dev/vfio/vfio"


def test_binding_several_devices_is_one_command(gpu07):
    text = SMALL + "devices: {a: 0000:02:00.0, b: 0000:81:00.0}\n"
    found = only(plan(text, user(gpu07, node("/dev/vfio/vfio"))), "E228")
    assert found.message.startswith("a, b: ")
    assert "for d in 0000:02:00.0 0000:81:00.0; do " in found.help[1]
    assert found.help[1].endswith("chown 1000 /dev/vfio/14 /dev/vfio/45`")
    own = only(plan(f"{text}vfio: iommufd\n", user(gpu07, node("/dev/iommu"))), "E228").help[1]
    names = (f"/dev/vfio/devices/$(ls /sys/bus/pci/devices/{one}/vfio-dev)" for one in ("0000:02:00.0", "0000:81:00.0"))
    assert own.endswith(f"chown 1000 {' '.join(names)}`")


def test_a_device_opened_by_its_own_node_takes_the_group_too(gpu07):
    held = node("/dev/vfio/devices/vfio3", holders=(Holder(7, "qemu"), Holder(8, "dpdk")))
    facts = replace(with_function(gpu07, "0000:e1:00.0", vfio="vfio3"), device_nodes=(held,))
    assert "qemu (pid 7) and dpdk (pid 8) have /dev/vfio/devices/vfio3 open" in only(plan(ONE, facts), "E229").message


def test_who_holds_a_node_is_unknown_where_nobody_may_look(gpu07):
    hidden = node("/dev/vfio/77", holders=Missing("denied", "/proc"))
    for sees_all in (True, False):
        assert "W216" in codes(plan(ONE, user(gpu07, node("/dev/vfio/vfio"), hidden, sees_all=sees_all)))


def test_hidden_configuration_space_is_told_once_for_all_devices(gpu07):
    hidden = Missing("denied", "config")
    facts = with_function(with_function(gpu07, "0000:e1:00.0", config=hidden), "0000:02:00.0", config=hidden)
    assert only(plan(TWO, facts), "W216").message.startswith("gpu, disk: ")
    assert "W216" not in codes(plan(TWO, with_function(gpu07, "0000:e1:00.0", config=Config())))


def test_complaining_is_not_confining(gpu07):
    assert "W221" not in codes(plan(ONE, with_process(gpu07, profile="vmlaunch (complain)")))
    assert "W221" in codes(plan(ONE, with_process(gpu07, profile="vmlaunch (enforce)")))


def test_a_vm_without_devices_cares_for_none_of_it(gpu07):
    facts = user(gpu07, container=True, profile="docker-default (enforce)", sees_all=False)
    facts = replace(unloaded(facts, remapping=False), iommu=None, firmware=Firmware(portable=True, sleeps=("mem",)))
    assert codes(plan(SMALL, facts)) == []


# ---- KVM ----


@pytest.mark.parametrize(("table", "module"), [("DMAR", "kvm_intel"), ("IVRS", "kvm_amd")])
def test_the_maker_of_the_iommu_names_the_module_of_kvm(gpu07, table, module):
    facts = replace(gpu07, kvm=Missing("absent", "/dev/kvm"), firmware=Firmware(tables=(table,)))
    assert only(plan(SMALL, facts), "E401").help[0].startswith(f"load the module: `modprobe {module}`;")


def test_a_kernel_without_kvm_is_told_from_one_that_has_not_loaded_it(gpu07):
    facts = with_linux(replace(gpu07, kvm=Missing("absent", "/dev/kvm")), modules=(), loadable=VFIO)
    assert "install a full kernel" in only(plan(SMALL, facts), "E401").help[0]


def test_a_vm_without_nested_virtualization_is_told_what_its_hypervisor_must_do(gpu07):
    firmware = Firmware(virtual=True, virtualization=False)
    facts = replace(gpu07, kvm=Missing("absent", "/dev/kvm"), firmware=firmware)
    assert "nest VMs" in only(plan(SMALL, facts), "E401").help[0]


# ---- what root may do first ----


def as_user(facts: HostFacts) -> HostFacts:
    who = replace(facts.process, uid=1000, capabilities=(), state_folder="/run/user/1000/vmlaunch")
    return replace(facts, process=who)


def by_hand(made: Plan) -> str:
    (denied,) = [one for one in made.diagnostics if one.code == "E228"]
    return next((way for way in denied.help if way.startswith("or bind as root")), "")


def test_root_is_given_a_command_for_what_nothing_else_blocks():
    assert "0000:02:00.0" in by_hand(plan(spec("disk: 0000:02:00.0"), as_user(host("gpu07"))))


@pytest.mark.parametrize("kind", ["mounted", "console"])
def test_no_command_takes_from_the_host_what_it_uses(kind: UseKind):
    facts = as_user(with_function(host("gpu07"), "0000:02:00.0", uses=(Use(kind, "it is in use", "x0"),)))
    assert by_hand(plan(spec("disk: 0000:02:00.0"), facts)) == ""
    command = by_hand(plan(spec("disk: 0000:02:00.0", "nic: 0000:81:00.0"), facts))
    assert "0000:81:00.0" in command
    assert "0000:02:00.0" not in command


def test_no_command_is_given_where_the_host_passes_no_device_at_all():
    assert by_hand(plan(spec("disk: 0000:02:00.0"), as_user(replace(host("gpu07"), iommu=None)))) == ""


# ---- whichever devices are there ----


def test_the_walls_of_the_host_are_said_of_a_device_that_is_not_there_too():
    gpu07 = host("gpu07")
    facts = replace(gpu07, linux=replace(gpu07.linux, remapping=False, modules=("kvm",), loadable=("kvm",)))
    found = codes(plan(spec("disk: 0000:77:00.0"), facts))
    assert {"E201", "E222"} <= set(found)
    assert {"E225", "W216"} & set(found)
