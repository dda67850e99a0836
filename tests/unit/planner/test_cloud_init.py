"""A spec with `cloud-init` in; the disk that is made of its files, who serves it, and what is shown of it, out."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from launcher.images.boot_files import BootFiles, SeedText
from launcher.images.cloud_init import LARGEST, read_seed
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.seed import SeedFile, StartSeedEngine
from launcher.plan.steps import TakeMemory
from launcher.plan.virtio import AddVirtio
from launcher.plan.whole import check_whole
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.cloud_init import network_config
from launcher.record import replace
from launcher.values import Missing, guest_uuid
from tests.planning import FILES, codes, plan
from tests.served import START, by_user, served, with_disks

MAC = "52:54:00:aa:00:01"
SPEC = f"{START}cloud-init: {{user-data: ./user-data}}\n"
WITH_NIC = f"{SPEC}nics: {{lan: {{bridge: br0, mac: '{MAC}'}}, dmz: {{bridge: br0}}}}\n"
ALL = f"{START}cloud-init: {{user-data: ./user-data, meta-data: ./meta-data, network-config: ./net}}\n"


def text(name: str, **fields: Any) -> SeedText:
    return SeedText(**{"path": f"/vms/{name}", "kind": "file", "size": 20, "sha256": "99" * 32} | fields)


def files(**given: Any) -> BootFiles:
    return replace(
        FILES, seed={"user-data": text("user-data")} | {key.replace("_", "-"): one for key, one in given.items()}
    )


def step(made: Plan) -> StartSeedEngine:
    (found,) = [one for one in made.steps if isinstance(one, StartSeedEngine)]
    check_whole(made)
    return found


def test_the_disk_comes_behind_all_others_and_is_only_read() -> None:
    made = plan(
        f"{SPEC}disks: {{root: ./root.qcow2}}\nvsock: true\n", served(), replace(files(), disks=with_disks().disks)
    )
    assert [one for one in made.diagnostics if one.code == "W463"] == []
    (added,) = [one for one in plan(SPEC, served(), files()).steps if isinstance(one, AddVirtio)]
    (one,) = added.functions
    assert (one.alias, one.kind, one.engine, one.guest.guest, one.readonly) == (
        "cloud-init", "blk", "vhost-user", "00:01.0", True,
    )  # fmt: skip
    assert all(one.shared for one in plan(SPEC, served(), files()).steps if isinstance(one, TakeMemory))


def test_its_engine_is_nobody_of_roots_vm_and_else_the_user() -> None:
    assert step(plan(SPEC, served(), files())).uid == 65534
    assert step(plan(SPEC, by_user(served()), files())).uid == 1000


def test_what_the_spec_does_not_name_follows_from_it() -> None:
    user, meta = step(plan(SPEC, served(), files())).files
    assert (user.name, user.path, user.text) == ("user-data", "/vms/user-data", "")
    assert YAML(typ="safe").load(meta.text) == {"instance-id": guest_uuid("vm"), "local-hostname": "vm"}
    *_, network = step(plan(WITH_NIC, served(), files())).files
    made = YAML(typ="safe").load(network.text)
    assert made["version"] == 2
    assert made["ethernets"]["lan"] == {"match": {"macaddress": MAC}, "dhcp4": True}
    assert set(made["ethernets"]) == {"lan", "dmz"}
    assert network.text == network_config(
        {alias: one["match"]["macaddress"] for alias, one in made["ethernets"].items()}
    )


def test_what_the_spec_names_is_taken_as_it_is() -> None:
    given = files(meta_data=text("meta-data"), network_config=text("net"))
    assert [one.path for one in step(plan(ALL, served(), given)).files] == [
        "/vms/user-data",
        "/vms/meta-data",
        "/vms/net",
    ]


@pytest.mark.parametrize(
    ("found", "code", "near"),
    [
        (Missing("absent", "/vms/user-data"), "E410", text("user-data")),
        (Missing("denied", "/vms/user-data"), "E411", text("user-data")),
        (text("user-data", kind="other"), "E413", text("user-data")),
        (text("user-data", size=LARGEST + 1), "E462", text("user-data", size=LARGEST)),
        (text("user-data", problem="is no YAML"), "W463", text("user-data")),
    ],
)
def test_a_file_that_is_no_good_is_told(found: SeedText | Missing, code: str, near: SeedText) -> None:
    assert code in codes(plan(SPEC, served(), files(user_data=found)))
    assert code not in codes(plan(SPEC, served(), files(user_data=near)))


def test_a_disk_of_other_files_is_in_no_plan() -> None:
    with pytest.raises(ValueError, match="no file of cloud-init's"):
        SeedFile("../user-data", "", "00" * 32, "")


def test_a_host_without_its_engine_is_told() -> None:
    assert "E630" in codes(plan(SPEC, served(programs={}), files()))


def test_a_saved_plan_rests_on_the_files() -> None:
    saved = plan_from_json(plan_to_json(plan(SPEC, served(), files())))
    assert failed_assumptions(saved, served(), files()) == ()
    (failed,) = failed_assumptions(saved, served(), files(user_data=text("user-data", sha256="00" * 32)))
    assert str(failed).startswith("/vms/user-data: its checksum differs")


@pytest.mark.parametrize(
    ("content", "problem"),
    {
        b"#cloud-config\nusers: []\n": None,
        b"#cloud-config  \r\n{}": None,
        b"#!/bin/sh\n:\n": None,
        b"## template: jinja\n#cloud-config\n": None,
        b"Content-Type: multipart/mixed\n": None,
        b"\x1f\x8b\x08": None,
        b"users: []\n": "does not begin with",
        b"": "does not begin with",
        b" #cloud-config\n": None,
        b"#cloud-config\nusers: [\n": "is no YAML",
        b"#cloud-config\na: 1\n b: 2\n": "is no YAML: see its line 3",
        b"#cloud-config\n\xff": "is no text in UTF-8",
        b"#cloud-config\n" + b"[" * 100_000: "is no YAML",
        b"#cloud-config\n? !!python/object:os.system {}\n": "is no YAML",
    }.items(),
)
def test_what_cloud_init_makes_nothing_of_is_told(tmp_path: Any, content: bytes, problem: str | None) -> None:
    (tmp_path / "user-data").write_bytes(content)
    found = read_seed({"user-data": str(tmp_path / "user-data")})["user-data"]
    assert isinstance(found, SeedText)
    assert found.problem is None if problem is None else str(found.problem).startswith(problem)
