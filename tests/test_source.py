"""The local file: what is refused, what makes its identity, and how a change is noticed."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
from mp4 import boxes, padded_mp4, sample

from cfstream_upload.attempt import Identity
from cfstream_upload.container import Container, require_video
from cfstream_upload.errors import ExtraMissing, FileChanged, FileProblem, Interrupted
from cfstream_upload.source import MAX_BYTES, Source

KIB = 1024


def file_of(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file of 1 MiB and a bit, of random bytes that are the same each time."""
    return file_of(tmp_path / "video.mp4", random.Random(1).randbytes(1024 * KIB + 77))


# --- opening -------------------------------------------------------------------------------


def test_a_source_tells_its_absolute_path_name_size_and_identity(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    with Source.open("video.mp4") as source:
        status = video.stat()
        assert (source.path, source.name) == (str(video), "video.mp4")
        assert source.size == source.identity.size == status.st_size
        assert os.path.samestat(os.fstat(source.fileno()), status)
        assert (source.identity.device, source.identity.inode, source.identity.mtime_ns) == (
            status.st_dev,
            status.st_ino,
            status.st_mtime_ns,
        )


def test_a_symbolic_link_keeps_its_name_and_has_its_targets_identity(video: Path) -> None:
    link = video.with_name("link.mp4")
    link.symlink_to(video)
    with Source.open(link) as by_link, Source.open(video) as direct:
        assert by_link.path == str(link)
        assert by_link.identity == direct.identity


def test_dots_behind_a_linked_folder_name_the_file_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "folder")
    file_of(tmp_path / "video.mp4", b"another file")
    file_of(tmp_path / "far" / "video.mp4", b"the file")
    with Source.open(f"{tmp_path}/near/../video.mp4") as source:
        assert source.path == str(tmp_path / "far" / "video.mp4")
        assert b"".join(source.blocks(0, source.size)) == b"the file"


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # By its bare name: the address of a socket is short.
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "this is a folder"),
        (make_fifo, "not a regular file"),
        (make_socket, "not a regular file"),
        (Path.touch, "the file is empty"),
        (make_sparse, "Stream takes at most 30000000000"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
    ids=["missing", "folder", "fifo", "socket", "empty", "too large", "link to itself"],
)
def test_what_cannot_be_sent_is_refused_in_one_line_with_its_name(
    tmp_path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "video.mp4"
    make(path)
    with pytest.raises(FileProblem, match=complaint) as caught:
        Source.open(path)
    assert caught.value.message.endswith(str(path))
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_device_is_refused() -> None:
    with pytest.raises(FileProblem, match="not a regular file"):
        Source.open("/dev/null")


def test_a_file_below_a_file_is_missing(video: Path) -> None:
    with pytest.raises(FileProblem, match="no such file"):
        Source.open(video / "video.mp4")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"], ids=["NUL", "no file system's character"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(FileProblem, match="not a file name"):
        Source.open(name)


def test_an_unreadable_file_is_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(FileProblem, match=r"cannot read the file \(Permission denied\)"):
        Source.open(video)


def test_the_largest_file_that_stream_takes_is_opened(tmp_path: Path) -> None:
    path = padded_mp4(tmp_path / "video.mp4", MAX_BYTES)
    with Source.open(path) as source:
        assert source.size == MAX_BYTES


def test_a_name_of_bytes_and_escapes_is_carried_as_it_is(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\x1b[31m\n.mp4"
    with pytest.raises(FileProblem, match="no such file") as caught:
        Source.open(name)
    assert caught.value.message.endswith("\udcff\x1b[31m\n.mp4")
    file_of(Path(os.fsdecode(name)), b"v")
    with Source.open(name) as source:
        assert source.name == "\udcff\x1b[31m\n.mp4"


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/dev/fd").iterdir()}


def test_a_refused_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(FileProblem):
        Source.open(tmp_path)
    assert open_descriptors() == before


def test_a_file_that_changes_while_it_is_sampled_is_refused(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread

    def grow_and_read(fd: int, count: int, offset: int) -> bytes:
        with video.open("ab") as file:
            file.write(b"more")
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", grow_and_read)
    with pytest.raises(FileChanged):
        Source.open(video)


def test_the_descriptor_is_not_inherited_and_closes_once(video: Path) -> None:
    with Source.open(video) as source:
        descriptor = source.fileno()
        assert not os.get_inheritable(descriptor)
    source.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


# --- identity ------------------------------------------------------------------------------


def identity_of(path: Path) -> Identity:
    with Source.open(path) as source:
        return source.identity


def test_a_copy_has_the_same_samples_and_another_identity(video: Path) -> None:
    copy = file_of(video.with_name("copy.mp4"), video.read_bytes())
    assert identity_of(copy).samples == identity_of(video).samples
    assert identity_of(copy) != identity_of(video)


@pytest.mark.parametrize("offset", [0, 64 * KIB - 1, 16 * 64 * KIB - 1, 16 * 64 * KIB + 76])
def test_the_first_and_the_last_bytes_are_among_the_samples(video: Path, offset: int) -> None:
    before = identity_of(video).samples
    data = bytearray(video.read_bytes())
    data[offset] ^= 1
    video.write_bytes(data)
    assert identity_of(video).samples != before


def test_a_small_file_is_sampled_whole(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(300 * KIB)
    samples = identity_of(file_of(tmp_path / "v", data)).samples
    assert samples == xxhash.xxh3_128(data).hexdigest()


def test_samples_are_sixteen_and_evenly_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 64 * KIB + 15 * 1_000_000
    path = padded_mp4(tmp_path / "video.mp4", size)
    seen = []
    real = os.pread

    def note(fd: int, count: int, offset: int) -> bytes:
        seen.append((offset, count))
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", note)
    identity_of(path)
    assert seen == [(number * 1_000_000, 64 * KIB) for number in range(16)]


# --- noticing change -----------------------------------------------------------------------


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, 10)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def restore_mtime_but_grow(path: Path) -> None:
    mtime = path.stat().st_mtime_ns
    append(path)
    os.utime(path, ns=(mtime, mtime))


@pytest.mark.parametrize("change", [append, cut, touch, restore_mtime_but_grow])
def test_a_file_changed_in_place_is_noticed(video: Path, change: Callable[[Path], None]) -> None:
    with Source.open(video) as source:
        source.check()
        change(video)
        with pytest.raises(FileChanged):
            source.check()


def test_a_file_renamed_replaced_and_unlinked_is_still_the_file(video: Path) -> None:
    data = video.read_bytes()
    with Source.open(video) as source:
        video.rename(video.with_name("moved.mp4"))
        file_of(video, b"another one")
        video.with_name("moved.mp4").unlink()
        source.check()
        assert b"".join(source.blocks(0, source.size)) == data


# --- blocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 7, 4096, 10_000, 10_001, 1 << 20])
def test_blocks_are_the_bytes_of_the_range_whatever_their_size(tmp_path: Path, block: int) -> None:
    data = random.Random(3).randbytes(12_345)
    with Source.open(file_of(tmp_path / "v", data)) as source:
        pieces = list(source.blocks(1_000, 10_000, block=block))
    assert b"".join(pieces) == data[1_000:11_000]
    assert {len(piece) for piece in pieces[:-1]} <= {block}
    assert 0 < len(pieces[-1]) <= block


def test_an_empty_range_has_no_blocks_and_no_last_one(video: Path) -> None:
    called: list[int] = []
    with Source.open(video) as source:
        pieces = list(source.blocks(source.size, 0, before_last=lambda: called.append(1)))
    assert pieces == []
    assert called == []


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1), (0, 1 << 21), (1 << 21, 0)])
def test_a_range_outside_the_file_is_a_bug_of_the_caller(
    video: Path, start: int, length: int
) -> None:
    with Source.open(video) as source, pytest.raises(ValueError, match="outside a file"):
        next(source.blocks(start, length))


def test_before_last_is_called_once_before_the_last_block_leaves(video: Path) -> None:
    story: list[object] = []
    with Source.open(video) as source:
        for piece in source.blocks(0, 10, block=4, before_last=lambda: story.append("last")):
            story.append(len(piece))
    assert story == [4, 4, "last", 2]


def test_a_file_changed_between_blocks_never_gives_its_last_block(video: Path) -> None:
    called: list[int] = []
    with Source.open(video) as source:
        pieces = source.blocks(0, 12, block=4, before_last=lambda: called.append(1))
        assert len(next(pieces)) == 4
        touch(video)
        assert len(next(pieces)) == 4
        with pytest.raises(FileChanged):
            next(pieces)
    assert called == []


def test_a_change_during_the_last_read_is_noticed_before_that_block_leaves(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread

    def read_and_touch(fd: int, count: int, offset: int) -> bytes:
        data = real(fd, count, offset)
        touch(video)
        return data

    with Source.open(video) as source:
        monkeypatch.setattr(os, "pread", read_and_touch)
        with pytest.raises(FileChanged):
            next(source.blocks(0, 4))


def test_a_changed_file_gives_not_even_a_first_block(video: Path) -> None:
    with Source.open(video) as source:
        touch(video)
        with pytest.raises(FileChanged):
            next(source.blocks(0, 12, block=4))


def test_a_short_read_is_a_file_change(video: Path) -> None:
    with Source.open(video) as source:
        pieces = source.blocks(0, 100, block=10)
        next(pieces)
        cut(video)
        with pytest.raises(FileChanged, match="became shorter"):
            next(pieces)


def test_a_read_that_gives_less_than_asked_goes_on(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread
    with Source.open(video) as source:
        monkeypatch.setattr(os, "pread", lambda fd, count, at: real(fd, min(count, 3), at))
        assert list(source.blocks(5, 10)) == [video.read_bytes()[5:15]]


def test_a_read_error_is_a_problem_of_the_file(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_disk(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with Source.open(video) as source:
        monkeypatch.setattr(os, "pread", broken_disk)
        with pytest.raises(FileProblem, match="Input/output error") as caught:
            next(source.blocks(0, 10))
        assert not isinstance(caught.value, FileChanged)
        with pytest.raises(FileProblem, match="Input/output error"):
            source.probe()


def test_readers_do_not_move_the_shared_position(video: Path) -> None:
    with Source.open(video) as source:
        list(source.blocks(0, 100))
        source.probe()
        source.full_digest(lambda: False)
        assert os.lseek(source.fileno(), 0, os.SEEK_CUR) == 0


def test_without_pread_threads_still_read_what_they_asked_for(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pread")
    data = video.read_bytes()
    wrong = []

    def read(source: Source, start: int) -> None:
        for _ in range(50):
            got = b"".join(source.blocks(start, 5_000, block=1_000))
            wrong.extend([start] if got != data[start : start + 5_000] else [])

    with Source.open(video) as source:
        threads = [threading.Thread(target=read, args=(source, n * 9_999)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# --- the whole digest ----------------------------------------------------------------------


def test_the_full_digest_is_xxh3_128_of_every_byte(video: Path) -> None:
    with Source.open(video) as source:
        expected = xxhash.xxh3_128(video.read_bytes()).hexdigest()
        assert source.full_digest(lambda: False) == expected


def test_a_cancelled_digest_stops_at_the_next_block(video: Path) -> None:
    answers = iter([False, True])
    with Source.open(video) as source, pytest.raises(Interrupted):
        source.full_digest(lambda: next(answers))


def test_a_file_changed_while_it_is_digested_has_no_digest(video: Path) -> None:
    def touch_it() -> bool:
        touch(video)
        return False

    with Source.open(video) as source, pytest.raises(FileChanged):
        source.full_digest(touch_it)


# --- the container -------------------------------------------------------------------------


def probe_of(path: Path) -> Container:
    with Source.open(path) as source:
        return source.probe()


def moov_last() -> bytes:
    """Return the sample with its index behind the data, as cameras write it.

    The index then points to the wrong bytes, which nobody looks at here.
    """
    parts = boxes(sample())
    return parts["ftyp"] + parts["mdat"] + parts["moov"]


def test_the_sample_is_a_whole_video(tmp_path: Path) -> None:
    path = file_of(tmp_path / "v.mp4", sample())
    container = probe_of(path)
    require_video(container)
    assert container == Container("MPEG-4", 4.0, 1, False, str(path))


def test_a_video_with_its_index_at_the_end_is_whole(tmp_path: Path) -> None:
    require_video(probe_of(file_of(tmp_path / "v.mp4", moov_last())))


CUTS = {
    "the last byte is missing": lambda: sample()[:-1],
    "half of the data is missing": lambda: sample()[:30_000],
    "the index is cut": lambda: sample()[:2_000],
    "the index at the end is cut": lambda: moov_last()[:-500],
    "the index at the end is missing and the data is cut": lambda: moov_last()[:30_000],
}


@pytest.mark.parametrize("data", CUTS.values(), ids=CUTS)
def test_a_cut_off_video_is_refused_as_such(tmp_path: Path, data: Callable[[], bytes]) -> None:
    container = probe_of(file_of(tmp_path / "v.mp4", data()))
    assert container.truncated
    with pytest.raises(FileProblem, match="cut off"):
        require_video(container)


def test_a_video_cut_right_before_its_index_is_refused(tmp_path: Path) -> None:
    parts = boxes(sample())
    container = probe_of(file_of(tmp_path / "v.mp4", parts["ftyp"] + parts["mdat"]))
    with pytest.raises(FileProblem, match="no video track in this MPEG-4 file"):
        require_video(container)


@pytest.mark.parametrize("data", [b"x", b"hello world\n" * 99, bytes(70_000)])
def test_what_is_no_container_is_refused(tmp_path: Path, data: bytes) -> None:
    container = probe_of(file_of(tmp_path / "v.mp4", data))
    assert container.format == ""
    with pytest.raises(FileProblem, match="not a video"):
        require_video(container)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    # The handler type is what makes a track a video track.
    data = sample().replace(b"vide", b"soun").replace(b"vmhd", b"smhd").replace(b"avc1", b"mp4a")
    container = probe_of(file_of(tmp_path / "v.mp4", data))
    with pytest.raises(FileProblem, match="no video track"):
        require_video(container)


@pytest.mark.parametrize("size", [100_000, 5_000_000_000, MAX_BYTES])
def test_a_huge_padded_video_is_probed_at_once(tmp_path: Path, size: int) -> None:
    path = padded_mp4(tmp_path / "v.mp4", size)
    assert path.stat().st_size == size
    started = time.monotonic()
    require_video(probe_of(path))
    assert time.monotonic() - started < 2


def test_a_padded_video_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = padded_mp4(tmp_path / "v.mp4", 5_000_000_000)
    os.truncate(path, 4_999_999_999)
    assert probe_of(path).truncated


def test_padding_of_random_bytes_follows_its_seed(tmp_path: Path) -> None:
    first, again, other = (
        padded_mp4(tmp_path / name, 3_000_000, sparse=False, seed=seed).read_bytes()
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert len(first) == 3_000_000
    assert first == again != other
    require_video(probe_of(tmp_path / "a"))


def test_probes_in_threads_do_not_mix(tmp_path: Path) -> None:
    whole = file_of(tmp_path / "whole.mp4", sample())
    short = file_of(tmp_path / "cut.mp4", sample()[:-9])
    mixed: list[Path] = []

    def probe(path: Path, truncated: bool) -> None:
        mixed.extend(path for _ in range(20) if probe_of(path).truncated is not truncated)

    threads = [
        threading.Thread(target=probe, args=(path, path is short)) for path in (whole, short) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []


def test_a_missing_mediainfo_library_is_not_blamed_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_library(*_: object, **__: object) -> None:
        raise OSError("Failed to load library from libmediainfo.so.0")

    monkeypatch.setattr("pymediainfo.MediaInfo.parse", no_library)
    with pytest.raises(ExtraMissing, match="libmediainfo"):
        probe_of(file_of(tmp_path / "v.mp4", sample()))
