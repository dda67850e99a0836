"""Explanations of the E5xx codes: carrying out a plan, running a VM, taking it down."""

from __future__ import annotations

from launcher.codes.page import Explanation

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
        "The plan holds the digest of every file it loads. `up` checks it first thing (E516), and when it loads "
        "the file, unless it has a copy of what it checked, and each time the guest reboots: meanwhile it became "
        "another one.",
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
        "E512",
        "a later version of vmlaunch wrote the journal",
        "What the host was like before a VM is in its journal, and a later version changed how it is written. This one "
        "does not guess: nothing was touched and nothing removed. A later vmlaunch puts back what an earlier one did.",
        "an older vmlaunch on the path",
        "Run `down` with the version that ran `up`; the message names it.",
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
        "`--set` changes a spec. A saved plan is the answer to one; `up` runs it as it is. `up PLAN --only` narrows "
        "what it may touch, and refuses what does not fit.",
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
        "E521",
        "an IOMMU group became unusable",
        "Between the plan and its step, a host driver took a member of the group: the kernel now calls the group not "
        "viable.",
        "vmlaunch up vm.yaml        # while udev binds the other function of the card",
        "`vmlaunch plan` names the driver and the way out.",
    ),
    Explanation(
        "E522",
        "the IOMMU does not translate these addresses",
        "The kernel's own answer (VFIO_IOMMU_GET_INFO) leaves out addresses that the plan gave to guest RAM. Nothing "
        "was mapped.",
        "vmlaunch up vm.plan        # after a firmware update moved a reserved region",
        "Plan again. If it comes back, `vmlaunch devices --json` of the host makes a good bug report.",
    ),
    Explanation(
        "E523",
        "the device does not answer",
        "Its configuration space reads all ones: it is in D3cold, hung, or gone.",
        "devices: {gpu: 0000:c1:00.0}        # a GPU that did not come back from its last reset",
        "`dmesg | grep vfio` says what the kernel saw. Often only a power cycle of the host helps.",
    ),
    Explanation(
        "E524",
        "the device is not as planned",
        "Its driver or driver_override changed between plan and step, or it has gone: somebody pulled it out, or the "
        "host took it back while the guest was rebooting. Or the node of its name in /dev/vfio/devices is another "
        "device's: names follow the order of binding, and the number of what is opened is compared with that in sysfs. "
        "Nothing was done to it.",
        "vmlaunch up vm.yaml        # while another tool binds the device",
        "Plan again. In a container the node is to have the name that it has on the host.",
    ),
    Explanation(
        "E525",
        "the driver does not take the device",
        "driver_override names it, and after the probe the device is on another driver or on none. The kernel does not "
        "return an error for that.",
        "devices: {qat: 0000:b1:01.0}        # on vfio-pci's denylist",
        "`dmesg` says why the probe failed.",
    ),
    Explanation(
        "E535",
        "the runner made a forbidden call",
        "Before its guest runs, the runner gives up every call of the kernel that it will not need. It made one of "
        "those, and the kernel killed it (SIGSYS). Either the guest broke into the runner, or vmlaunch has a bug. The "
        "keeper put the host back.",
        "vmlaunch up vm.yaml        # of a guest that found a way out of its machine",
        "Do not start this guest again before you know which: `dmesg | grep SECCOMP` (or `ausearch -m seccomp`) names "
        "the call. If you trust the guest, report it with that line.",
    ),
    Explanation(
        "E555",
        "the runner said what no runner says",
        "The process that runs the guest tells its keeper what happens, in words with limits, and writes the guest's "
        "output into rings. It said something that these do not allow. Either the guest broke into the runner, or "
        "vmlaunch has a bug. The keeper believed none of it, killed the runner and put the host back.",
        "vmlaunch up vm.yaml        # of a guest that found a way out of its machine",
        "Do not start this guest again before you know which. If you trust the guest, report it with the message: it "
        "says what was wrong.",
    ),
    Explanation(
        "E560",
        "an engine has ended",
        "A process that serves a disk, a share or a network ended before its guest did, or before that began: it was "
        "killed, ran out of memory, or gave up. What "
        "the guest had asked of it is not done, and no other can take its place, so the VM was ended in order. The "
        "lines below the message are the last that it said.",
        "kill -9 ENGINE",
        "`dmesg` shows whether the kernel killed it. Check the file system in the guest, as after a power cut.",
    ),
    Explanation(
        "E561",
        "an engine did not start",
        "The program that serves a disk, a share or a network could not be executed, or ended at once. The lines below "
        "the message are what it said. The guest was not started.",
        "vmlaunch up vm.yaml   # while another program has locked the image",
        "Mend what it says. An image that is locked belongs to another VM, or to a tool that has it open.",
    ),
    Explanation(
        "E562",
        "an engine does not answer",
        "The program was started and has not said within 30 s, in the words of vhost-user, what it can do. It hangs, "
        "or it is another program.",
        "a qemu-storage-daemon on a disk that does not answer",
        "Look at what the image stands on. The message names the engine and what came instead of an answer.",
    ),
    Explanation(
        "E563",
        "an image, a folder or a socket is another one than planned",
        "The plan has the device and inode of each image, each shared folder, and each socket of an engine of yours. "
        "At this path there is another one by now, which nobody has looked at. It was not opened.",
        "vmlaunch plan vm.yaml -o vm.plan; mv new.qcow2 disk.qcow2; vmlaunch up vm.plan",
        "Make the plan again, or put the file back.",
    ),
    Explanation(
        "E564",
        "a tap cannot be had",
        "The tap of a NIC could not be made, or one that is there could not be opened: it has a user already, is "
        "somebody else's, or the process may not make one.",
        "nics: {lan: {tap: tap0}}   # while another VM has tap0",
        "The message names the call and the cause, and the line below it the way out.",
    ),
    Explanation(
        "E565",
        "a tap cannot join its bridge",
        "The bridge has gone since the plan was made, or what has its name now takes no ports. The tap that was made "
        "is gone again.",
        "ip link delete br0   # between plan and up",
        "Make the bridge: `ip link add br0 type bridge; ip link set br0 up`. Then plan again.",
    ),
    Explanation(
        "E566",
        "no engine at the socket",
        "A disk or a NIC names a socket where an engine of yours listens. Nobody does, or who does has another client, "
        "or does not speak vhost-user.",
        "disks: {fast: {socket: /run/spdk.sock}}   # while spdk is down",
        "Start the engine first. It has one client at a time.",
    ),
    Explanation(
        "E567",
        "another VM has the image",
        "One image, two guests: each would write over what the other has written. The image is locked as long as the "
        "engine that serves it lives; many VMs may read one image that nobody writes, as one that theirs are based on.",
        "vmlaunch up -d a.yaml; vmlaunch up b.yaml   # with the same disk",
        "Give each VM an image of its own: `qemu-img create -f qcow2 -F qcow2 -b base.qcow2 own.qcow2`.",
    ),
    Explanation(
        "E568",
        "the firmware's variables cannot be kept",
        "The file that they are in cannot be opened or made, has another size than this firmware's variables, is "
        "another one than when the plan was made, or is locked: one VM has it at a time, and QEMU takes locks of the "
        "same kind.",
        "vmlaunch up vm.yaml        # while another VM has the file",
        "Stop the VM that has it, or give this one a file of its own. A file of another firmware stays with that one: "
        "name a path that is not there, and it is made.",
    ),
    Explanation(
        "W526",
        "the host wants a device back",
        "Somebody unbinds or removes the device, and the kernel waits for the VM to let go of it. The VM is stopped: "
        "first by its power button, then by force.",
        "echo 0000:02:00.0 > /sys/bus/pci/devices/0000:02:00.0/driver/unbind        # while a VM has it",
        "Stop the VM first: `vmlaunch down NAME`.",
    ),
    Explanation(
        "W527",
        "a device reported a fatal error",
        "PCI Express advanced error reporting says that the device or its link failed. What the guest reads from it is "
        "no longer to be trusted, so the VM is stopped.",
        "vmlaunch up vm.yaml        # with a loose riser",
        "See `dmesg` for the AER record; reseat the card, or try another slot.",
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
        "The VM's name is held by the live processes that the message names, but its keeper did not answer within 10 "
        "seconds: it is stopped (SIGSTOP), dead while its runner lives on, or waits for the kernel to give a driver "
        "back. Nothing was changed; an order that it got is carried out when it goes on.",
        "kill -STOP KEEPER; vmlaunch down vm",
        "Let it go on (`kill -CONT`), or end it by `vmlaunch down --kill NAME`: that kills keeper and runner and works "
        "off the journal.",
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
        "no such VM",
        "No VM has this name: it was not started here, belongs to another user, or is gone since `down`; or it has "
        "ended, and the verb needs one that is up. The exit code is 7. `down` says it of a name only: of a spec or a "
        "saved plan whose VM is not up there is nothing to do, and of names neither with `-i`.",
        "vmlaunch plan vm.yaml --diff   # before `vmlaunch up vm.yaml`",
        "`vmlaunch ps` lists the VMs that are up, `vmlaunch ps -a` also those that ended.",
    ),
    Explanation(
        "W528",
        "the runner does not answer",
        "The keeper was asked for a report, and the process that runs the guest did not add what it knows within 5 "
        "seconds: it is stopped, or in a step that takes long. Counts and devices are as it told them last.",
        "kill -STOP RUNNER; vmlaunch inspect vm",
        "Ask again. `vmlaunch inspect` names the runner's pid.",
    ),
    Explanation(
        "E528",
        "the guest did not say what was waited for",
        "`up --wait TEXT` waits until TEXT has been on the guest's serial console. The guest ended before, or the time "
        "was over: then the VM was stopped and the host put back. A VM that was up before stays up. A kernel that "
        "panics, as Linux does when it finds no root file system, says nothing more and goes on for ever, unless its "
        "command line has `panic=1`: the message tells that it did. The exit code is 13. It is the VM's own where that "
        "failed before the time was over, or was ended by force: 143 by `down`.",
        "vmlaunch up -d vm.yaml --wait 'login:' --timeout 60s",
        "`vmlaunch logs NAME` shows what it said; behind `Kernel panic` stands why. Where it said nothing: is the "
        "guest's console on its serial port (console=ttyS0)? Where it was slow: give it more time by `--timeout`.",
    ),
    Explanation(
        "E529",
        "an IOMMU group belongs to another VM",
        "An IOMMU group is passed as a whole, and to one VM at a time. Another VM that is up has it. Nothing was "
        "touched.",
        "vmlaunch up -d one.yaml; vmlaunch up two.yaml        # both with devices: {gpu: 0000:c1:00.0}",
        "Stop the other VM, which the message names, or take another device.",
    ),
    Explanation(
        "E530",
        "--timeout without --wait",
        "`up --wait TEXT` waits for a text on the guest's console, `--timeout` says for how long. One without the "
        "other, or an empty text, means nothing.",
        "vmlaunch up vm.yaml --timeout 10s",
        "vmlaunch up vm.yaml --wait 'login:' --timeout 10s",
    ),
    Explanation(
        "E531",
        "which VM is to go down",
        "`down` stops the VMs that are named, or with `--all` all of this user that are up. Neither was said, or both.",
        "vmlaunch down",
        "vmlaunch down NAME...",
    ),
    Explanation(
        "E532",
        "not a number of lines",
        "`logs -n` is followed by how many lines of the end are shown.",
        "vmlaunch logs -n all vm",
        "vmlaunch logs vm, or vmlaunch logs -n 50 vm",
    ),
    Explanation(
        "E533",
        "what is to run",
        "`up` and `plan` take a spec or a saved plan, or with `--hello` the guest that comes with vmlaunch. Neither "
        "was said, or both.",
        "vmlaunch up",
        "vmlaunch up vm.yaml",
    ),
    Explanation(
        "E540",
        "the host could not be put back",
        "What the journal of a dead VM names was undone as far as the host let it be. What is left is below the "
        "message, each with the commands that would do it; the journal keeps it. A line that cannot be read was "
        "damaged, and is left too: what it stood for is not known.",
        "vmlaunch down vm   # while the host's driver refuses the device",
        "Mend what the lines name and run `down` again, or do it by hand and remove the VM's folder.",
    ),
    Explanation(
        "E541",
        "the state folder is not safe from others",
        "A VM's state folder holds what is undone by root, and the socket that takes orders. So each folder on the way "
        "to it belongs to us or to root, and nobody else may write to it (a sticky one, as /tmp, may be on the way); "
        "the last one is ours. The message names the first that is not so. Nothing in it was read or written.",
        "XDG_RUNTIME_DIR=/tmp/of-somebody-else vmlaunch up vm.yaml",
        "Set XDG_RUNTIME_DIR to a folder of your own, as /run/user/UID is, or mend owner and mode of the one that is "
        "named: `chmod go-w`.",
    ),
    Explanation(
        "E542",
        "a state folder could not be removed",
        "`down` has put the host back and removed what vmlaunch made in the VM's folder. The folder itself stays, for "
        "the reason in the message: mostly there is something in it that vmlaunch did not make, and does not remove.",
        "touch /run/vmlaunch/vm/notes.txt; vmlaunch down vm",
        "Move what is yours and remove the folder, or leave it: the name is free, and `ps -a` does not list it.",
    ),
    Explanation(
        "E543",
        "the log cannot be read",
        "A VM's log is a regular file of its own user in its state folder. What is there instead, a pipe, a link or a "
        "file of somebody else, is not opened.",
        "mkfifo /run/vmlaunch/vm/console.log; vmlaunch logs vm",
        "Take away what is there. A running VM goes on; what its guest said until then is lost.",
    ),
    Explanation(
        "E544",
        "the saved plan is not what its spec asks for",
        "A saved plan holds the spec it was made from. `up` plans that spec again on the host as it is, and runs the "
        "saved plan only if it has the same steps. This one has others: it was edited, or another version of vmlaunch "
        "made it. The lines below the message are the difference: `-` is in the file, `+` is planned now, `~` is one "
        "thing as another.",
        "vmlaunch plan vm.yaml -o vm.plan; (somebody adds a step to vm.plan); vmlaunch up vm.plan",
        "Plan again: `vmlaunch plan SPEC -o FILE`. What a plan is to do differently is said in the spec.",
    ),
    Explanation(
        "E546",
        "the guest's process could not be confined as required",
        "The spec says `confine: required`, and the kernel refused a measure that it seemed to have: the message names "
        "it and the cause. The guest has not run an instruction.",
        "confine: required        # in a container whose own filter refuses Landlock's calls",
        "Lift what refuses it, as a container's seccomp profile, or write `confine: auto`.",
    ),
    Explanation(
        "W502",
        "a VM without its keeper",
        "The process that puts the host back was killed, or could not put all of it back. What is still changed is in "
        "the VM's journal, and in the message.",
        "kill -9 KEEPER",
        "vmlaunch down NAME",
    ),
    Explanation(
        "W540",
        "a runner without its keeper",
        "A runner stops its guest and leaves when its keeper dies. This one has not: it is stopped (SIGSTOP), or waits "
        "in the kernel. It still holds the VM's name, its memory and its devices.",
        "kill -STOP RUNNER; kill -9 KEEPER",
        "`vmlaunch down --kill NAME` ends it and puts the host back.",
    ),
    Explanation(
        "W541",
        "a device is kept for VMs and none has it",
        "Its driver_override names VFIO's driver, so the host's own driver stays away; no VM that is up has it, nobody "
        "has its group open, and no journal says that it was us. Some tool or an administrator did it, perhaps on "
        "purpose (`bind: never` wants it so).",
        "driverctl set-override 0000:02:00.0 vfio-pci",
        "Leave it, or give it back with the commands of the message.",
    ),
    Explanation(
        "W542",
        "a VM whose state folder was deleted",
        "Its folder held the socket that every command goes by, and the journal that `down` would read. The VM runs "
        "on, and its keeper still knows what to put back; if the keeper is killed now, nobody does. A logout without "
        "lingering removes $XDG_RUNTIME_DIR in this way.",
        "vmlaunch up -d vm.yaml; rm -r /run/vmlaunch/vm",
        "End it by a signal to its keeper, which the message names: SIGTERM presses the power button, SIGINT ends it "
        "at once. Then run `up` again.",
    ),
    Explanation(
        "W543",
        "somebody else has set a virtual function meanwhile",
        "A VM gave it a MAC, a VLAN, trust or the check against spoofing (`network`), and what it had before is put "
        "back when the VM ends. It has a third value now, which somebody else has given it since: that is left. What "
        "was not touched meanwhile is put back.",
        "vmlaunch up -d vm.yaml; ip link set eth0 vf 3 mac 02:00:00:00:00:07; vmlaunch down vm",
        "Nothing, if it is to be so; else set it by `ip link set`.",
    ),
    Explanation(
        "E570",
        "an engine did not take up its work",
        "A disk, NIC, share or vsock of the guest is worked on by somebody else: vhost in the kernel, or a process at "
        "the other end of a socket. This one refused what it was told before the guest began, did not answer in the "
        "time there was, or has gone. The message names the call or the message of vhost-user.",
        "disks: {root: {socket: /run/another.sock}}   # nobody there speaks vhost-user",
        "Read what the engine said last; the report keeps it. Of /dev/vhost-net and /dev/vhost-vsock `vmlaunch doctor` "
        "says what is missing.",
    ),
    Explanation(
        "E571",
        "an engine has hung up",
        "The process that worked on a disk, NIC or share closed its socket while the guest ran, or wrote to it what "
        "nobody had asked for, and lives on. qemu-storage-daemon does so when a guest's driver puts nonsense into a "
        "queue. What it had not done yet is lost, and no driver of a guest gets over that, so the VM is ended.",
        "disks: {root: {socket: /run/spdk.sock}}   # an engine of yours, which ends its session",
        "Read what the engine said last, which the message has of those that vmlaunch starts; then run `up` again.",
    ),
    Explanation(
        "E550",
        "as many read the VM's console as may",
        "A hundred consoles and followers of the log read at once, and no more are let in. Orders have places of their "
        "own: `down`, `inspect` and `up` of a VM that is up are heard all the same.",
        "for n in $(seq 101); do vmlaunch logs -f vm & done",
        "`vmlaunch inspect NAME` lists who reads. `vmlaunch logs NAME` prints what was said, and needs no place.",
    ),
    Explanation(
        "E551",
        "the VM has not gone in the time there was",
        "The processes that the message names hold the VM's name and have not ended. Their guest has much memory or "
        "many devices to give back, or the kernel holds them: a driver that does not answer, a device that does not "
        "come back from its reset.",
        "vmlaunch down vm        # of a guest whose device hangs in its reset",
        "Run `down` again to wait once more; `vmlaunch down --kill NAME` ends them by force. `dmesg` says what the "
        "kernel waits for.",
    ),
    Explanation(
        "E552",
        "the host refused what vmlaunch itself needs",
        "Not a step of the plan but vmlaunch: an open file, a process or thread, memory, room for a file. The message "
        "names the cause and, where it is known, the call or the file. The exit code is 1 when nothing had begun; "
        "else 11, and what had been done is undone.",
        "prlimit --nofile=12 vmlaunch up vm.yaml",
        "Raise the limit that the help names, or make room. `systemctl show UNIT -p TasksMax -p LimitNOFILE` shows "
        "those of a service.",
    ),
)
