"""HMDB51's split files: one a class, names with odd characters, groups by film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.dataset.hmdb51 import source_film
from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import read_split
from flowstream.errors import SplitError

Make = Callable[..., Path]

WAVE = (
    "20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 0 \n"
    "(Rad)Schlag_die_Bank!_wave_f_nm_np1_le_med_0.avi 1 \n"
    "RATRACE_wave_f_nm_np1_fr_goo_37.avi 2 \n"
)
SWORD = (
    "Return_of_the_King_&_more;_sword_f_cm_np2_ri_bad_1.avi 1 \n"
    "[RJTV]_sword_f_nm_np1_fr_med_0.avi 2 \n"
)


def test_flags_say_training_test_or_neither(tree: Make, lists: Make) -> None:
    names = lists({"wave_test_split1.txt": WAVE, "sword_test_split1.txt": SWORD})
    root = tree(
        *(f"wave/{line.split('.avi')[0]}" for line in WAVE.splitlines()),
        *(f"sword/{line.split('.avi')[0]}" for line in SWORD.splitlines()),
    )
    split = read_split(SplitRecipe("hmdb51", names, validation=0), root)
    assert split.classes == ("sword", "wave")
    assert [(s.video, s.label) for s in split.train] == [
        ("sword/Return_of_the_King_&_more;_sword_f_cm_np2_ri_bad_1", 0),
        ("wave/(Rad)Schlag_die_Bank!_wave_f_nm_np1_le_med_0", 1),
    ]
    assert [s.path.stem for s in split.test] == [
        "[RJTV]_sword_f_nm_np1_fr_med_0",
        "RATRACE_wave_f_nm_np1_fr_goo_37",
    ]
    assert [s.group for s in split.test] == ["[RJTV]", "RATRACE"]
    assert split.missing == {}


def test_the_split_number_chooses_the_files(tree: Make, lists: Make) -> None:
    names = lists(
        {
            "wave_test_split1.txt": WAVE,
            "wave_test_split2.txt": "RATRACE_wave_f_nm_np1_fr_goo_37.avi 1",
            "._wave_test_split2.txt": b"\x00\x05\x16\x07",
        },
        "lists/testTrainMulti_7030_splits",
    )
    recipe = SplitRecipe("hmdb51", names.parent, split=2)
    split = read_split(recipe, tree("RATRACE_wave_f_nm_np1_fr_goo_37"))
    assert split.classes == ("wave",)
    assert len(split.train) == 1
    with pytest.raises(SplitError, match=r"no split file \*_test_split3.txt"):
        read_split(SplitRecipe("hmdb51", names, split=3), tree("x"))


@pytest.mark.parametrize("line", ["RATRACE_wave_f_nm_np1_fr_goo_37.avi", "a.avi 3", "1"])
def test_a_line_without_a_flag_is_named(line: str, tree: Make, lists: Make) -> None:
    names = lists({"wave_test_split1.txt": f"{WAVE}\n{line}\n"})
    with pytest.raises(SplitError, match=r"wave_test_split1.txt:5: got .*, expected NAME.avi and"):
        read_split(SplitRecipe("hmdb51", names), tree("x"))


@pytest.mark.parametrize(
    ("clip", "class_name", "film"),
    [
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", "brush_hair", "April_09"),
        ("The_sword_in_the_stone_sword_f_cm_np2_ri_bad_1", "sword", "The_sword_in_the_stone"),
        ("winKen_Wave_u_cm_np1_ri_bad_1", "wave", "winKen"),
        ("oddly_named_clip_3", "wave", "oddly_named_clip_3"),
    ],
)
def test_the_film_is_the_name_up_to_the_class(clip: str, class_name: str, film: str) -> None:
    assert source_film(clip, class_name) == film


def test_a_film_is_held_out_in_all_its_classes(tree: Make, lists: Make) -> None:
    films = [f"film{n}" for n in range(10)]
    texts = {
        f"{name}_test_split1.txt": "".join(
            f"{film}_{name}_u_cm_np1_fr_bad_0.avi 1\n" for film in films
        )
        for name in ("run", "walk")
    }
    root = tree(*(f"{n}/{film}_{n}_u_cm_np1_fr_bad_0" for n in ("run", "walk") for film in films))
    split = read_split(SplitRecipe("hmdb51", lists(texts), validation=0.2), root)
    assert len(split.validation) == 4
    assert not {s.group for s in split.train} & {s.group for s in split.validation}
