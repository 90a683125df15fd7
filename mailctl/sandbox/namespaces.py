"""Running a function of ours in the namespaces of another process; setns(2).

A thread of its own enters them and ends with the call, so the rest of this process never leaves its place.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# sched.h
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
EVERYTHING = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET

Result = TypeVar("Result")


def call_in_network_of(pid: int, function: Callable[[], Result]) -> Result:
    """What `function` returns when its sockets belong to the network namespace of `pid`."""
    return _call(pid, CLONE_NEWNET, function)


def call_in_place_of(pid: int, function: Callable[[], Result]) -> Result:
    """What `function` returns when the files, sockets and programs it uses are those of `pid`; it starts no thread."""
    return _call(pid, EVERYTHING, function)


def _call(pid: int, namespaces: int, function: Callable[[], Result]) -> Result:
    def run() -> Result:
        _enter(pid, namespaces)
        return function()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(run).result()


def _enter(pid: int, namespaces: int) -> None:
    process = os.pidfd_open(pid)
    root = os.open(f"/proc/{pid}/root", os.O_PATH)
    try:
        if namespaces & CLONE_NEWNS:
            # Root and working directory are the whole process's until a thread takes its own.
            _require(_libc().unshare(CLONE_FS))
        _require(_libc().setns(process, namespaces))
        if namespaces & CLONE_NEWNS:
            # Where this process runs in a chroot, so does the other one.
            os.fchdir(root)
            os.chroot(".")
    finally:
        os.close(root)
        os.close(process)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _require(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
