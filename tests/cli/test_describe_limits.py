"""`flowstream describe` of what nobody can have: a table, or one line that says why not."""

from __future__ import annotations

import pytest

from flowstream.models import MODELS
from tests.command_line import output, refusal

HUGE = 10**18
SLOW = "slow_fusion"


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize(
    ("lengths", "code", "message"),
    [
        ("16x100000x100000", 1, "got 100000 rows, expected 1 to 65535"),
        ("99999999x112x112", 1, "got 99999999 frames, expected 1 to 10000"),
        ("16x112x999999999999999999999", 1, "columns, expected 1 to 65535"),
        ("16x112x" + 5000 * "9", 2, "expected CxTxHxW, such as 3x16x112x112"),
    ],
)
def test_a_clip_that_no_video_has_is_refused(
    name: str, lengths: str, code: int, message: str
) -> None:
    channels = "" if len(MODELS[name].streams) > 1 else "3x"
    assert message in refusal(code, "describe", name, "--input", channels + lengths)


def test_no_clip_has_thousands_of_channels() -> None:
    line = refusal(1, "describe", SLOW, "--input", "999999999999999999999x1x1x1")
    assert "channels, expected 1 to 1000" in line


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (SLOW, f"widths=[{10**30}]"),
        (SLOW, f"widths=[4,{10**30}]"),
        (SLOW, "pool=" + 4000 * "9"),
        ("nonlocal", f"options.widths=[{HUGE},4]"),
        ("recurrent_conv", f"kernel={HUGE + 1}"),
        ("c3d", f"width={10**10}"),
        ("late_fusion_fc", f"hidden={HUGE}"),
        ("cnn_rnn", f"hidden={HUGE}"),
        ("video_transformer", f"width={3 * HUGE}"),
    ],
)
def test_sizes_beyond_64_bits_are_refused_in_one_line(name: str, settings: str) -> None:
    arguments = ("describe", name, "--set", settings)
    line = refusal(1, *arguments, "--input", "3x16x112x112", "--no-receptive-field")
    assert "sizes: a tensor is too large; expected less than 2^63" in line


@pytest.mark.parametrize("name", [SLOW, "early_fusion", "two_stream", "swin3d_t"])
@pytest.mark.parametrize("batch", [10**12, 10**15, HUGE, 10**30])
def test_a_batch_beyond_64_bits_is_refused_in_one_line(name: str, batch: int) -> None:
    lengths = "16x512x512" if name == "two_stream" else "3x16x512x512"
    arguments = ("describe", name, "--input", lengths, "--no-receptive-field")
    line = refusal(1, *arguments, "--train", "--batch", str(batch))
    assert "smaller clip or batch, fewer classes, or smaller options" in line


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("late_fusion_fc", "hidden=0", "hidden: expected at least 1, got 0"),
        ("cnn_rnn", "hidden=0", "hidden: expected at least 1, got 0"),
        ("cnn_rnn", f"layers={10**9}", "layers: expected 1 to 100, got 1000000000"),
        ("video_transformer", f"depth={10**9}", "depth: expected 1 to 1000, got 1000000000"),
        ("video_transformer", "temporal_depth=1001", "temporal_depth: expected 1 to 1000, got"),
        (SLOW, "widths=[0]", "widths: got (0,), expected integers"),
        (SLOW, "widths=[" + 60 * "1," + "]", "got 112 rows, expected at least 576460752303423488"),
    ],
)
def test_options_that_nobody_means_are_refused(name: str, settings: str, message: str) -> None:
    assert message in refusal(1, "describe", name, "--set", settings)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (SLOW, ("--input", "3x16x65535x65535"), "FLOPs; expected at most 2.0e+13"),
        (SLOW, ("--input", "3x10000x65535x32"), "FLOPs; expected at most 2.0e+13"),
        ("early_fusion", ("--input", "3x16x32x65535"), "FLOPs; expected at most 2.0e+13"),
        (SLOW, ("--set", f"widths=[{10**10}]"), "FLOPs; expected at most 2.0e+13"),
        ("c3d", ("--set", "features=100000"), "bytes; expected at most 4.3e+09"),
    ],
)
def test_receptive_fields_that_would_take_too_much_are_refused_and_the_rest_is_had_without(
    name: str, arguments: tuple[str, ...], message: str
) -> None:
    line = refusal(1, "describe", name, *arguments)
    assert "receptive fields: need " in line
    assert message in line
    assert line.endswith("leave them out (--no-receptive-field)")
    assert "GFLOPs for a clip of" in output("describe", name, *arguments, "--no-receptive-field")
