"""A word that is no verb, or options that a verb does not take, in; what is meant by them out, in words. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What virsh, qm, Compose and others call our verbs.
OTHERS = {
    "up": "start run create launch boot apply deploy",
    "down": "stop shutdown destroy kill rm remove undefine delete poweroff halt quit clean cleanup prune purge",
    "ps": "list ls status show-all get vms vm domains",
    "validate": "check lint verify fmt format test",
    "inspect": "info show dominfo config describe dumpxml dump state report",
    "console": "attach terminal serial exec shell ssh enter connect login open",
    "logs": "log dmesg journal tail output",
    "plan": "diff dry-run dryrun preview",
    "place": "schedule rank where fit assign",
    "devices": "lspci pci nodedev-list scan gpus gpu cards hardware inventory",
    "doctor": "virt-host-validate diagnose preflight",
    "init": "new scaffold template virt-install generate quickstart",
    "import": "convert define domxml-from-native virt-v2v from-xml libvirt",
    "explain": "man docs describe-code",
    "completion": "completions",
}
# What several of our verbs do, or none.
IN_WORDS = {
    "restart": "`vmlaunch down NAME`, then `vmlaunch up SPEC` starts it anew",
    "reboot": "a guest reboots itself; `vmlaunch down NAME`, then `vmlaunch up SPEC` starts it anew",
    "edit": "the spec is a file of yours: change it, then `vmlaunch down NAME` and `vmlaunch up SPEC`",
    "suspend": "a VM that owns devices cannot be suspended: `vmlaunch down NAME` powers it off",
    "migrate": "a VM that owns devices stays on its host",
    "snapshot": "a VM that owns devices has no snapshots; those of a disk image are made by its own tool, qemu-img",
    "stats": "`vmlaunch inspect --watch NAME` tells the report again and again",
    "update": "vmlaunch is updated as it was installed, by pip, apt or git",
    "install": "vmlaunch is installed and removed by pip or apt: its README.md says how; `vmlaunch init` writes a spec",
    "image": "images are files of yours, which qemu-img makes, and `disks:` of a spec names",
    "copy": "a folder of the host that the guest sees is `shares:` of a spec",
}
ALIASES = {
    **dict.fromkeys(("top", "watch", "metrics"), "stats"),
    "upgrade": "update",
    **dict.fromkeys(("uninstall", "setup"), "install"),
    **dict.fromkeys(("images", "build", "pull", "push", "disk"), "image"),
    **dict.fromkeys(("cp", "scp", "mount", "sync"), "copy"),
    **dict.fromkeys(("pause", "resume", "save"), "suspend"),
    **dict.fromkeys(("reset", "reload"), "restart"),
}

# Options of others, by verb ("": of any), and what says that here. `{file}`: the file that the command names.
OPTIONS = {
    "": {
        "-f --file --spec --config": "a file is named without an option: `vmlaunch {verb} {file}`",
        "--no-color --no-colour": "set NO_COLOR=1 in the environment",
        "--color --colour": "colour is for terminals; NO_COLOR=1 or FORCE_COLOR=1 in the environment decides it",
        "-q --quiet --silent": "send what is not wanted to /dev/null; the exit code says how it went",
        "--output-format": "write `--format`, or `--json`",
        "-y --yes --auto-approve": "nothing is asked: leave it out",
    },
    "up": {
        "--dry-run --dryrun -n --check --noop": "`vmlaunch plan {file}` shows what `up` would do, and changes nothing",
        "--host": "`vmlaunch plan --host FACTS SPEC` plans for another host; `up` runs on this one",
        "-o --output --out": "`vmlaunch plan -o FILE SPEC` saves the plan, and `vmlaunch up FILE` runs it",
        "--daemon --daemonize --background -b": "write `-d`",
        "--attach": "`up` is attached unless it has `-d`",
        "--demo --example": "`vmlaunch up --hello` starts the guest that comes with vmlaunch",
        "--name": "write `--set name=NAME`, or the key `name` in the spec",
        "--fix": "`vmlaunch validate --fix {file}` mends a spec",
        "--kernel --cmdline --append -m --memory --cpus --smp": "write it in the spec, or `--set KEY=VALUE`",
    },
    "plan": {
        "--out --save -out": "write `-o FILE`",
        "--dry-run": "`plan` changes nothing: leave it out",
        "-v --verbose": "`--json` has all of a plan",
        "-d --detach": "`plan` starts nothing; `vmlaunch up -d {file}` does",
        "--fix -w --write": "`vmlaunch validate --fix {file}` mends a spec; `--diff` there shows how",
    },
    "place": {
        "--host --hosts": "hosts come last: `vmlaunch place {file} HOSTS`",
        "-n --top --limit": "`--json` has all hosts, best first",
        "--only": "`plan` and `up` have it; with several specs `--json` says what to write behind it on each host",
    },
    "down": {
        "-f --force --destroy -9": "write `--kill`",
        "--time": "write `--timeout`",
        "-v --volumes --rmi --remove-orphans": "disk images stay as they are: leave it out",
    },
    "logs": {"--since --until": "the log has no times: `-n LINES` says how much of its end is shown"},
    "ps": {
        "-l --long": "`--json` has all there is",
        "--format": "write `--json`",
        "-q --quiet": "`vmlaunch ps --names` prints names only",
    },
    "validate": {
        "-r --recursive": "leave it out",
        "-w --write --in-place": "write `--fix`",
        "--strict --werror": "`validate` has no warnings; `vmlaunch plan --strict {file}` refuses those of a plan",
        "--host": "`vmlaunch plan --host FACTS {file}` checks it against a host",
    },
    "init": {
        "--name -n": "a name is named without an option: `vmlaunch init NAME`",
        "--force --overwrite": "a file that is there is never overwritten: `-o FILE` names another",
    },
    "devices": {"-c --type --kind --filter": "write `--class CLASS`", "-v --verbose": "`--json` has all there is"},
    "console": {"-f --force": "there is one writer and there are readers: leave it out"},
    "doctor": {"--fix": "it changes nothing, and each line says what to do"},
}

# Words of others for the values of an option or an argument, by verb and option, and what says that here.
VALUES = {
    ("doctor", "--for"): {
        "devices": "gpu gpus pci vfio iommu passthrough device",
        "vm": "kvm cpu cpus memory all",
        "disks": "disk storage qcow2 image images",
        "shares": "share virtiofs folder folders",
        "nics": "nic net network networks bridge tap",
        "user-nics": "user passt slirp",
        "uefi": "ovmf edk2 efi",
        "bios": "seabios legacy",
    },
    ("schema", ""): {"spec": "vm vm.yaml", "facts": "host hosts devices", "placement": "place", "report": "inspect"},
    ("completion", ""): {"bash": "sh /bin/bash", "zsh": "/bin/zsh"},
    ("place", "--format"): {"slurm": "sbatch", "kubernetes": "k8s job"},
    ("devices", "--format"): {"gres": "slurm gres.conf", "nodes": "slurm.conf", "resourceslice": "kubernetes k8s dra"},
}
# What other options, and other verbs, say.
VALUES_IN_WORDS = {
    ("plan", "--format"): {
        "svg": "write `--svg FILE`",
        "slurm": "`vmlaunch place` has it",
        "kubernetes": "`vmlaunch place` has it",
        "yaml": "JSON is YAML: write `--json`",
    },
    ("place", "--format"): {"yaml": "JSON is YAML: write `--json`"},
    ("devices", "--format"): {"json": "write `--json`", "text": "leave it out"},
    ("validate", "--format"): {"yaml": "JSON is YAML: write `--json`", "xml": "write `--format junit`"},
}
# What to write where an argument is missing.
MISSING = {
    "NAME|SPEC|PLAN": ", and says which VM is meant; `vmlaunch ps -a` lists them",
    "SPEC": "; `vmlaunch init` writes a first one",
    "HOSTS": ", a folder of what `vmlaunch devices --json` writes on each host",
    "FILE": "; `virsh dumpxml NAME > FILE` makes one of libvirt's",
    "SHELL": ": bash, zsh or fish",
}
ARGPARSE = {
    ": expected one argument": " takes a value, and nothing stands behind it",
    ": ignored explicit argument ": " takes no value, and has ",
}

# Whose words are the values of one option.
_OPTION_OF = {"devices": "--class", "doctor": "--for"}


def no_such_verb(word: str, verbs: Sequence[str]) -> str:
    from launcher.report.frame import visible

    said = f"vmlaunch: no such verb: {visible(word)}"
    meant = _meant(word, verbs)
    return said + meant if meant else f"{said}\nverbs: {', '.join(verbs)}"


def _meant(word: str, verbs: Sequence[str]) -> str:
    from difflib import get_close_matches

    from launcher.report.frame import visible

    plain = word.lower().lstrip("-")
    if said := IN_WORDS.get(ALIASES.get(plain, plain)):
        return f"; {said}"
    meant = next((verb for verb, words in OTHERS.items() if plain in words.split()), None)
    if plain.endswith((".yaml", ".yml", ".json", ".plan")):
        return f"; a file stands behind a verb: `vmlaunch up {visible(word)}`, or `plan`"
    near = [meant] if meant else get_close_matches(plain, verbs, 1)
    return "".join(f"; did you mean `{one}`?" for one in near)


def option_before_verb(option: str, verb: str, taken: Iterable[str]) -> str:
    """`taken`: the options of the verb."""
    from launcher.report.frame import visible

    name = option.partition("=")[0]
    said = (
        f"write `vmlaunch {verb} {name}`" if name in taken else _said(name, verb, "") or f"`{verb}` has no such option"
    )
    return f"vmlaunch: options stand behind their verb: {visible(name)}; {visible(said)}"


def not_taken(
    verb: str, extra: Sequence[str], options: Iterable[str], file: str, sets: Sequence[str] = ()
) -> list[str]:
    """A line for each option that is not one of the `options`, and one for all words too many. `sets`: of --set."""
    from launcher.report.frame import visible

    known, lines = list(options), []
    for word in extra:
        name = word.partition("=")[0]
        if name.startswith("-") and name != "-":
            said = _said(name, verb, file) or _near(name, known)
            lines.append(f"there is no option {visible(name)}" + (f"; {visible(said)}" if said else ""))
    if lines:
        return lines
    meant = visible(_too_many(verb, extra, sets))
    return [f"one is taken at a time, and these are too many: {visible(' '.join(extra))}{meant}"]


def _too_many(verb: str, extra: Sequence[str], sets: Sequence[str]) -> str:
    """The value of an option that stands as a word alone."""
    if bare := next((one for one in sets if "=" not in one), ""):
        return f"; write `--set {bare}={extra[0]}`"
    return f"; write `{_OPTION_OF[verb]} {extra[0]}`" if verb in _OPTION_OF and len(extra) == 1 else ""


def _said(option: str, verb: str, file: str) -> str | None:
    for table in (OPTIONS.get(verb, {}), OPTIONS[""]):
        for names, said in table.items():
            if option in names.split():
                return said.format(verb=verb, file=file or "SPEC")
    return None


def _near(option: str, known: Sequence[str]) -> str:
    """`--sett` is near `--set`; of one letter nothing is near."""
    from difflib import get_close_matches

    found = get_close_matches(option, known, 1) if len(option) > 3 else []
    return f"did you mean `{found[0]}`?" if found else ""


def cannot_be(verb: str, option: str, value: str, choices: Sequence[str]) -> str:
    """A value that is none of the choices. `option`: "" of an argument."""
    from difflib import get_close_matches

    from launcher.report.frame import shown

    of = f"{option} " if option else ""
    others, in_words = VALUES.get((verb, option), {}), VALUES_IN_WORDS.get((verb, option), {})
    plain = value.lower()
    meant = next((one for one, words in others.items() if plain in words.split()), None)
    near = [meant] if meant else get_close_matches(plain, (*choices, *in_words), 1)
    said = "".join(f"; {in_words.get(one) or f'did you mean `{of}{one}`?'}" for one in near)
    return f"{of}{shown(value)} is not known{said}\nit can be {', '.join(choices[:-1])} or {choices[-1]}"


def mistaken(message: str) -> str:
    """What argparse says of arguments that are missing, a line for each, and of values that are missing or too many."""
    from launcher.report.frame import visible

    message = message.removeprefix("argument ")
    said, _, names = message.rpartition(": ")
    if said == "the following arguments are required":
        return "\n".join(f"{name} is missing" + MISSING.get(name, "") for name in names.split(", "))
    for theirs, ours in ARGPARSE.items():
        message = message.replace(theirs, ours)
    return visible(message)
