"""How answers sounded, as far as Outreach classifies them: it counts sentiment on objects and never on mailings."""

from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._call import Call, record_of
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import choice
from outreach_frames.stats.intervals import with_rates

OBJECTS = {
    "sequence": "sequences",
    "step": "sequence_steps",
    "variant": "sequence_templates",
    "template": "templates",
    "state": "sequence_states",
}
"""Whose counters are of messages since ever; prospects' start anew at the last touch, and make no rate."""

_KEYS = {
    "sequence": "sequence_id",
    "step": "sequence_step_id",
    "variant": "sequence_template_id",
    "template": "template_id",
    "state": "sequence_state_id",
}
_SENTIMENTS = ("positive", "neutral", "negative")
_RATES = {"positive_reply_share": ("positive", "classified"), "positive_reply_rate": ("positive_bounded", "reached")}


def reply_sentiment(
    objects: IntoFrameT, *, on: str = "sequence", ci: float = 0.95, as_of: Instant | None = None
) -> IntoFrameT:
    """
    Tell how many answers were positive, of those classified and of all mail delivered.

    ``positive_reply_share`` = positive / (positive + neutral + negative). ``positive_reply_rate`` = positive /
    ``deliver_count``.

    Parameters
    ----------
    objects
        ``id``, ``positive_reply_count``, ``neutral_reply_count``, ``negative_reply_count``, ``deliver_count``.
    on
        What they are: ``"sequence"``, ``"step"``, ``"variant"`` (sequence template), ``"template"`` or ``"state"``.
    ci
        Confidence level.
    as_of
        When the data were extracted; kept in the record only. The counters know no period: they count since ever.

    Returns
    -------
    sentiment : frame of the caller's kind, one row per object, sorted by key
        Key, such as ``sequence_id``; ``positive``, ``neutral``, ``negative``, ``classified`` [replies], ``delivered``
        [mailings, as counted by Outreach]; ``positive_reply_share`` and ``positive_reply_rate`` with ``_n``, ``_lo``,
        ``_hi``: missing where nothing is classified or delivered, the latter also where the counters contradict each
        other, with more positive replies than deliveries.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        An unknown ``on``, or one that does not fit the objects, prospects among them; a wrong dtype, an id that occurs
        twice in memory.

    Notes
    -----
    Trust: medium. Not counted: replies that nobody has classified, which are in neither numerator nor denominator of
    the share; a missing counter counts as 0. Copies of a sequence start with empty counters. Interval: Wilson. Source:
    attribute descriptions of the Outreach API v2; this project's metric dictionary, part 2.2.
    """
    resource, key = OBJECTS[choice("kind of object", on, OBJECTS)], _KEYS[on]
    told = record_of(objects).get("resource", resource)
    if told != resource:
        raise DataError(f"These are {told}, not {resource}.", hint=f"Choose on= for them, one of {', '.join(OBJECTS)}.")
    call = Call("reply_sentiment", on=on, ci=ci)
    counters = [f"{sentiment}_reply_count" for sentiment in _SENTIMENTS]
    read = call.read(resource, objects, ["id", *counters, "deliver_count"]).rename({"id": key})
    call.look(as_of)
    renamed = dict(zip(_SENTIMENTS, counters, strict=True)) | {"delivered": "deliver_count"}
    counted = read.with_columns(
        nw.col(counter).fill_null(0).alias(name) for name, counter in renamed.items()
    ).with_columns(classified=nw.col("positive") + nw.col("neutral") + nw.col("negative"))
    table = with_rates(_bounded(counted), _RATES, ci=ci)
    rates = [f"{rate}{end}" for rate in _RATES for end in ("", "_n", "_lo", "_hi")]
    columns = [key, *_SENTIMENTS, "classified", "delivered", *rates]
    result: IntoFrameT = call.write(table.select(*columns), sort=[key])
    return result


def _bounded(counted: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Take both counts of the rate as nothing where they contradict each other."""
    sound = nw.col("positive") <= nw.col("delivered")
    return counted.with_columns(
        positive_bounded=nw.when(sound).then(nw.col("positive")).otherwise(nw.col("positive") * 0),
        reached=nw.when(sound).then(nw.col("delivered")).otherwise(nw.col("delivered") * 0),
    )
