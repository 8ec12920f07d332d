"""The embedded Stream's pages in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from served import MIB, Served

from cfstream_upload import Policy, errors, send
from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.footage import padded_mp4
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running
from cfstream_upload.emulator.stage import staged

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=15_000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
# No word to anybody but the server: CI has no network, and no display or user namespaces either.
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required", "--mute-audio", "--no-proxy-server",
]  # fmt: skip
ODD_NAME = '"><img src=x onerror=alert(1)>\u202egpj.4pm'
LONG_NAME = "a-name-without-any-place-to-break-it-" * 4 + ".mp4"

SAMPLE_WIDTH = 320

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        browser.new_context().close()
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Open]:  # noqa: ANN401  # Playwright may be missing
    """Open a page; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def show(address: str, *, strict: bool = True, **options: Any) -> Any:  # noqa: ANN401
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        if strict:
            page.on("console", lambda said: complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield show
    for context in contexts:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def root(stream: Served) -> str:
    return stream.environment["CLOUDFLARE_API_BASE_URL"].removesuffix("/client/v4") + "/"


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Where uploads run: Playwright has the test's own thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def row(page: Any, kind: str = "") -> Any:  # noqa: ANN401
    return page.locator(f"#videos li{kind}")


def create(model: Stream, name: str, length: int, **meta: str) -> str:
    entries = {"name": name, **meta}
    encoded = (f"{key} {base64.b64encode(entries[key].encode()).decode()}" for key in entries)
    headers = {
        "authorization": f"Bearer {model.token}",
        "tus-resumable": "1.0.0",
        "upload-length": str(length),
        "upload-metadata": ",".join(encoded),
    }
    path = f"/client/v4/accounts/{model.account}/stream"
    reply = model(Request("POST", path, {"direct_user": "true"}, headers))
    assert reply.status == 201
    return reply.headers["stream-media-id"]


def put(model: Stream, name: str, content: bytes, **meta: str) -> str:
    """Place a whole video, by the shortest way."""
    uid = create(model, name, len(content), **meta)
    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "application/offset+octet-stream",
        "upload-offset": "0",
    }
    reply = model(Request("PATCH", f"/tus/{uid}", (), headers, [content]))
    assert reply.status == 204
    return uid


def environment(endpoint: Endpoint) -> dict[str, str]:
    return {
        "CLOUDFLARE_API_BASE_URL": endpoint.base_url,
        "CLOUDFLARE_ACCOUNT_ID": endpoint.account,
        "CLOUDFLARE_API_TOKEN": endpoint.token,
    }


def sample() -> bytes:
    from cfstream_upload.emulator.footage import sample

    return sample()


# --- an upload, watched --------------------------------------------------------------------------


@needs_ffmpeg
def test_an_upload_is_watched_from_its_first_bytes_until_it_plays(
    stream: Served, root: str, show: Open, aside: ThreadPoolExecutor
) -> None:
    page = show(root)
    expect(page.locator("#empty")).to_be_visible()
    stream.proxy.limit_rate(3 * MIB)
    sent = aside.submit(send, stream.file("lake.mp4", 8 * MIB))
    expect(row(page, ".pending .name")).to_have_text("lake.mp4")
    bar = row(page).get_by_role("progressbar")
    seen = set()
    while row(page, ".pending").count():
        # All at once: asked for one, the bar is waited for, and it may have gone by now.
        seen.update(bar.evaluate_all("all => all.map(one => Number(one.ariaValueNow))"))
        page.wait_for_timeout(100)
    assert len(seen & set(range(1, 100))) >= 2, "the bar moved"
    assert sent.result(30).uid == stream.videos()[0]["uid"]
    expect(row(page, ".ready .state")).to_have_text("ready")
    expect(page.locator("#news")).to_contain_text("lake.mp4 is ready")
    picture = row(page).locator("img")
    expect(picture).to_have_attribute("src", re.compile("/thumbnail$"))
    stream.wait_until(lambda: picture.evaluate("image => image.naturalWidth") == SAMPLE_WIDTH)
    row(page).get_by_role("link").click()
    player = page.locator("#player")
    expect(player).to_be_visible()
    player.evaluate("player => { player.muted = true; return player.play(); }")
    stream.wait_until(lambda: player.evaluate("player => player.currentTime") > 0.3)


def test_a_failed_upload_vanishes_and_its_retry_leaves_nothing_pending(
    stream: Served, root: str, show: Open, aside: ThreadPoolExecutor
) -> None:
    page = show(root)
    file = stream.file("storm.mp4", 8 * MIB)
    stream.proxy.limit_rate(5 * MIB)
    stream.proxy.die_after(4 * MIB)
    failed = aside.submit(send, file, policy=Policy(retries=0))
    expect(row(page, ".pending")).to_have_count(1)
    expect(page.locator("#pending-total")).to_have_text("1")
    assert isinstance(failed.exception(30), errors.CfuploadError)
    expect(row(page)).to_have_count(0)
    expect(page.locator("#news")).to_contain_text("storm.mp4 is gone, nothing pending of it")
    stream.proxy.revive()
    stream.proxy.limit_rate(None)
    aside.submit(send, file).result(30)
    expect(row(page, ".ready")).to_have_count(1)
    expect(page.locator("#pending-total")).to_have_text("0")
    expect(page.get_by_text("pending upload")).to_have_count(0)
    assert "pending" not in page.title()


# --- what can be done ----------------------------------------------------------------------------


def test_a_video_is_deleted_by_keyboard_once_the_question_is_answered(
    stream: Served, root: str, show: Open
) -> None:
    kept, unwanted = put(stream.model, "kept.mp4", sample()), create(stream.model, "b.mp4", 99)
    page = show(root)
    button = page.get_by_role("button", name="Delete b.mp4")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("b.mp4")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row(page)).to_have_count(1)
    expect(page.get_by_role("link", name="kept.mp4")).to_be_focused()
    assert [video["uid"] for video in stream.videos()] == [kept]
    assert unwanted != kept


def test_a_video_deleted_on_its_own_page_says_that_it_is_gone(
    stream: Served, root: str, show: Open
) -> None:
    uid = put(stream.model, "a.mp4", sample(), team="film")
    page = show(f"{root}videos/{uid}")
    expect(page.locator("#facts")).to_contain_text("film")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#note")).to_have_text("This video is gone.")
    assert stream.videos() == []


def test_a_button_sets_a_fault_which_strikes_and_is_logged(
    show: Open, aside: ThreadPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Stream(data=tmp_path / "data")
    with staged(model) as stage:
        for name, value in environment(stage.endpoint).items():
            monkeypatch.setenv(name, value)
        page = show(f"http://127.0.0.1:{stage.endpoint.port}/")
        page.get_by_role("button", name="Cut the next chunk").click()
        faults = page.locator("#fault-list li")
        expect(faults).to_contain_text("PATCH 1 cut=1MB struck 0 of 0 · 1 left")
        file = padded_mp4(tmp_path / "cut.mp4", 8 * MIB, sparse=True)
        assert aside.submit(send, file).result(60).retries == 1
        expect(row(page, ".ready")).to_have_count(1)
        expect(faults).to_contain_text("struck 1 of")
        expect(page.locator("#log tr.struck")).to_contain_text("PATCH 1 cut=1MB")
        expect(page.locator("#log tr", has_text="POST videos")).to_contain_text("201")
        page.get_by_role("button", name="Remove PATCH 1 cut=1MB").click()
        expect(page.locator("#fault-none")).to_be_visible()
        assert stage.faulty.standing() == []
        page.close()


def test_a_fault_that_cannot_be_read_is_explained(show: Open) -> None:
    with staged(Stream()) as stage:
        # The browser's console tells of a refused request, whatever the page does with it.
        page = show(f"http://127.0.0.1:{stage.endpoint.port}/", strict=False)
        page.get_by_label("Another").fill("PATCH sideways")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("sideways is nothing that can happen")
        expect(page.get_by_label("Another")).to_have_value("PATCH sideways")
        page.get_by_label("Another").fill("POST 1 lose")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#fault-list")).to_contain_text("POST 1 lose")
        expect(page.get_by_role("alert")).to_be_empty()
        expect(page.get_by_label("Another")).to_have_value("")
        page.close()


# --- how it looks --------------------------------------------------------------------------------

CONTRASTS = """() => {
  const channel = (c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const told = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "NOSCRIPT") continue;
    const pair = [parts(getComputedStyle(element).color), behind(element)].map(light);
    const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    told.push([ratio, element.textContent]);
  }
  return told;
}"""


@pytest.fixture
def full(stream: Served) -> str:
    """An account with one of each; give the UID of a whole video."""
    create(stream.model, LONG_NAME, 5_000_000_000)
    put(stream.model, "no-video.pdf", b"%PDF-1.4")
    return put(stream.model, ODD_NAME, sample(), **{LONG_NAME[:60]: LONG_NAME})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    full: str, root: str, show: Open, scheme: str
) -> None:
    for address in (root, f"{root}videos/{full}"):
        page = show(address, color_scheme=scheme)
        expect(page.get_by_text("ready", exact=True).first).to_be_visible()
        expect(page.locator("#line")).to_have_text("live")
        ratios = page.evaluate(CONTRASTS)
        assert len(ratios) > 8
        assert [pair for pair in ratios if pair[0] < 4.5] == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"
        assert dark == (scheme == "dark")


def test_a_phone_needs_no_sideways_scrolling(full: str, root: str, show: Open) -> None:
    for address in (root, f"{root}videos/{full}"):
        page = show(address, viewport={"width": 360, "height": 740})
        expect(page.get_by_text("ready", exact=True).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_everything_that_can_be_used_is_reached_by_tab_and_shows_it(
    full: str, root: str, show: Open
) -> None:
    page = show(root)
    expect(row(page)).to_have_count(3)
    usable = "a, button, input, [tabindex='0']"
    count = page.evaluate(
        "all => [...document.querySelectorAll(all)].filter((e) => e.checkVisibility()).length",
        usable,
    )
    for _ in range(count):
        page.keyboard.press("Tab")
        page.evaluate("document.activeElement.dataset.reached = 1")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    assert page.locator("[data-reached]").count() == count >= 6


# --- what strangers send -------------------------------------------------------------------------


def test_a_name_with_markup_and_turning_characters_is_text(
    full: str, root: str, show: Open
) -> None:
    page = show(root)
    shown = ODD_NAME.replace("\u202e", "\\u202e")
    expect(page.get_by_role("link", name=shown)).to_be_visible()
    page = show(f"{root}videos/{full}")
    expect(page.locator("h1")).to_have_text(shown)
    assert page.locator("img[src=x]").count() == 0


def test_the_browser_runs_no_script_and_loads_nothing_but_the_pages_own(
    root: str, show: Open
) -> None:
    page = show(root, strict=False)
    violated = page.evaluate("""() => new Promise((resolve) => {
      document.addEventListener("securitypolicyviolation", (e) => resolve(e.effectiveDirective));
      const picture = document.createElement("img");
      picture.src = "http://127.0.0.2/picture.png";
      document.body.append(picture);
    })""")
    assert violated == "img-src"
    with pytest.raises(playwright.Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<p>'")
    with pytest.raises(playwright.Error, match="TrustedScript"):
        page.add_script_tag(content="document.title = 'foreign'")
    assert page.title() == "Embedded Stream"


def test_where_only_digests_are_kept_the_page_says_so(show: Open) -> None:
    model = Stream()
    uid = put(model, "a.mp4", sample())
    with running(model) as endpoint:
        page = show(f"http://127.0.0.1:{endpoint.port}/videos/{uid}")
        expect(page.locator("#note")).to_contain_text("keeps only the digest")
        expect(page.locator("#player")).to_be_hidden()
        page.close()
