"""Pages in a real browser: scrubbing, reading values, keys, sizes, and no complaints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flowstream import synthetic
from flowstream.codec import CODECS
from flowstream.store import open_stack
from tests.browser import Browser, open_browser
from tests.command_line import call, output, refusal
from tests.small_stack import make_stack, write_fields

SIZE = (60, 80)


def rotating_stack(path: Path, *, codec: str = "centred8") -> Path:
    """Write six frames that turn by 4 degrees each, with their true flow."""
    turns = [synthetic.rotation(degrees=4 * t + 4, size=SIZE, seed=5) for t in range(6)]
    return write_fields(
        path,
        np.stack([truth[0] for *_, truth in turns[:5]]),
        images=[second[0] for _, second, _ in turns],
        codec=CODECS[codec](),
        source="turn.mp4",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rotating_stack(tmp_path_factory.mktemp("pages") / "turn.h5")


@pytest.fixture(scope="module")
def page(stack: Path) -> Path:
    out = stack.with_suffix(".html")
    assert output("view", stack, "-o", out) == f"{out}\n"
    return out


def test_a_page_asks_the_network_for_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text)


def test_scrubbing_and_keys_change_the_picture(browser: Browser, page: Path) -> None:
    browser.resize(1200, 900)
    browser.open(page)
    seen = {browser.screenshot()}
    for key, field in (("\ue014", "1"), ("\ue014", "2"), ("\ue010", "4"), ("\ue011", "0")):
        browser.press(key)
        browser.wait(f"document.getElementById('picture').dataset.field === '{field}'")
        seen.add(browser.screenshot())
    assert len(seen) >= 4
    browser.run(
        "const s = document.getElementById('scrubber'); s.value = 3; s.oninput({target: s})"
    )
    browser.wait("document.getElementById('place').textContent.startsWith('field 3')")
    for key, mode in (("1", "frame"), ("2", "flow"), ("3", "overlay"), ("4", "split")):
        browser.press(key)
        pressed = f"document.querySelector('[data-mode={mode}]').getAttribute('aria-pressed')"
        browser.wait(f"{pressed} === 'true'")
    assert browser.complaints() == []


def test_playing_advances_and_stops(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.press(" ")
    browser.wait("document.getElementById('picture').dataset.field !== '0'")
    browser.press(" ")
    assert browser.run("return document.getElementById('play').textContent") == "Play"


@pytest.mark.parametrize("codec", ["centred8", "float32"])
def test_values_under_the_pointer_equal_those_of_the_stack(
    browser: Browser, tmp_path: Path, codec: str
) -> None:
    path = rotating_stack(tmp_path / "turn.h5", codec=codec)
    output("view", path, "-o", tmp_path / "turn.html")
    browser.resize(1200, 900)
    browser.open(tmp_path / "turn.html")
    browser.press("\ue014")
    browser.wait("document.getElementById('picture').dataset.field === '1'")
    box = browser.run(
        "const b = document.getElementById('picture').getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]"
    )
    with open_stack(path) as opened:
        field = opened.field(1)
        largest = max(float(np.abs(one).max()) for one in opened.fields())
    # half a step of 16-bit codes; 8-bit codes are kept as they are
    tolerance = 1e-6 if codec == "centred8" else largest / 32767
    for across, down in ((0.1, 0.2), (0.5, 0.9), (0.83, 0.31)):
        browser.point(box[0] + across * box[2], box[1] + down * box[3])
        browser.wait("document.getElementById('reading').dataset.x")
        read = browser.run("return {...document.getElementById('reading').dataset}")
        x, y = int(read["x"]), int(read["y"])
        assert (abs(x - across * 80), abs(y - down * 60)) <= (1.5, 1.5)
        assert float(read["exactDx"]) == pytest.approx(field[0, y, x], abs=tolerance)
        assert float(read["exactDy"]) == pytest.approx(field[1, y, x], abs=tolerance)
        assert read["field"] == "1"


def test_a_click_on_the_speed_chart_jumps_there(browser: Browser, page: Path) -> None:
    browser.resize(1200, 1400)
    browser.open(page)
    box = browser.run(
        "const b = document.getElementById('chart').getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]"
    )
    browser.click(box[0] + 0.9 * box[2], box[1] + 0.5 * box[3])
    browser.wait("document.getElementById('picture').dataset.field === '4'")


@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_every_width_and_scheme(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.resize(width, 800, dark=dark)
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    colours = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", colours)[0]) < 80) == dark
    assert browser.complaints() == []


def test_a_stack_without_frames_and_a_single_field_have_pages(
    browser: Browser, tmp_path: Path
) -> None:
    from flowstream.flow.files import write_flow

    bare = make_stack(tmp_path / "bare.h5", rgb=False)
    write_flow(tmp_path / "one.flo", np.ones((2, 30, 40), np.float32))
    for source in (bare, tmp_path / "one.flo"):
        target = source.with_suffix(".html")
        output("view", source, "-o", target)
        browser.open(target)
        assert browser.run("return document.querySelector('[data-mode=frame]').disabled")
        assert browser.complaints() == []


def test_the_index_sorts_groups_and_filters(browser: Browser, tmp_path: Path) -> None:
    for name, speed in (("run/a", 9.0), ("walk/b", 1.0), ("walk/c", 5.0)):
        make_stack(tmp_path / "stacks" / f"{name}.h5", speeds=(speed, speed))
    out = tmp_path / "pages"
    assert output("view", tmp_path / "stacks", "-o", out) == f"{out / 'index.html'}\n"
    assert sorted(file.name for file in (out / "clips").iterdir()) == [
        "run_a.html",
        "walk_b.html",
        "walk_c.html",
    ]
    browser.open(out / "index.html", ready=False)

    def names() -> list[str]:
        found: list[str] = browser.run(
            "return [...document.querySelectorAll('li.clip')].map(clip => clip.dataset.name)"
        )
        return found

    assert names() == ["run/a", "walk/b", "walk/c"]
    change = "; e.dispatchEvent(new Event('input'))"
    browser.run(f"const e = document.getElementById('grouped'); e.checked = false{change}")
    browser.run(f"const e = document.getElementById('order'); e.value = 'speed'{change}")
    assert names() == ["run/a", "walk/c", "walk/b"]
    browser.run(f"const e = document.getElementById('filter'); e.value = 'WALK'{change}")
    assert names() == ["walk/c", "walk/b"]
    links = browser.run("return [...document.querySelectorAll('.clips a')].map(a => a.href)")
    assert all(link.endswith(".html") for link in links)
    assert browser.complaints() == []


def test_a_broken_clip_leaves_the_pages_of_the_others(tmp_path: Path) -> None:
    make_stack(tmp_path / "stacks" / "good.h5")
    (tmp_path / "stacks" / "bad.h5").write_bytes(b"not a stack")
    result = call("view", tmp_path / "stacks", "-o", tmp_path / "pages")
    assert result.exit_code == 1
    assert "bad.h5" in result.stderr
    assert (tmp_path / "pages" / "index.html").is_file()
    assert (tmp_path / "pages" / "clips" / "good.html").is_file()


def test_several_clips_need_a_directory(tmp_path: Path) -> None:
    for name in "ab":
        make_stack(tmp_path / f"{name}.h5")
    assert "directory" in refusal(2, "view", tmp_path, "-o", tmp_path / "page.html")


def test_a_film_plays_in_the_browser(browser: Browser, stack: Path) -> None:
    film = stack.with_name("film.mp4")
    output("show", stack, "--style", "arrows", "-o", film)
    page = stack.with_name("film.html")
    page.write_text('<video id="film" src="film.mp4" muted autoplay loop></video>')
    browser.open(page, ready=False)
    browser.wait("document.getElementById('film').videoWidth > 0")
    browser.wait("document.getElementById('film').currentTime > 0")
    assert browser.run("return document.getElementById('film').error") is None
