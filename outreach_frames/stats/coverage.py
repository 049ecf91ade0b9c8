"""How much of an account is in touch, and how many accounts are: people known, contacted, replied."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._aggregate import grouping, stack
from outreach_frames.stats._backends import join
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._validation import columns
from outreach_frames.stats.flags import CALL_COLUMNS, SENDING, outbound_calls, with_delivery
from outreach_frames.stats.intervals import with_rates
from outreach_frames.stats.opt_outs import is_opted_out

_ACCOUNT_KEY = ["account_id"]
_PEOPLE = ["prospects", "contacted", "replied", "opted_out"]
_REACH_RATES = {
    "accounts_touched_rate": ("named_touched", "named_accounts"),
    "account_reply_rate": ("accounts_replied", "accounts_contacted"),
}


def account_coverage(
    mailings: IntoFrameT,
    *,
    accounts: IntoFrameT,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    named_only: bool = False,
    bounce_policy: str = "reply_wins",
) -> IntoFrameT:
    """
    Count the people of each account who are known, contacted, have replied, have opted out.

    ``contacted``: people with a delivered mailing or an outbound call. ``coverage`` = contacted / prospects; the people
    known are all there are, so it has no interval. ``multi_threaded``: two or more contacted.

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    accounts
        ``id``, ``owner_id``, and ``named`` for ``named_only``. Accounts without people stay. Their ``name`` is kept
        where it is there.
    prospects
        ``id``, ``account_id``, ``opted_out``, ``opted_out_at``.
    calls
        ``id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    named_only
        Keep named accounts only.
    bounce_policy
        See `mailing_flags`.

    Returns
    -------
    coverage : frame of the caller's kind, one row per account, sorted by ``account_id``
        ``account_id``, ``name`` where given, ``prospects``, ``contacted``, ``replied`` (to a mailing), ``opted_out``,
        ``coverage`` (missing where nobody is known), ``multi_threaded``, ``touches`` [delivered mailings, and outbound
        calls where given], ``touches_per_contacted`` (missing where nobody was), ``last_touch_at``, ``owner_id``.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Left out and counted: people without an account, or of one not listed. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> coverage = stats.account_coverage(mailings, accounts=accounts, prospects=prospects, calls=calls)
    >>> coverage[["account_id", "prospects", "contacted", "touches"]].head(1).to_dict("records")
    [{'account_id': 1, 'prospects': 9, 'contacted': 7, 'touches': 26}]
    >>> int(coverage["multi_threaded"].sum()), len(coverage)
    (91, 94)
    """
    call = StatContext("account_coverage", named_only=named_only, bounce_policy=bounce_policy)
    needed = ["id", "owner_id", *(["named"] if named_only else [])]
    listed = call.read("accounts", accounts, needed, optional=["name"])
    people = call.read("prospects", prospects, ["id", "account_id", "opted_out", "opted_out_at"])
    touches = _account_touches(call, mailings, calls, bounce_policy)

    if named_only:
        listed = call.drop(listed, "account not named", nw.col("named").fill_null(False))
    table = _account_counts(call, listed.rename({"id": "account_id"}), people, touches)
    per_prospect, per_contacted = (
        nw.when(nw.col(n) > 0).then(nw.col(n).cast(nw.Float64)) for n in ("prospects", "contacted")
    )
    table = table.with_columns(
        coverage=nw.col("contacted").cast(nw.Float64) / per_prospect,
        multi_threaded=nw.col("contacted") > 1,
        touches_per_contacted=nw.col("touches").cast(nw.Float64) / per_contacted,
    )
    name = ["name"] if "name" in table.collect_schema().names() else []
    order = [*_ACCOUNT_KEY, *name, *_PEOPLE, "coverage", "multi_threaded", "touches", "touches_per_contacted"]
    result: IntoFrameT = call.write(
        table.select(*order, "last_touch_at", "owner_id"), sort=_ACCOUNT_KEY, instants=["last_touch_at"]
    )
    return result


def account_reach(
    mailings: IntoFrameT,
    *,
    accounts: IntoFrameT,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "owner_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
) -> IntoFrameT:
    """
    Count the accounts that were touched and those that answered, by owner or segment.

    ``accounts_touched_rate`` = named accounts with one or more people contacted / named accounts.
    ``account_reply_rate`` = accounts with one or more people who replied / accounts contacted.

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    accounts
        ``id``, ``named``, and the columns of ``by``.
    prospects
        ``id``, ``account_id``, ``opted_out``, ``opted_out_at``.
    calls
        ``id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    by
        Columns of the accounts to group by, such as ``"owner_id"`` or ``"industry"``; ``None`` for one row.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.

    Returns
    -------
    reach : frame of the caller's kind, one row per group, sorted by key
        Keys; ``accounts``, ``named_accounts``, ``named_touched`` [named accounts with somebody contacted],
        ``accounts_touched_rate``; ``accounts_contacted`` and ``accounts_replied`` [named or not],
        ``account_reply_rate``; both rates with ``_n``, ``_lo``, ``_hi``.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Contacted: a delivered mailing or an outbound call; replied: to a mailing. Left out and counted: people without an
    account, or of one not listed; accounts whose key is missing. Interval: Wilson. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> reach = stats.account_reach(mailings, accounts=accounts, prospects=prospects, by=None)
    >>> reach[["accounts", "accounts_contacted", "accounts_replied"]].to_dict("records")
    [{'accounts': 94, 'accounts_contacted': 93, 'accounts_replied': 52}]
    >>> round(reach["account_reply_rate"].item(), 3)
    0.559
    """
    keys = columns("by", by)
    call = StatContext("account_reach", by=keys, bounce_policy=bounce_policy, ci=ci)
    listed = call.read("accounts", accounts, ["id", "named"], keys=keys).rename({"id": "account_id"})
    people = call.read("prospects", prospects, ["id", "account_id", "opted_out", "opted_out_at"])
    touches = _account_touches(call, mailings, calls, bounce_policy)

    for key in keys:
        listed = call.drop(listed, f"{key} missing", ~nw.col(key).is_null())
    covered, groups, parts = grouping(_account_counts(call, listed, people, touches), keys)
    named, contacted = nw.col("named").fill_null(False), nw.col("contacted") > 0
    flagged = {
        "named_accounts": named,
        "named_touched": named & contacted,
        "accounts_contacted": contacted,
        "accounts_replied": contacted & (nw.col("replied") > 0),
    }
    counted = covered.with_columns(
        *(flag.cast(nw.Int64).alias(name) for name, flag in flagged.items()), accounts=nw.col("account_id") * 0 + 1
    )
    sums = counted.group_by(*groups).agg(nw.col(name).sum() for name in ("accounts", *flagged))
    table = with_rates(stack([*parts, sums], groups), _REACH_RATES, ci=ci)
    rates = {name: [f"{name}{end}" for end in ("", "_n", "_lo", "_hi")] for name in _REACH_RATES}
    order = ["accounts", "named_accounts", "named_touched", *rates["accounts_touched_rate"]]
    order += ["accounts_contacted", "accounts_replied", *rates["account_reply_rate"]]
    result: IntoFrameT = call.write(
        table.select(*keys, *order), sort=keys, instants=[key for key in keys if key.endswith("_at")]
    )
    return result


def _account_touches(call: StatContext, mailings: Any, calls: Any, bounce_policy: str) -> nw.LazyFrame[Any]:
    """List who was touched when, and whether they answered."""
    mail = with_delivery(call.read("mailings", mailings, ["id", "prospect_id", *SENDING]), bounce_policy)
    touches = [_mail_touches(mail)]
    if calls is not None:
        called = outbound_calls(call.read("calls", calls, CALL_COLUMNS))
        touches.append(called.select("prospect_id", touched_at=nw.col("called_at"), answers=nw.col("called_at") * 0))
    return nw.concat(touches, how="vertical")


def _account_counts(
    call: StatContext, listed: nw.LazyFrame[Any], people: nw.LazyFrame[Any], touches: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """Count each listed account's people; accounts without any stay."""
    listed = listed.with_columns(is_listed=nw.col("account_id"))
    people = call.drop(people, "prospect without an account", ~nw.col("account_id").is_null())
    marked = join(people, listed.select(*_ACCOUNT_KEY, "is_listed"), _ACCOUNT_KEY)
    people = call.drop(marked, "prospect of another account", ~nw.col("is_listed").is_null())
    by_account = _by_account(join(people.rename({"id": "prospect_id"}), _by_person(touches), ["prospect_id"]))
    return join(
        stack([listed.select(*_ACCOUNT_KEY), by_account], _ACCOUNT_KEY, medians=["last_touch_at"]), listed, _ACCOUNT_KEY
    )


def _mail_touches(mail: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    delivered = mail.filter(nw.col("is_delivered"))
    return delivered.select(
        "prospect_id", touched_at=nw.col("sent_at"), answers=(~nw.col("replied_at").is_null()).cast(nw.Int64)
    )


def _by_person(touches: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    with_person = touches.filter(~nw.col("prospect_id").is_null())
    counted = with_person.with_columns(touches=nw.col("touched_at") * 0 + 1)
    return counted.group_by("prospect_id").agg(
        nw.col("touched_at").max(), nw.col("answers").max(), nw.col("touches").sum()
    )


def _by_account(people: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    flagged = people.with_columns(
        prospects=nw.col("prospect_id") * 0 + 1,
        contacted=(~nw.col("touched_at").is_null()).cast(nw.Int64),
        replied=(nw.col("answers") > 0).fill_null(False).cast(nw.Int64),
        opted_out=is_opted_out().cast(nw.Int64),
    )
    return flagged.group_by(*_ACCOUNT_KEY).agg(
        *(nw.col(name).sum() for name in (*_PEOPLE, "touches")), nw.col("touched_at").max().alias("last_touch_at")
    )
