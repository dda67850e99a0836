"""Explanations of the E5xx codes: carrying out a plan, running a VM, taking it down."""

from __future__ import annotations

from launcher.codes import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E501",
        "a step of the plan failed",
        "The kernel refused a call. The message names the step, the cause and the call; what was done before it "
        "has been undone, line by line, above the message.",
        "vmlaunch up vm.yaml   # while another process takes the huge pages",
        "Mend the cause that the message names and run `up` again. If `plan` says the same plan can run, and it "
        "cannot, that is worth a report.",
    ),
    Explanation(
        "E502",
        "the runner was lost",
        "The process that held KVM and the guest's memory ended without a word: it was killed, or the system ran out "
        "of memory. The keeper survived it and put the host back.",
        "kill -9 RUNNER",
        "`dmesg` shows whether the kernel killed it for want of memory. Run `up` again.",
    ),
    Explanation(
        "E507",
        "the VM is up with another plan",
        "A VM of this name runs, and the plan made now differs from the one it was started with. The lines below the "
        "message are the difference: `-` runs now, `+` would run, `~` is one thing that would be another.",
        "vmlaunch up -d vm.yaml; vmlaunch up -d vm.yaml --set memory=8GiB",
        "vmlaunch down NAME, then up again.",
    ),
    Explanation(
        "E508",
        "the state folder cannot be made",
        "The VM's plan, journal, log and control socket live in /run/vmlaunch/NAME for root and in "
        "$XDG_RUNTIME_DIR/vmlaunch/NAME for others. It could not be made.",
        "XDG_RUNTIME_DIR=/nowhere vmlaunch up vm.yaml",
        "Make the folder above it writable, or set XDG_RUNTIME_DIR to one that is yours.",
    ),
    Explanation(
        "E509",
        "a boot file changed after the plan was made",
        "The plan holds the digest of every file it loads. `up` checks it first thing (E516), and again when it loads "
        "the file: between the two it became another one.",
        "vmlaunch up vm.yaml   # while a build writes bzImage",
        "Make the plan again, or put the file back.",
    ),
    Explanation(
        "E510",
        "the keeper was lost",
        "The process that holds the journal and puts the host back was killed. Its runner has stopped the guest by "
        "itself; what the journal names is still to be undone.",
        "kill -9 KEEPER",
        "vmlaunch down NAME",
    ),
    Explanation(
        "E511",
        "this version cannot run devices yet",
        "The spec gives the guest PCI devices. This version plans them and says what would be done; it does not do it. "
        "Whatever else stops the plan is about this host: groups, drivers, windows, memory.",
        "devices: {disk: 0000:02:00.0}",
        "Use `vmlaunch plan` for a verdict on the host, or remove `devices` to run the VM without them.",
    ),
    Explanation(
        "E512",
        "the journal holds what this version cannot undo",
        "A later version of vmlaunch changed this host, and this one does not know how to change it back.",
        "an older vmlaunch on the path",
        "Run `down` with the version that ran `up`. Nothing was removed.",
    ),
    Explanation(
        "E513",
        "an earlier run did not put the host back",
        "The keeper of an earlier VM of this name was killed; its journal still names changes of this host.",
        "kill -9 KEEPER; vmlaunch up vm.yaml",
        "vmlaunch down NAME, then up again.",
    ),
    Explanation(
        "E514",
        "a saved plan cannot be changed",
        "`--set` changes a spec. A saved plan is the answer to one; `up` runs it as it is.",
        "vmlaunch up vm.plan --set memory=8GiB",
        "vmlaunch plan vm.yaml --set memory=8GiB -o vm.plan",
    ),
    Explanation(
        "E515",
        "the file is not a plan of this version",
        "The file has a format_version, so it is meant to be a saved plan, but a field of it does not fit. The message "
        "names the first one.",
        "vmlaunch up edited.plan",
        "Make the plan again with `vmlaunch plan SPEC -o FILE`.",
    ),
    Explanation(
        "E516",
        "the saved plan no longer fits this host",
        "A plan rests on facts: drivers, groups, files, memory. They were read again, and those below the message have "
        "changed since. Nothing was touched.",
        "vmlaunch plan vm.yaml -o vm.plan; (the kernel file is replaced); vmlaunch up vm.plan",
        "Look at what changed, then plan again.",
    ),
    Explanation(
        "W501",
        "a record could not be kept",
        "The VM's folder in /run is full or has gone. The VM goes on; its log or report is not whole.",
        "a /run without space",
        "Make room in /run. The report that `up` prints is whole.",
    ),
    Explanation(
        "E519",
        "the keeper does not answer",
        "The VM's name is held by a live process, but nobody listens on its control socket.",
        "a keeper that is stopped by SIGSTOP",
        "`vmlaunch ps` shows the keeper's pid; see what it is doing, then try again.",
    ),
    Explanation(
        "E517",
        "not a duration",
        "Durations are a number and ms, s or m; a bare number is seconds.",
        "vmlaunch down vm -t soon",
        "vmlaunch down vm -t 30s",
    ),
    Explanation(
        "E518",
        "not a name of a VM",
        "Names are lower-case letters, digits and hyphens, at most 63, and begin with a letter or digit.",
        "vmlaunch down Other",
        "`vmlaunch ps -a` lists the names.",
    ),
    Explanation(
        "E520",
        "no such VM is up",
        "A verb that looks at a running VM found none of this name: it was not started here, has ended, or belongs "
        "to another user. The exit code is 7.",
        "vmlaunch plan vm.yaml --diff   # before `vmlaunch up vm.yaml`",
        "`vmlaunch ps` lists the VMs that are up.",
    ),
    Explanation(
        "W502",
        "a VM without its keeper",
        "The process that puts the host back was killed. What it had changed is in its journal and is still so.",
        "kill -9 KEEPER",
        "vmlaunch down NAME",
    ),
)
