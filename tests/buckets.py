"""A bucket of S3 and one of Google, for what must hold of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from afar import S3
from gcs import Google


class Place(Protocol):
    """A bucket of one kind of service, which listens at ``port``."""

    @property
    def port(self) -> int: ...

    def put(self, key: str, data: bytes) -> str:
        """The URL of what was put there."""

    def delete(self, key: str) -> None: ...

    def keep_versions(self) -> None: ...

    def reach_at(self, port: int) -> None:
        """From now on the command is told this port."""


@dataclass
class OnS3:
    service: S3
    bucket: str
    set_variable: Callable[[str, str], None]

    @property
    def port(self) -> int:
        return self.service.port

    def put(self, key: str, data: bytes) -> str:
        return self.service.put(self.bucket, key, data)

    def delete(self, key: str) -> None:
        self.service.delete(self.bucket, key)

    def keep_versions(self) -> None:
        self.bucket = self.service.bucket(f"{self.bucket}-kept", versioned=True)

    def reach_at(self, port: int) -> None:
        self.set_variable("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")


@dataclass
class OnGoogle:
    service: Google
    set_variable: Callable[[str, str], None]

    @property
    def port(self) -> int:
        return urlsplit(self.service.base).port or 0

    def put(self, key: str, data: bytes) -> str:
        self.service.buckets["films"].put(key, data)
        return f"gs://films/{key}"

    def delete(self, key: str) -> None:
        self.service.buckets["films"].delete(key)

    def keep_versions(self) -> None:
        self.service.buckets["films"].versions = True

    def reach_at(self, port: int) -> None:
        self.set_variable("STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
