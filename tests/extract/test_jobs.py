"""Which video becomes which file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ExtractionError
from flowstream.extract import plan
from flowstream.extract.listing import natural_key


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def planned(sources: list[Path], out: Path) -> dict[str, str]:
    """Output below `out` to recorded name."""
    return {str(job.output.relative_to(out)): job.name for job in plan(sources, out)}


def test_a_folder_keeps_its_layout_in_natural_order(tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    touch(videos / "b/clip10.avi", videos / "b/clip9.MP4", videos / "a/clip.mkv", videos / "x.webm")
    assert list(planned([videos], out).items()) == [
        ("a/clip.h5", "a/clip.mkv"),
        ("b/clip9.h5", "b/clip9.MP4"),
        ("b/clip10.h5", "b/clip10.avi"),
        ("x.h5", "x.webm"),
    ]


def test_a_file_is_a_video_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "clip.bin")
    assert planned([tmp_path / "clip.bin"], tmp_path / "out") == {"clip.h5": "clip.bin"}


def test_hidden_names_and_other_files_are_passed_over(tmp_path: Path) -> None:
    touch(
        tmp_path / "videos/clip.mp4",
        tmp_path / "videos/._clip.mp4",
        tmp_path / "videos/.trash/old.mp4",
        tmp_path / "videos/notes.txt",
    )
    assert planned([tmp_path / "videos"], tmp_path / "out") == {"clip.h5": "clip.mp4"}


def test_a_folder_of_numbered_images_is_one_video_and_keeps_its_whole_name(tmp_path: Path) -> None:
    frames = tmp_path / "videos/walk/clip.v2"
    touch(frames / "1.png", frames / "2.png", frames / "10.png")
    expected = {"walk/clip.v2.h5": "walk/clip.v2"}
    assert planned([tmp_path / "videos"], tmp_path / "out") == expected
    assert planned([frames], tmp_path / "out") == {"clip.v2.h5": "clip.v2"}


def test_images_beside_videos_are_not_a_video(tmp_path: Path) -> None:
    touch(tmp_path / "videos/clip.mp4", tmp_path / "videos/thumb1.jpg", tmp_path / "videos/2.jpg")
    assert planned([tmp_path / "videos"], tmp_path / "out") == {"clip.h5": "clip.mp4"}


def test_the_output_folder_is_not_a_source(tmp_path: Path) -> None:
    touch(tmp_path / "clip.mp4", tmp_path / "out/pictures/1.png", tmp_path / "out/pictures/2.png")
    assert planned([tmp_path], tmp_path / "out") == {"clip.h5": "clip.mp4"}
    assert planned([tmp_path], tmp_path)["clip.h5"] == "clip.mp4"


def test_a_link_back_up_is_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "videos/a/clip.mp4")
    (tmp_path / "videos/a/up").symlink_to(tmp_path / "videos", target_is_directory=True)
    assert planned([tmp_path / "videos"], tmp_path / "out") == {"a/clip.h5": "a/clip.mp4"}


def test_linked_directories_are_searched_and_dead_links_are_reported(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/clip.mp4")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "videos/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert set(planned([tmp_path / "videos"], tmp_path / "out")) == {"a/clip.h5", "gone.h5"}


def test_a_pipe_is_not_a_video(tmp_path: Path) -> None:
    touch(tmp_path / "videos/clip.mp4")
    os.mkfifo(tmp_path / "videos/pipe.mp4")
    assert planned([tmp_path / "videos"], tmp_path / "out") == {"clip.h5": "clip.mp4"}


def test_a_name_that_is_not_utf8_is_recorded_readably(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    try:
        os.close(os.open(os.fsencode(tmp_path) + b"/videos/caf\xe9.mp4", os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    [job] = plan([tmp_path / "videos"], tmp_path / "out")
    assert job.name == r"caf\udce9.mp4"
    assert job.source.exists()


@pytest.mark.parametrize("names", [("one/a.mp4", "one/a.avi"), ("one/a.mp4", "two/a.mp4")])
def test_two_videos_of_one_output_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    touch(*(tmp_path / name for name in names))
    sources = sorted({tmp_path / name.partition("/")[0] for name in names})
    with pytest.raises(ExtractionError, match=r"(?s)1 stack would .* -> .*out/a\.h5"):
        plan(sources, tmp_path / "out")


def test_a_video_given_twice_is_one_job(tmp_path: Path) -> None:
    touch(tmp_path / "videos/a.mp4")
    sources = [tmp_path / "videos", tmp_path / "videos/a.mp4", tmp_path / "videos/../videos"]
    assert len(plan(sources, tmp_path / "out")) == 1


def test_videos_of_a_manifest_are_relative_to_its_directory(tmp_path: Path) -> None:
    manifest = tmp_path / "lists/all.csv"
    touch(manifest, tmp_path / "lists/walk/a.mp4", tmp_path / "far/b.mp4")
    inside = manifest.parent / "run/d.mp4"
    manifest.write_text(
        "\ufefflabel, Video ,split\n"
        "walk,walk/a.mp4,train\n"
        "\n"
        f'run,"{tmp_path}/far/b.mp4",test\n'
        "run,../far/c.mp4,test\n"
        f"run,{inside},test\n",
        encoding="utf-8",
    )
    jobs = plan([manifest], tmp_path / "out")
    # the last two do not exist: each fails when it is extracted, and stops nothing
    assert [job.name for job in jobs] == ["walk/a.mp4", "b.mp4", "far/c.mp4", "run/d.mp4"]
    assert jobs[0].source.samefile(tmp_path / "lists/walk/a.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'video'; .*got: nothing"),
        ("path,label\na.mp4,x\n", "no column 'video'; .*got: path, label"),
        ("vidoe,label\na.mp4,x\n", "no column 'video'.*Did you mean 'vidoe'"),
        ("video,label\n", "no videos"),
        ("video,label\na.mp4,x\n,y\n", "line 3: the column 'video' is empty"),
    ],
)
def test_a_manifest_that_lists_nothing_says_why(tmp_path: Path, text: str, message: str) -> None:
    manifest = tmp_path / "all.csv"
    manifest.write_text(text)
    with pytest.raises(ExtractionError, match=message):
        plan([manifest], tmp_path / "out")


def test_a_manifest_that_is_not_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_bytes(b"video\n\xff\xfe\x00")
    with pytest.raises(ExtractionError, match="cannot read the manifest"):
        plan([tmp_path / "all.csv"], tmp_path / "out")


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match="nowhere: no such file or directory"):
        plan([tmp_path / "nowhere"], tmp_path / "out")


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "videos/notes.txt")
    with pytest.raises(
        ExtractionError, match=r"videos: no videos in this directory; expected .*, got 1 \.txt"
    ):
        plan([tmp_path / "videos"], tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "videos/a/clip.mp4")
    (tmp_path / "videos/a").chmod(0)
    with pytest.raises(ExtractionError, match="cannot read this folder: Permission denied"):
        plan([tmp_path / "videos"], tmp_path / "out")


@given(st.lists(st.integers(0, 10**6), unique=True), st.text("ab_.", max_size=3))
def test_natural_order_is_the_order_of_the_numbers(numbers: list[int], prefix: str) -> None:
    names = [f"{prefix}{number}.avi" for number in numbers]
    expected = [f"{prefix}{number}.avi" for number in sorted(numbers)]
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text("a1٣0.", max_size=4)))
def test_natural_order_does_not_depend_on_the_order_before(names: list[str]) -> None:
    turned = names[::-1]
    assert sorted(names, key=natural_key) == sorted(turned, key=natural_key)


def test_a_pattern_keeps_the_layout_from_its_first_wildcard(tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "videos" / "out"
    touch(videos / "run" / "a1.avi", videos / "run" / "b1.avi", videos / "walk" / "a2.avi")
    touch(videos / "walk" / "fr" / "img_1.png", videos / "walk" / "fr" / "img_2.png")
    touch(videos / "walk" / "labels.csv", out / "a9.avi")
    assert planned([videos / "*" / "a*.avi"], out) == {
        "run/a1.h5": "run/a1.avi",
        "walk/a2.h5": "walk/a2.avi",
    }
    assert planned([videos / "w*"], out) == {"walk/a2.h5": "walk/a2.avi", "walk/fr.h5": "walk/fr"}
    everything = planned([videos], out)
    assert set(everything) == {"run/a1.h5", "run/b1.h5", "walk/a2.h5", "walk/fr.h5"}
    assert planned([videos / "**"], out) == planned([videos / "*"], out) == everything
    assert planned([videos / "walk" / "f?"], out) == {"fr.h5": "fr"}


def test_a_pattern_of_manifests_and_one_without_videos(tmp_path: Path) -> None:
    touch(tmp_path / "a.avi", tmp_path / "notes.txt")
    for name in "xy":
        (tmp_path / f"{name}.csv").write_text(f"video\n{name}.avi\n")
    assert set(planned([tmp_path / "*.csv"], tmp_path / "out")) == {"x.h5", "y.h5"}
    with pytest.raises(ExtractionError, match=r"z\*: no file matches"):
        plan([tmp_path / "z*"], tmp_path / "out")
    with pytest.raises(ExtractionError, match="no videos among 1 paths"):
        plan([tmp_path / "*.txt"], tmp_path / "out")


@pytest.mark.parametrize(
    ("cells", "stem"),
    [("0,30f", "0-30f"), ("0f,1.5", "0-1.5s"), ("0f,0.5", "0-0.5s"), ("0f,", "0-f")],
)
def test_zero_is_the_same_in_seconds_and_frames(tmp_path: Path, cells: str, stem: str) -> None:
    (tmp_path / "m.csv").write_text(f"video,start,end\na.avi,{cells}\n")
    assert set(planned([tmp_path / "m.csv"], tmp_path / "out")) == {f"a@{stem}.h5"}


@pytest.mark.parametrize("cells", ["1,30f", "30f,1.5"])
def test_mixed_units_are_refused_with_their_line(tmp_path: Path, cells: str) -> None:
    (tmp_path / "m.csv").write_text(f"video,start,end\na.avi,{cells}\n")
    with pytest.raises(ExtractionError, match=r"line 2: .*both in seconds .* or both in frames"):
        plan([tmp_path / "m.csv"], tmp_path / "out")
