"""Whose a path is: where somebody else could swap what we are about to write.

The rule is that of ssh for the folders above a key, and of Linux's ``protected_symlinks`` for names
in folders that everybody may write to. On Windows nothing is judged: there access lists decide.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_LINKS = 40
"""As many as the kernel follows."""


def shared_place(folder: Path) -> str:
    """Why somebody else could put another folder in place of ``folder``, "" where nobody could.

    Judged are the folders above it, links among them with all that they lead through. One with the
    sticky bit, like ``/tmp``, is no danger: in it only the owner of a name may rename or delete it.
    A folder that its group may write to is taken: many systems give each user a group of his own.
    """
    if not hasattr(os, "geteuid"):
        return ""
    pending, seen = [folder.absolute().parent], 0
    while pending and seen <= _LINKS:
        for place in (*reversed(pending[0].parents), pending[0]):
            status = _status(place)
            if status is None:
                break
            if stat.S_ISLNK(status.st_mode):
                seen += 1
                if status.st_uid not in (0, os.geteuid()):
                    return f"the link {place} belongs to somebody else"
                pending.append(place.parent / place.readlink())
            elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
                return f"everybody may write to {place}"
        pending.pop(0)
    return ""


def planted(path: Path) -> bool:
    """Whether ``path`` is what somebody else left in a folder open to everybody: a link, a pipe.

    What one named oneself may be a link. In ``/tmp`` somebody may have guessed the name, so there
    it must be our own, or of the folder's owner.
    """
    status, above = _status(path), _status(path.absolute().parent, follow=True)
    if status is None or above is None or not hasattr(os, "geteuid"):
        return False
    if not above.st_mode & stat.S_IWOTH:
        return False
    return status.st_uid not in (os.geteuid(), above.st_uid)


def written_by_others(path: Path) -> str:
    """Why what stands in the file ``path`` may be somebody else's words, "" where it is ours.

    For what is obeyed, as a config file is; one that its group may write to is taken, as above.
    """
    if planted(path):
        return "somebody else put it there, where everybody may write"
    status = _status(path, follow=True)
    if status is None or not hasattr(os, "geteuid") or not stat.S_ISREG(status.st_mode):
        return ""
    return "everybody may write to it" if status.st_mode & stat.S_IWOTH else ""


def _status(path: Path, *, follow: bool = False) -> os.stat_result | None:
    try:
        return path.stat() if follow else path.lstat()
    except (OSError, ValueError):
        return None
