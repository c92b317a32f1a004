"""`flowstream show`: what it draws of stacks, videos and fields, where to, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from flowstream import synthetic
from flowstream.flow.files import read_flow, write_flow
from flowstream.view import STYLES, draw_panel, find_scale, open_clip
from tests.command_line import call, output, refusal
from tests.small_stack import SIZE, make_pan, make_stack


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return make_stack(tmp_path / "clip.h5")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Eight frames of a pan."""
    return make_pan(tmp_path / "pan.mkv", frames=8)


def read_picture(path: Path) -> Any:
    return np.asarray(Image.open(path).convert("RGB"))


def expected(path: Path, k: int, *, style: str = "wheel", **options: Any) -> Any:
    with open_clip(path) as clip:
        drawn = STYLES[style]
        scale = options.pop("scale", None) or find_scale(clip, drawn, range(k, k + 1))
        return draw_panel(clip, k, drawn, scale=scale, **options)


@pytest.mark.parametrize("style", STYLES)
def test_each_style_is_written_as_a_picture_whose_path_is_printed(stack: Path, style: str) -> None:
    out = stack.with_name("out.png")
    assert output("show", stack, "--at", "1", "--style", style, "-o", out) == f"{out}\n"
    assert np.array_equal(read_picture(out), expected(stack, 1, style=style))


def test_the_frame_is_put_beside_the_drawing(stack: Path) -> None:
    out = stack.with_name("out.png")
    output("show", stack, "--with-rgb", "--scale", "4", "-o", out)
    assert np.array_equal(read_picture(out), expected(stack, 0, scale=4.0, with_rgb=True))


def test_a_time_names_the_field_that_is_shown_then(stack: Path) -> None:
    one, other = stack.with_name("a.png"), stack.with_name("b.png")
    output("show", stack, "--at", "0.05s", "-o", one)
    output("show", stack, "--at", "1", "-o", other)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("suffix", [".flo", ".png", ".pfm"])
def test_a_flow_file_is_drawn(suffix: str, tmp_path: Path) -> None:
    _, _, truth = synthetic.rotation(degrees=5, size=SIZE, seed=1)
    flow, out = tmp_path / f"a{suffix}", tmp_path / "out.png"
    write_flow(flow, truth[0])
    output("show", flow, "-o", out)
    assert np.array_equal(read_picture(out), expected(flow, 0))
    assert read_flow(flow).shape == (2, *SIZE)


def test_the_flow_of_a_video_is_estimated_and_not_kept(video: Path) -> None:
    out = video.with_name("out.png")
    before = set(video.parent.iterdir())
    output("show", video, "--method", "dis", "--at", "3", "-o", out)
    assert set(video.parent.iterdir()) == {*before, out}
    text = output("show", video, "--method", "dis", "--at", "3", "--terminal", "arrows")
    lines = text.splitlines()
    assert lines[-2] == "pan  ·  field 3  ·  frames 3 to 4  ·  0.12 s  ·  dis medium"
    # a pan to the right and slightly up
    assert {letter for line in lines[:-2] for letter in line} <= set("→ ")


@pytest.mark.parametrize(("suffix", "at"), [(".mp4", "all"), (".gif", "1:5"), (".webp", "1:5")])
def test_films_have_a_picture_for_each_selected_field(video: Path, suffix: str, at: str) -> None:
    out = video.with_name(f"film{suffix}")
    output("show", video, "--method", "dis", "--at", at, "--style", "arrows", "-o", out)
    count = 7 if at == "all" else 4
    if suffix == ".mp4":
        with av.open(str(out)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name in ("h264", "vp9")
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert float(stream.average_rate) == pytest.approx(25)
            assert sum(1 for _ in container.decode(video=0)) == count
    else:
        with Image.open(out) as film:
            assert film.n_frames == count


def test_a_sheet_has_a_row_for_each_clip(stack: Path) -> None:
    make_stack(stack.with_name("other.h5"))
    sheet, single = stack.with_name("sheet.png"), stack.with_name("single.png")
    output("show", stack.parent, "--sheet", sheet)
    output("show", stack, "--sheet", single)
    two, one = read_picture(sheet), read_picture(single)
    assert two.shape[1] == one.shape[1]
    margins_and_title = 32 + 44
    assert two.shape[0] - margins_and_title == 2 * (one.shape[0] - margins_and_title)


def test_a_sheet_passes_over_repeated_frames(stack: Path) -> None:
    moving, stuttering = stack.with_name("moving.h5"), stack.with_name("stuttering.h5")
    make_stack(moving, speeds=(2.0,) * 12)
    make_stack(stuttering, speeds=(2.0, 0.0, 0.0) * 4)
    sheets = []
    for clip in (moving, stuttering):
        sheet = clip.with_name("sheet.png")
        output("show", clip, "--sheet", sheet, "--scale", "2")
        sheets.append(read_picture(sheet))
    # the last row of pixels of the pictures, above the times, which differ
    assert np.array_equal(sheets[0][180], sheets[1][180])


def test_a_broken_clip_leaves_the_sheet_of_the_others(stack: Path) -> None:
    broken = stack.with_name("broken.h5")
    broken.write_bytes(stack.read_bytes()[:3000])
    sheet = stack.with_name("sheet.png")
    result = call("show", stack.parent, "--sheet", sheet)
    assert result.exit_code == 1
    assert str(broken) in result.stderr
    assert "1 of 2 clips" in result.stderr
    assert sheet.is_file()


def test_pictures_are_replaced_and_nothing_else_is_left(stack: Path) -> None:
    out = stack.parent / "new" / "out.jpg"
    for at in ("0", "2"):
        output("show", stack, "--at", at, "-o", out)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("kind", ["truecolour", "256", "sixel", "kitty"])
def test_terminals_get_their_own_kind_of_picture(stack: Path, kind: str) -> None:
    text = output("show", stack, "--at", "1", "--terminal", kind)
    starts = {"truecolour": "\x1b[38;2;", "256": "\x1b[38;5;", "sixel": "\x1bPq", "kitty": "\x1b_G"}
    assert text.startswith(starts[kind])
    assert "field 1" in text


def test_a_pipe_gets_characters_only(stack: Path) -> None:
    text = output("show", stack, "--at", "1")
    assert "\x1b" not in text
    assert "→" in text or ">" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "-1"), "expected a field number"),
        (("--at", "soon"), "expected a field number"),
        (("--at", "0:2"), "needs an animation"),
        (("--at", "0:2", "-o", "a.png"), "needs an animation"),
        (("--at", "1", "-o", "a.mp4"), "is an animation"),
        (("-o", "a.h5"), "ends in .png"),
        (("--scale", "0"), "above 0"),
        (("--scale", "nan"), "above 0"),
        (("--style", "whel"), "Did you mean 'wheel'"),
        (("--speed", "0"), "above 0"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    stack: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refusal(2, "show", stack, *arguments)


def test_a_field_that_is_not_there_is_an_error(stack: Path) -> None:
    for at in ("3", "9s"):
        message = refusal(1, "show", stack, "--at", at)
        assert "from 0 to 2" in message
        assert "3 fields" in message


def test_frames_that_are_not_stored_are_an_error(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "bare.h5", rgb=False)
    message = refusal(1, "show", stack, "--style", "warp-error")
    assert "--rgb" in message
    output("show", stack, "--style", "overlay", "-o", tmp_path / "out.png")


def test_the_file_that_is_drawn_is_not_overwritten(tmp_path: Path) -> None:
    flow = tmp_path / "flow.png"
    write_flow(flow, np.zeros((2, 6, 8), np.float32))
    before = flow.read_bytes()
    assert "also an input" in refusal(2, "show", flow, "-o", flow)
    assert flow.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_an_error(stack: Path) -> None:
    (stack.parent / "file").write_text("")
    message = refusal(1, "show", stack, "-o", stack.parent / "file" / "out.png")
    assert "cannot write the picture" in message


def test_several_clips_need_a_sheet(stack: Path) -> None:
    make_stack(stack.with_name("other.h5"))
    assert "--sheet" in refusal(2, "show", stack.parent, "-o", stack.with_name("a.png"))
    assert output("show", stack.parent).count("field 0") == 2
