"""Objects of S3 and of services that speak it, over s3fs: its credentials, regions and endpoints.

Ranges are asked for with the version and the ETag that were opened, which fsspec's own reading
cannot say; so `S3FileSystem` is used for its calls, and its caches stay empty.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiohttp
import s3fs
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.utils import parse_timestamp

from cfstream_upload.errors import FileProblem
from cfstream_upload.locations import Location
from cfstream_upload.stored import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Facts,
    Hiccup,
    changed,
    forbidden,
    missing,
    no_bucket,
    whole,
)

_DAY = re.compile(r"\d{4}-\d\d-\d\dT", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}\Z")
_MISSING = {"404", "NoSuchKey", "NoSuchVersion"}
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_PASSING = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "429"}
_KEYS = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."


class Buckets:
    """Every bucket that the credentials of this machine may read."""

    def __init__(self) -> None:
        session = AioSession()
        session.get_component("response_parser_factory").set_parser_defaults(
            timestamp_parser=_moment
        )
        self._fs = s3fs.S3FileSystem(
            session=session,
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            default_cache_type="none",
            config_kwargs={
                "connect_timeout": CONNECT_TIMEOUT,
                "read_timeout": READ_TIMEOUT,
                # The pace of tries is the run's own, which a signal may end.
                "retries": {"total_max_attempts": 1},
                "max_pool_connections": 200,
            },
        )
        self._fs.retries = 1

    async def facts(self, where: Location, pinned: Facts | None) -> Facts:
        """What the service tells now."""
        version = {"VersionId": pinned.version} if pinned and pinned.version else {}
        answer = await self._call("head_object", where, Key=where.path, **version)
        return _facts(answer, answer["ContentLength"])

    async def read(self, where: Location, start: int, stop: int, pinned: Facts) -> bytes:
        """One range, held to what ``pinned`` tells."""
        version = {"VersionId": pinned.version} if pinned.version else {}
        answer = await self._call(
            "get_object",
            where,
            Key=where.path,
            Range=f"bytes={start}-{stop - 1}",
            IfMatch=pinned.etag,
            **version,
        )
        async with answer["Body"] as body:
            # Of services that know no If-Match, and of those that know no ranges.
            if answer.get("ETag", "") != pinned.etag:
                raise changed(where)
            if not answer.get("ContentRange", "").startswith(f"bytes {start}-{stop - 1}/"):
                raise Hiccup("the service sent another range than was asked for")
            try:
                data = await body.read()
            except (aiohttp.ClientError, BotoCoreError, OSError):
                raise Hiccup("the service cut the connection") from None
        return whole(data, start, stop)

    async def below(self, folder: Location, *, deep: bool) -> AsyncIterator[tuple[str, Facts]]:
        """What a folder holds."""
        asked: dict[str, str] = {"Prefix": folder.path, "Delimiter": "" if deep else "/"}
        while True:
            page = await self._call("list_objects_v2", folder, **asked)
            for one in page.get("Contents", ()):
                name = one["Key"].removeprefix(folder.path)
                # Consoles make an empty object of a folder's own name.
                if name and not name.endswith("/"):
                    yield name, _facts(one, one["Size"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    async def release(self, where: Location) -> None:
        """Nothing is kept for a source."""

    async def close(self) -> None:
        """Close every connection."""
        creator = getattr(self._fs, "_s3creator", None)
        if creator is not None:
            await creator.__aexit__(None, None, None)

    async def _call(self, method: str, where: Location, **asked: str) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = await self._fs._call_s3(method, Bucket=where.host, **asked)
            return answer
        except Exception as error:  # noqa: BLE001  four libraries raise here, each its own
            trouble = _meaning(error, where)
            unsaid = method == "head_object" and _told(error)[0] == "404"
        # The answer to a HEAD has no words: it may be the bucket that is not there.
        raise no_bucket(where) if unsaid and await self._lacks_bucket(where.host) else trouble

    async def _lacks_bucket(self, name: str) -> bool:
        try:
            await self._fs._call_s3("head_bucket", Bucket=name)
        except Exception as error:  # noqa: BLE001  as above
            return _told(error)[0] == "404"
        return False


def _moment(value: Any) -> datetime:  # noqa: ANN401  whatever a service wrote
    """As botocore's own, whose general parser of dates takes half the time of a long listing."""
    if isinstance(value, str) and _DAY.match(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    moment: datetime = parse_timestamp(value)
    return moment


def _facts(told: Mapping[str, Any], size: int) -> Facts:
    version = told.get("VersionId", "")
    modified = told.get("LastModified")
    # Whole seconds: a listing may tell more than a HEAD does.
    seconds = int(modified.timestamp()) if isinstance(modified, datetime) else 0
    pinned = "" if version == "null" else version
    return Facts(int(size), told.get("ETag", ""), pinned, seconds * 1_000_000_000)


def _meaning(error: Exception, where: Location) -> Exception:
    """What went wrong, in our words: the libraries' own may quote an address with its secrets."""
    code, status = _told(error)
    if status is None:
        return _unanswered(error, where)
    shown = code if _CODE.match(code) else str(status)
    if code == "NoSuchBucket":
        return no_bucket(where)
    if code in _MISSING:
        return missing(where)
    if code in _CHANGED:
        return changed(where)
    if status >= 500 or code in _PASSING:
        return Hiccup(f"the service answered {shown}")
    if status in (401, 403):
        return forbidden(where, shown, f"Check who you are there. {_KEYS}")
    return FileProblem(f"the service answered {shown}: {where.text}", "Check name and region.")


def _told(error: Exception) -> tuple[str, int | None]:
    """The service's code and status for it; no status where it did not answer."""
    response = getattr(error.__cause__ or error, "response", None)
    if not isinstance(response, dict):
        return "", None
    code = str(response.get("Error", {}).get("Code", ""))
    return code, int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _unanswered(error: Exception, where: Location) -> Exception:
    kind = type(error).__name__
    passing = isinstance(error, HTTPClientError | NoConnection | aiohttp.ClientError | OSError)
    if passing or kind in ("ConnectionClosedError", "ResponseParserError"):
        return Hiccup("the service was not reached, or did not answer")
    if kind == "ProfileNotFound":
        return FileProblem(
            f"no credentials for s3 (AWS_PROFILE names no profile): {where.text}",
            "See ~/.aws/config for its profiles, or unset it.",
        )
    if "Credential" in kind or kind == "TokenRetrievalError":
        return FileProblem(f"no credentials for s3 ({kind}): {where.text}", _KEYS)
    # A malformed endpoint is a ValueError of botocore.
    if isinstance(error, BotoCoreError | ValueError):
        return FileProblem(f"s3 cannot be asked ({kind}): {where.text}", "Check name and settings.")
    return error
