"""The faults of ``cfupload emulator``: its options, and what is told when one strikes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cfstream_upload.cli.groups import option
from cfstream_upload.errors import UsageProblem
from cfstream_upload.nearest import did_you_mean

if TYPE_CHECKING:
    from cfstream_upload.emulator.effects import Fault
    from cfstream_upload.emulator.faults import Strike
    from cfstream_upload.emulator.faultwords import BadFault

FAULTS = "Faults on request"
_LARGEST = 1 << 20
_EXAMPLE = "Like: PATCH 3 cut=1MB. All of them: docs/emulator-faults.md"


@dataclass
class FaultOptions:
    """What is to go wrong."""

    fault: Annotated[
        list[str] | None,
        option(
            "--fault",
            metavar="FAULT",
            help="What goes wrong, like 'PATCH 3 cut=1MB'; repeatable.",
            rich_help_panel=FAULTS,
        ),
    ] = None
    faults: Annotated[
        Path | None,
        option("--faults", metavar="FILE", help="A fault a line.", rich_help_panel=FAULTS),
    ] = None

    def script(self) -> list[Fault]:
        """The faults that were asked for. Raises `UsageProblem`."""
        from cfstream_upload.emulator.faultscript import parse_fault, parse_script
        from cfstream_upload.emulator.faultwords import BadFault

        found: list[Fault] = []
        if self.faults is not None:
            try:
                found += parse_script(_read(self.faults))
            except BadFault as bad:
                raise _problem(f"--faults {self.faults}", bad) from None
        for text in self.fault or ():
            try:
                found.append(parse_fault(text))
            except BadFault as bad:
                raise _problem(f"--fault {text!r}", bad) from None
        return found


def told(strike: Strike) -> str:
    """A strike in one line of the log."""
    whom = f" {strike.uid}" if strike.uid else ""
    return (
        f"fault {strike.fault.id} ({strike.fault.text}) struck request {strike.number} of its"
        f" sort: {strike.method} {strike.kind}{whom}"
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UsageProblem(f"{path} is over 1 MiB", "A script of faults has a fault a line.")
        return content.decode()
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be read ({error.strerror})", "Name a file with a fault a line."
        ) from None
    except UnicodeDecodeError:
        raise UsageProblem(f"{path} is no UTF-8", "Save it as UTF-8.") from None


def _problem(place: str, bad: BadFault) -> UsageProblem:
    where = f"column {bad.column}"
    if bad.line is not None:
        where = f"line {bad.line}, {where}"
    hint = did_you_mean(bad.word, bad.words) if bad.words else _EXAMPLE
    return UsageProblem(f"{place}, {where}: {bad.message}", hint)
