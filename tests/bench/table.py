"""The rows: what is measured, by which room, in how many rounds, against which goals; the page's words. Pure.

`./dev bench NAME` runs a row. Sentences of the page stand here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from launcher.values import KIB, MIB
from tests.bench.contenders import ATTACHED, BY_IOMMUFD, DETACHED, MICROVM, OURS, PC, Q35, SAVED, YAML
from tests.bench.measure import Goal, Rounds

NATIVE, LAB, LAB_OF_TWO = "native", "lab", "lab of two processors"
PROCESSORS = {LAB: 1, LAB_OF_TWO: 2}  # of the machine, emulated beside each other


@dataclass(frozen=True, slots=True)
class Figure:
    key: str
    label: str
    unit: str = ""
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """`run` is "room.function", called with what was built, a folder, and `arguments`: contender -> one run."""

    name: str
    title: str
    about: str
    run: str
    place: str
    rounds: Rounds
    figures: tuple[Figure, ...]
    goals: tuple[Goal, ...] = ()
    bounds: str = ""  # what keeps it from being better
    arguments: dict[str, Any] = field(default_factory=dict)


BARE, HELP, PS, COMPLETION = "python -c pass", "vmlaunch --help", "vmlaunch ps", "vmlaunch completion bash"
NAMES, PLAN, VALIDATE = "vmlaunch ps -a --names", "vmlaunch plan", "vmlaunch validate"
POPULATE, MEMSET = "vmlaunch populates", "first-touch memset"
PRIVATE, SHARED = "private memory", "shared memory"
BARE_TYPE1, BARE_IOMMUFD = "one MAP_DMA", "one IOAS_MAP"
SIZES = ("1 GiB", "2 GiB", "4 GiB", "8 GiB")
PACKAGES = ("launcher", "pydantic", "ruamel", "rich", "standard library")

CONSOLE = (
    Figure("seconds", "KVM_RUN to init", "s", 2),
    Figure("cpu", "threads", "s", 2),
    Figure("handling", "threads", "%"),
    Figure("wakeups", "wake-ups", "a character", 4),
)
ACCESS = (
    "A payload reads, 20,000 times in a row each, a port that nobody serves (empty) and the serial port's line "
    "status register, and times each read by the TSC. Own share: from the return of KVM_RUN to its next call, "
    "median, by a preloaded object that both carry. Both are attached to a terminal."
)
TRAPPED_BAR = (
    " Also a register of a rtl8139 in a BAR that is trapped, its own share without a pread of the same register by a "
    "plain program. QEMU is told x-no-mmap=on, or it would map this BAR, and the read would not leave the guest."
)


ENTER = Figure("enter", "command to init", "s", 2)
EMULATED = (
    "Before the first KVM_RUN all processes share one emulated processor, which never waits (sched_switch: 0.02 s "
    "of 3.4). Of a run by itself it was 2.8 s of 4.9 from the command to init of a Linux alone, QEMU's 0.9 of 5.3: "
    "0.6 the client, 1.4 the process that plans, 0.6 the keeper, 0.2 the runner (/proc/PID/stat). A bare Python is "
    "0.2; what is read is that of `start`, forty times as slow. SHA-256 of kernel and initial RAM disk, 9.6 MB, is "
    "0.7 of it: OpenSSL's is slow where processors are emulated. With a drive 512 MiB are pinned in 0.7 to 1.2 s "
    "more, as QEMU's are; a disk's engine begins in 0.6. Without any planning client, keeper, runner and the guest "
    "itself would still take 0.7 of QEMU's time. An older profile, 5.3 s of 7.5 with files that are waited for, "
    "was wrong: what looked for the first KVM_RUN a thousand times a second took a third of the same processor."
)


def _boot(vcpus: int, seconds: int) -> Row:
    return Row(
        f"boot-{vcpus}",
        f"Boot, {vcpus} vCPU{'s' if vcpus > 1 else ''}",
        "The same Linux and initramfs, 512 MiB, console quiet. Uptime is what the guest's /proc/uptime says at its "
        "init; the others are from the first KVM_RUN, and from the command, until init's first line arrives at whoever "
        "started the VMM. QEMU's have its firmware in them, which the guest's own clock does not see.",
        "boot.boot",
        LAB,
        Rounds(3, seconds, 2),
        (Figure("uptime", "uptime at init", "s", 2), Figure("seconds", "KVM_RUN to init", "s", 2), ENTER,
         Figure("exits", "exits to user space", "", 0)),
        (Goal("uptime", OURS, 0.6, Q35), Goal("seconds", OURS, 0.75, Q35), Goal("enter", OURS, 0.55, Q35),
         Goal("exits", OURS, 500)),
        "Of the exits half are accesses to PCI configuration space, which were twice as many before KVM held back the "
        "writes to 0xcf8 that say where, one at a time and for 200 ms at most: a reset by 0xcf9, which lies within, is "
        "late by as much. Most of the rest is the serial port. "
        + EMULATED,
        arguments={"vcpus": vcpus},
    )  # fmt: skip


ONE_PROCESSOR = (
    " In the lab all have one CPU. There the scheduler's own trace (sched_switch) had the vCPU wait 4 to 8 ms for "
    "keeper and client, 2 to 5 ms each, who mapped their code anew to pass on the line that the guest had said: "
    "the longest was 6.0 (serial) and 3.2 (bar) of QEMU's. Since who has got up stays up for five seconds they are 0.8 "
    "and 1.3. What is left is Python that is emulated, forty times as slow as natively, where a turn of the keeper's "
    "is 0.2 ms on another processor; 10 ms in `empty` are the first rest, a second after the start. QEMU's other "
    "threads take 1 to 2.5 ms at a time, in C."
)


def _access(place: str, *, device: bool) -> Row:
    kinds = ("empty", "serial", "bar") if device else ("empty", "serial")
    figures = tuple(
        figure
        for kind in kinds
        for figure in (
            Figure(f"{kind} median", f"{kind}, median", "µs", 2),
            Figure(f"{kind} tail", f"{kind}, 99.9th percentile", "medians"),
            Figure(f"{kind} longest", f"{kind}, longest", "µs", 0),
            Figure(f"{kind} own", f"{kind}, own share", "µs", 3),
        )
    )
    told = kinds[1:]
    return Row(
        f"access-{place}",
        f"Trapped access, {place}",
        ACCESS + (TRAPPED_BAR if device else ""),
        "access.accesses",
        place,
        Rounds(3, 60, 2) if device else Rounds(6, 30),
        (*figures, Figure("pread", "pread alone", "µs", 2)) if device else figures,
        (
            *(Goal(f"{kind} own", OURS, 0.5, Q35) for kind in told),
            *(Goal(f"{kind} tail", OURS, 10) for kind in told),
            *(Goal(f"{kind} longest", OURS, 1.0, Q35, reaches=True) for kind in told),
        ),
        "Tail and longest are the host's: moments at which the vCPU does not run. Other work there adds to them. "
        "`empty` is measured first, from the guest's first instruction on, when other processes of ours still have "
        "something to do." + (ONE_PROCESSOR if place == LAB else ""),
        arguments={"device": device},
    )


def _memory(name: str, pages: int, what: str) -> Row:
    return Row(
        f"memory-{name}",
        f"Memory, {what}",
        "Guest memory populated by the code the product uses, in a fresh process, with a thread for each CPU, beside "
        "a C program whose threads memset an identical mapping for the first time. Sizes that do not fit are left "
        "out. Before each, a third process has touched as much and ended.",
        "memory.memory",
        NATIVE,
        Rounds(3, 40, 2),
        tuple(Figure(size, size, "GiB/s") for size in SIZES),
        tuple(Goal(size, POPULATE, 0.9, MEMSET, at_least=True) for size in SIZES),
        "This machine is a guest itself: its host gives pages at its own pace, which the spread shows.",
        arguments={"pages": pages},
    )


TABLE = (
    Row(
        "start",
        "Start",
        "From the start of the process to its first KVM_RUN: a tiny guest with 2 vCPUs and 96 MiB, from YAML, from a "
        "saved plan, and the same kernel in QEMU.",
        "start.first_run",
        NATIVE,
        Rounds(15, 20),
        (Figure("ms", "first KVM_RUN", "ms"),),
        (Goal("ms", SAVED, 1.5, MICROVM), Goal("ms", YAML, 2.0, Q35)),
        "Reading and running code, one process after the other. In millions of instructions, which do not vary "
        "(cachegrind): 30 are a bare interpreter, 33 more the client until it has forked keeper and planner, then 80 "
        "the planner, and beside it 68 the keeper until it forks the runner, whose 12 come last. They were 50, 99, 76 "
        "and 12 while json, re and Python's signal were imported, and while modules were asked in vain, for which "
        "Python 3.11 words an error; `plan` as a whole is 147, and was 167. In time, of 125 ms on a busy day: 34 "
        "until the keeper's fork, 3 until the planner's first line, 53 of the planner, 1 until the keeper has its "
        "order, 8 of the keeper until the runner's fork, 26 of the runner. The same day it was 147 before the order "
        "went out ahead of the planner's reaping, the client stopped importing where two others want two processors, "
        "the journal stopped waiting for a disk before anything is changed (0.4 to 4 ms twice where /run is on one), "
        "and a runner stopped unmapping its code just before it runs. KVM's own calls wait for readers (SRCU): 5 to "
        "10 of the runner's ms. Of page faults `up -d` has 9,000: 2 to 3 µs for a page that is zeroed and 4 for one "
        "that is copied after a fork; to ask for all of them at once (MADV_POPULATE_WRITE) takes as long. Tried and "
        "not built: one file with all of the planner's modules, run without Python's import, takes 29 ms of 36. A "
        "runner that is forked while others plan, built three ways: 6 to 10 ms less after the order, of which nothing "
        "is left in all where two processors have the planner beside it, and one way took 0.7 MiB more. To plan "
        "without a process apart for `-d`: 6 % less CPU of client and planner, no less time. "
        "Beside microvm the goal is 48 ms. A bare interpreter is 13 of them and the runner 16, much of that KVM's own "
        "calls: 19 are left to read some 200 modules in, at 0.13 ms each.",
    ),
    Row(
        "start-initrd",
        "Start with an initial RAM disk",
        "The same with 512 MiB and an initial RAM disk of 80 MiB, as distributions make them. QEMU only maps the file: "
        "its firmware copies it into the guest's memory after the first KVM_RUN, which is not in its figure.",
        "start.first_run",
        NATIVE,
        Rounds(5, 10),
        (Figure("ms", "first KVM_RUN", "ms"),),
        bounds="What is planned is what boots: the process that plans digests each file (SHA-256, 1.1 GB/s here, less "
        "than half of that where the processor has no instructions for it), QEMU reads it. Of an 80 MiB file that is "
        "80 ms, and 35 more for a copy that the runner maps; it goes into guest memory in 50, where it was read, "
        "sliced, digested once more and written in 171 before. In all it was 407 ms, and is 318 (medians of nine in "
        "turns). Tried and not built: one thread that digests while another copies, 381 ms for 387. "
        "Not tried: digests that are made beside the other work of planning, or after the guest runs.",
        arguments={"initrd": 80, "mebibytes": 512},
    ),
    Row(
        "fleet",
        "A hundred at once",
        "A hundred guests that halt at once, each with 1 vCPU and 96 MiB, all started together: `up -d` from YAML, and "
        "QEMU in the background. From the first process to the first KVM_RUN of the last guest; and the memory of all "
        "processes after that, without the guests' RAM.",
        "fleet.fleet",
        NATIVE,
        Rounds(2, 40),
        (Figure("seconds", "all run", "s", 2), Figure("pss", "PSS", "MiB", 0), Figure("rss", "RSS", "MiB", 0)),
        (Goal("seconds", OURS, 1.0, MICROVM), Goal("pss", OURS, 0.5, MICROVM)),
        "CPU time, which two processors share among a hundred: of a start by itself some 120 ms, 80 of them of client "
        "and planner, 35 of the keeper, 5 to 10 of the runner (/proc/PID/stat, ticks of 10 ms), where a QEMU takes 47. "
        "In instructions it is 224 million, without what the kernel does, and was 267 (`start`). One at a time takes "
        "117 ms, so that a hundred cost less than their sum. A bare interpreter, which each start has first, is 12 of "
        "the 47. Memory: keeper and runner are two interpreters for each VM, which share what they have in common with "
        "each other alone. Of a hundred bare ones that only sleep each has 3.5 MiB, two have 7; the goal is 6.2.",
    ),
    Row(
        "memory-vmm",
        "Memory of the VMM",
        "Of all processes of one such guest, six seconds after its first KVM_RUN, without the guest's RAM: with the "
        "client that stays attached, and detached. PSS counts a page that n processes have in common as an nth, other "
        "interpreters on the machine included; RSS counts it for each.",
        "fleet.memory",
        NATIVE,
        Rounds(2, 30),
        (Figure("pss", "PSS", "MiB"), Figure("rss", "RSS", "MiB")),
        (Goal("pss", ATTACHED, 0.6, Q35), Goal("rss", ATTACHED, 0.9, Q35),
         Goal("pss", DETACHED, 0.45, Q35), Goal("rss", DETACHED, 0.7, Q35)),
        "Two or three interpreters, forked from each other, that wait, in C: once nothing has come for a second no "
        "code of Python's is mapped. Of the 9.3 MiB of a keeper or a runner 5 are objects, 1.7 malloc's, 1.2 "
        "libpython's own data; 4.5 it has written to alone, of which counting references is the most, and 4 it has in "
        "common with the other.",
    ),
    Row(
        "power-off",
        "The guest's power-off",
        "From the last exit of a guest that powers itself off to the end of the attached command: to the prompt. It "
        "has stopped its i8254, as Linux does. Its figure with a passed drive is `end` of row `passed`.",
        "ending.power_off",
        NATIVE,
        Rounds(9, 40),
        (Figure("ms", "to the prompt", "ms"),),
        (Goal("ms", OURS, 1.0, Q35),),
        "The kernel frees the VM before whoever waits for its end hears of it. To close its descriptor took 16 ms at "
        "times and 28 at others, nearly all of it in kvm_free_pit (/proc/PID/stack): KVM keeps ticks of the i8254 that "
        "a guest is late for, and to stop that it unregisters two notifiers and waits for readers after each; the "
        "first wait is expedited, the second comes too soon after it to be, and takes some jiffies. A second after the "
        "start, where the guest has stopped the i8254 as Linux does, we have KVM keep no ticks, and the close takes "
        "2.5 ms; a guest that ends sooner, or has the i8254 tick, still waits. What is left of 14 ms: 4 until the "
        "runner, whose code was not mapped while it rested, closes it; 5 of the keeper, which writes and tells the "
        "report. The client reads meanwhile what it tells the report with, without pathlib by now, which was 14 ms. "
        "QEMU's time is a wait, ours is work: on processors that others keep busy it was 9 to 26 ms, QEMU's 16 to 37.",
    ),
    Row(
        "imports",
        "Start: the share of each import",
        "`python -X importtime`, the own time of all modules of a package summed, in the client and in the process "
        "that plans, which it waits for. The keeper imports beside them, unseen. Being measured makes it slower.",
        "start.imports",
        NATIVE,
        Rounds(5, 10),
        tuple(Figure(name, name, "ms") for name in PACKAGES),
    ),
    Row(
        "everyday",
        "Everyday commands",
        "Whole processes, beside an interpreter that does nothing.",
        "everyday.everyday",
        NATIVE,
        Rounds(15, 10),
        (Figure("ms", "whole", "ms"),),
        tuple(Goal("ms", name, 1.6, BARE) for name in (HELP, PS, COMPLETION, NAMES)),
        "Most of what is left is `python -m`, which imports contextlib, collections and functools. No VM is there; "
        "with one that is up `ps` takes 1.6 of a bare interpreter in user and system time, with one that ended, "
        "whose report is read, 2.1. `ps -a --names` is what shells ask at TAB, and reads no file of a VM.",
    ),
    Row(
        "answers",
        "Answers",
        "Whole processes again, with examples/hello.yaml; and what each takes more than an interpreter that does "
        "nothing, started just before.",
        "everyday.answers",
        NATIVE,
        Rounds(15, 10),
        (Figure("ms", "whole", "ms"), Figure("more", "more than an interpreter", "ms")),
        (Goal("more", PLAN, 100), Goal("more", VALIDATE, 60)),
        "Of `plan` most is reading code, 0.13 ms for each of 190 modules: the planner has its rules in rooms, and asks "
        "all of them.",
    ),
    _boot(1, 60),
    _boot(4, 80),
    Row(
        "console",
        "Console",
        "A boot that prints some 60,000 characters (`loglevel=8 initcall_debug`), 1 vCPU, output to a pipe. Threads: "
        "the CPU time of all threads that are no vCPU, attached client included, between the first KVM_RUN and init, "
        "and its share; wake-ups are their voluntary context switches. QEMU writes from the vCPU's thread: its "
        "characters cost time there. What ours does in that thread is the own share of a trapped access, below.",
        "console.console",
        LAB,
        Rounds(1, 90, 1),
        (*CONSOLE, Figure("characters", "characters", "", 0)),
        (Goal("seconds", OURS, 1.0, Q35, reaches=True), Goal("handling", OURS, 5), Goal("wakeups", OURS, 0.1)),
        "Every 120 ms keeper and client, both in Python and emulated, wake up and pass on what has come. It was 6.6 % "
        "every 80 ms, with four reads in each turn that found nothing. QEMU's guest says more: it has more devices.",
    ),
    Row(
        "console-quiet",
        "Console: a quiet boot",
        "What the same threads do when there is next to nothing to write: the end of vmlaunch's own start.",
        "console.console",
        LAB,
        Rounds(2, 40, 1),
        CONSOLE[:-1],
        arguments={"cmdline": "console=ttyS0 quiet panic=-1"},
    ),
    Row(
        "console-calls",
        "Console: calls of write",
        "The same once more under `strace -f -c`, which counts write(2) and its kin of all processes; not timed.",
        "console.calls",
        LAB,
        Rounds(1, 70, warm_up=0),
        (Figure("calls", "calls", "a character", 4), Figure("characters", "characters", "", 0)),
        (Goal("calls", OURS, 0.1),),
    ),
    _access(NATIVE, device=False),
    Row(
        "access-asked",
        "Trapped access, while the VMM is asked",
        "The same, a million reads of the serial port's line status register, while somebody asks the VMM how it is: "
        "`vmlaunch inspect --json`, and QMP's query-cpus-fast by a small client in Python, each question a process of "
        "its own, the next as soon as one has ended.",
        "access.asked",
        NATIVE,
        Rounds(2, 80),
        (Figure("median", "median", "µs", 2), Figure("tail", "99.9th percentile", "medians"),
         Figure("longest", "longest", "µs", 0), Figure("answers", "answers", "", 0)),
        (Goal("longest", OURS, 1.0, Q35),),
        "The longest of a million is the host's: a moment at which the vCPU does not run.",
    ),
    _access(LAB, device=True),
    _memory("small", 4 * KIB, "4 KiB pages"),
    _memory("transparent", 0, "transparent huge pages"),
    _memory("huge", 2 * MIB, "2 MiB pages"),
    Row(
        "dma",
        "Memory: MAP_DMA",
        "1 GiB of populated transparent huge pages, mapped for a passed NVMe drive: our step, as the report times "
        "it, by type1 and by iommufd, beside the one ioctl of each in a bare C program. How often RAM is mapped: bytes "
        "in all containers over its size. A second device: VFIO_DEVICE_ATTACH_IOMMUFD_PT of a network card to the same "
        "address space, in the bare program, which maps nothing again.",
        "dma.dma",
        LAB,
        Rounds(3, 60, 2),
        (Figure("ms", "mapped", "ms"), Figure("times", "RAM is mapped", "times", 2),
         Figure("attach", "a second device", "ms", 2)),
        (Goal("times", OURS, 1.0), Goal("times", BY_IOMMUFD, 1.0),
         Goal("ms", BARE_IOMMUFD, 0.5, BARE_TYPE1, reaches=True), Goal("ms", BY_IOMMUFD, 0.5, OURS, reaches=True),
         Goal("attach", BARE_IOMMUFD, 5)),
        "The step asks for the space's limits and has Python around the same one call, which is the larger part of it "
        "on an emulated processor. What a second device waits for is no ATTACH but BIND, which resets it, as type1 "
        "does when it gives a device: 117 ms for the network card, under strace.",
    ),
    Row(
        "passed",
        "A passed NVMe drive: reads, interrupts, memory of the VMM, stop",
        "A Linux guest with 1 vCPU and 512 MiB reads blocks of 4 KiB at random places with O_DIRECT, from one thread "
        "and from 32. Interrupts as the guest's /proc/interrupts counts them. Exits a read: returns of KVM_RUN "
        "beyond those of an order that reads next to nothing. Memory: of all processes, attached client included, "
        "without the guest's RAM. Stop: from the last return of KVM_RUN until another process can open the drive's "
        "IOMMU group; end: to the end of all processes, reports and all. The drive stays bound to vfio-pci, so that no "
        "driver's time is in it; the kernel's own reset of the device is, 100 ms of it, for both.",
        "passed.passed",
        LAB,
        Rounds(3, 190, 1),
        (Figure("reads 1", "reads, depth 1", "/s", 0), Figure("reads 32", "reads, depth 32", "/s", 0),
         Figure("interrupts 1", "interrupts, depth 1", "/s", 0),
         Figure("interrupts 32", "interrupts, depth 32", "/s", 0),
         Figure("exits 1", "exits a read, depth 1", "", 4), Figure("exits 32", "exits a read, depth 32", "", 4),
         Figure("rss", "RSS", "MiB"), Figure("pss", "PSS", "MiB"), ENTER,
         Figure("stop", "stop", "ms"), Figure("end", "end", "ms")),
        (
            *(Goal(f"reads {depth}", YAML, 1.0, Q35, at_least=True, reaches=True) for depth in (1, 32)),
            *(Goal(f"exits {depth}", YAML, 0.005) for depth in (1, 32)),
            *(Goal(f"interrupts {depth}", YAML, 1.0, Q35, at_least=True, reaches=True) for depth in (1, 32)),
            Goal("pss", YAML, 0.6, Q35),
            Goal("rss", YAML, 0.9, Q35),
            Goal("enter", YAML, 0.6, Q35),
            Goal("stop", YAML, 1.0, Q35),
            Goal("end", YAML, 1.1, Q35),
        ),
        "Memory: keeper, runner and the client that stays attached are three interpreters; what plans is a process "
        "that has ended by then. Stop, of 150 ms: 25 until vCPU, interrupts and BARs are off and the drive is told to "
        "begin no DMA; 107 of its close, over which the kernel sleeps; 8 until the group is left. Meanwhile RAM is "
        "unmapped (27 to 60), what there is to be said is said (10), KVM's VFIO device waits for readers (23), the "
        "keeper makes the report once (30) and the client reads what it tells it with (15): in turn all that was 284. "
        "QEMU exits, and the kernel does it in turn. End, of 110 behind that: 28 for which KVM waits for readers as it "
        "frees the VM; 6 to unmap the guest's memory; 40 of the keeper, which writes and tells the report; 15 of the "
        "client; some 20 in which the kernel frees three interpreters. All but the 28 is work of a processor that "
        "others may keep busy, where QEMU's time is waits: in such rounds `end` was up to 1.4 of QEMU's. Reads and "
        "interrupts: nothing of a VMM is in their way; what is left between the two differs from run to run. "
        + EMULATED,
    ),
    Row(
        "whole",
        "A whole machine: disk, network, vsock beside QEMU's",
        "A Linux guest with 1 vCPU and 512 MiB on the same raw file and in the same bridge. The disk: blocks of 4 KiB "
        "at random places with O_DIRECT, from one thread and from 32; qemu-storage-daemon beside QEMU's own virtio-blk "
        "with an iothread, both with O_DIRECT and the kernel's AIO where the file system takes it. The network: TCP to "
        "a program on the host and from it, the round trip of a ping, both by "
        "vhost-net. vsock: round trips of 64 bytes, both by vhost-vsock. Returns: of KVM_RUN beyond those of an order "
        "that does next to nothing. Memory: of all processes after that, engines and the attached client included, "
        "without the guest's RAM.",
        "whole.whole",
        LAB,
        Rounds(3, 230, 1),
        (Figure("reads 1", "reads, depth 1", "/s", 0), Figure("reads 32", "reads, depth 32", "/s", 0),
         Figure("sent", "TCP to the host", "MB/s"), Figure("taken", "TCP from the host", "MB/s"),
         Figure("ping", "ping", "ms", 2), Figure("trips", "vsock round trips", "/s", 0),
         Figure("returns a read", "returns a read", "", 4), Figure("returns a trip", "returns a TCP round trip", "", 4),
         Figure("returns a message", "returns a vsock round trip", "", 4),
         Figure("rss", "RSS", "MiB"), Figure("pss", "PSS", "MiB")),
        (
            *(Goal(f"reads {depth}", OURS, 1.0, Q35, at_least=True, reaches=True) for depth in (1, 32)),
            *(Goal(way, OURS, 1.0, Q35, at_least=True, reaches=True) for way in ("sent", "taken")),
            Goal("ping", OURS, 1.0, Q35, reaches=True),
            *(Goal(f"returns a {what}", OURS, 0.005) for what in ("read", "trip", "message")),
            Goal("pss", OURS, 0.6, Q35),
            Goal("rss", OURS, 0.9, Q35),
        ),
        "Requests and packets are worked on by kernel and engines in both, on the one processor of the lab: what is "
        "left between the two differs from run to run. Reads at depth 32: each request of the guest wakes the engine, "
        "which takes the processor from the vCPU and finds two or three of them; QEMU's thread looks for a while "
        "whether there is more before it sleeps, and finds five. With the engine under SCHED_BATCH it found 30, and "
        "did 2.3 times as many as QEMU, 0.9 at depth 1; but a guest that computed meanwhile had 100 reads a second "
        "instead of 850 (QEMU's 650). So the engine has no policy of its own; row `disks` has it beside the vCPU. "
        "Memory: keeper, runner and client are interpreters that have "
        "pages in common, and RSS counts those once for each; by now they give their code back while they wait, which "
        "was a quarter of a tiny guest's RSS. Of PSS the disk's engine has 7.5 MiB, 6.4 of them its program's files, "
        "which a second VM with a disk has in common with it.",
    ),
    Row(
        "disks",
        "A disk beside QEMU's, where its engine has a processor",
        "The same guest and the same reads in a lab host of two processors, as engine and vCPU have on a host that is "
        "not full.",
        "whole.disks",
        LAB_OF_TWO,
        Rounds(3, 120, 1),
        (Figure("reads 1", "reads, depth 1", "/s", 0), Figure("reads 32", "reads, depth 32", "/s", 0)),
        tuple(Goal(f"reads {depth}", OURS, 1.0, Q35, at_least=True, reaches=True) for depth in (1, 32)),
    ),
    Row(
        "whole-boot",
        "A whole machine: boot",
        "The same guest with the same disk, NIC and vsock, up to its init: what its /proc/uptime says there, and the "
        "time from the first KVM_RUN, and from the command, until init's first line arrives, which in QEMU has its "
        "firmware in it. The "
        "guest's kernel has all drivers built in, or its init loads them first, which takes both as long. Memory: of "
        "all processes at that moment, without the guest's RAM.",
        "whole.boots",
        LAB,
        Rounds(3, 80, 1),
        (Figure("uptime", "uptime at init", "s", 2), Figure("seconds", "KVM_RUN to init", "s", 2), ENTER,
         Figure("exits", "exits to user space", "", 0), Figure("rss", "RSS", "MiB"), Figure("pss", "PSS", "MiB")),
        (
            Goal("uptime", OURS, 0.6, Q35),
            Goal("seconds", OURS, 0.75, Q35),
            Goal("enter", OURS, 0.6, Q35),
            *(Goal(what, OURS, 1.0, Q35) for what in ("rss", "pss")),
        ),
        "Until 2026-11-30 guest memory that engines share had pages of 4 KiB where nobody populated it, which took 0.9 "
        "of 2.0 s to init: a file in memory has none larger by itself. Now it has huge ones, as private memory has. Of "
        "what drivers ask of their functions C answers all but 54 accesses of a boot: starts of engines, vectors that "
        "are wired, configuration space. RSS counts what processes share once for each: three of ours are interpreters "
        "of one program, and qemu-storage-daemon has 9 MiB beside them. PSS counts it once. "
        + EMULATED,
    ),
    Row(
        "firmware",
        "Boot from a disk image by UEFI",
        "The tests' disk image of Debian, 1 vCPU and 512 MiB, by OVMF of Debian 13, which reads GRUB from the image; "
        "GRUB shows its menu for two seconds and reads kernel and initrd. From the command until the first line of the "
        "initrd's init arrives at whoever gave it, and what the guest's /proc/uptime says there.",
        "firmware.firmware",
        LAB,
        Rounds(1, 130, 1),
        (ENTER, Figure("uptime", "uptime at init", "s", 2), Figure("exits", "exits to user space", "", 0)),
        (Goal("enter", OURS, 1.0, PC),),
        "Python's start, which an emulated processor makes 15 times as long: 5 s to the first KVM_RUN when it was "
        "looked at, QEMU's 0.5. From there on ours is faster. In a pair whose exits were traced ours had 46,175 up to "
        "init, QEMU 49,153: polls of the serial port, by which GRUB's menu waits, 16,324 and 12,119; PCI's ports "
        "12,594 and 11,778; the flash 8,651 and 6,891; fw_cfg 2,094 and 3,138; registers of the disk 2,444 and 2,453; "
        "the PM timer 1,094 and 6,101; the clock 528 and 436; a keyboard's controller, which ours has not, 2,650. Ours "
        "took 0.71 s to handle them, QEMU 3.58; it was 1.43 before C answered for fw_cfg. Each write to PCI's address "
        "port left the kernel for both then; of ours, few do now, 7,000 exits less. The row was 1.50 before that, and "
        "before memory that the disk's engine shares had huge pages. Natively a start from a file of firmware was "
        "460 ms to the first KVM_RUN and is 310, since no more of the file is unpacked than is looked at.",
    ),
    Row(
        "memory-shared",
        "Memory: shared with engines",
        "1 GiB populated and mapped for a passed NVMe drive, as the report times these steps: private memory, and "
        "shared memory of a VM that has a disk beside the drive. Huge pages without a setting of the host, for both.",
        "whole.shared_memory",
        LAB,
        Rounds(2, 30, 1),
        (Figure("ms", "populated and mapped", "ms", 0),),
        (Goal("ms", SHARED, 1.1, PRIVATE),),
    ),
    Row(
        "planner",
        "Planner",
        "A facts file read as `--host` reads it, and a plan for 16 devices with the facts loaded, on hosts of "
        "growing size.",
        "planner.hosts",
        NATIVE,
        Rounds(2, 35),
        (Figure("read", "facts read", "ms"), Figure("plan", "plan made", "ms")),
        (Goal("read", "100,000 functions", 2000), Goal("plan", "10,000 functions", 500)),
        "Of a function's 100,000 instructions (cachegrind), which were 286,000 before what is written as before was "
        "read once, a fifth makes its four records, an eighth parses its address, an eighth is json's scanner and a "
        "twentieth compares text; the rest is Python's loop over the seven values of a function and its group that "
        "differ. A file in which nothing is alike takes as long as before.",
    ),
    Row(
        "specs",
        "Planner: specs",
        "1,000 specs with five devices validated, from a dict and from their text.",
        "planner.specs",
        NATIVE,
        Rounds(3, 15),
        (Figure("rate", "specs", "/s", 0),),
        (Goal("rate", "from a dict", 1000, at_least=True), Goal("rate", "from YAML", 1000, at_least=True)),
        "Of a spec's 2.9 million instructions (cachegrind), which were 4.1, two thirds make the tree of its text: more "
        "than a third of them its 154 nodes, entries and places, 4,500 each, the others match its 61 keys and values. "
        "A quarter is the check of each key. Between rounds it varies with what else the machine does.",
    ),
    Row(
        "place",
        "Many hosts",
        "`vmlaunch place` with a spec of one graphics card and a folder of facts files: recorded hosts, from a laptop "
        "to a server with eight cards, under names of their own. The whole command; its memory is that of its largest "
        "process.",
        "placing.hosts",
        NATIVE,
        Rounds(2, 50),
        (Figure("seconds", "all judged", "s"), Figure("memory", "at most", "MiB", 0)),
        (Goal("seconds", "1,000 hosts", 3), Goal("seconds", "10,000 hosts", 25)),
    ),
)  # fmt: skip

ROWS = {row.name: row for row in TABLE}
