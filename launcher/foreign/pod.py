"""A Job in, what kubectl takes out: the spec, a claim for devices if they are claimed, and a Job of one pod. Pure.

Devices come by a plugin's resource, or by a ResourceClaim. A pod cannot bind drivers (sysfs is read-only in it):
whoever gives a device has it on vfio-pci.
"""

from __future__ import annotations

from launcher.foreign.job import GRACE, MOST_RETRIES
from launcher.foreign.slices import DOMAIN, class_name
from launcher.foreign.units import huge_name
from launcher.foreign.yaml_blocks import documents
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.foreign.job import Job, Want

IMAGE = "vmlaunch:latest"
NODES = "devices.kubevirt.io"  # whose plugin has kvm, tun, vhost-net and vhost-vsock
_FILE, _RUN, _SPEC = "file", "run", "spec"
Plain = dict[str, Any]


def manifests(job: Job, *, claim: bool = False, domain: str = DOMAIN, image: str = IMAGE) -> str:
    """`domain` is that of the plugin's resources, or of the driver."""
    job = replace(job, name=job.name.rstrip("-"))  # RFC 1123
    found = [_config_map(job)]
    if claim and job.wants:
        found.append(_claim_template(job, domain))
    found.append(_job(job, claim=claim, domain=domain, image=image))
    notes = ("By `vmlaunch place --format kubernetes`.", *job.told)
    return "".join(f"# {one}\n" for one in notes) + documents(found)


def _config_map(job: Job) -> Plain:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": job.name}, "data": {"vm.yaml": job.text}}


def _claim_template(job: Job, domain: str) -> Plain:
    requests = [_request(one, number, domain) for number, one in enumerate(job.wants)]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": job.name},
        "spec": {"spec": {"devices": {"requests": requests}}},
    }


def _request(want: Want, number: int, domain: str) -> Plain:
    exactly: Plain = {
        "deviceClassName": class_name(want.kind, domain),
        "allocationMode": "ExactCount",
        "count": want.count,
    }
    if want.type:
        expression = f'device.attributes["{domain}"].type == "{want.type}"'
        exactly["selectors"] = [{"cel": {"expression": expression}}]
    return {"name": f"{want.kind}-{number}", "exactly": exactly}


def _job(job: Job, *, claim: bool, domain: str, image: str) -> Plain:
    """Exit codes 1 and 10 mean elsewhere; after any other, whoever looks decides."""
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1, 10]}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": {"app.kubernetes.io/managed-by": "vmlaunch"}},
        "spec": {
            "backoffLimit": min(max(len(job.hosts) - 1, 0), MOST_RETRIES),
            "podFailurePolicy": {"rules": rules},
            "template": {"spec": _pod(job, claim=claim, domain=domain, image=image)},
        },
    }


def _pod(job: Job, *, claim: bool, domain: str, image: str) -> Plain:
    claimed = claim and bool(job.wants)
    pod: Plain = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "automountServiceAccountToken": False,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _terms(job)}},
        "containers": [_container(job, claimed=claimed, domain=domain, image=image)],
        "volumes": _volumes(job),
    }
    if claimed:
        pod["resourceClaims"] = [{"name": "devices", "resourceClaimTemplateName": job.name}]
    return pod


def _terms(job: Job) -> Plain:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(job.hosts)}
    return {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}


def _container(job: Job, *, claimed: bool, domain: str, image: str) -> Plain:
    resources = _resources(job, domain, plugin=not claimed)
    if claimed:
        resources["claims"] = [{"name": "devices"}]
    return {
        "name": "vm",
        "image": image,
        "command": ["vmlaunch", "up", _verbatim(job.spec)],
        "args": [*_arguments(job)],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]},
        },
        "resources": resources,
        "volumeMounts": _mounts(job),
    }


def _arguments(job: Job) -> list[str]:
    sets = [*map(_verbatim, job.sets), *(f"devices.{alias}.bind=never" for alias in job.devices), "name=$(POD)"]
    only = ["--only", "env"] if job.devices else []
    return [*only, *(word for one in sets for word in ("--set", one))]


def _verbatim(text: str) -> str:
    """Kubernetes puts variables in for $(NAME), and one dollar for two."""
    return text.replace("$", "$$")


def _resources(job: Job, domain: str, *, plugin: bool) -> Plain:
    limits: Plain = {"cpu": job.cpus, "memory": f"{job.mebibytes}Mi"}
    limits |= {f"hugepages-{huge_name(size)}i": f"{count * size >> 20}Mi" for size, count in job.huge.items()}
    limits |= {f"{NODES}/{node}": 1 for node in job.nodes}
    if plugin:
        limits |= {f"{domain}/{'-'.join(filter(None, (one.kind, one.type)))}": one.count for one in job.wants}
    return {"limits": limits}


def _mounts(job: Job) -> list[Plain]:
    """The spec where it is on the host, so that what it names beside itself is beside it here, too."""
    files = [_mount(number, one.path, one.writable) for number, one in enumerate(job.files)]
    spec = {"name": _SPEC, "mountPath": job.spec, "subPath": "vm.yaml", "readOnly": True}
    return [spec, {"name": _RUN, "mountPath": "/run/vmlaunch"}, *files]


def _mount(number: int, path: str, writable: bool) -> Plain:
    return {"name": f"{_FILE}-{number}", "mountPath": path, **({} if writable else {"readOnly": True})}


def _volumes(job: Job) -> list[Plain]:
    files = [{"name": f"{_FILE}-{number}", "hostPath": {"path": one.path}} for number, one in enumerate(job.files)]
    spec = {"name": _SPEC, "configMap": {"name": job.name}}
    return [spec, {"name": _RUN, "emptyDir": {"medium": "Memory"}}, *files]
