"""Annotated parts of videos, from one manifest: extracted, split and read as clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowstream.dataset.clips import StackClips
from flowstream.dataset.inputs import INPUTS
from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import read_split
from flowstream.dataset.window import Window
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.flow.dis import DIS
from flowstream.synthetic import texture, write_video

ROWS = "long.mp4,walk,20f,32f,,,train\nlong.mp4,jump,0.5,1,,,train\nlong.mp4,smile,,,3,17,train\n"


def test_parts_of_a_manifest_become_clips_of_their_classes(tmp_path: Path) -> None:
    image = texture((32, 48 + 40), seed=2)
    write_video(tmp_path / "long.mp4", (image[:, k : k + 48] for k in range(40)), fps=20)
    manifest, out = tmp_path / "parts.csv", tmp_path / "out"
    manifest.write_text("video,label,start,end,first,second,split\n" + ROWS)
    settings = ExtractSettings(DIS(preset="ultrafast"))
    run = RunOptions(backend="sequential", workers=1)
    done = extract(plan([manifest], out), settings, out, options=run).done
    assert sorted(outcome.pairs for outcome in done) == [1, 9, 11]
    split = read_split(SplitRecipe("manifest", manifest, validation=0), out)
    assert split.classes == ("jump", "smile", "walk")
    clips = StackClips(
        split.train,
        Window(length=1),
        {"flow": INPUTS["flow"](), "rgb": INPUTS["rgb"]()},
        training=True,
    )
    shown = {}
    for sample, item in zip(split.train, clips, strict=True):
        assert np.isfinite(item.inputs["flow"]).all()
        with clips._stacks[item.sample] as stack:
            shown[split.classes[sample.label]] = stack.frame_index.tolist()
    assert shown == {"walk": [*range(20, 32)], "jump": [*range(10, 20)], "smile": [3, 17]}
