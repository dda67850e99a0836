"""Explanations of the E58x codes: what schedulers are told, and what they give."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E580",
        "a host that no scheduler can call by its name",
        "The name in a facts file becomes a word of gres.conf, of slurm.conf or of a manifest. Slurm takes letters, "
        "digits, `.`, `_` and `-`; Kubernetes takes small letters, digits and `-`, in parts with a `.` between them, "
        "of 63 characters at most. A name with a blank in it would be two words there, and the second one a setting; "
        "`DEFAULT` and `ALL` are Slurm's words for nodes that follow and for all nodes.",
        "vmlaunch devices --host redacted.json --format resourceslice   # its name is `GPU node 7`",
        "Record the host again, or correct `name` in the facts file to what the scheduler calls the node.",
    ),
    Explanation(
        "E581",
        "a wish or a name that makes no sense",
        "`--wish` says what all specs of a site say of a class: its `companions`, or what it allows. An inventory has "
        "what can be passed under these wishes, so the specs have to say the same. `--domain` is a name in DNS.",
        "vmlaunch devices --format gres --wish gpu.companions=yes",
        "`--wish gpu.companions=attach`, `--wish nvme.allow=in-use,no-reset`; `--domain pci.example.com`.",
    ),
    Explanation(
        "E583",
        "nobody has given devices",
        "`--only env` asks what a scheduler has given this process: Slurm by SLURM_JOB_ID, device plugins of "
        "Kubernetes by PCI_RESOURCE_* and PCIDEVICE_*, drivers of dynamic resource allocation by their metadata "
        "files. None of these is there. A VM that may take any device would take those of others.",
        "vmlaunch plan vm.yaml --only env            # in a shell that no job is",
        "Start it by the scheduler (docs/many-hosts.md), or name the devices: `--only 0000:c1:00.0,0000:c1:00.1`.",
    ),
    Explanation(
        "E584",
        "what the scheduler says is not understood",
        "`scontrol show job -d` and gres.conf together say which devices a job of Slurm's has: IDX counts lines of "
        "gres.conf, and the name of a line's File is an address. In Kubernetes a variable or a metadata file names "
        "addresses. One of these could not be read, or says something else.",
        "vmlaunch plan vm.yaml --only env            # in a container that has PCI_RESOURCE_X=mdev-4",
        "Make gres.conf by `vmlaunch devices --format gres`; in a container, look at `env | grep PCI`.",
    ),
    Explanation(
        "E585",
        "a scheduler contradicts itself",
        "The number that a job has means another device than the one that it asked for: gres.conf was made anew, and "
        "its lines have shifted below a job; or the host has other devices at these addresses than when it was "
        "recorded; or two sources name the same device.",
        "scontrol reconfigure                       # with another gres.conf, while jobs are on the node",
        "Drain the node, record the host again, make gres.conf of it, `scontrol reconfigure`, resume the node. The job "
        "is refused with exit code 1: it belongs elsewhere.",
    ),
)
