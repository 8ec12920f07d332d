"""An embedded Stream on real sockets for each test, and the clients that the tests install."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import installing
from clients.stage import Stage, staged

ON_DISK = "TESTS_ON_DISK"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share: on a disk, for the clients are large."""
    return Path(os.environ.get(ON_DISK) or tmp_path_factory.getbasetemp().parent) / "clients"


@pytest.fixture(scope="session")
def node_modules(workshop: Path) -> Path:
    try:
        return installing.node_modules(workshop)
    except installing.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def python_packages(workshop: Path) -> Path:
    try:
        return installing.python_packages(workshop)
    except installing.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage
