"""Values of the command line that are taken without asking Typer's judge."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.core import TyperArgument, TyperOption

from cfstream_upload.cli.app import app
from cfstream_upload.cli.commands import Argument, Option

Parameter = TyperOption | TyperArgument


def _parameters(command: object) -> Iterator[Parameter]:
    yield from getattr(command, "params", ())
    for inner in getattr(command, "commands", {}).values():
        yield from _parameters(inner)


CONTEXT = typer.Context(typer.main.get_command(app))
PARAMETERS = [*_parameters(CONTEXT.command)]
NUMBERS = [one for one in PARAMETERS if one.type_descriptor.annotation in (int, float)]
TEXTS = st.text() | st.integers().map(str) | st.sampled_from(["", "-", "1.5", " 4 ", "٣", "1_0"])


def _coerced(parameter: Parameter, typers_own: type[Parameter], value: object) -> object:
    try:
        made = typers_own.get_runtime_param(parameter).coerce(value, parameter, CONTEXT)
    except typer.BadParameter as refusal:
        return refusal.message
    return made, type(made), [type(one) for one in made] if isinstance(made, list) else None


def _same_as_typer(parameter: Parameter, value: object) -> None:
    base = TyperArgument if isinstance(parameter, Argument) else TyperOption
    assert _coerced(parameter, type(parameter), value) == _coerced(parameter, base, value)


def test_every_parameter_is_one_of_ours() -> None:
    assert len(PARAMETERS) > 100
    assert all(isinstance(one, Option | Argument) for one in PARAMETERS)


@settings(deadline=None)
@given(parameter=st.sampled_from(PARAMETERS), value=TEXTS)
@example(parameter=NUMBERS[0], value="-0")
@example(parameter=NUMBERS[0], value="007")
def test_a_text_becomes_what_typer_makes_of_it(parameter: Parameter, value: str) -> None:
    many = parameter.multiple or parameter.nargs == -1
    _same_as_typer(parameter, [value, value] if many else value)


@settings(deadline=None)
@given(parameter=st.sampled_from(NUMBERS), value=st.integers(-2, 70000))
def test_a_number_is_held_to_the_limits_that_typer_knows(parameter: Parameter, value: int) -> None:
    _same_as_typer(parameter, value)
    _same_as_typer(parameter, str(value))


def test_nothing_given_becomes_what_typer_makes_of_it() -> None:
    for parameter in PARAMETERS:
        _same_as_typer(parameter, None)


def test_a_command_with_plain_values_loads_no_pydantic(tmp_path: Path) -> None:
    script = """
import sys
from cfstream_upload.cli import main
try:
    main(["send", "-j", "3", "--chunk-size", "5M", *sys.argv[1:]])
except SystemExit as end:
    assert end.code == 3, end.code
assert "typer" in sys.modules and "pydantic" not in sys.modules
"""
    words = [sys.executable, "-P", "-c", script, "no such file"]
    home = {**os.environ, "CFUPLOAD_STATE_DIR": str(tmp_path / "state")}
    ended = subprocess.run(words, env=home, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
