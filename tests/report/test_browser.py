"""The page in headless Chromium, opened from disk: what its viewer shows and what it answers to."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mechlearn as ml
from mechlearn.evaluation.volume_forecast import forecast_volume
from mechlearn.records import SizeReading
from mechlearn.report.viewer import DrawnVolume
from mechlearn.report.volume_page import ShownScan, write_volume_page

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
               None)  # fmt: skip
NO_BROWSER = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
pytestmark = [pytest.mark.slow, NO_BROWSER]
SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", "--no-sandbox"]  # fmt: skip


@pytest.fixture(scope="module")
def page_file(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a map, a later visit, and one slice drawn twice: all white, and all black."""
    patient = ml.Patient.from_csv(manifest, "p4")
    made = forecast_volume(patient, 150.0)
    assert made.scan is not None
    assert made.arrival is not None
    assert made.growth_map is not None
    volumes = dict(zip(made.contrasts, made.scan.volumes, strict=True))
    volumes["t1n"] = np.where(made.scan.brain, volumes["t1n"].max() - volumes["t1n"], 0)
    z = int(made.arrival.present.sum((1, 2)).argmax())
    white = {name: np.full_like(v, v.max()) for name, v in volumes.items()}
    black = {name: np.zeros_like(v) for name, v in volumes.items()}
    drawn = [DrawnVolume("median volume", white, (z,)),
             DrawnVolume("what if, " + "a long choice " * 4, black, (z,))]  # fmt: skip
    scan = ShownScan(volumes, made.arrival.present, made.scan.brain, made.scan.affine,
                     [made.growth_map], drawn, later=made.mask(0.2))  # fmt: skip
    return write_volume_page(
        tmp_path_factory.mktemp("page") / "p <4>.html", patient="<script>alert(1)</script>",
        series=made.series, sizes=[made.size], scan=scan, truth=SizeReading(150.0, 900.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as machine:
        browser = machine.chromium.launch(executable_path=BROWSER, args=SOFTWARE)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """opened(width) -> the page, ready; in the end nothing was fetched and nothing complained."""
    faults: list[str] = []
    contexts = []

    def open_page(width: int = 1200, script: str = "", **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        context.add_init_script(script)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("dialog", lambda d: faults.append(d.message))
        page.on("request", lambda r: faults.append(r.url)
                if not r.url.startswith(("file://", "data:", "blob:")) else None)  # fmt: skip
        page.goto(page_file.as_uri())
        page.wait_for_selector("#viewer.ready", timeout=30_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def pixels(page: Any) -> np.ndarray:
    """The viewer's picture, (H, W, 3) int."""
    page.wait_for_selector('#viewer[aria-busy="false"]')
    shot = page.locator("#viewer-canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def coloured(picture: np.ndarray) -> int:
    """Pixels of the map or the later outline: more red than blue by far."""
    return int((picture[..., 0] - picture[..., 2] > 60).sum())


def slide(page: Any, name: str, value: int) -> None:
    page.locator(f"#viewer-{name}").fill(str(value))


def test_the_map_follows_threshold_and_opacity(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("#viewer-later").uncheck()
    full = coloured(pixels(page))
    assert full > 200
    slide(page, "threshold", 95)
    assert 0 < coloured(pixels(page)) < 0.9 * full
    slide(page, "opacity", 0)
    assert coloured(pixels(page)) == 0


def test_the_slider_leads_from_the_last_scan_to_the_drawn_one(opened: Callable[..., Any]) -> None:
    page = opened()
    page.select_option("#viewer-map", "none")
    page.get_by_role("button", name="axial", exact=True).click()
    before = pixels(page).mean()
    slide(page, "blend", 50)
    half = pixels(page).mean()
    slide(page, "blend", 100)
    assert before + 5 < half < pixels(page).mean() - 5
    assert "this slice is drawn" in page.inner_text("#viewer-status")


def test_one_drawn_scan_is_compared_with_another(opened: Callable[..., Any]) -> None:
    page = opened()
    page.select_option("#viewer-map", "none")
    page.get_by_role("button", name="axial", exact=True).click()
    page.select_option("#viewer-from", "drawn0")
    page.select_option("#viewer-drawn", "drawn1")
    white = pixels(page).mean()
    slide(page, "blend", 100)
    assert white > pixels(page).mean() + 10
    page.select_option("#viewer-from", "scan")
    slide(page, "blend", 0)
    assert white > pixels(page).mean() + 5


def test_the_later_visit_has_an_outline_of_its_own(opened: Callable[..., Any]) -> None:
    page = opened()
    page.select_option("#viewer-map", "none")
    assert coloured(pixels(page)) > 20
    page.locator("#viewer-later").uncheck()
    assert coloured(pixels(page)) == 0


def test_keys_and_slider_move_through_the_slices(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_role("button", name="axial", exact=True).click()
    first, here = pixels(page), page.locator("#viewer-slice").input_value()
    page.locator("#viewer-canvas").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert int(page.locator("#viewer-slice").input_value()) == int(here) + 2
    assert (pixels(page) != first).any()
    page.locator("#viewer-slice").fill(here)
    assert np.abs(pixels(page) - first).mean() < 1


def test_each_contrast_can_be_shown(opened: Callable[..., Any]) -> None:
    page = opened()
    first = pixels(page)
    page.select_option("#viewer-contrast", "t1n")
    assert np.abs(pixels(page) - first).mean() > 0.5


def test_it_fits_a_phone_in_the_dark_and_paper(opened: Callable[..., Any]) -> None:
    page = opened(390, color_scheme="dark", has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert pixels(page).max() > 100
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert sum(map(int, ink[4:-1].split(","))) > sum(map(int, paper[4:-1].split(",")))
    assert not page.evaluate("""[...document.querySelectorAll("#viewer *")].filter(
        (e) => e.getBoundingClientRect().right > innerWidth).length""")
    page.emulate_media(media="print")
    assert not page.locator("#viewer").is_visible()
    assert page.locator("figure.beside").first.is_visible()


COUNTED = """
window.decoded = 0;
const stream = window.DecompressionStream;
window.DecompressionStream = function (kind) { window.decoded++; return new stream(kind); };
"""


def test_a_volume_is_decoded_when_it_is_first_shown(opened: Callable[..., Any]) -> None:
    """At first: scan, map, two outlines."""
    page = opened(script=COUNTED)
    assert page.evaluate("window.decoded") == 4
    slide(page, "blend", 50)
    pixels(page)
    assert page.evaluate("window.decoded") == 5
    page.select_option("#viewer-contrast", "t1n")  # its scan, and its drawn slices
    pixels(page)
    assert page.evaluate("window.decoded") == 7
    slide(page, "blend", 100)
    pixels(page)
    assert page.evaluate("window.decoded") == 7
