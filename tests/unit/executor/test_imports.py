"""What `up` imports: a VM without disks, NICs, shares and vsock does not wait for how those are served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SERVED = (
    *("executor.keeper.changing_served", "executor.keeper.engines", "executor.keeper.taps", "executor.runner.adding"),
    *("executor.runner.devices.serving", "executor.runner.devices.virtio", "kernel.engine", "kernel.tap"),
    *("kernel.vhost", "kernel.vhost_user", "kernel.virtio", "machine.virtio"),
)


def test_a_keeper_and_a_runner_begin_without_what_serves_disks() -> None:
    program = "import sys, launcher.executor.keeper.keeper, launcher.kernel.real; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {f"launcher.{name}" for name in SERVED} & {*done.stdout.split()}


def test_a_keeper_has_no_openssl_in_its_memory() -> None:
    """Of its 4 MB nothing would be used: what is digested is digested by others."""
    rooms = "launcher.executor.keeper.keeper, launcher.executor.keeper.engines, launcher.kernel.real"
    program = f"import sys, {rooms}, launcher.vms.images as one; one._byte_of('8:1'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"hashlib", "_hashlib"} & {*done.stdout.split()}


def test_a_keeper_begins_without_what_python_makes_of_its_c() -> None:
    """Each of these took as long as several rooms of ours, of each start."""
    program = "import sys, launcher.executor.keeper.beginning; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"datetime", "queue", "selectors", "socket", "threading", "traceback"}
    assert not heavy & {*done.stdout.split()}


def test_no_process_of_a_start_reads_what_is_large_and_of_no_use_to_it() -> None:
    """`typing` is half a megabyte, `pathlib`, with what it imports, another two thirds."""
    spec = Path(__file__).parents[3] / "examples" / "hello.yaml"
    plans = f"from launcher.cli import main; main(['plan', {str(spec)!r}])"
    keeps = "import launcher.cli.up, launcher.cli.attach, launcher.executor.keeper.beginning, launcher.kernel.kvm"
    tells = "import launcher.cli.up, launcher.cli.attach, launcher.report.report_text"
    for deed in (plans, keeps, tells):
        program = f"import sys; {deed}; print({{'typing', 'pathlib'}} & {{*sys.modules}})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "set()"
