"""The pages that are made from the code are what the code would make."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_page_that_the_docs_link_to_exists() -> None:
    for page in DOCS.glob("*.md"):
        for link in _links(page.read_text(encoding="utf-8")):
            assert (DOCS / link).exists(), f"{page.name} links to {link}"


def _links(text: str) -> list[str]:
    parts = text.split("](")[1:]
    found = [part.split(")")[0].partition("#")[0] for part in parts]
    return [link for link in found if link and "://" not in link]


def test_every_line_of_the_command_line_has_tests_that_exist() -> None:
    tests = Path(__file__).parent
    for line in tomllib.loads((tests / "contract.toml").read_text(encoding="utf-8"))["line"]:
        named = {key: names for key, names in line.items() if key.startswith("test_")}
        assert named, line["words"]
        for file, names in named.items():
            text = (tests / f"{file}.py").read_text(encoding="utf-8")
            assert [name for name in names if f"def {name}(" not in text] == [], line["words"]
