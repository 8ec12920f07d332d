r"""Text of strangers made safe to show, and secrets taken out of whatever leaves. Pure.

File names, a video's ``meta`` and a server's words may hold escape sequences that repaint a
terminal, direction marks that turn a name around, or bytes that no encoding takes. Here they
become visible: ``\x1b``, ``\u202e``, ``\udcff``.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"

_SHOWN_UNPRINTABLE = {"Zs", "Co"}  # macOS puts U+202F, a narrow space, into names of recordings
# Letters and marks that show as nothing: Hangul fillers, a joiner, Khmer vowels, Mongolian
# selectors, the empty Braille cell.
_BLANK_LETTERS = frozenset(
    "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800"
)
_SHORTEST_SECRET = 6  # shorter ones occur in honest text everywhere
_SHORTEST_PATH = 12
_MOST_URLS = 16  # as many as may be under way; more would slow each line


def safe(text: str, limit: int = 300) -> str:
    r"""``text`` as one line that no terminal obeys, of at most ``limit`` characters.

    C0, DEL, C1, direction and other format marks, zero-width characters, line and paragraph
    separators and lone surrogates appear as ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``. What is
    too long ends in ``...``. Applied twice it changes nothing more.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    pieces: list[str] = []
    length = kept = kept_length = 0
    for letter in text[: limit + 1]:
        piece = letter if _is_shown(letter) else _escaped(letter)
        pieces.append(piece)
        length += len(piece)
        if length <= limit - 3:
            kept, kept_length = len(pieces), length
        if length > limit:
            return "".join(pieces[:kept]) + "..."[: limit - kept_length]
    return "".join(pieces)


def _is_shown(letter: str) -> bool:
    if letter.isprintable():
        return letter not in _BLANK_LETTERS
    return unicodedata.category(letter) in _SHOWN_UNPRINTABLE


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_COMMAND = re.compile(r"##(?=\[|vso\[|teamcity\[)", re.IGNORECASE)


def no_command(line: str) -> str:
    """``line`` so that a CI runner takes it for text: ``::`` in front, ``##[`` anywhere.

    Those are GitHub's; ``##vso[`` is Azure's, ``##teamcity[`` TeamCity's. A file called
    ``::error::`` must not speak to the runner.
    """
    line = _COMMAND.sub(r"#\\#", line)
    return f"\\{line}" if line.lstrip().startswith("::") else line


def no_formula(text: str) -> str:
    """``text`` so that a spreadsheet that opens a CSV takes it for text: ``'`` before ``=`` etc."""
    return f"'{text}" if text.lstrip()[:1] in _FORMULA else text


_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")  # in full width too, as Excel reads them


class Redactor:
    """Replaces known secrets by ``***``: plain, in base64, percent-encoded and in hex.

    Base64 is found also where a secret is only a part of what was encoded, as a proxy's password
    is. Secrets below six characters are left alone: they would blot out honest text. Threads may
    share it.
    """

    __slots__ = ("_forms", "_pattern", "_urls")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self._urls: dict[str, tuple[str, ...]] = {}
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return "Redactor()"

    def add(self, secret: str) -> None:
        """Know one secret more from now on."""
        if len(secret) < _SHORTEST_SECRET:
            return
        forms = self._forms | _forms(secret)
        longest_first = sorted(forms, key=len, reverse=True)
        self._forms = forms
        self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def add_url(self, url: str) -> None:
        """Know an upload URL: what follows its host is the key. The newest 16 are known."""
        if url in self._urls:
            return
        address = url.partition("://")[2]
        whole = "/" + address.partition("/")[2]
        if whole.partition("?")[0].count("/") == 1:
            # Links to the video itself may end in such a path: the host belongs to the key.
            whole = address
        if len(whole) < _SHORTEST_PATH:
            return
        forms = {whole, *_forms(whole.partition("?")[0])}
        # No pattern: each new file of a batch would have to compile it anew.
        self._urls[url] = tuple(sorted(forms, key=len, reverse=True))
        for old in list(self._urls)[:-_MOST_URLS]:
            self._urls.pop(old, None)

    def __call__(self, text: str) -> str:
        """``text`` without any known secret."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        if len(text) < _SHORTEST_PATH:
            return text
        for forms in list(self._urls.values()):
            for form in forms:
                if form in text:
                    text = text.replace(form, MASK)
        return text


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    quoted = quote(raw, safe="")
    percent = "".join(f"%{byte:02X}" for byte in raw)
    forms = {secret, quoted, _lower_escapes(quoted), percent, percent.lower()}
    forms |= {raw.hex(), raw.hex().upper()}
    for text in _base64_forms(raw):
        forms |= {text, text.replace("+", "-").replace("/", "_")}
    return forms


def _base64_forms(raw: bytes) -> set[str]:
    whole = base64.b64encode(raw).decode()
    forms = {whole, whole.rstrip("=")}
    for before in range(3):
        # A character carries six bits: keep those that hold nothing of the neighbours.
        text = base64.b64encode(bytes(before) + raw).decode()
        forms.add(text[-(-8 * before // 6) : 8 * (before + len(raw)) // 6])
    return forms


def _lower_escapes(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
