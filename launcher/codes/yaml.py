"""Explanations of the YAML codes: what keeps a file from being read as one mapping of plain values."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E001",
        "the file is not UTF-8",
        "A spec is UTF-8 text, with or without a byte order mark. The place is that of the first byte that is "
        "not UTF-8; a file with a NUL byte near its start is no text at all.",
        "name: b\\xfcro   # Latin-1",
        "Save the file as UTF-8: `iconv -f LATIN1 -t UTF-8 vm.yaml`.",
    ),
    Explanation(
        "E002",
        "an invisible character",
        "Control characters, U+2028, U+2029 and a byte order mark inside the text cannot be seen, and programs "
        'disagree about them. An escape such as "\\ud83d" is half of a character and none by itself: JSON writes two.',
        "name: trainer\\x07",
        'Delete the character. Inside double quotes it can be written as an escape: "\\x07".',
    ),
    Explanation(
        "E003",
        "a tab where YAML wants spaces",
        "YAML does not indent with tabs.",
        "boot:\n\tkernel: ./bzImage",
        "Put spaces in its place.",
    ),
    Explanation(
        "E004",
        "this is not YAML",
        "The text does not follow the grammar of YAML. Only the first such place is reported, because what follows it "
        "cannot be read for sure.",
        "boot: {kernel: ./bzImage",
        "Close what is open, and quote text that has `: `, ` #` or a sign such as @ or * at its start.",
    ),
    Explanation(
        "E005",
        "the file has no content",
        "There is nothing in the file but white space and comments.",
        "# to be written",
        "A VM needs at least `boot`, `cpus` and `memory`; `vmlaunch explain` lists the fields.",
    ),
    Explanation(
        "E006",
        "a spec is a mapping",
        "The whole file is one mapping: keys at the left margin, each with its value.",
        "- boot: {kernel: ./bzImage}",
        "Write `boot:`, `cpus:`, `memory:` and `devices:` at the left margin.",
    ),
    Explanation(
        "E007",
        "several documents in one file",
        "One file describes one VM. `---` starts a new document. One of nothing, as the last `---` of a file makes, is "
        "no second one.",
        "cpus: 4\n---\ncpus: 8",
        "Put the second document into a file of its own.",
    ),
    Explanation(
        "E008",
        "a key is there twice",
        "A mapping has each key once. Most YAML readers silently keep the last one.",
        "cpus: 4\ncpus: 8",
        "Keep one of them.",
    ),
    Explanation(
        "E009",
        "an alias without an anchor",
        "`*name` stands for the value that an `&name` above it marks.",
        "memory: *size",
        "Mark the value with `&size`, above the alias; keys that start with x- are a home for such values.",
    ),
    Explanation(
        "E010",
        "a tag",
        "Tags such as `!!python/object` choose the type of a value. The types of a spec are fixed.",
        "cpus: !!int 4",
        "Take the tag out. Quotes make text of anything.",
    ),
    Explanation(
        "E011",
        "a key that is not text",
        "YAML reads some plain words as numbers, as true or false, or as nothing; brackets make lists and mappings. "
        "Keys are text.",
        "devices:\n  1: 0000:02:00.0",
        'Put the key in quotes: `"1": 0000:02:00.0`.',
    ),
    Explanation(
        "E012",
        "nested too deeply",
        "A spec has fewer than 32 levels; this is a limit against files that are made to exhaust memory.",
        "x-deep: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "Make it flat.",
    ),
    Explanation(
        "E013",
        "too many values",
        "With its aliases written out, a spec has at most 10,000 values; this is a limit against alias bombs.",
        "x-a: &a [1, 2]\nx-b: &b [*a, *a]\nx-c: &c [*b, *b]   # and so on",
        "Take aliases of aliases out.",
    ),
    Explanation(
        "E014",
        "the file is too large",
        "A spec has at most 1 MiB.",
        "vmlaunch validate disk.img",
        "Check that this is the right file.",
    ),
    Explanation(
        "E015",
        "the file cannot be read",
        "The system refused to open or read it; the message says why. `validate` takes folders, and reads the *.yaml, "
        "*.yml and *.json (with a `boot`) in them; it says it, too, of a folder that has none. All other verbs take "
        "one file.",
        "vmlaunch validate missing.yaml",
        "Check the path. It is relative to the working directory.",
    ),
    Explanation(
        "E016",
        "`<<` without a mapping",
        "The merge key takes a mapping, usually an alias to one, or a list of mappings.",
        "devices:\n  gpu: {<<: 4}",
        "Write `<<: *name`, where `&name` marks a mapping.",
    ),
    Explanation(
        "E017",
        "the file may not be read",
        "The permissions of the file or of a folder above it do not let this user read it.",
        "vmlaunch validate /root/vm.yaml        # not as root",
        "Run vmlaunch as a user who may read the file.",
    ),
    Explanation(
        "E018",
        "an alias inside its own value",
        "The value would contain itself and have no end.",
        "x-loop: &loop [*loop]",
        "Take the alias out.",
    ),
    Explanation(
        "E019",
        "a --set that cannot be done",
        "`--set KEY=VALUE` names a field by its keys with dots between them; numbers count the items of a list from 0. "
        "The value is YAML, and `null` takes the key out. What is on the way to the field has to be a mapping, "
        "a list, or the short form of one, such as `cpus: 8`.",
        "vmlaunch validate vm.yaml --set memory.7.size=8GiB",
        "Set the value around it: `--set 'memory=[{size: 8GiB}, {size: 8GiB}]'`.",
    ),
    Explanation(
        "E020",
        "a YAML directive",
        "Lines that start with % choose a version of YAML or define tags. A spec is YAML 1.2 and has no tags; a file "
        "may say so by `%YAML 1.2`.",
        "%YAML 1.1\n---\ncpus: 4",
        "Take the lines that start with % out.",
    ),
    Explanation(
        "E021",
        "a saved plan or a facts file where a spec belongs",
        "The file is what `plan -o` or `devices --json` wrote. A spec is YAML and says what is wanted; a plan is made "
        "from one, for the host that facts describe.",
        "vmlaunch plan vm.yaml -o vm.plan; vmlaunch validate vm.plan",
        "`vmlaunch plan vm.plan` shows it, `vmlaunch up vm.plan` runs it; the plan names its spec. Facts go with "
        "a spec: `vmlaunch plan vm.yaml --host facts.json`.",
    ),
    Explanation(
        "E022",
        "a template that is not filled in",
        "`{{ }}`, `{% %}` and `<% %>` are what Helm, Jinja, Ansible and ERB replace before anybody reads the file. "
        "vmlaunch fills in nothing: to YAML they are brackets, and mostly an error.",
        "name: {{ .Values.name }}",
        "Give vmlaunch what the template makes: `helm template . | vmlaunch validate -`. To change single fields, "
        "`--set` will do.",
    ),
    Explanation(
        "E023",
        "the spec cannot be written",
        "The operating system refused it, somebody else has changed the file since it was read, or it is no regular "
        "file. The file is as it was.",
        "vmlaunch validate --fix vm.yaml   # in a folder that may only be read",
        "Check the folder of the file and its permissions; `--diff` shows what would be written.",
    ),
    Explanation(
        "E024",
        "a file that is nothing to import",
        "`import` takes a domain of libvirt, as `virsh dumpxml` prints it, and a command line of QEMU, as it stands in "
        "a script, a log, a unit or /proc/PID/cmdline. Which of them it is, is told by its content.",
        "vmlaunch import vm.yaml",
        "Give it one of these: `virsh dumpxml NAME > vm.xml`, or of Proxmox `qm showcmd ID --pretty > vm.sh`. "
        "`virt-v2v` makes a domain of what VMware has.",
    ),
    Explanation(
        "E025",
        "XML that is not read",
        "The XML is not well-formed, or it is made to exhaust memory or to fetch something: a document type, with "
        "which entities come, more than 64 levels, more than 20,000 elements.",
        "vmlaunch import bomb.xml   # <!DOCTYPE domain [<!ENTITY a ...>]>",
        "Take what `virsh dumpxml NAME` prints: it is well-formed, and has no document type.",
    ),
    Explanation(
        "E026",
        "a machine that cannot be brought over",
        "The file is about a machine of another architecture than x86-64, or about a container. No spec can say it.",
        "vmlaunch import pi.sh   # qemu-system-aarch64 -M virt",
        "Bring over a machine of x86-64.",
    ),
    Explanation(
        "E027",
        "a command line that is not read",
        "A quote is not closed, an option lacks its value, JSON in it does not parse, or variables grow without end. "
        "`import` runs nothing: it fills in what is assigned in the text.",
        "vmlaunch import cut.sh   # qemu-system-x86_64 -name 'vm",
        "Correct the place that the message names. Of a VM that runs, `tr '\\0' ' ' < /proc/PID/cmdline` has all.",
    ),
    Explanation(
        "E028",
        "a new spec cannot be written",
        "`init` and `import -o` make a file, and write over none. It is there already, or the system refused it.",
        "vmlaunch import vm.sh -o vm.yaml",
        "Name another file, or remove that one first; without `-o`, `import` prints the spec.",
    ),
    Explanation(
        "E029",
        "options of `validate` that do not fit",
        "`--fix` writes over the files that are named, and `--diff` shows as text what it would change of them. A "
        "`--set` is in no file, and stdin is none.",
        "vmlaunch validate --fix -",
        "Write the spec to a file, and name that.",
    ),
)
