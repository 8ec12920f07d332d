"""Which files are meant by names, folders, patterns and lists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cfstream_upload.errors import FileProblem, UsageProblem
from cfstream_upload.selection import Rules, names_in, read_list, select
from cfstream_upload.stores import Stores


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "v/b.mp4", "v/a.MOV", "v/notes.txt", "v/.hidden.mp4", "v/raw.bin",
        "v/deep/c.mkv", "v/deep/er/d.ts", "v/.git/e.mp4", "v/skip/f.mp4",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def chosen(*names: str, **rules: object) -> list[str]:
    return select(names, [], Rules(**rules), Stores()).paths  # type: ignore[arg-type]  # passed through


@pytest.mark.usefixtures("folder")
class TestFolders:
    def test_a_folder_stands_for_the_videos_in_it(self) -> None:
        found = select(["v"], [], Rules(), Stores())
        assert found.paths == ["v/a.MOV", "v/b.mp4"]
        assert found.passed_over == 3

    def test_folders_in_it_are_for_recursive_and_hidden_ones_for_nobody(self) -> None:
        assert chosen("v", recursive=True) == [
            "v/a.MOV", "v/b.mp4", "v/deep/c.mkv", "v/deep/er/d.ts", "v/skip/f.mp4",
        ]  # fmt: skip

    def test_include_takes_what_it_names_and_nothing_else(self) -> None:
        assert chosen("v", include=("*.bin",)) == ["v/raw.bin"]
        assert chosen("v", recursive=True, include=("deep/*",)) == [
            "v/deep/c.mkv",
            "v/deep/er/d.ts",
        ]

    def test_exclude_beats_include_and_keeps_out_of_folders(self) -> None:
        rules = {"recursive": True, "exclude": ("skip", "*.mkv")}
        assert chosen("v", **rules) == ["v/a.MOV", "v/b.mp4", "v/deep/er/d.ts"]
        assert chosen("v", include=("*.mp4", "*.MOV"), exclude=("b*",)) == ["v/a.MOV"]

    def test_a_folder_without_a_video_is_an_error_that_names_recursive(self) -> None:
        with pytest.raises(FileProblem) as refused:
            chosen("v/.git", exclude=("*",))
        assert "-r" in refused.value.hint

    def test_a_link_to_a_folder_is_not_gone_into(self) -> None:
        Path("v/deep/up").symlink_to("..")
        assert len(chosen("v", recursive=True)) == 5

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be read")
    def test_a_folder_in_a_folder_that_cannot_be_read_is_told_and_stops_no_other(self) -> None:
        Path("v/deep").chmod(0)
        try:
            found = select(["v"], [], Rules(recursive=True), Stores())
        finally:
            Path("v/deep").chmod(0o700)
        assert "v/skip/f.mp4" in found.paths
        assert len(found.problems) == 1

    def test_a_file_that_is_named_is_taken_whatever_its_name(self) -> None:
        assert chosen("v/notes.txt", "v/.hidden.mp4", exclude=("*",)) == [
            "v/notes.txt", "v/.hidden.mp4",
        ]  # fmt: skip

    def test_a_file_that_is_not_there_stays_in_for_its_own_error(self) -> None:
        assert chosen("none.mp4") == ["none.mp4"]


@pytest.mark.usefixtures("folder")
class TestPatterns:
    def test_a_pattern_is_expanded_as_a_shell_would(self) -> None:
        assert chosen("v/*.mp4") == ["v/b.mp4"]
        assert chosen("v/**/*.ts") == ["v/deep/er/d.ts"]

    def test_a_pattern_without_a_match_is_an_error(self) -> None:
        with pytest.raises(FileProblem, match="no file matches"):
            chosen("v/*.webm")

    def test_a_file_whose_name_looks_like_a_pattern_is_that_file(self) -> None:
        Path("[1].mp4").write_bytes(b"x")
        Path("1.mp4").write_bytes(b"x")
        assert chosen("[1].mp4") == ["[1].mp4"]

    def test_one_file_is_taken_once_however_often_it_is_named(self) -> None:
        assert chosen("v/**", recursive=True).count("v/b.mp4") == 1
        assert chosen("v", "v/b.mp4", "./v/b.mp4") == ["v/a.MOV", "v/b.mp4"]

    def test_a_folder_that_a_pattern_matches_need_not_hold_a_video(self) -> None:
        Path("v/empty").mkdir()
        assert "v/deep/c.mkv" in chosen("v/**")

    def test_an_empty_name_is_not_the_folder_here(self) -> None:
        with pytest.raises(UsageProblem, match="empty"):
            chosen("")


class TestLists:
    def test_a_list_has_one_name_a_line_taken_as_it_stands(self) -> None:
        content = b"a b.mp4\r\n\n# no comment.mp4\n*.mp4\n\xff.mp4"
        names = ["a b.mp4", "# no comment.mp4", "*.mp4", os.fsdecode(b"\xff.mp4")]
        assert names_in(content, "list", nul=False) == names

    def test_a_list_with_nul_may_hold_line_ends_in_names(self) -> None:
        assert names_in(b"a\nb.mp4\0c.mp4\r\0", "list", nul=True) == ["a\nb.mp4", "c.mp4\r"]

    @pytest.mark.parametrize(("content", "nul"), [(b"a\0b\0", False), (b"a.mp4\nb.mp4\n", True)])
    def test_a_list_of_the_other_kind_is_refused(self, content: bytes, nul: bool) -> None:
        with pytest.raises(UsageProblem):
            names_in(content, "list", nul=nul)

    def test_a_list_that_cannot_be_read_is_wrong_usage(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "none"):
            with pytest.raises(UsageProblem, match="cannot be read"):
                read_list(path)

    def test_a_pattern_in_a_list_is_a_name(self) -> None:
        assert select([], ["*.mp4"], Rules(), Stores()).paths == ["*.mp4"]

    def test_naming_nothing_is_wrong_usage(self) -> None:
        with pytest.raises(UsageProblem):
            select([], [], Rules(), Stores())
