"""Turns itself into one program of the local stack: ``child.py PARENT SIGNAL USER PROGRAM ARGUMENT...``

The program gets SIGNAL when the process PARENT dies, so that nothing outlives a killed supervisor (Linux).
With USER not ``-`` it runs as that user, which PostgreSQL asks of root; the right to pass through folders
that are closed to that user is kept, so no folder of the person's has to be opened.

Uses the standard library alone: it is started with ``python -S``.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(parent: str, signal: str, user: str, *command: str) -> None:
    """Set up this process, then become ``command``."""
    if user != "-":
        become(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(f"the supervisor {parent} is gone")
    os.execv(command[0], command)  # noqa: S606 - this is the whole purpose


def become(user: str) -> None:
    """Give up root for ``user``; where the kernel allows it, keep the right to pass closed folders."""
    entry = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if libc:
        keep_folder_access(libc)


def keep_folder_access(libc: ctypes.CDLL) -> None:
    """Reduce the capabilities to passing closed folders, for this process and what it executes.

    Where that is not granted (a container without CAP_DAC_OVERRIDE) all are dropped, and the program
    needs a data folder that its user can reach.
    """
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << CAP_DAC_OVERRIDE
    kept = (ctypes.c_uint32 * 6)(
        mask, mask, mask, 0, 0, 0
    )  # effective, permitted, inheritable; twice 32 bits
    none = (ctypes.c_uint32 * 6)()
    if libc.capset(header, kept) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
    else:
        libc.capset(header, none)


if __name__ == "__main__":
    main(*sys.argv[1:])
