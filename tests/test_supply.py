"""What is installed, built and published: named, pinned, and the same each time."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKS = ["lock.txt", "lock-supply.txt"]


def lock_text(name: str) -> str:
    return (ROOT / ".ci" / name).read_text(encoding="utf-8")


def locked(name: str) -> dict[str, Version]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock_text(name), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in pins}


def wanted() -> list[tuple[str, str]]:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    of_the_lock = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    of_the_lock += [line for extra in ("emulator", "test", "dev") for line in extras[extra]]
    of_the_tools = PROJECT["dependency-groups"]["supply"]
    return [(LOCKS[0], line) for line in of_the_lock] + [(LOCKS[1], line) for line in of_the_tools]


# --- the lock files ------------------------------------------------------------------------------


@pytest.mark.parametrize(("lock", "line"), wanted())
def test_what_the_project_asks_for_is_locked_within_its_range(lock: str, line: str) -> None:
    requirement = Requirement(line)
    if requirement.name == PROJECT["project"]["name"]:
        return
    pinned = locked(lock).get(canonicalize_name(requirement.name))
    assert pinned is not None, f"{line}: run bash .ci/supply lock"
    assert pinned in requirement.specifier, f"{line}: run bash .ci/supply lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_digests_and_no_address(name: str) -> None:
    text = re.sub(r"^ *#.*$", "", lock_text(name), flags=re.MULTILINE)
    entries = [" ".join(entry.split()) for entry in text.replace("\\\n", " ").split("\n")]
    entries = [entry for entry in entries if entry]
    assert len(entries) == len(locked(name)) > 30
    for entry in entries:
        assert re.fullmatch(r"\S+==[\w.+!]+( ; [^#@]+?)?( --hash=sha256:[0-9a-f]{64})+", entry), (
            entry
        )


def test_nothing_that_the_program_or_its_tests_need_is_unlocked() -> None:
    pins = locked(LOCKS[0])
    seen: set[str] = set()
    left = [Requirement("cfstream-upload[emulator,test]")]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for line in _requires(name):
            inner = Requirement(line)
            extras = {"", *requirement.extras}
            marker = inner.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                key = f"{canonicalize_name(inner.name)}{sorted(inner.extras)}"
                left += [inner] if key not in seen else []
                seen.add(key)
        assert name in pins or name == "cfstream-upload", f"{name}: run bash .ci/supply lock"
    assert len(seen) > 40


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def test_ci_installs_by_digest_and_then_knows_no_index() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    download, offline, install = (
        script.index(words)
        for words in (
            "download -q --require-hashes --only-binary :all:",
            "export PIP_NO_INDEX=1",
            "install -q",
        )
    )
    assert download < offline < script.index("install -q '.[dev]'")
    assert install >= script.index("apt-get install")


def test_every_library_has_its_reason_and_its_price() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = design[design.index("## Libraries") : design.index("## Supply chain")]
    first = " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| "))
    extras = PROJECT["project"]["optional-dependencies"]
    for line in (*PROJECT["project"]["dependencies"], *extras["emulator"]):
        assert re.search(rf"\b{re.escape(Requirement(line).name)}\b", first, re.IGNORECASE), line


def test_a_waiver_of_an_advisory_has_a_date_and_a_reason() -> None:
    for line in lock_text("waivers.txt").splitlines():
        assert line.startswith("#") or re.fullmatch(r"\S+ \d{4}-\d\d-\d\d \S.*", line), line


# --- what is built and published -----------------------------------------------------------------


def _built(tree: Path, stamp: str, **environment: str) -> dict[str, str]:
    """The digests of wheel and sdist of a copy of the project at ``tree``."""
    names = ["cfstream_upload", "docs", ".gitignore", "pyproject.toml", "LICENSE", "README.md"]
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        tree.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tree / name)
    for path in tree.rglob("*"):
        if path.name == "__pycache__":
            shutil.rmtree(path)
        else:
            os.utime(path, (float(stamp), float(stamp)))
    subprocess.run(
        [sys.executable, "-P", "-m", "hatchling", "build", "-d", tree / "out"],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment},
        check=True,
        capture_output=True,
        umask=int(environment.get("MASK", "22"), 8),
    )
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tree / "out").iterdir()
    }


def test_a_build_elsewhere_at_another_time_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    one = _built(tmp_path / "one", "1600000000", TZ="UTC", PYTHONHASHSEED="1")
    two = _built(
        tmp_path / "elsewhere" / "two", "1750000001", TZ="Asia/Tokyo", PYTHONHASHSEED="2", MASK="77"
    )
    assert one == two
    assert len(one) == 2
    (wheel,) = (tmp_path / "one" / "out").glob("*.whl")
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.partition("-")[0] for top in tops} == {"cfstream_upload"}


@pytest.mark.parametrize(
    "path",
    [*WORKFLOWS, *sorted((ROOT / "examples").rglob("github-actions.yml"))],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_every_action_is_pinned_by_a_commit_and_its_version_is_told(path: Path) -> None:
    used = re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))
    assert used
    for words in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", words), words


def test_a_release_needs_no_password_no_cache_and_no_fork() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    code = re.sub(r"#.*", "", text)
    assert not re.search(r"secrets\.|cache|pull_request|password|\$\{\{ *github\.event", code)
    assert re.search(r"^permissions: \{\}$", code, re.MULTILINE)
    jobs = dict(
        re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", code[code.index("jobs:") :], re.MULTILINE)
    )
    assert list(jobs) == ["build", "attest", "publish", "page"]
    assert "id-token: write" not in jobs["build"]
    assert "environment: pypi" in jobs["publish"]
    assert "attestations: true" in jobs["publish"]
    # What holds the right to publish runs nothing of the tree or of the lock.
    assert not re.search(r"\.ci/|pip|checkout", jobs["attest"] + jobs["publish"] + jobs["page"])


@pytest.mark.parametrize("name", ["run", "supply"])
def test_shellcheck_finds_nothing_in_the_scripts_of_ci(name: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    ended = subprocess.run(
        ["shellcheck", ROOT / ".ci" / name], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


# --- what the package does not do ----------------------------------------------------------------

_NEVER = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp",
    "pickle", "marshal", "shelve", "dill", "yaml",
}  # fmt: skip


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name
            for keyword in node.keywords:
                if keyword.arg == "shell":
                    yield f"shell={ast.unparse(keyword.value)}"


def test_no_shell_no_eval_no_pickle_and_no_guessable_temporary_file() -> None:
    for path in sorted((ROOT / "cfstream_upload").rglob("*.py")):
        used = set(_used(ast.parse(path.read_text(encoding="utf-8"))))
        assert not used & _NEVER, path.name
        assert not {one for one in used if one.startswith("shell=")}, path.name
