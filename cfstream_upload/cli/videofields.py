"""The options of ``cfupload send`` that tell Stream of the video itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.groups import option
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.video import VideoOptions

FIELDS = "Stream's fields"


@dataclass
class VideoFields:
    """What Stream is to know of each video."""

    name: Annotated[
        str | None,
        option(
            "--name", metavar="TEXT", help="The video's name [the file's].", rich_help_panel=FIELDS
        ),
    ] = None
    meta: Annotated[
        list[str] | None,
        option(
            "--meta",
            metavar="K=V",
            help="K=V for the video's meta; repeatable.",
            rich_help_panel=FIELDS,
        ),
    ] = None
    meta_file: Annotated[
        Path | None,
        option(
            "--meta-file",
            metavar="FILE",
            help="A JSON or TOML table for the video's meta; --meta wins.",
            rich_help_panel=FIELDS,
        ),
    ] = None
    creator: Annotated[
        str | None,
        option("--creator", metavar="TEXT", help="Stream's creator field.", rich_help_panel=FIELDS),
    ] = None
    require_signed_urls: Annotated[
        bool,
        option("--require-signed-urls", help="Play by signed URL only.", rich_help_panel=FIELDS),
    ] = False
    allowed_origin: Annotated[
        list[str] | None,
        option(
            "--allowed-origin",
            metavar="HOST",
            help="A host that may embed it.",
            rich_help_panel=FIELDS,
        ),
    ] = None
    thumbnail_pct: Annotated[
        float | None,
        option(
            "--thumbnail-pct",
            metavar="0..1",
            help="Where the thumbnail is, 0 to 1.",
            rich_help_panel=FIELDS,
        ),
    ] = None
    watermark: Annotated[
        str | None,
        option("--watermark", metavar="UID", help="A watermark's UID.", rich_help_panel=FIELDS),
    ] = None
    scheduled_deletion: Annotated[
        str | None,
        option(
            "--scheduled-deletion",
            metavar="DATE",
            help="RFC 3339, at least 30 days on.",
            rich_help_panel=FIELDS,
        ),
    ] = None
    max_duration_seconds: Annotated[
        int | None,
        option(
            "--max-duration-seconds",
            metavar="N",
            help="Storage to reserve [the container's + 10 %].",
            rich_help_panel=FIELDS,
        ),
    ] = None
    expiry: Annotated[
        str | None,
        option(
            "--expiry",
            metavar="DATE",
            help="End of the upload window, RFC 3339.",
            rich_help_panel=FIELDS,
        ),
    ] = None

    def options(self) -> VideoOptions:
        """These fields, checked. Raises `UsageProblem`."""
        from cfstream_upload.video import VideoOptions

        return VideoOptions(
            name=self.name,
            meta=self._meta(),
            creator=self.creator,
            require_signed_urls=self.require_signed_urls,
            allowed_origins=tuple(self.allowed_origin or ()),
            thumbnail_pct=self.thumbnail_pct,
            watermark=self.watermark,
            scheduled_deletion=self.scheduled_deletion,
            max_duration_seconds=self.max_duration_seconds,
            expiry=self.expiry,
        ).checked()

    def _meta(self) -> tuple[tuple[str, str], ...]:
        """What ``--meta-file`` says and, over it, what ``--meta`` does."""
        given = [_pair(text) for text in self.meta or ()]
        if self.meta_file is None:
            return tuple(given)
        from cfstream_upload.cli.metafile import read_meta

        named = {key for key, _ in given}
        read = read_meta(self.meta_file)
        return (*((key, text) for key, text in read.items() if key not in named), *given)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageProblem(f"--meta {text!r} is not K=V", "Like: --meta team=red")
    return key, value
