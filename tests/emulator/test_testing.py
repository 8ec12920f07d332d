"""The fixtures that other projects take from `cfstream_upload.testing`."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx  # noqa: F401  # loaded here, so that the runs inside do not load it again
import pytest

import cfstream_upload.emulator.stage  # noqa: F401  # the same

pytest_plugins = ["pytester"]
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "emulator"
APART = ["-p", "no:cacheprovider"]


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are most of the time of so short a run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def given(pytester: pytest.Pytester, text: str, imported: str = "") -> pytest.RunResult:
    pytester.makeconftest(imported or 'pytest_plugins = ["cfstream_upload.testing"]')
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess(*APART)


def test_the_example_passes_as_it_is(pytester: pytest.Pytester) -> None:
    for name in ("conftest.py", "test_uploader.py"):
        shutil.copy(EXAMPLE / name, pytester.path)
    source = (EXAMPLE / "test_uploader.py").read_text(encoding="utf-8")
    here = pytester.path / "test_uploader.py"
    here.write_text(source.replace("Path(__file__).parent.parent", repr(EXAMPLE.parent)))
    here.write_text(here.read_text().replace("PosixPath", "Path"))
    ended = pytester.runpytest_inprocess(*APART)
    ended.assert_outcomes(passed=5)


def test_what_a_test_leaves_the_next_one_finds_unless_it_asks_for_a_fresh_account(
    pytester: pytest.Pytester,
) -> None:
    ended = given(
        pytester,
        """
        import httpx
        from cfstream_upload.testing import *

        def create(stream):
            return httpx.post(
                f"{stream.base_url}/accounts/{stream.account}/stream",
                headers={"authorization": f"Bearer {stream.token}",
                         "tus-resumable": "1.0.0", "upload-length": "9"},
                trust_env=False,
            ).status_code

        def test_first(cloudflare_stream):
            assert create(cloudflare_stream) == 201

        def test_second(cloudflare_stream):
            assert len(cloudflare_stream.videos()) == 1
            cloudflare_stream.faults.set(Fault(Answer(503), times=None))
            assert create(cloudflare_stream) == 503

        def test_third(fresh_cloudflare_stream, cloudflare_stream):
            assert fresh_cloudflare_stream is cloudflare_stream
            assert fresh_cloudflare_stream.videos() == []
            assert create(fresh_cloudflare_stream) == 201
            fresh_cloudflare_stream.reset(minutes_limit=1)
            assert create(fresh_cloudflare_stream) == 413
            fresh_cloudflare_stream.strike("POST 1 status=502")
            assert create(fresh_cloudflare_stream) == 502

        def test_fourth(cloudflare_stream):
            assert cloudflare_stream.videos() == []
            assert cloudflare_stream.token not in repr(cloudflare_stream)
            assert cloudflare_stream.environment["CLOUDFLARE_API_TOKEN"] == cloudflare_stream.token
        """,
        "from cfstream_upload.testing import cloudflare_stream, fresh_cloudflare_stream",
    )
    ended.assert_outcomes(passed=4)


def test_without_the_extra_the_error_says_what_to_install(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cfstream_upload.emulator.stage", None)
    ended = given(pytester, "def test_it(cloudflare_stream): pass")
    ended.assert_outcomes(errors=1)
    ended.stdout.fnmatch_lines(["*pip install 'cfstream-upload*emulator*"])
    ended.stdout.no_fnmatch_line("*Traceback*")


def test_an_upload_without_direct_user_has_its_url_on_a_second_port(
    pytester: pytest.Pytester,
) -> None:
    ended = given(
        pytester,
        """
        import httpx

        def test_it(fresh_cloudflare_stream):
            stream = fresh_cloudflare_stream
            headers = {"authorization": f"Bearer {stream.token}",
                       "tus-resumable": "1.0.0", "upload-length": "9"}
            url = f"{stream.base_url}/accounts/{stream.account}/stream"
            made = httpx.post(url, headers=headers, trust_env=False).headers["location"]
            assert httpx.URL(made).port != httpx.URL(url).port
            assert httpx.head(made, headers=headers, trust_env=False).status_code == 200
        """,
    )
    ended.assert_outcomes(passed=1)
