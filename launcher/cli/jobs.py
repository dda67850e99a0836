"""The hosts that can run a spec in; a job for Slurm or Kubernetes out, on stdout."""

from __future__ import annotations

import os
import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from launcher.plan.placement import Placement


def check_words(options: argparse.Namespace) -> None:
    said = [f"--{name}" for name in ("claim", "domain", "image") if getattr(options, name)]
    if said and options.format != "kubernetes":
        help_ = ("leave it out, or say --format kubernetes",)
        raise WrongUsage(Diagnostic("E297", f"{said[0]} is about manifests of Kubernetes'", help=help_))
    if len(options.specs) > 1 or options.specs == ["-"]:
        help_ = (f"one after the other: `vmlaunch place vm.yaml hosts/ --format {options.format}`",)
        raise WrongUsage(Diagnostic("E579", "a job is made of one spec, which has a file", help=help_))
    _check_path(options.specs[0])
    if options.domain:
        from launcher.foreign.slices import check_domain

        check_domain(options.domain)


def _check_path(path: str) -> None:
    """Bytes that are no text are another path where they are written down."""
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError:
        help_ = ("move it to where the names of all folders are UTF-8, as its own is",)
        raise WrongUsage(Diagnostic("E579", "a job names its spec, whose path is not UTF-8", help=help_)) from None


def _check_mounts(paths: Iterable[str]) -> None:
    """A container's `mountPath` must not contain `:` (Kubernetes API, VolumeMount)."""
    if wrong := next((one for one in paths if ":" in one), None):
        help_ = ("rename it, or a folder on its way, and in the spec",)
        raise WrongUsage(Diagnostic("E579", f"a pod has {wrong} by its path, and none with `:` in it", help=help_))


def show(found: Placement, options: argparse.Namespace) -> None:
    """What no host can run is no job: said, and why not, as in a text."""
    from launcher.cli.terminal import drawn

    if not found.fits:
        from launcher.report.placement_text import placement_text

        print(placement_text(found, 0, 100), file=sys.stderr)
        return
    from launcher.api.jobs import job_from

    raw = options.sources[options.specs[0]]
    job, told = job_from(options.loaded[0], raw, options.set, found.specs[0], options.hosts, kind=options.format)
    if told:
        print(drawn(told, options.sources, sys.stderr), end="\n\n", file=sys.stderr)
    if options.format == "slurm":
        from launcher.foreign.slurm_job import script

        print(script(job), end="")
        return
    from launcher.foreign.pod import IMAGE, manifests
    from launcher.foreign.slices import DOMAIN

    _check_mounts((job.spec, *(one.path for one in job.files)))
    domain, image = options.domain or DOMAIN, options.image or IMAGE
    print(manifests(job, claim=options.claim, domain=domain, image=image), end="")
