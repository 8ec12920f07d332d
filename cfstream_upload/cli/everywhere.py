"""A function as a command that takes the options of everywhere too."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_args

import typer

from cfstream_upload.cli.common import Common
from cfstream_upload.cli.desk import opened_desk
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
        inner = Common(**{name: values.pop(name) for name in names})
        outer = context.obj if isinstance(context.obj, Common) else Common()
        with opened_desk(inner.over(outer)) as desk:
            try:
                return run(desk, **grouped(values, groups)) or 0
            except CfuploadError as error:
                return desk.reported(error)
            except KeyboardInterrupt:
                return desk.reported(Interrupted("Interrupted"))
            except Exception as bug:  # noqa: BLE001  the last boundary: never a traceback
                return desk.reported(described(bug))

    command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # Typer reads it
    command.__annotations__ = {p.name: p.annotation for p in everything}
    return command


def with_callback(keep: Callable[[typer.Context, Common], None]) -> Callable[..., None]:
    """``keep(context, common)`` as Typer's callback: the same options before the command's name."""
    common = inspect.signature(Common, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    # Before the command's name no variable is read, or it would beat a flag after it.
    parameters = [p.replace(kind=p.KEYWORD_ONLY, annotation=_flag_only(p)) for p in common]

    @functools.wraps(keep)
    def callback(context: typer.Context, **values: Any) -> None:  # noqa: ANN401  # as declared
        keep(context, Common(**values))

    callback.__signature__ = inspect.Signature([*parameters, context])  # type: ignore[attr-defined]  # Typer reads it
    callback.__annotations__ = {p.name: p.annotation for p in (*parameters, context)}
    return callback


def _flag_only(parameter: inspect.Parameter) -> Any:  # noqa: ANN401  # an annotation
    kind, info = get_args(parameter.annotation)
    bare = copy.copy(info)
    bare.envvar = None
    return Annotated[kind, bare]
