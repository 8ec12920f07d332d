"""A folder that is one emulator's: marked as such, used by one process, with its credentials.

``marker.json`` says whose it is, ``lock`` is held while it is used, ``videos`` holds the rest.
Whatever was acknowledged survives the death of the process at any moment. It is not synced to
the disk, so a power cut may take the last seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from .endpoint import DataFolderUnusable
from .identity import Identity, Uids, new_identity
from .onlyone import only_one

KIND = "cfstream-upload emulator"
VERSION = 1
MARKER = "marker.json"
_LOCK = "lock"
# An emulator that was just told to end has a second for the requests under way.
_PATIENCE = 2.0


class DataFolder:
    """An opened folder: whose it is, where its videos are, and the UIDs it gives."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.identity = identity
        self.videos = path / "videos"
        self.new_uid = Uids(identity, self._keep)
        self._marker = path / MARKER

    def write_marker(self) -> None:
        """Write down whose folder this is, in place of what was written before."""
        content = {"kind": KIND, "version": VERSION, **asdict(self.identity)}
        fresh = self._marker.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(content))
        fresh.replace(self._marker)

    def _keep(self, given: int) -> None:
        self.identity = replace(self.identity, given=given)
        self.write_marker()


@contextlib.contextmanager
def opened(
    path: Path,
    *,
    account: str | None = None,
    token: str | None = None,
    seed: int | None = None,
    patience: float = _PATIENCE,
) -> Iterator[DataFolder]:
    """Hold a folder while the block runs, made if it is not there.

    It keeps its account, token and seed from one time to the next; an account or token given here
    replaces its own. Raises `DataFolderUnusable`: it holds something else, is of a later version,
    in use, full, of another seed, or cannot be read or written.
    """
    with contextlib.ExitStack() as held:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = _marker_of(path)
            held.enter_context(only_one(path / _LOCK, seconds=patience))
            # What another wrote while this one waited counts.
            known = _marker_of(path)
            folder = DataFolder(path, _identity(path, known, account, token, seed))
            # Each time, so that a full disk is found out now and not by the first upload.
            folder.write_marker()
        except TimeoutError:
            raise DataFolderUnusable(
                f"The data folder {path} is in use by another emulator",
                "End that one, or give this one a folder of its own.",
            ) from None
        except OSError as error:
            raise DataFolderUnusable(
                f"The data folder {path} cannot be used: {error.strerror or error}",
                "Give a folder that this user can write to, on a disk with room.",
            ) from None
        yield folder


def _marker_of(path: Path) -> Identity | None:
    """Read whose folder this is; None: it is as good as empty."""
    try:
        content = json.loads((path / MARKER).read_bytes())
    except FileNotFoundError:
        _refuse_foreign(path)
        return None
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise _damaged(path)
    if content.get("version") != VERSION:
        raise DataFolderUnusable(
            f"The data folder {path} is of version {content.get('version')}, this is {VERSION}",
            "Use the version of cfupload that made it, or another folder.",
        )
    try:
        names = ("account", "token", "seed", "given")
        return Identity(**{name: content[name] for name in names})
    except KeyError:
        raise _damaged(path) from None


def _refuse_foreign(path: Path) -> None:
    ours = {_LOCK, Path(MARKER).with_suffix(".new").name}
    others = sorted(found.name for found in path.iterdir() if found.name not in ours)
    if others:
        raise DataFolderUnusable(
            f"The folder {path} holds other things than an emulator's data, such as {others[0]!r}",
            "Give an empty folder, or one that does not exist yet.",
        )


def _identity(
    path: Path, known: Identity | None, account: str | None, token: str | None, seed: int | None
) -> Identity:
    if known is None:
        return new_identity(account, token, seed)
    if seed is not None and seed != known.seed:
        was = "without a seed" if known.seed is None else f"with the seed {known.seed}"
        raise DataFolderUnusable(
            f"The data folder {path} was made {was}", "Leave --seed out, or give another folder."
        )
    return replace(known, account=account or known.account, token=token or known.token)


def _damaged(path: Path) -> DataFolderUnusable:
    return DataFolderUnusable(
        f"{path / MARKER} is not what an emulator wrote", "Give another folder, or delete this one."
    )
