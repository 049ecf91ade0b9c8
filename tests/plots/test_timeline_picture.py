"""The explorer's time line of one prospect: where its marks lie, and that none touches another."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.transforms import Bbox

from outreach_frames.widgets import draw_timeline
from tests.plots.plot_checks import extents, named, outside, overlaps, words
from tests.plots.plot_results import AWKWARD_NAMES

START = pd.Timestamp("2026-01-05 09:00", tz="UTC")
KINDS = ("delivered", "called", "last opened", "last clicked", "replied", "opted out", "bounced")
MINUTE, DAY = pd.Timedelta(minutes=1), pd.Timedelta(days=1)


INSTANT = "datetime64[us, UTC]"
CAME_BACK = ("opened_at", "clicked_at", "replied_at", "unsubscribed_at", "bounced_at")


def mailings_every(step, *, count, sequences=1, **lags):
    """Mailings of as many sequences in turn; what came back came so much later."""
    sent = pd.Series([START + step * place for place in range(count)], dtype=INSTANT)
    frame = pd.DataFrame({"sequence_id": [1 + place % sequences for place in range(count)], "delivered_at": sent})
    nothing = pd.Series([pd.NaT] * count, dtype=INSTANT)
    return frame.assign(**{column: sent + lags[column] if column in lags else nothing for column in CAME_BACK})


def unsent(mailings):
    return mailings.assign(delivered_at=mailings["opened_at"])


def calls_at(*instants):
    nothing = pd.Series([pd.NaT] * len(instants), dtype=INSTANT)
    return pd.DataFrame(
        {"dialed_at": pd.Series(instants, dtype=INSTANT), "answered_at": nothing, "completed_at": nothing}
    )


ALL_BACK = {column: place * MINUTE for place, column in enumerate(CAME_BACK)}
NAMES = pd.Series({1 + place: name for place, name in enumerate(AWKWARD_NAMES)})
PICTURES = {
    "one mail": (mailings_every(DAY, count=1), calls_at()),
    "all within minutes": (mailings_every(MINUTE, count=13, **ALL_BACK), calls_at(START, START + MINUTE)),
    "every second day": (mailings_every(2 * DAY, count=40, **ALL_BACK), calls_at(START)),
    "every six hours": (mailings_every(DAY / 4, count=300, sequences=3, **ALL_BACK), calls_at(START)),
    "many sequences": (mailings_every(DAY, count=60, sequences=13, opened_at=MINUTE), calls_at()),
    "two at the ends": (mailings_every(300 * DAY, count=2, replied_at=MINUTE), calls_at()),
    "nothing sent": (mailings_every(DAY, count=2).pipe(unsent), calls_at()),
    "nothing at all": (mailings_every(DAY, count=0), calls_at()),
}
each = pytest.mark.parametrize("picture", PICTURES)


def draw(picture):
    return draw_timeline(*PICTURES[picture], NAMES, title="Ада Лавлейс (7)")


def marks(ax):
    """Where every mark lies, as wide as it is drawn [pixels]."""
    pixels = ax.figure.dpi / 72
    boxes = []
    for kind in KINDS:
        for line in named(ax, kind):
            reach = line.get_markersize() / 2 * pixels
            boxes += [
                Bbox([place - reach, place + reach])
                for place in ax.transData.transform(line.get_xydata().astype(float))
            ]
    return boxes


def touching(first, second):
    """Whether each of the first boxes meets each of the second."""
    ours, theirs = (np.array([box.extents for box in boxes]).reshape(-1, 4) for boxes in (first, second))
    x, y, right, top = ours.T[:, :, None]
    left, bottom, end, height = theirs.T
    return (x <= end) & (left <= right) & (y <= height) & (bottom <= top)


def test_boxes_that_meet_are_told():
    boxes = [Bbox([[0, 0], [2, 2]]), Bbox([[1, 1], [3, 3]]), Bbox([[2.5, 0], [4, 0.5]])]

    assert touching(boxes, boxes).tolist() == [[True, True, False], [True, True, False], [False, False, True]]


@each
def test_no_mark_or_text_touches_another_and_none_is_cut_off(picture):
    """Thirteen touches within an hour of a year lie at one place: they are one mark with their number."""
    ax = draw(picture)
    written = list(extents(ax).values())

    assert overlaps(ax) == []
    assert outside(ax, ax.figure.bbox) == []
    drawn = marks(ax)
    assert not np.triu(touching(drawn, drawn), 1).any()
    assert not touching(drawn, [text.padded(-1) for text in written]).any()
    assert all(ax.bbox.padded(1).containsx(mark.x0) and ax.bbox.padded(1).containsx(mark.x1) for mark in drawn)


@each
def test_every_touch_is_counted(picture):
    """Joined or alone: the marks and their numbers add up to the touches of the kind."""
    mailings, calls = PICTURES[picture]
    ax = draw(picture)

    shown = {kind: sum(len(line.get_xdata()) for line in named(ax, kind)) for kind in KINDS}
    joined = sum(int(text.get_text()) - 1 for text in ax.texts if text.get_text().isdigit())
    touches = int(mailings.filter(like="_at").notna().sum().sum()) + len(calls)
    assert sum(shown.values()) + joined == touches


def test_what_was_sent_lies_on_the_line_and_what_came_back_above_it():
    ax = draw("one mail")
    with_reply = draw_timeline(mailings_every(DAY, count=1, replied_at=DAY), calls_at(), NAMES, title="Ada")

    assert named(ax, "delivered")[0].get_ydata()[0] == ax.get_yticks()[0]
    assert named(with_reply, "replied")[0].get_ydata()[0] < with_reply.get_yticks()[0], "the axis runs downwards"
    reply, mail = (named(with_reply, kind)[0].get_xdata()[0] for kind in ("replied", "delivered"))
    assert reply - mail == pytest.approx(1)


def test_sequences_of_one_name_keep_their_lanes():
    names = pd.Series({1: "Cold", 2: "Cold"})

    ax = draw_timeline(mailings_every(DAY, count=2, sequences=2), calls_at(), names, title="Ada")

    assert [label.get_text() for label in ax.get_yticklabels()] == ["Cold #1", "Cold #2"]


def test_one_off_mail_and_calls_have_lanes_of_their_own():
    mailings = mailings_every(DAY, count=2).assign(sequence_id=pd.array([1, None], dtype="Int64"))

    ax = draw_timeline(mailings, calls_at(START), pd.Series({1: "Cold"}), title="Ada")

    assert [label.get_text() for label in ax.get_yticklabels()] == ["Cold", "one-off mail", "calls"]
    assert "2 delivered · 1 called" in words(ax)
