"""Disks, NICs, shares and vsock of any spec, files that fit and files that do not, hosts that serve some of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from launcher.host.facts import HostFacts, OtherVm, Serving
from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Broken, Disk, DiskUse, Rights
from launcher.record import replace
from launcher.spec.load import load_spec
from launcher.values import Missing
from tests.generators.facts import text_of
from tests.planning import FILES
from tests.served import LINKS, ME, NODES, PROGRAMS, block, folder, image, socket

DISKS = st.sampled_from(
    ["./root.qcow2", "./root.img", "/dev/vda", {"path": "./a", "format": "qcow2", "queues": 4, "discard": True},
     {"path": "./cd.iso", "readonly": True}, {"socket": "/run/engine", "queues": 2}]
)  # fmt: skip
NICS = st.sampled_from(
    [{"bridge": "br0"}, {"bridge": "br0", "mtu": 9000}, {"bridge": "br7"}, {"tap": "vmtap0"}, {"tap": "br0"}, "user",
     {"user": True, "mac": "52:54:00:00:00:07"}, {"socket": "/run/nic"}]
)  # fmt: skip
SHARES = st.sampled_from(["./src", {"path": "/data", "readonly": True}])
VSOCK = st.sampled_from([True, False, 42, {"cid": "auto"}])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """As a spec has them; some things are in it twice, which is not valid."""
    kinds = {"disks": (DISKS, "disk"), "nics": (NICS, "nic"), "shares": (SHARES, "share")}
    made = {}
    for kind, (values, name) in kinds.items():
        found = draw(st.lists(values, max_size=4))
        made[kind] = {f"{name}-{number}": one for number, one in enumerate(found)}
    return made | {"vsock": draw(VSOCK)}


@st.composite
def files_of(draw: st.DrawFn, plain: dict[str, Any]) -> BootFiles:
    """Whatever may be at the paths. Refused, if the spec is not valid."""
    spec = load_spec(text_of(plain), "vm.json", name="vm").spec
    disks = {}
    for alias, one in spec.disks.items():
        if one.path is not None:
            format_ = one.format or ("qcow2" if one.path.endswith(".qcow2") else "raw")
            disks[alias] = draw(_disk(alias, one.path, format_))
    shares = {alias: draw(_folders(alias)) for alias in spec.shares}
    named = {f"disks.{alias}": one.socket for alias, one in spec.disks.items()}
    named |= {f"nics.{alias}": nic.socket for alias, nic in spec.nics.items()}
    sockets = {
        entry: draw(st.sampled_from([socket(path), socket(path, kind="other"), Missing("absent", path)]))
        for entry, path in named.items()
        if path is not None
    }
    return replace(FILES, disks=disks, shares=shares, sockets=sockets)


@st.composite
def _disk(draw: st.DrawFn, alias: str, path: str, format_: Any) -> Disk | Missing:
    whole = f"/vms/{alias}/{path.lstrip('./')}"
    if draw(st.integers(0, 5)) == 0:
        return Missing(draw(st.sampled_from(["absent", "denied"])), whole)
    owner = draw(st.sampled_from([0, ME, 4711]))
    top = block(alias) if path.startswith("/dev") else image(f"{alias}.{'qcow2' if format_ == 'qcow2' else 'img'}")
    odd = draw(st.sampled_from([{}, {}, {"size": 0}, {"read_only": True}, {"uses": (DiskUse("mounted", "/mnt"),)}]))
    top = replace(top, path=whole, format=format_, rights=Rights(whole, owner, owner, 0o600), **odd)
    below = (image("base.qcow2"),) * draw(st.integers(0, 2)) if format_ == "qcow2" else ()
    broken = Broken("absent", whole, "gone.img", "/vms/gone.img") if below and draw(st.booleans()) else None
    return Disk((top, *below), broken)


def _folders(alias: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [folder(alias), folder(alias, uid=0), folder(alias, kind="other"), Missing("absent", f"/vms/{alias}")]
    )


@st.composite
def served_on(draw: st.DrawFn, facts: HostFacts) -> HostFacts:
    """The host, with some of what serves a guest."""
    names = draw(st.sets(st.sampled_from([*PROGRAMS]))) if draw(st.booleans()) else {*PROGRAMS}
    nodes = tuple(one for one in NODES if draw(st.integers(0, 3)))
    modules = draw(st.sampled_from([("tun", "vhost_net", "vhost_vsock"), (), Missing("absent", "/lib/modules")]))
    vms = draw(st.sampled_from([(), (OtherVm("other", ("52:54:00:00:00:07",), 42, ("1:1",)),)]))
    some = {name: one for name, one in PROGRAMS.items() if name in names}
    serving = Serving(some, nodes, modules, draw(st.sampled_from([LINKS, LINKS[:1], ()])), vms, 15000)
    return replace(facts, serving=draw(st.sampled_from([serving, serving, serving, None])))
