"""Videos that flow rescued and videos that are misclassified, with thumbnails and pages."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from flowstream.disk import whole_file
from flowstream.errors import StackError
from flowstream.scores import Scores
from flowstream.store.pack import file_of, has_stack
from flowstream.view.clip import open_clip
from flowstream.view.index import draw_thumbnail
from flowstream.view.markup import Markup, breakable, element
from flowstream.view.viewer import build_page

MOST = 6
"""Number of rescued and of misclassified videos that a report shows by default."""


FIELDS = 60
"""Number of fields of a page, spread over the clip: the pages of a report take seconds, those of
`flowstream view` with all fields take minutes."""


@dataclass(frozen=True)
class Card:
    """Video with its thumbnail."""

    video: str
    text: str
    thumbnail: str
    """`data:` URL; "" if the video has no stack."""
    href: str
    """Address of the video's page; "" if it has none."""


@dataclass(frozen=True)
class Cards:
    """Videos that the fusion rescued, and videos that are misclassified."""

    rescued: Sequence[Card] = ()
    failures: Sequence[Card] = ()


@dataclass(frozen=True)
class CardSource:
    """Source of the thumbnails, and directory of the pages.

    Parameters
    ----------
    stacks : Path
        Directory of the stacks.
    out : Path or None
        Directory of the report, which gets `clips/`; None writes no pages.
    back : str
        File name of the report, to which pages link.
    """

    stacks: Path
    out: Path | None
    back: str


def is_correct(scores: Scores, videos: Sequence[str]) -> NDArray[np.bool_]:
    """Return True for each correctly classified video, in the order of `videos`."""
    correct = scores.scores.argmax(axis=1) == scores.labels
    found = dict(zip(map(str, scores.videos), correct.tolist(), strict=True))
    return np.array([found[video] for video in videos], bool)


def select_clips(scores: Mapping[str, Scores], *, most: int) -> tuple[list[str], list[str]]:
    """Select the rescued and the misclassified videos with the highest final scores.

    A rescued video is classified correctly, although the first stream alone misclassifies it.

    Parameters
    ----------
    scores : Scores by stream
        The last ones are the final scores.
    most : int
        Most videos of each kind.
    """
    first, *_, main = [*scores.values(), *scores.values()]
    videos = [str(video) for video in main.videos]
    right = is_correct(main, videos)
    certain = main.scores.max(axis=1)
    saved = right & ~is_correct(first, videos)
    order = np.argsort(-certain, kind="stable")
    return (
        [videos[i] for i in order if saved[i]][:most],
        [videos[i] for i in order if not right[i]][:most],
    )


def describe_prediction(scores: Scores, video: str) -> str:
    """Format the true and the predicted class of a video with the score."""
    row = [str(name) for name in scores.videos].index(video)
    given = int(scores.scores[row].argmax())
    text = f"{scores.classes[int(scores.labels[row])]}"
    if given != scores.labels[row]:
        text += f" → {scores.classes[given]}"
    return f"{text} ({100 * scores.scores[row, given]:.0f}\N{NO-BREAK SPACE}%)"


def make_cards(
    scores: Mapping[str, Scores],
    source: CardSource,
    *,
    most: int = MOST,
    progress: Callable[[], object] = lambda: None,
) -> Cards:
    """Draw the thumbnails of rescued and of misclassified videos, and write their pages.

    Parameters
    ----------
    scores : Scores by stream
        The last ones are the final scores.
    source : CardSource
    most : int
        Most videos of each kind.
    progress : function
        Called after each video.
    """
    main = list(scores.values())[-1]

    def make(video: str) -> Card:
        card = _make_card(video, describe_prediction(main, video), source)
        progress()
        return card

    rescued, failures = select_clips(scores, most=most)
    return Cards(tuple(map(make, rescued)), tuple(map(make, failures)))


def _make_card(video: str, text: str, source: CardSource) -> Card:
    """Return a video with its thumbnail, and write its page unless it is newer than the stack."""
    stack = source.stacks / f"{video}.h5"
    if not has_stack(stack):
        return Card(video, text, "", "")
    href = f"clips/{re.sub(r'[^A-Za-z0-9_.-]+', '_', video)}.html"
    page = None if source.out is None else source.out / href
    try:
        thumbnail = _draw_pictures(stack, page, name=video, back=f"../{source.back}")
    except StackError:  # the accuracies do not depend on a stack that was damaged later
        return Card(video, f"{text}; its stack cannot be read", "", "")
    return Card(video, text, f"data:image/webp;base64,{thumbnail}", "" if page is None else href)


def _draw_pictures(stack: Path, page: Path | None, *, name: str, back: str) -> str:
    """Write the page of a video unless it is up to date, and return the thumbnail in base64."""
    with open_clip(stack, name=name) as clip:
        thumbnail = base64.b64encode(draw_thumbnail(clip)).decode("ascii")
        if page is not None and not _is_newer(page, stack):
            page.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(page) as part:
                part.write_text(build_page(clip, fields=FIELDS, back=back), encoding="utf-8")
    return thumbnail


def _is_newer(page: Path, stack: Path) -> bool:
    return page.is_file() and page.stat().st_mtime > file_of(stack).stat().st_mtime


def draw_cards(cards: Cards, first: str, *, run: str = "") -> Markup:
    """Return the section of rescued and of misclassified videos.

    Parameters
    ----------
    cards : Cards
    first : str
        Name of the stream that misclassifies the rescued videos.
    run : str
        Name of the run, if the page shows several.
    """
    parts = []
    suffix = f" ({run})" if run else ""
    for title, shown in (
        (f"Rescued: {first} alone was wrong", cards.rescued),
        ("Misclassified, the highest scores first", cards.failures),
    ):
        if shown:
            parts.append(element("h2", f"{title}{suffix}"))
            parts.append(element("ul", [_draw_card(card) for card in shown], class_="clips"))
    return element("section", parts) if parts else Markup()


def _draw_card(card: Card) -> Markup:
    image = element("img", src=card.thumbnail, alt="", loading="lazy") if card.thumbnail else ""
    text = element(
        "div",
        element("div", breakable(PurePosixPath(card.video).name), class_="name"),
        element("div", card.text),
        class_="text",
    )
    inner = element("a", image, text, href=card.href) if card.href else Markup(image + text)
    return element("li", inner)
