"""What is written for Kubernetes is YAML, and fits the schemas of its API; a word that is wrong does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.errors import Refused, WrongUsage
from launcher.foreign.slices import check_domain, check_node
from launcher.foreign.units import type_of_mdev
from launcher.foreign.yaml_blocks import documents

WHY = "it comes with the extra `test`"
yaml = pytest.importorskip("yaml", reason=WHY)
kubernetes_validate = pytest.importorskip("kubernetes_validate", reason=WHY)
GOLDEN = Path(__file__).parent.parent.parent / "schedulers"
VERSIONS = ("1.34", "1.37")  # the first with resource.k8s.io/v1, and the newest that is known here


def validate(text: str, version: str) -> None:
    found = list(yaml.safe_load_all(text))
    assert found
    for one in found:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.yaml")), ids=lambda file: file.stem)
def test_manifests_fit_the_schemas(file: Path, version: str) -> None:
    validate(file.read_text(), version)


@pytest.mark.parametrize(
    ("right", "wrong"), [("allocationMode", "allocationmode"), ("capabilities", "capabilites"), ("cpu: 6", "cpu: [6]")]
)
def test_a_word_that_is_wrong_does_not_fit(right: str, wrong: str) -> None:
    text = (GOLDEN / "trainer-by-claim.yaml").read_text()
    assert right in text
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(text.replace(right, wrong), VERSIONS[-1])


@pytest.mark.parametrize(
    "plain",
    [
        {"a": 1, "b": True, "c": None, "d": [], "e": {}, "f": ["x", {"y": [1, [2]]}], "g": "yes", "h": "0123"},
        {"text": "a: b\n  c # d\n\nlast\n", "odd": "x\x07\u2028\U0001f600 ", "lines": "\n a\n", "tail": "a \nb\n"},
    ],
)
def test_blocks_are_read_as_what_was_written(plain: object) -> None:
    assert yaml.safe_load(documents([plain])) == plain


@pytest.mark.parametrize("name", ["a", "0", "gpu-07.rack-1", "a" * 63])
def test_a_name_in_dns_is_one_of_a_node(name: str) -> None:
    check_node(name)
    check_domain(name[:53])


@pytest.mark.parametrize("name", ["", "a..b", "a-.b", "a.-b", "-a", "a.", ".a", "A", "a_b", "a" * 64, "a\n"])
def test_what_kubernetes_would_refuse_is_no_name_of_a_node(name: str) -> None:
    with pytest.raises(Refused):
        check_node(name)
    with pytest.raises(WrongUsage):
        check_domain(name)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nvidia-63", "nvidia-63"), ("GRID T4-1Q", "GRID-T4-1Q"), ("-x-", "x"), ("x" * 80, "x" * 58), ("...", "")],
)
def test_a_type_of_mediated_devices_is_a_part_of_a_resources_name(kind: str, expected: str) -> None:
    assert type_of_mdev(kind) == expected
