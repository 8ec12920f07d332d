"""What a worker must have in common with the command: judged before a file is begun."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cfstream_upload import __version__
from cfstream_upload.cluster.letters import Answer, Json, Terms, read_error, written_error
from cfstream_upload.errors import CfuploadError, ConfigProblem
from cfstream_upload.manifest import target_of

if TYPE_CHECKING:
    from cfstream_upload.session import Session


def dask_version() -> str:
    """The release of Dask.distributed that is installed here."""
    from importlib.metadata import version

    return version("distributed")


def software() -> Json:
    """What is installed here; known without any settings."""
    version = ".".join(map(str, sys.version_info[:2]))
    return {"version": __version__, "python": version, "dask": dask_version()}


def terms_of(session: Session) -> Terms:
    """What ``session`` stands for. Raises `JournalProblem`."""
    settings = session.settings
    ours = software()
    return Terms(
        version=ours["version"],
        python=ours["python"],
        dask=ours["dask"],
        journal=_journal_of(session),
        target=target_of(settings.base, settings.account),
    )


def _journal_of(session: Session) -> str:
    from cfstream_upload.journal import Journal

    journal = session.journal
    # A file is shared on its own machine alone: elsewhere the same name is a copy's.
    if isinstance(journal, Journal):
        return f"{journal.host} on {_machine()}"
    # Where the same paths are other files, the same rows are about other files.
    return f"{journal.host} at {session.settings.place}"


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


def judge(ours: Terms, answers: Mapping[str, object]) -> None:
    """Hold what each worker, by its address, said of itself against ``ours``.

    Raises the `CfuploadError` of the first that does not fit, naming the worker.
    """
    for address, answer in sorted(answers.items()):
        if isinstance(answer, OSError):
            continue  # it went before it could say: none that joins is taken unasked
        if isinstance(answer, Exception):
            raise _unanswered(address, answer)
        if error := mismatch(ours, cast("Answer", answer)):
            raise error


def mismatch(ours: Terms, answer: Answer) -> CfuploadError | None:
    """Why the worker that gave ``answer`` must not send for this command, if so."""
    theirs: Mapping[str, Any] = answer["terms"]
    worker = f"The worker {answer['worker']}"
    for key, what in (("version", "cfupload"), ("python", "Python"), ("dask", "Dask.distributed")):
        if theirs.get(key) != ours[key]:  # type: ignore[literal-required]  # keys of Terms
            return ConfigProblem(
                f"{worker} has {what} {theirs.get(key)}, and this command {ours[key]}",  # type: ignore[literal-required]  # as above
                "Install the same on every machine.",
            )
    if answer["problem"] is not None:
        return at(answer["worker"], read_error(answer["problem"]))
    if theirs.get("target") != ours["target"]:
        return ConfigProblem(
            f"{worker} would send to another account or API base than this command",
            "Give both the same CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_BASE_URL.",
        )
    if theirs.get("journal") != ours["journal"]:
        return ConfigProblem(
            f"{worker} has a journal of its own: a file could be sent twice",
            "Share one: the same CFUPLOAD_JOURNAL=postgresql://… (and CFUPLOAD_PLACE) on every "
            "machine; on a single machine the same CFUPLOAD_STATE_DIR.",
        )
    return None


def at(worker: str, error: CfuploadError) -> CfuploadError:
    """``error`` as that of ``worker``: what is to be done is to be done there."""
    letter = written_error(error)
    message = f"The worker {worker} cannot send: {error.message}"
    return read_error({**letter, "message": message, "hint": f"On that machine: {error.hint}"})


def _unanswered(address: str, trouble: Exception) -> ConfigProblem:
    if isinstance(trouble, ImportError):
        return ConfigProblem(
            f"The worker {address} has no cfupload, or another one",
            f"Install there: pip install 'cfstream-upload[fleet]=={__version__}'",
        )
    return ConfigProblem(
        f"The worker {address} could not be asked what it is ({type(trouble).__name__})",
        "Install the same Python, Dask and cfupload on every machine.",
    )


def answer_with(worker: str, terms: Mapping[str, object], problem: CfuploadError | None) -> Answer:
    """What a worker says of itself."""
    written = None if problem is None else written_error(problem)
    return Answer(worker=worker, terms=dict(terms), problem=written)
