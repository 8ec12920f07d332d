"""What could stand where somebody presses Tab: nothing heavy is loaded, and nothing is asked.

The scripts of ``cfupload completion`` start ``cfupload`` with `VARIABLE` set and the words of the
line as its arguments, the last of them unfinished. Each line of the answer is a kind, a value and
a meaning, with tabs between them; the kinds ``file`` and ``folder`` leave the names to the shell.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cfstream_upload.cli import kinds
from cfstream_upload.cli.reference import Option, Page, everything
from cfstream_upload.safetext import safe

VARIABLE = "_CFUPLOAD_COMPLETE"
_PATHS = {"FILE": "file", "DIR": "folder"}
_LONGEST_MEANING = 60


@dataclass(frozen=True)
class Candidate:
    """One possible word; of kind ``file`` or ``folder`` it stands for all such names."""

    kind: str
    value: str = ""
    meaning: str = ""


def is_plain(word: str) -> bool:
    """Whether no shell reads more than text in ``word``."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", word) is not None


def answer(words: Sequence[str]) -> int:
    """Print what the last of ``words`` could become. Whatever breaks, the prompt stays clean."""
    try:
        found = candidates(everything(), words or [""])
        lines = [f"{one.kind}\t{one.value}\t{one.meaning}\n" for one in found]
        sys.stdout.write("".join(lines))
    except Exception:  # noqa: BLE001  a traceback in the middle of a command line helps nobody
        return 1
    return 0


def candidates(root: Page, words: Sequence[str]) -> list[Candidate]:
    """What the last of ``words`` could become, after the others. None of them is run."""
    *done, last = words
    page, wants, ended, arguments = root, None, False, 0
    for word in done:
        if wants:
            # bash hands over "--option=value" as three words.
            wants = wants if word == "=" else None
        elif word == "--" and not ended:
            ended = True
        elif word.startswith("-") and not ended:
            wants = _wanting(page, root, word)
        elif inner := page.below([word]) if page.pages else None:
            page = inner
        else:
            arguments += 1
    if wants:
        return _values(wants.metavar, wants.names, "" if last == "=" else last)
    name, equals, begun = last.partition("=")
    if last.startswith("--") and equals and not ended:
        option = _named(page, root, name)
        found = _values(option.metavar, option.names, begun) if option else []
        return [Candidate(one.kind, f"{name}={one.value}", one.meaning) for one in found]
    if last.startswith("-") and not ended:
        return _options(page, last)
    if page.pages:
        # After a word that is no command, nothing is right.
        pages = () if arguments else page.pages
        return _matching(((one.path[-1], one.summary) for one in pages), last)
    if not page.arguments:
        return []
    argument = page.arguments[min(arguments, len(page.arguments) - 1)]
    if arguments >= len(page.arguments) and not argument.repeatable:
        return []
    return _values(argument.metavar, (), last)


def _named(page: Page, root: Page, name: str) -> Option | None:
    return next((one for one in (*page.options, *root.options) if name in one.names), None)


def _wanting(page: Page, root: Page, word: str) -> Option | None:
    """The option that takes the next word as its value, if ``word`` is such a one."""
    name = word if word.startswith("--") else word[:1] + word[-1:]
    option = _named(page, root, name)
    return option if option and option.metavar and "=" not in word else None


def _options(page: Page, begun: str) -> list[Candidate]:
    found = []
    for one in page.options:
        names = [one.long]
        if one.no and (not one.implied or begun.startswith("--no-")):
            names.append(one.no)
        found += [(name, one.meaning) for name in names]
    return _matching([*found, ("--help", "This page.")], begun)


def _matching(pairs: Iterable[tuple[str, str]], begun: str) -> list[Candidate]:
    return [
        Candidate("plain", name, safe(meaning, _LONGEST_MEANING))
        for name, meaning in pairs
        if name.startswith(begun)
    ]


def _values(metavar: str, names: Sequence[str], begun: str) -> list[Candidate]:
    # Of "FILE.csv" and "FILE|DIR|GLOB" too, the first word says what it is.
    if kind := _PATHS.get(re.split(r"[.|]", metavar)[0]):
        return [Candidate(kind)]
    if words := kinds.words_of(metavar):
        return _matching(((word, "") for word in words), begun)
    if "--profile" in names:
        return _matching(((name, "") for name in _profiles()), begun)
    match metavar:
        case "UID" if "--watermark" not in names:
            return _matching(_uids(), begun)
        case "KEY":
            from cfstream_upload.config import KEYS

            return _matching(((key, "") for key in ("token", *KEYS)), begun)
        case "TOPIC":
            return _matching(_topics(), begun)
    return []


def _topics() -> list[tuple[str, str]]:
    from cfstream_upload.cli.topics import TOPICS

    topics = [(name, topic.summary) for name, topic in TOPICS.items()]
    return topics + [(page.path[-1], page.summary) for page in everything().pages]


def _profiles() -> list[str]:
    from cfstream_upload import profiles
    from cfstream_upload.origins import config_path

    # A shell puts the word on its line as it is: nothing that a shell would obey.
    return [name for name in profiles.read(config_path(os.environ)).profiles if is_plain(name)]


def _uids() -> list[tuple[str, str]]:
    """UIDs of the journal and the names of their files; Stream is not asked."""
    from cfstream_upload.cli.desk import state_dir
    from cfstream_upload.journal import uids_at_a_glance
    from cfstream_upload.origins import Layers

    if Layers({}, os.environ).find("journal"):
        return []  # nobody waits for a database at a Tab, and SQLite's file knows other uploads
    return [(uid, os.path.basename(path)) for uid, path in uids_at_a_glance(state_dir())]  # noqa: PTH119  # a name of any system, as bytes gave it
