"""Explanations of the E57x codes: what a scheduler gives, and many hosts at once."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E572",
        "--only does not name devices",
        "`--only` takes the host addresses of PCI functions and UUIDs of mediated devices, between commas. A group "
        "number, an index, an alias of the spec or a path in /dev means another device on another day, so none of "
        "them is taken.",
        "vmlaunch plan vm.yaml --only gpu",
        "`vmlaunch devices` lists the addresses of this host.",
    ),
    Explanation(
        "E573",
        "there are no hosts",
        "The folder has no file that ends in .json, or the file has no line. Other files are not read, nor what is in "
        "folders below.",
        "vmlaunch place vm.yaml empty-folder",
        "`vmlaunch devices --json > hosts/$(hostname).json` on each host. `jq -c . hosts/*.json > hosts.jsonl` makes "
        "one file of a folder.",
    ),
    Explanation(
        "E574",
        "the hosts are compressed",
        "The file is compressed by zstd, which Python reads from version 3.14 on.",
        "vmlaunch place vm.yaml hosts.jsonl.zst",
        "`zstd -d hosts.jsonl.zst`, or run vmlaunch by a newer Python.",
    ),
    Explanation(
        "E575",
        "a process that judged hosts was killed, or not begun",
        "`place` judges many hosts in several processes, one for each CPU. One of them could not be begun, or has gone "
        "before it was done, so there is no answer that could be trusted.",
        "vmlaunch place vm.yaml hosts/     # while memory is short",
        "`dmesg` shows whether the kernel killed it for want of memory, `ulimit -n -u` how many files and processes "
        "there may be. Run it again; `taskset -c 0 vmlaunch place ...` judges in one process.",
    ),
    Explanation(
        "E576",
        "a host is there twice",
        "Two facts files are of one host, and which is the newer is not known: they say no time, or the same. A VM "
        "that is placed by the wrong one may meet other devices, so the host is left out.",
        "cp hosts/gpu07.json hosts/old-gpu07.json; vmlaunch place vm.yaml hosts/",
        "Delete the older one, or record the host again: `vmlaunch devices --json` writes the time since then.",
    ),
    Explanation(
        "W576",
        "a host is there twice",
        "Two facts files are of one host. The one that was recorded last counts.",
        "vmlaunch place vm.yaml hosts/     # with gpu07.json and gpu07-yesterday.json",
        "Delete the older one.",
    ),
    Explanation(
        "W577",
        "an address on many hosts",
        "The spec names a device by its address, which is a slot of one machine. On another one a different device may "
        "sit there, and it would be given to the VM.",
        "devices: {gpu: 0000:c1:00.0}     # and `vmlaunch place vm.yaml hosts/`",
        "Ask for what it is: `match: {id: 10de:2684}` with `pick: free`. Or add `expect: 10de:2684`, so that nothing "
        "else is taken.",
    ),
    Explanation(
        "E579",
        "words of `place` that do not fit",
        "Specs come first, and last comes HOSTS: a folder of facts files, or a file with a host in each line. A job is "
        "of one spec, in a file; it names that by its path, which is UTF-8, and for Kubernetes has no `:`, as what the "
        "spec names has none.",
        "vmlaunch place hosts/ vm.yaml",
        "vmlaunch place vm.yaml hosts/",
    ),
)
