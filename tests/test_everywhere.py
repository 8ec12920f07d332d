"""Options before and after the command's name, as variables, and against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from parsing import parsed

from cfstream_upload.cli.app import run
from cfstream_upload.cli.commands import App
from cfstream_upload.cli.common import Common
from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import keeping_everywhere, with_everywhere
from cfstream_upload.cli.groups import option
from cfstream_upload.cli.reference import Option, Page, everything
from cfstream_upload.errors import UsageProblem

COMMANDS = list(everything().commands())
ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": "ab" * 16, "CLOUDFLARE_API_TOKEN": "a-token-0123456789"}
ACTIONS = {
    "--version",
    "--yes",
    "--again",
    "--forget",
    "--ended",
    "--dry-run",
    "--rebuild",
    "--stop",
}
"""What a variable must never do, and what does something once and sets nothing."""


class Probe:
    """The real machinery around a command that only remembers what it got."""

    def __init__(self) -> None:
        self.common = Common()
        self.include: list[Path] = []
        self.app = App(add_completion=False)
        self.app.callback()(keeping_everywhere())
        self.app.command("probe")(with_everywhere(self._probe))
        self.app.command("other")(with_everywhere(self._probe))

    def _probe(
        self,
        desk: Desk,
        include: Annotated[
            list[Path] | None, option("--include", metavar="DIR", help="Paths.")
        ] = None,
    ) -> int:
        self.common, self.include = desk.common, include or []
        return 0

    def __call__(self, *words: str) -> Common:
        assert self.app(list(words), prog_name="cfupload", standalone_mode=False) == 0
        return self.common


@pytest.fixture
def probe() -> Probe:
    return Probe()


def values_of(one: Option) -> list[str]:
    return {"TIME": ["5s"], "FILE": ["x"], "NAME": ["x"], "URL": ["http://x"], "": []}[one.metavar]


# --- before and after ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.name)
def test_every_command_takes_the_options_of_everywhere_before_and_after_its_name(
    page: Page,
) -> None:
    everywhere = [one for one in page.options if one.panel == "Everywhere"]
    assert {one.long for one in everywhere} == {one.long for one in everything().options}
    path = list(page.path[1:])
    needed = {"UID": "ab" * 16, "KEY": "label", "bash|zsh|fish": "bash"}
    needed |= {"FILE": "x.mp4"}
    arguments = [needed.get(one.metavar, "x") for one in page.arguments if one.required]
    words = [
        word
        for one in everywhere
        if one.long not in ("--version", "--ndjson", "--quiet")
        for word in (one.long, *values_of(one))
    ]
    before = parsed([*words, *path, *arguments]).find_root().params
    after = parsed([*path, *words, *arguments]).params
    for one in everywhere:
        name = one.long.removeprefix("--").replace("-", "_")
        assert before[name] == after[name]
    if len(path) == 2:
        parsed([path[0], *words, path[1], *arguments])


@pytest.mark.parametrize("line", ["--json config path", "config --json path", "config path --json"])
def test_config_takes_them_in_all_three_places(
    line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 0
    assert capfd.readouterr().out.startswith("{")


def test_verbose_adds_up_from_all_places(probe: Probe) -> None:
    assert probe("-v", "probe", "-v").verbose == 2


# --- variables -----------------------------------------------------------------------------------


def test_every_option_that_sets_a_value_is_a_variable() -> None:
    for page in COMMANDS:
        for one in page.options:
            label = one.long == "--label" and page.path[-1] != "send"
            if one.long in ACTIONS or label:
                assert one.variable == "", one
            else:
                assert one.variable == "CFUPLOAD_" + one.long[2:].replace("-", "_").upper()


@pytest.mark.parametrize("name", ["HELP", "VERSION", "YES", "DRY_RUN", "ENDED", "FORGET"])
def test_a_variable_never_answers_a_question(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CFUPLOAD_{name}", "1")
    values = parsed(["cleanup"]).params
    assert [values["yes"], values["dry_run"], values["ended"]] == [False] * 3
    assert not values["forget"]
    assert not values["version"]


def test_a_variable_never_makes_a_second_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFUPLOAD_AGAIN", "1")
    assert parsed(["send", "x.mp4"]).params["again"] is False


def test_every_value_of_everywhere_comes_from_its_variable(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CFUPLOAD_VERBOSE", "2")
    monkeypatch.setenv("CFUPLOAD_PROGRESS", "0")
    monkeypatch.setenv("CFUPLOAD_STATS", "5s")
    monkeypatch.setenv("CFUPLOAD_LOG_FILE", str(tmp_path / "a log"))
    monkeypatch.setenv("CFUPLOAD_QUIET", "1")
    monkeypatch.setenv("CFUPLOAD_NO_COLOR", "1")
    found = probe("probe")
    assert (found.verbose, found.progress, found.stats) == (2, False, "5s")
    assert (found.log_file, found.quiet, found.no_color) == (tmp_path / "a log", True, True)


def test_a_repeated_option_has_one_value_a_line_in_its_variable(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_INCLUDE", "/a folder/b:c\n\nd e\r\n")
    probe("probe")
    assert probe.include == [Path("/a folder/b:c"), Path("d e")]


def test_meta_may_hold_blanks_in_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFUPLOAD_META", "team=red blue\nplace=far off")
    monkeypatch.setenv("CFUPLOAD_ALLOWED_ORIGIN", "a.example\nb.example")
    values = parsed(["send", "x.mp4"]).params
    assert list(values["meta"]) == ["team=red blue", "place=far off"]
    assert list(values["allowed_origin"]) == ["a.example", "b.example"]


# --- a flag beats a variable ---------------------------------------------------------------------


@pytest.mark.parametrize("line", ["--stats 1s probe", "probe --stats 1s"])
def test_a_flag_beats_its_variable_wherever_it_stands(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("CFUPLOAD_STATS", "5s")
    assert probe(*line.split()).stats == "1s"


def test_a_flag_after_the_command_beats_one_before_it(probe: Probe) -> None:
    assert probe("--stats", "1s", "probe", "--stats", "2s").stats == "2s"


@pytest.mark.parametrize("line", ["--json probe", "probe --json"])
def test_a_flag_beats_a_variable_that_contradicts_it(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("CFUPLOAD_QUIET", "1")
    assert probe(*line.split()).mode == "json"


def test_a_profile_on_the_line_beats_a_variable_for_the_embedded_stream(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_LOCAL", "1")
    assert probe("probe").local
    assert not probe("probe", "--profile", "work").local


@pytest.mark.parametrize("line", ["--no-quiet probe", "probe --no-quiet"])
def test_a_flag_that_a_variable_set_can_be_taken_back(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("CFUPLOAD_QUIET", "1")
    assert probe(*line.split()).mode == "text"


def test_colours_can_be_taken_back_too(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFUPLOAD_NO_COLOR", "1")
    assert probe("probe", "--color").no_color is False


def test_every_flag_that_a_variable_sets_can_be_taken_back() -> None:
    for page in COMMANDS:
        for one in page.options:
            if one.variable and not one.metavar and one.long != "--verbose":
                assert one.no, one


def test_one_flag_of_the_fields_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFUPLOAD_REQUIRE_SIGNED_URLS", "1")
    assert parsed(["send", "x"]).params["require_signed_urls"] is True
    line = ["send", "--no-require-signed-urls", "x"]
    assert parsed(line).params["require_signed_urls"] is False


# --- contradictions and bad values ---------------------------------------------------------------


@pytest.mark.parametrize("line", ["--json -q probe", "--json probe --ndjson", "probe -q --ndjson"])
def test_two_flags_that_contradict_each_other_are_refused(probe: Probe, line: str) -> None:
    with pytest.raises(UsageProblem, match="contradict"):
        probe(*line.split())


def test_local_and_a_profile_contradict_each_other(probe: Probe) -> None:
    with pytest.raises(UsageProblem, match="--local and --profile"):
        probe("--local", "probe", "--profile", "work")


def test_two_variables_that_contradict_each_other_are_named(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_QUIET", "1")
    monkeypatch.setenv("CFUPLOAD_JSON", "1")
    with pytest.raises(UsageProblem) as caught:
        probe("probe")
    assert caught.value.message == "CFUPLOAD_JSON and CFUPLOAD_QUIET contradict each other"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STALL_TIMEOUT", "soon"), ("CHUNK_SIZE", "big"), ("CHUNK_SIZE", "1M"), ("STATS", "x"),
        ("RETRIES", "many"), ("RETRIES", "-1"), ("QUIET", "perhaps"), ("VERBOSE", "very"),
        ("ON_FAILURE", "kep"), ("THUMBNAIL_PCT", "7"), ("META", "novalue"), ("LABEL", "a b"),
        ("WATERMARK", "x"), ("PROXY", "ftp://x"), ("CA_CERT", "/nowhere"),
        ("OUTPUT_FILE", "/nowhere/x"), ("LOG_FILE", "/nowhere/x"),
    ],
)  # fmt: skip
def test_a_bad_value_in_a_variable_names_the_variable(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, text in ACCOUNT.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv(f"CFUPLOAD_{variable}", value)
    assert run(["send", "x.mp4"]) in (2, 3)
    error, hint = capfd.readouterr().err.splitlines()
    assert f"CFUPLOAD_{variable}" in error
    assert hint.startswith("  hint: ")


def test_a_bad_value_on_the_line_names_the_option_although_the_variable_is_set(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CFUPLOAD_STALL_TIMEOUT", "5s")
    assert run(["send", "--stall-timeout", "soon", "x.mp4"]) == 2
    assert capfd.readouterr().err.startswith("error: --stall-timeout: 'soon' is no time")
