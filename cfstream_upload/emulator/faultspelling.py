"""Faults that a program made, written as people write them. Pure."""

from __future__ import annotations

from .effects import (
    Answer,
    CutAfter,
    Delay,
    Drip,
    Effect,
    Expire,
    Fault,
    Gone,
    Hang,
    Interim,
    Lag,
    Late,
    LoseReply,
    Rate,
)
from .faultscript import WHO


def spelled(fault: Fault) -> str:
    """Write a fault so that `parse_fault` reads the same, but for bodies and other headers."""
    sort = (fault.method, fault.kind)
    who = next((word for word, known in WHO.items() if known == sort), None)
    if who is None:
        who = f"{fault.method or 'any'} {fault.kind}"
    words = [who.upper() if who == "any" else who]
    if fault.nth != 1:
        words.append(str(fault.nth))
    words += _spelled_effect(fault.effect)
    if fault.probability is not None:
        words.append(f"p={_plain(fault.probability)}")
        words += [f"seed={fault.seed}"] if fault.seed else []
        words += [] if fault.times is None else [f"x{fault.times}"]
    elif fault.times != 1:
        words.append("*" if fault.times is None else f"x{fault.times}")
    if fault.after:
        words.append(f"after={_plain(fault.after)}s")
    return " ".join(words)


def _spelled_effect(effect: Effect) -> list[str]:
    match effect:
        case Answer(status, headers, acts=acts):
            wait = [f"retry-after={headers['retry-after']}"] if "retry-after" in headers else []
            return [f"status={status}", *wait, *(["acts"] if acts else [])]
        case CutAfter(count, reset):
            name = "reset" if reset else "cut"
            return [f"{name}={count}" if count else name]
        case Hang(acts):
            return ["hang", *(["acts"] if acts else [])]
        case Interim(seconds, acts):
            return [f"1xx={_plain(seconds)}s", *(["acts"] if acts else [])]
        case Rate(count):
            return [f"rate={count}"]
        case LoseReply():
            return ["lose"]
        case Gone():
            return ["gone"]
        case Expire():
            return ["expire"]
    timed: dict[type, str] = {Delay: "stall", Late: "late", Lag: "lag", Drip: "drip"}
    return [f"{timed[type(effect)]}={_plain(effect.seconds)}s"]


def _plain(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")
