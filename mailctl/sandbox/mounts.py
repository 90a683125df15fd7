"""The mounts of this process's mount namespace; mountinfo in proc(5), mount_setattr(2)."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailctl.errors import MailctlError

# What a server puts a part of /var or /etc on, and what an overlay can lie over.
DISK_TYPES = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")
# asm-generic/unistd.h (one number for all common machines), linux/mount.h, fcntl.h
SYS_MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1

_ESCAPE = re.compile(r"\\([0-7]{3})")


class _Attributes(ctypes.Structure):
    """struct mount_attr."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def list_disks_below(folders: Sequence[Path]) -> list[Path]:
    """The folders below `folders` that are file systems of their own, on a disk, parents first."""
    found = _disks(Path("/proc/self/mountinfo").read_text())
    inside = ((number, path) for number, path in found if any(folder in path.parents for folder in folders))
    # One that something was mounted over is listed as well, but is not what its path leads to.
    return sorted({path for number, path in inside if path.is_dir() and _mount_of(path) == number})


def make_all_read_only() -> None:
    """Let nothing be written through any mount there is; mounts made from now on can be.

    Raises:
        MailctlError: the kernel is older than 5.12.
    """
    wanted = _Attributes(attr_set=MOUNT_ATTR_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(wanted), ctypes.sizeof(wanted)):
        raise MailctlError(f"cannot make the private file system read-only: {os.strerror(ctypes.get_errno())}")


def _disks(mountinfo: str) -> Iterator[tuple[int, Path]]:
    """The number and the place of each mount of a disk."""
    for line in mountinfo.splitlines():
        place, _, rest = line.partition(" - ")
        number, *fields = place.split()
        if rest.split()[0] in DISK_TYPES:
            yield int(number), Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[3]))


def _mount_of(path: Path) -> int:
    """The number of the mount that `path` leads to; fdinfo in proc(5)."""
    descriptor = os.open(path, os.O_PATH)
    try:
        fields = Path(f"/proc/self/fdinfo/{descriptor}").read_text().split()
    finally:
        os.close(descriptor)
    return int(fields[fields.index("mnt_id:") + 1])
