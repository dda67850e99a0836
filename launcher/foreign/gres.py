"""What scontrol says of a job and gres.conf of its node in, the devices that the job was given out. Pure.

Slurm tells a job which of a node's devices it has by numbers: IDX counts the lines of gres.conf with that Name on that
node, over all types. The environment has numbers of its own (SLURM_JOB_GPUS), which are no addresses.
"""

from __future__ import annotations

import re
from itertools import islice

from launcher.errors import Diagnostic, Refused, Where
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import HostDevice, host_device

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 65536  # names or numbers that one expression may stand for
MOST_BRACKETS = 8  # pairs of them in one word
_ITEM = r"([A-Za-z][\w.-]*)((?::[\w.-]+)*)\((IDX|CNT):([^()]*)\)"


@record
class Line:
    """One device of gres.conf; what is only counted has no file."""

    name: str
    type: str
    file: str


@record
class Share:
    """What a job has of one Name and type on its node. None: it is counted, and has no devices."""

    name: str
    type: str
    indices: tuple[int, ...] | None


def given_devices(job: str, conf: str, node: str, file: str) -> tuple[tuple[HostDevice, str], ...]:
    """With the type that gres.conf says. `file` is where `conf` is from."""
    lines: dict[str, list[Line]] = {}
    for line in lines_of(conf, node):
        if line.file:
            lines.setdefault(line.name, []).append(line)
    shares = [one for one in shares_of(job, node) if one.indices is not None]
    return tuple(_device(one, index, lines.get(one.name, []), file) for one in shares for index in one.indices or ())


def record_of(number: str, said: str) -> str:
    """Of what scontrol shows. By the number of an array's last task, which is also that of the array, it shows all its
    tasks, and by that of a heterogeneous job all its components: what others of them have is not this one's."""
    for one in re.split(r"^(?=JobId=)", said, flags=re.MULTILINE):
        if re.match(rf"JobId={number}\s", one):
            return one
    raise Refused(Diagnostic("E584", f"`scontrol show job -d {number}` shows no job of that number"))


def _device(share: Share, index: int, lines: list[Line], file: str) -> tuple[HostDevice, str]:
    if index >= len(lines):
        fact = f"the job has {share.name} number {index}, and gres.conf has {len(lines)} of that name for this node"
        raise _contradiction(fact, file)
    line = lines[index]
    if share.type and line.type and share.type != line.type:
        fact = f"the job has a {share.type} as {share.name} number {index}, and in gres.conf that is a {line.type}"
        raise _contradiction(fact, file)
    try:
        return host_device(line.file.rpartition("/")[2]), line.type
    except ValueError:
        fact = f"{line.file} is {share.name} number {index} of this node, and its name is no PCI address"
        help_ = ("make the file by `vmlaunch devices --format gres`",)
        raise Refused(Diagnostic("E584", fact, Where(file), help=help_)) from None


def _contradiction(fact: str, file: str) -> Refused:
    help_ = (
        "gres.conf was changed while jobs have devices by its lines: drain the node, then `scontrol reconfigure`",
        "compare it with `vmlaunch devices --format gres` of this host",
    )
    return Refused(Diagnostic("E585", fact, Where(file), help=help_))


def shares_of(job: str, node: str) -> Iterator[Share]:
    """`Nodes=gpu07 CPU_IDs=0-3 Mem=100 GRES=gpu:10de-2684:1(IDX:0),hugepages:1G(CNT:8)` of `scontrol show job -d`."""
    found = re.findall(r"^[ \t]+Nodes=(\S+)[ \t].*?\bGRES=(\S*)", job, re.MULTILINE)
    said = [gres for nodes, gres in found if node in expanded(nodes)]
    if not said:
        fact = f"`scontrol show job -d` names no node {node}"
        help_ = ("`--only env` belongs into the job itself, on the node where it runs",)
        raise Refused(Diagnostic("E584", fact, help=help_))
    for gres in said:
        rest = re.sub(_ITEM, "", gres).strip(",")
        if rest and rest != "(null)":
            raise Refused(Diagnostic("E584", f"what Slurm says of the job's devices is not understood: {gres!r}"))
        yield from (_share(*item) for item in re.findall(_ITEM, gres))


def _share(name: str, rest: str, kind: str, numbers: str) -> Share:
    words = rest.split(":")[1:]
    if kind == "CNT":
        return Share(name, words[0] if words else "", None)
    indices = tuple(_numbers(numbers))
    if words and words[-1].isdecimal() and int(words[-1]) != len(indices):
        raise Refused(Diagnostic("E585", f"Slurm says {words[-1]} of {name}, and counts up {len(indices)}: {numbers}"))
    return Share(name, words[0] if len(words) > 1 else "", indices)


def lines_of(conf: str, node: str) -> Iterator[Line]:
    """In their order, one for each file, or for several that are one device. A line without a NodeName is for each node
    that has this file."""
    for text in re.sub(r"\\\s*\n", " ", conf).splitlines():
        if re.match(r"\s*include\s", text, re.IGNORECASE):
            help_ = ("write its lines here: a number of Slurm's counts them, too",)
            raise Refused(Diagnostic("E584", f"gres.conf has lines in another file: {text.strip()}", help=help_))
        words = re.findall(r"(\w+)\s*=\s*(\S+)", text.partition("#")[0])
        said = {key.lower(): value for key, value in words}
        if "name" in said and ("nodename" not in said or node in expanded(said["nodename"])):
            files = expanded(said["file"]) if "file" in said else (said.get("multiplefiles", ""),)
            yield from (Line(said["name"], said.get("type", ""), file) for file in files)


def expanded(text: str) -> tuple[str, ...]:
    """gpu[07-09,12]x,login -> gpu07x, gpu08x, gpu09x, gpu12x, login: Slurm's way to write names."""
    words = re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text)
    return tuple(islice((name for word in words for name in _expanded(word)), MOST))


def _expanded(word: str) -> Iterator[str]:
    match = re.fullmatch(r"([^\[]*)\[([0-9,-]+)\](.*)", word)
    if match is None or word.count("[") > MOST_BRACKETS:
        yield word
        return
    head, numbers, tail = match.groups()
    yield from (f"{head}{number}{rest}" for number in _padded(numbers) for rest in _expanded(tail))


def _padded(text: str) -> Iterator[str]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if re.fullmatch(r"\d{1,9}-\d{1,9}|\d{1,9}", part):
            yield from (f"{one:0{len(first)}}" for one in range(int(first), int(last or first) + 1))


def _numbers(text: str) -> Iterator[int]:
    if text in ("", "N/A"):
        return
    if not re.fullmatch(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*", text):
        raise Refused(Diagnostic("E584", f"what Slurm says of the job's devices is not understood: IDX:{text}"))
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), min(int(last or first), int(first) + MOST) + 1)
