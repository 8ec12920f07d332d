"""Options as Typer takes them, and groups of them as one parameter of a command."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import Any

import typer


def option(*names: str, help: str, env: bool = True, **more: Any) -> Any:  # noqa: A002, ANN401  # Typer's own parameter name and types
    """A Typer option whose value also comes from ``CFUPLOAD_<OPTION>``, here or in `config`."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "CFUPLOAD_" + long.removeprefix("--").replace("-", "_").upper()
    return typer.Option(
        *names, help=help, envvar=variable if env else None, show_envvar=False, **more
    )


def expanded(run: Any) -> tuple[list[inspect.Parameter], dict[str, tuple[type, list[str]]]]:  # noqa: ANN401  # any command
    """The parameters of ``run`` one by one, and which of them are made into which group.

    A parameter whose type is a dataclass stands for the fields of that dataclass.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(run, eval_str=True).parameters.values():
        kind = parameter.annotation
        if parameter.name == "desk":
            continue
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(parameter)
            continue
        inner = list(inspect.signature(kind, eval_str=True).parameters.values())
        groups[parameter.name] = (kind, [one.name for one in inner])
        parameters += inner
    return parameters, groups


def grouped(values: dict[str, Any], groups: dict[str, tuple[type, list[str]]]) -> dict[str, Any]:
    """``values`` as Typer found them, with each group made of its own."""
    made = {
        name: kind(**{one: values.pop(one) for one in names})
        for name, (kind, names) in groups.items()
    }
    return {**values, **made}
