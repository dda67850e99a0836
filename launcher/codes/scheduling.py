"""Explanations of the E58x codes: what schedulers are told, and what they give."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E580",
        "a host that no scheduler can call by its name",
        "The name in a facts file becomes a word of gres.conf, of slurm.conf or of a manifest. Slurm takes letters, "
        "digits, `.`, `_` and `-`; Kubernetes takes small letters, digits, `-` and `.`. A name with a blank in it "
        "would be two words there, and the second one a setting.",
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
        "E582",
        "a host twice",
        "Two facts files are of hosts with the same name. A scheduler has one node of a name, and which of the files "
        "is the newer one cannot be told.",
        "cp hosts/gpu07.json hosts/copy.json; vmlaunch devices --host hosts --format gres",
        "Delete the older file.",
    ),
)
