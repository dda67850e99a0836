"""What an editor shows of a spec: yaml-language-server, driven as editors do; editors.txt is what it has said."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from launcher.spec.editor_schema import editor_schema
from launcher.spec.editor_words import MEANINGS
from launcher.spec.fields import all_fields
from launcher.spec.schema import spec_schema
from tests.budget import runs
from tests.language_server import Server, serving
from tests.unit.spec.test_parts import EVERY, KEYS, SPECS, VALUES, changed, read

TRANSCRIPT = Path(__file__).with_name("editors.txt")
STANDARD = Draft202012Validator(spec_schema())
EDITORS = Draft7Validator(editor_schema())
Draft7Validator.check_schema(editor_schema())
WHOLE = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 2GiB\n"

WRONG = (
    "boot: ./bzImage\ncpus: 2\nmemory: 64MB\n",
    'boot: {kernel: ./a, firmware: uefi}\ncpus: "1"\nmemory: {size: 1GiB}\n',
    "boot: {initrd: ./initrd.img}\ncpus: 0\nmemory: 512\n",
    "boot: {firmware: bios, variables: ./a.fd, cmdline: quiet}\ncpus: {count: two}\nmemory: [{pages: 2M}]\n",
    "cpus: 1.5\nkernel: ./bzImage\nram: 1GiB\nname: My_VM\n",
    f"{WHOLE}devices: {{a: {{pci: 0000:02:00.0, match: {{class: gpu}}}}, b: gpu, c: {{vf: 1}}}}\n",
    f"{WHOLE}devices:\n  a: {{match: {{class: vga}}, allow: in-use}}\n  b: {{pci: 1:2, rom: yes, allow: [inuse]}}\n",
    f"{WHOLE}disks: {{a: {{path: ./a, socket: /b}}, b: {{}}, c: {{path: ./c, readonly: true, discard: true}}}}\n",
    f"{WHOLE}nics: {{a: br0, b: {{bridge: br0, tap: tap0}}, c: {{mtu: 9000}}, d: {{user: false}}, e: {{mac: 53}}}}\n",
    f"{WHOLE}shares: {{A: ./a, b: {{}}}}\nvsock: 1\nconfine: maybe\ncloud-init: ./user-data\n",
)

TYPED = (
    "|\n", f"{WHOLE}|\n", "boot: |\n", "boot:\n  |\n", "cpus: |\n", "memory: |\n",
    "memory:\n  - size: 1GiB\n    pages: |\n", "devices:\n  |\n", "devices:\n  a: |\n", "devices:\n  a:\n    |\n",
    "devices:\n  a:\n    match:\n      class: |\n", "devices:\n  a:\n    pci: 0000:02:00.0\n    allow:\n      - |\n",
    "devices:\n  a:\n    pci: 0000:02:00.0\n    rom: |\n", "disks:\n  |\n", "nics:\n  |\n", "nics:\n  lan:\n    |\n",
    "vsock: |\n", "confine: |\n", "cloud-init:\n  |\n",
)  # fmt: skip

POINTED = (
    "memo|ry: 1GiB\n", "memory: [{size: 1GiB, pages: th|p}]\n", "devices:\n  g|pu: 0000:02:00.0\n",
    "devices: {a: {match: {class: g|pu}}}\n", "nics: {l|an: {bridge: br0}}\n", "dis|ks: {root: ./a.img}\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    schema = tmp_path_factory.mktemp("schema") / "vm.editor.schema.json"
    schema.write_text(json.dumps(editor_schema()))
    with serving(schema) as found:
        yield found


def squiggles(server: Server, text: str) -> Iterator[str]:
    """Each line, and below it what is underlined and why."""
    found = server.diagnostics(text)
    for number, line in enumerate(text.splitlines(), 1):
        yield line
        for one in sorted(found, key=lambda one: (one["range"]["start"]["character"], one["message"])):
            start, end = one["range"]["start"], one["range"]["end"]
            if start["line"] == number:
                yield f"{' ' * start['character']}{'^' * (end['character'] - start['character'])} {one['message']}"


def offers(server: Server, text: str) -> Iterator[str]:
    found = server.at("completion", text)
    yield from text.splitlines()
    for one in found["items"] if isinstance(found, dict) else found:
        told = one.get("documentation", "")
        about = told["value"] if isinstance(told, dict) else told
        yield f"    > {json.dumps(one.get('insertText', ''))}  {about}".rstrip()


def shown(server: Server, text: str) -> Iterator[str]:
    found = server.at("hover", text)
    yield from text.splitlines()
    yield from (f"    | {line}".rstrip() for line in found["contents"]["value"].splitlines() if "Source:" not in line)


def test_squiggles_offers_and_what_is_shown_are_those_of_the_transcript(server: Server) -> None:
    parts = [
        *("\n".join(squiggles(server, one)) for one in WRONG),
        *("\n".join(offers(server, one)) for one in TYPED),
        *("\n".join(shown(server, one)) for one in POINTED),
    ]
    said = "\n\n".join(parts) + "\n"
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        TRANSCRIPT.write_text(said)
    assert said == TRANSCRIPT.read_text()


@pytest.mark.parametrize("spec", [*(f"{WHOLE}{key}: null\n" for key in ("devices", "vsock", "name", "confine")), WHOLE])
def test_what_is_valid_has_no_squiggle(server: Server, spec: str) -> None:
    assert server.diagnostics(spec) == []


@settings(max_examples=runs(100), deadline=None)
@given(
    st.sampled_from(SPECS) | st.just(EVERY),
    st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), KEYS, VALUES), min_size=1, max_size=3),
)
def test_editors_take_what_checkers_take_and_both_whatever_is_read(
    spec: dict[str, Any], changes: list[tuple[list[int], str, object]]
) -> None:
    for way, key, value in changes:
        spec = json.loads(json.dumps(changed(spec, way, key, value)))
    assert EDITORS.is_valid(spec) == STANDARD.is_valid(spec)
    assert read(spec) is None or STANDARD.is_valid(spec)


def test_each_word_that_may_be_written_says_what_it_means() -> None:
    listed = {key: re.findall(r"[\w.-]+", one.type.removeprefix("one of")) for key, one in all_fields().items()}
    chosen = {key: words for key, words in listed.items() if all_fields()[key].type.startswith("one of")}
    assert {key: list(MEANINGS[key]) for key in chosen} == chosen
