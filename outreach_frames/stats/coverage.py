"""How much of an account is in touch: people known, contacted, replied."""

from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._call import Call, Instant
from outreach_frames.stats._engines import join
from outreach_frames.stats._tally import stack
from outreach_frames.stats._touches import CALL_COLUMNS, outbound_calls
from outreach_frames.stats.flags import SENDING, with_delivery

_KEY = ["account_id"]
_COUNTS = ["prospects", "contacted", "replied", "opted_out"]


def account_coverage(
    accounts: IntoFrameT,
    prospects: IntoFrameT,
    mailings: IntoFrameT,
    *,
    calls: IntoFrameT | None = None,
    named_only: bool = False,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the people of each account who are known, contacted, have replied, have opted out.

    ``contacted``: people with a delivered mailing or an outbound call. ``coverage`` = contacted / prospects; the people
    known are all there are, so it has no interval. ``multi_threaded``: two or more contacted.

    Parameters
    ----------
    accounts
        ``id``, ``owner_id``, and ``named`` for ``named_only``. Accounts without people stay.
    prospects
        ``id``, ``account_id``, ``opted_out``, ``opted_out_at``.
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    calls
        ``id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    named_only
        Keep named accounts only.
    bounce_policy
        See `mailing_flags`.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    coverage : frame of the caller's kind, one row per account, sorted by ``account_id``
        ``account_id``, ``prospects``, ``contacted``, ``replied`` (to a mailing), ``opted_out``, ``coverage`` (missing
        where nobody is known), ``multi_threaded``, ``last_touch_at`` (mail, and calls where given), ``owner_id``.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice, frames of two kinds.

    Notes
    -----
    Left out and counted: people without an account, or of one not listed. Definition: this project's metric
    dictionary, part 2.8.
    """
    call = Call("account_coverage", named_only=named_only, bounce_policy=bounce_policy)
    listed = call.read("accounts", accounts, ["id", "owner_id", *(["named"] if named_only else [])])
    people = call.read("prospects", prospects, ["id", "account_id", "opted_out", "opted_out_at"])
    mail = with_delivery(call.read("mailings", mailings, ["id", "prospect_id", *SENDING]), bounce_policy)
    touches = [_mail_touches(mail)]
    if calls is not None:
        called = outbound_calls(call.read("calls", calls, CALL_COLUMNS))
        touches.append(called.select("prospect_id", touched_at=nw.col("called_at"), answers=nw.col("called_at") * 0))
    call.look(as_of)

    if named_only:
        listed = call.drop(listed, "account not named", nw.col("named").fill_null(False))
    listed = listed.rename({"id": "account_id"}).with_columns(is_listed=nw.col("account_id"))
    people = call.drop(people, "prospect without an account", ~nw.col("account_id").is_null())
    people = call.drop(join(people, listed, _KEY), "prospect of another account", ~nw.col("is_listed").is_null())
    reached = _by_person(nw.concat(touches, how="vertical"))
    by_account = _by_account(join(people.rename({"id": "prospect_id"}), reached, ["prospect_id"]))
    table = join(stack([listed.select(*_KEY), by_account], _KEY, medians=["last_touch_at"]), listed, _KEY)
    known = nw.when(nw.col("prospects") > 0).then(nw.col("prospects").cast(nw.Float64))
    table = table.with_columns(
        coverage=nw.col("contacted").cast(nw.Float64) / known, multi_threaded=nw.col("contacted") > 1
    )
    columns = [*_KEY, *_COUNTS, "coverage", "multi_threaded", "last_touch_at", "owner_id"]
    result: IntoFrameT = call.write(table.select(*columns), sort=_KEY, instants=["last_touch_at"])
    return result


def _mail_touches(mail: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    delivered = mail.filter(nw.col("is_delivered"))
    return delivered.select(
        "prospect_id", touched_at=nw.col("sent_at"), answers=(~nw.col("replied_at").is_null()).cast(nw.Int64)
    )


def _by_person(touches: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    known = touches.filter(~nw.col("prospect_id").is_null())
    return known.group_by("prospect_id").agg(nw.col("touched_at").max(), nw.col("answers").max())


def _by_account(people: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    gone = nw.col("opted_out").fill_null(False) | ~nw.col("opted_out_at").is_null()
    flagged = people.with_columns(
        prospects=nw.col("prospect_id") * 0 + 1,
        contacted=(~nw.col("touched_at").is_null()).cast(nw.Int64),
        replied=(nw.col("answers") > 0).fill_null(False).cast(nw.Int64),
        opted_out=gone.cast(nw.Int64),
    )
    return flagged.group_by(*_KEY).agg(
        *(nw.col(name).sum() for name in _COUNTS), nw.col("touched_at").max().alias("last_touch_at")
    )
