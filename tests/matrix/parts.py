"""Checks of many cases: a folder for each, and one file for all of them."""

from __future__ import annotations

from pathlib import Path

from inprocess import MIB, Stage
from matrix.rows import Scene
from matrix.scenes import staged
from mp4 import padded_mp4

_PARTS = "parts"


def part(scene: Scene, name: object) -> Scene:
    """The scene of one case."""
    folder = scene.folder / _PARTS / str(name)
    folder.mkdir(parents=True)
    return Scene(folder, scene.request)


def staged_part(scene: Scene, name: object) -> Stage:
    """A fresh stage for one case."""
    return staged(part(scene, name))


def video(current: Stage, size: int = 12 * MIB) -> Path:
    """A file to send; the cases of a check share it, for making one takes longer than sending it.

    Nobody may change it.
    """
    cases = current.folder.parent
    path = (cases if cases.name == _PARTS else current.folder) / f"{size}.mp4"
    return path if path.exists() else padded_mp4(path, size, sparse=False)
