"""Crash points are a closed list."""

import os
import signal
import subprocess
import sys

import pytest

from tierline.kit import crash_points

PASS_TWICE = """
from tierline.kit import crash_points
crash_points.arm({setting!r})
crash_points.reached("worker.after_commit")
print("once", flush=True)
crash_points.reached("worker.after_commit")
print("twice", flush=True)
"""


def test_an_unknown_name_is_refused() -> None:
    """A typing error in a fault test must not look like a passed one."""
    with pytest.raises(crash_points.UnknownCrashPoint, match=r"worker\.after_comit"):
        crash_points.arm("worker.after_comit")


@pytest.mark.parametrize(
    ("setting", "printed", "code"),
    [
        ("", "once\ntwice\n", 0),
        ("worker.after_process", "once\ntwice\n", 0),
        ("worker.after_commit", "", -signal.SIGKILL),
        ("worker.after_commit:2", "once\n", -signal.SIGKILL),
    ],
)
def test_the_process_dies_at_the_chosen_pass(setting: str, printed: str, code: int) -> None:
    """The armed place kills at its n-th pass, every other place lets through."""
    done = subprocess.run(
        [sys.executable, "-c", PASS_TWICE.format(setting=setting)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert (printed, code) == (done.stdout, done.returncode)


def test_the_process_freezes_at_the_chosen_pass_and_goes_on_when_it_is_woken() -> None:
    """As a process that its machine forgot for a while: it never learns that it was away."""
    frozen = subprocess.Popen(
        [sys.executable, "-c", PASS_TWICE.format(setting="stop@worker.after_commit:2")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    _, status = os.waitpid(frozen.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    frozen.send_signal(signal.SIGCONT)
    assert ("once\ntwice\n", 0) == (frozen.communicate(timeout=30)[0], frozen.returncode)
