"""Reading a part of a host is as good as reading all of it, whatever host and whatever spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from launcher.codec import decode, encode
from launcher.errors import Refused
from launcher.host.facts import HostFacts
from launcher.machine.boards import board_of
from launcher.planner.decided import Terms
from launcher.planner.make import judged
from launcher.planner.near import near
from launcher.spec.load import load_spec
from tests.budget import LONG, runs
from tests.generators.facts import hosts, specs, text_of
from tests.generators.hosts import many_functions
from tests.planning import FILES, SMALL, host, plan

many = settings(max_examples=runs(25), deadline=None, suppress_health_check=list(HealthCheck))


def check_the_same(text: str, facts: HostFacts) -> None:
    """Codes and words, the devices, and what changes on the host. Evidence may name what is near."""
    loaded = load_spec(text, "vm.yaml", name="vm")
    plain = json.loads(json.dumps(encode(facts)))
    some = decode(HostFacts, near(plain, loaded.spec.devices.values()))
    made = plan(text, facts)
    found = judged(loaded.spec, some, FILES, Terms(loaded.places.where), board_of(facts.architecture))
    said = [[(one.code, one.message) for one in each.diagnostics] for each in (found, made)]
    assert said[0] == said[1]
    assert (found.summary, found.devices, found.steps) == (made.summary, made.devices, made.steps)


@many
@given(st.data())
def test_a_part_of_a_host_gives_the_verdict_of_the_whole(data) -> None:
    facts = data.draw(hosts())
    try:
        check_the_same(text_of(data.draw(specs(facts))), facts)
    except Refused:
        reject()


@pytest.mark.parametrize("name", ["gpu-server", "gpu07", "lab-virtual-functions", "lab-ways"])
def test_so_it_does_for_each_device_of_recorded_hosts_and_for_what_is_not_there(name) -> None:
    facts = host(name)
    wishes = [*({"pci": str(one.address), "companions": "attach"} for one in facts.pci), {"pci": "0000:7f:1f.7"}]
    wishes += [{"match": {"class": kind}, "pick": "free"} for kind in ("gpu", "nvme", "network", "usb")]
    for wish in wishes if LONG else wishes[::5]:
        check_the_same(f"{SMALL}devices: {json.dumps({'it': wish})}\n", facts)


def test_what_nobody_asks_for_is_not_read() -> None:
    plain, none = encode(many_functions(500)), load_spec(SMALL, "vm.yaml", name="vm").spec.devices
    one = load_spec(f"{SMALL}devices: {{it: {{match: {{serial: '010004'}}}}}}\n", "vm.yaml", name="vm").spec.devices
    assert len(plain["pci"]) > 500
    assert near(plain, none.values())["pci"] == []
    assert len(near(plain, one.values())["pci"]) < 260  # the card with its virtual functions


BROKEN: list[Any] = [None, 5, "x", [], {}, {"address": "0000:00:00.0"}]


@pytest.mark.parametrize("key", ["pci", "groups"])
@pytest.mark.parametrize("value", BROKEN, ids=repr)
def test_odd_facts_are_left_whole_so_that_reading_says_what_is_odd(key, value) -> None:
    plain = encode(host("gpu07"))
    devices = load_spec(f"{SMALL}devices: {{it: '0000:02:00.0'}}\n", "vm.yaml", name="vm").spec.devices.values()
    for odd in (plain | {key: [*plain[key], value]}, *(() if value == [] else (plain | {key: value},))):
        assert near(odd, devices) is odd


@pytest.mark.parametrize(
    ("field", "value"),
    [("address", "2:0.0"), ("parent", 7), ("group", "x"), ("irq", True), ("virtual_functions", "no"), ("uses", [1]),
     ("id", None), ("colour", "blue")],
)  # fmt: skip
def test_so_is_a_function_with_an_odd_field(field, value) -> None:
    plain = encode(host("gpu07"))
    odd = plain | {"pci": [plain["pci"][0] | {field: value}, *plain["pci"][1:]]}
    devices = load_spec(f"{SMALL}devices: {{it: '0000:02:00.0'}}\n", "vm.yaml", name="vm").spec.devices.values()
    assert near(odd, devices) is odd
