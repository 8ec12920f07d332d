"""The field ``file`` of a ``multipart/form-data`` body, taken out of it as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .envelopes import bad_request, undecodable
from .store import Media

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = b"file"
MOST_PARTS = 100


class FileField:
    """Feeds ``media`` with the bytes of the field; ``length`` of them so far, ``name`` as sent.

    Nothing but the headers of a part is ever held in memory.
    """

    def __init__(self, content_type: str, media: Media) -> None:
        # The library comes with the extra; the model of tus and the Video API does without it.
        from python_multipart import MultipartParser
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import parse_options_header

        self.media = media
        self.name = ""
        self.length = 0
        self._broken = FormParserError
        self._seen = self._inside = self._complete = False
        self._parts = 0
        self._header = b""
        self._value = b""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise undecodable()
        self._parse_options = parse_options_header
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError:
            raise undecodable() from None

    def write(self, block: bytes) -> None:
        """Take the next bytes of the body; `Refused` when they are no form."""
        try:
            self._parser.write(block)
        except self._broken:
            raise undecodable() from None

    def finish(self) -> None:
        """See that the form is complete and held the field; `Refused` otherwise."""
        if not self._complete:
            raise undecodable()
        if not self._seen:
            raise bad_request("the form holds no field named file")

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin_part,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._add_to_header,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise undecodable()

    def _begin_header(self) -> None:
        self._header = self._value = b""

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() != b"content-disposition":
            return
        _, options = self._parse_options(self._value.decode("latin-1"))
        if options.get(b"name") != FIELD:
            return
        if self._seen:
            raise bad_request("the form holds more than one field named file")
        self._seen = self._inside = True
        self.name = options.get(b"filename", b"").decode(errors="replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.media.append(memoryview(data)[start:end])
            self.length += end - start

    def _end_part(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self._complete = True
