"""A function as a command that takes the options of everywhere too."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Annotated, Any, get_args

import typer

from cfstream_upload.cli.commands import source_of
from cfstream_upload.cli.common import Common
from cfstream_upload.cli.desk import Desk, opened_desk
from cfstream_upload.cli.groups import expanded, grouped
from cfstream_upload.errors import CfuploadError, Interrupted, described


def with_everywhere(run: Callable[..., int | None]) -> Callable[..., int]:
    """``run(desk, ...)`` as a command that takes the options of everywhere too.

    The one place where an error becomes words, a JSON document and an exit code.
    """
    names = [f.name for f in fields(Common)]
    own, groups = expanded(run)
    common = inspect.signature(Common, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    everything = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *common)]
    everything.append(context)

    @functools.wraps(run)
    def command(context: typer.Context, **values: Any) -> int:  # noqa: ANN401  # as declared
        given = {name: values.pop(name) for name in names}
        with _opened(context, given) as desk:
            try:
                desk.command = "".join(context.command_path.split()[1:2])
                return run(desk, **grouped(values, groups)) or 0
            except CfuploadError as error:
                by_variable(error, context)
                return desk.reported(error)
            except KeyboardInterrupt:
                return desk.reported(Interrupted("Interrupted"))
            except Exception as bug:  # noqa: BLE001  the last boundary: never a traceback
                return desk.reported(described(bug))

    command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # Typer reads it
    command.__annotations__ = {p.name: p.annotation for p in everything}
    return command


@contextmanager
def _opened(context: typer.Context, given: dict[str, Any]) -> Iterator[Desk]:
    """The desk for what the flags here, those before the command and the variables say."""
    flags, variables = Common(), Common()
    for name, value in given.items():
        setattr(variables if source_of(context, name) == "ENVIRONMENT" else flags, name, value)
    outer = context.obj if isinstance(context.obj, Common) else Common()
    with ExitStack() as stack:
        try:
            desk = stack.enter_context(opened_desk(flags.over(outer, variables)))
        except CfuploadError as error:
            by_variable(error, context)
            raise
        yield desk


def by_variable(error: CfuploadError, context: typer.Context) -> None:
    """Let ``error`` name variables in place of options that nobody wrote."""
    for parameter in context.command.params:
        if parameter.envvar and source_of(context, parameter.name) == "ENVIRONMENT":
            for name in parameter.opts:
                error.message = re.sub(
                    rf"(?<![\w-]){re.escape(name)}(?![\w-])", str(parameter.envvar), error.message
                )


def keeping_everywhere() -> Callable[..., None]:
    """Typer's callback of a group: it keeps the options that stand before the command's name."""
    common = inspect.signature(Common, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    # Before the command's name no variable is read, or it would beat a flag after it.
    parameters = [p.replace(kind=p.KEYWORD_ONLY, annotation=_flag_only(p)) for p in common]

    def callback(context: typer.Context, **values: Any) -> None:  # noqa: ANN401  # as declared
        outer = context.obj if isinstance(context.obj, Common) else Common()
        context.obj = Common(**values).over(outer, Common())

    callback.__signature__ = inspect.Signature([*parameters, context])  # type: ignore[attr-defined]  # Typer reads it
    callback.__annotations__ = {p.name: p.annotation for p in (*parameters, context)}
    return callback


def _flag_only(parameter: inspect.Parameter) -> Any:  # noqa: ANN401  # an annotation
    kind, info = get_args(parameter.annotation)
    bare = copy.copy(info)
    bare.envvar = None
    return Annotated[kind, bare]
