"""A real browser goes through a whole slide: start, watch, correct one cell, end, export."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from served import Served, field_file, field_folder, serving, wait_for

from allnet_edge.device.service.settings import ServiceSettings
from allnet_edge.intended import RESEARCH_USE

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
SMALL, LARGE = (800, 480), (1440, 900)
TOKEN = "0123456789-abcdefghij"  # noqa: S105 - of a test

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="Debian's chromium is not installed (.ci/debian-packages)"
)


@dataclass
class Seen:
    """What a page did besides what it showed."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def looking(browser, url: str, size: tuple[int, int] = LARGE, **options) -> Iterator[tuple]:
    """A page with what it asked for and what it complained of."""
    seen = Seen()
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **options
    )
    page = context.new_page()
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: seen.complaints.append(said.text) if said.type == "error" else None,
    )
    page.goto(url)
    page.wait_for_selector("#lamp:not([data-state=starting])")
    try:
        yield page, seen
    finally:
        context.close()


def through_a_slide(browser, running: Served, name: str, size: tuple[int, int]) -> dict:
    """The whole way of a slide; what the store has of it at the end."""
    with looking(browser, running.url, size) as (page, seen):
        assert page.get_by_text(RESEARCH_USE).first.is_visible()
        page.click("#start")
        page.fill("#name", name)
        page.keyboard.press("Enter")
        page.wait_for_selector("#lamp[data-state=running], #lamp[data-state=finished]")
        assert page.inner_text("#slide-name") == name
        if page.is_visible("#tab-cells"):
            page.click("#tab-cells")
        page.wait_for_selector("#gallery button:not(.none)")
        page.wait_for_selector("#outlines .cell", state="attached")
        cell = page.get_attribute("#gallery button:not(.none)", "data-cell")
        page.click(f"#gallery button[data-cell='{cell}']")
        page.click("#verdicts [data-verdict=not_a_cell]")
        page.wait_for_selector("#verdicts [data-verdict=not_a_cell][aria-pressed=true]")
        page.keyboard.press("Escape")
        page.wait_for_selector(f"#gallery button[data-cell='{cell}'] .note:has-text('not a cell')")
        page.click("#end")
        page.click("#end-form button[type=submit]")
        page.wait_for_selector("#start:visible")
        if page.is_visible("#tab-summary"):
            page.click("#tab-summary")
        page.wait_for_selector("#summary dt:has-text('corrected')")
        files = {}
        for form in ("csv", "json"):
            with page.expect_download() as waiting:
                page.click(f"#summary a[href$='export.{form}']")
            files[form] = Path(waiting.value.path()).read_text()
    assert seen.hosts == {urlsplit(running.url).netloc}
    assert not seen.complaints
    rows = csv.DictReader(
        io.StringIO("\n".join(row for row in files["csv"].splitlines() if not row.startswith("#")))
    )
    corrected = [row for row in rows if row["correction"]]
    assert [(row["cell"], row["correction"]) for row in corrected] == [(cell, "not_a_cell")]
    return json.loads(files["json"])


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_a_whole_slide_with_phantom_fields(browser, served_bundle, tmp_path, size):
    source = field_folder(tmp_path / "fields", 8)
    with serving(
        served_bundle, tmp_path / "store", source=str(source), rate_hz=4.0, repeat=True
    ) as running:
        kept = through_a_slide(browser, running, "phantom <b>1</b>", size)
    assert kept["slide"]["name"] == "phantom <b>1</b>"
    assert kept["slide"]["state"] == "ended"
    assert kept["slide"]["corrected"] == 1


def test_a_whole_slide_with_real_fields(browser, served_bundle, tmp_path, shared_data):
    fields = sorted((shared_data / "bccd" / "JPEGImages").glob("*.jpg"))[:24]
    if not fields:
        pytest.skip("the BCCD fields are absent")
    source = tmp_path / "fields"
    source.mkdir()
    for path in fields:
        (source / path.name).symlink_to(path.resolve())
    with serving(
        served_bundle, tmp_path / "store", source=str(source), rate_hz=4.0, repeat=True
    ) as running:
        kept = through_a_slide(browser, running, "real fields", LARGE)
    assert kept["slide"]["cells"] >= 1


def test_on_a_small_screen_nothing_has_to_be_scrolled_for(browser, served):
    with looking(browser, served.url, SMALL) as (page, _):
        sizes = page.evaluate(
            "() => [document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
        )
        assert sizes == [480, 800]
        for name in ("#start", "#stage", "#theme", "#help", "#tab-trust", ".foot .research"):
            box = page.locator(name).bounding_box()
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= 800
            assert box["y"] + box["height"] <= 480


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_what_is_touched_is_large_enough(browser, served, size):
    slide = served.start_slide("touched")
    served.send(field_file(2))
    with looking(browser, served.url, size) as (page, _):
        for tab in ("1", "2", "3"):
            page.keyboard.press(tab)
            page.wait_for_timeout(300)
            for one in page.query_selector_all("button:visible, select:visible, a:visible"):
                box = one.bounding_box()
                assert box["width"] >= 44, one.inner_text()
                assert box["height"] >= 44, one.inner_text()
    served.client.post(f"/api/v1/slides/{slide}/end")


def test_all_can_be_done_with_the_keyboard(browser, served):
    with looking(browser, served.url, SMALL) as (page, seen):
        page.wait_for_selector("#start:enabled")
        page.keyboard.press("s")
        page.keyboard.type("by keys")
        page.keyboard.press("Enter")
        page.wait_for_selector("#lamp[data-state=running]")
        field = served.send(field_file(5)).json()
        page.keyboard.press("2")
        page.wait_for_selector("#gallery button:not(.none)")
        page.keyboard.press("r")
        page.wait_for_selector("#cell-dialog[open]")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("d")
        page.wait_for_selector("#verdicts [data-verdict=disagree][aria-pressed=true]")
        page.keyboard.press("a")  # the newer word replaces the older one
        page.wait_for_selector("#verdicts [data-verdict=agree][aria-pressed=true]")
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#start:visible")
    assert not seen.complaints
    said = served.client.get(f"/api/v1/slides/{field['slide']}").json()
    assert (said["name"], said["state"], said["corrected"]) == ("by keys", "ended", 1)


def test_every_control_has_a_name_and_a_visible_focus(browser, served):
    with looking(browser, served.url) as (page, _):
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, a")].filter((one) =>
                 !(one.getAttribute("aria-label") || one.innerText || one.labels?.length))
                 .map((one) => one.outerHTML)"""
        )
        assert not unnamed
        for _ in range(4):
            page.keyboard.press("Tab")
            width = page.evaluate(
                "() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
            )
            assert width >= 2


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_dark_and_light_follow_the_system_and_the_switch(browser, served, scheme):
    def ground(page) -> int:
        words = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in words[4:-1].split(","))

    with looking(browser, served.url, color_scheme=scheme) as (page, _):
        assert (ground(page) < 200) == (scheme == "dark")
        page.click("#theme")
        assert (ground(page) < 200) == (scheme == "light")
        page.reload()
        page.wait_for_selector("#lamp:not([data-state=starting])")
        assert (ground(page) < 200) == (scheme == "light")


def test_what_has_to_be_known_is_in_view(browser, served):
    with looking(browser, served.url) as (page, _):
        words = page.inner_text("body")
    for needed in (
        "Gate: pass", "Not calibrated", "Phantom", RESEARCH_USE, "onnx.fp32", "SHA-256",
        "not calibrated",
    ):  # fmt: skip
        assert needed in words


def test_the_page_comes_back_when_the_server_was_away(browser, served_bundle, tmp_path):
    with serving(served_bundle, tmp_path / "store") as running:
        port = int(running.url.rpartition(":")[2])
        with looking(browser, running.url) as (page, _):
            running.end()
            page.wait_for_selector("#lamp[data-state=offline]")
            wait_for(lambda: running.desk.hub.readers == 0)
            running.desk.close()
            again = ServiceSettings(port=port)
            with serving(served_bundle, tmp_path / "other", settings=again):
                page.wait_for_selector("#lamp[data-state=idle]", timeout=20_000)


def test_the_login(browser, served_bundle, tmp_path):
    settings = ServiceSettings(port=0, token=TOKEN)
    with serving(served_bundle, tmp_path / "store", settings=settings) as running:
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        assert page.url.endswith("/login")
        page.fill("#token", "not the token at all")
        page.click("button")
        assert page.get_by_role("alert").inner_text() == "This is not the token."
        page.fill("#token", TOKEN)
        page.click("button")
        page.wait_for_selector("#lamp[data-state=idle]")
        assert TOKEN not in page.url
        assert page.evaluate("() => document.cookie") == ""
        page.click("#help")
        page.click("#logout button")
        page.wait_for_url("**/login")
        context.close()
