"""Whose directories may be believed: those that no other user of this machine can fill or replace (issue 14)."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
from pathlib import Path
from stat import S_IMODE, S_ISVTX, S_IWGRP, S_IWOTH

from openab_sop.errors import BackupError


def require(path: Path, another: str) -> None:
    """Refuse a directory that another user of this machine could fill or replace (issue 14).

    That is one that belongs to somebody else than root and us, one that others may write to, and one below a directory
    that others may write to; there the sticky bit keeps what is ours. Who has called us by sudo counts as us. What is
    not there yet is judged by where it will be.

    Args:
        another: how to name another one.

    Raises:
        BackupError: it is such a one; the next step is the command that mends it.
    """
    real = Path(os.path.realpath(path))
    for directory in dict.fromkeys((path, real, *path.parents, *real.parents)):
        try:
            found = directory.stat()
        except OSError:
            continue  # not there, or not to be seen: who makes or opens it says so
        itself = directory in (path, real)
        if itself and found.st_uid not in _us():
            raise BackupError(
                f"{directory} belongs to {_user(found.st_uid)}: whoever it belongs to can put anything into it",
                f"if it is yours: {shlex.join(['sudo', 'chown', _user(os.geteuid()), str(directory)])}; "
                f"otherwise name {another}",
            )
        if _others_write(found) and (itself or not found.st_mode & S_ISVTX):
            raise BackupError(
                f"{directory} may be written by others (mode {S_IMODE(found.st_mode):04o}): they can replace {path}",
                f"{shlex.join(['chmod', 'go-w', str(directory)])}; or name {another}",
            )


def _us() -> set[int]:
    """The users whose directories are as good as ours."""
    caller = os.environ.get("SUDO_UID", "")
    return {0, os.geteuid(), *([int(caller)] if os.geteuid() == 0 and caller.isdecimal() else [])}


def _others_write(found: os.stat_result) -> bool:
    return bool(found.st_mode & S_IWOTH or (found.st_mode & S_IWGRP and not _is_ours_alone(found.st_gid)))


def _is_ours_alone(gid: int) -> bool:
    """Tell whether nobody but us and root is in a group: many systems give each user one of their own."""
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return True  # no account of this machine is in it; Kubernetes gives volumes such ones (fsGroup)
    return gid == 0 or (group.gr_name == _user(os.geteuid()) and {*group.gr_mem} <= {group.gr_name})


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
