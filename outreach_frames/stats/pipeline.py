"""
Attribution of opportunities to the sequences or users that touched them, under several models.

Association, not causation: people who were going to buy are written to as well. The models disagree, and by how much is
the message. Credits add up: with ``unattributed``, what no touch preceded, every model sums to the deals' amounts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from outreach_frames.errors import DataError, MixedCurrencyWarning, SyncTimeWarning
from outreach_frames.stats._backends import wrap
from outreach_frames.stats._pandas import flags, floats, keep, read, read_deliveries, table, write
from outreach_frames.stats._statistic import StatContext, warn_of_rows
from outreach_frames.stats._timestamps import DAY, Instant
from outreach_frames.stats._validation import choice, choices
from outreach_frames.stats.flags import CALL_COLUMNS, outbound_calls
from outreach_frames.stats.provenance import attach

MODELS = ("first", "last", "linear", "time_decay")
LINKS = ("roles", "account")
CREDITED = ("sequence_id", "user_id")
CHANNELS = ("sequence", "user", "none", "unattributed")

_LONG = {
    "opportunity_id": "int64[pyarrow]",
    "channel": "string[pyarrow]",
    "channel_id": "int64[pyarrow]",
    "model": "string[pyarrow]",
    "amount": "double[pyarrow]",
    "share": "double[pyarrow]",
    "currency": "string[pyarrow]",
    "created_source": "string[pyarrow]",
    "stage": "string[pyarrow]",
    "is_closed": "bool[pyarrow]",
}
_GROUP = ["model", "currency", "channel", "channel_id"]


def pipeline_attribution(
    mailings: pd.DataFrame,
    *,
    opportunities: pd.DataFrame,
    opportunity_prospect_roles: pd.DataFrame,
    calls: pd.DataFrame | None = None,
    opportunity_stages: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    by: str = "sequence_id",
    window_d: float = 30,
    models: str | Sequence[str] = MODELS,
    link: str = "roles",
    half_life_d: float = 7,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Credit opportunities to the touches before them, under several models.

    A touch is a delivered mailing (or an outbound call that was dialed) to a person linked with the opportunity,
    0 ≤ created − touch ≤ ``window_d``. ``first`` and ``last`` credit one touch, ``linear`` all alike, ``time_decay``
    each by 2^(−age / ``half_life_d``).

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, the column of ``by``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    opportunities
        ``id``, ``amount``, ``currency_type``, ``created_at``, ``external_created_at``, ``trashed_at``;
        ``amount_precise`` is preferred where it is known. With ``link="account"`` also ``account_id``, with
        ``opportunity_stages`` also ``opportunity_stage_id``.
    opportunity_prospect_roles
        ``opportunity_id``, ``prospect_id``.
    calls
        ``id``, ``prospect_id``, the column of ``by``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    opportunity_stages
        ``id``, ``name``, ``is_closed``.
    prospects
        ``id``, ``account_id``; for ``link="account"``.
    by
        What gets the credit: ``"sequence_id"``, with one-off mail as channel ``none``, or ``"user_id"``.
    window_d
        How long before its creation a deal's touches count [d].
    models
        Which of the four, in this order; one alone need not be in a list.
    link
        ``"roles"``: people with a role on the opportunity; ``"account"``: everybody of its account.
    half_life_d
        Age that halves a touch's weight [d].
    bounce_policy
        See `mailing_flags`.
    as_of
        Opportunities created after it are left out; default: the frames' own record, else none.

    Returns
    -------
    credits : DataFrame, one row for each opportunity, model and credited channel, sorted so
        ``opportunity_id``; ``channel``: "sequence" or "user", "none", or "unattributed"; ``channel_id`` (missing for
        the latter two); ``model``; ``amount`` credited, in ``currency`` (missing where unknown); ``share`` of the
        deal, which sums to 1 for each opportunity and model; ``created_source``: "external" or "outreach"; ``stage``,
        ``is_closed``. A deal without an amount has shares and no amounts.
        ``attrs["summary"]`` (see `attached`): by model, currency and channel the ``opportunities`` with credit,
        ``credited`` = Σ share, ``amount`` (missing where no amount is known), and ``influenced_amount``, the whole
        amounts of all opportunities the channel touched, which overlap and must not be added.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        An unknown model, link or key, a wrong dtype, an id that occurs twice.

    Warns
    -----
    MixedCurrencyWarning
        Deals in several currencies, or without an amount; they are never added.
    SyncTimeWarning
        Deals dated by their arrival in Outreach.

    Notes
    -----
    A deal begins at ``external_created_at``, else ``created_at``. Ties in time go by kind (mail first), then id. Not
    counted: mailings without a delivery time, trashed opportunities.

    Examples
    --------
    >>> roles = opportunity_prospect_roles
    >>> credit = stats.pipeline_attribution(mailings, opportunities=opportunities, opportunity_prospect_roles=roles)
    >>> credit.groupby("model")["share"].sum().round(3).to_dict()
    {'first': 26.0, 'last': 26.0, 'linear': 26.0, 'time_decay': 26.0}
    >>> stats.attached(credit, "summary").columns.tolist()
    ['model', 'currency', 'channel', 'channel_id', 'opportunities', 'credited', 'amount', 'influenced_amount']
    """
    models = choices("model", models, MODELS)
    if not models:
        raise DataError("No model is given to credit by.", hint=f"Choose among {', '.join(MODELS)}.")
    choice("link", link, LINKS)
    choice("credit by", by, CREDITED)
    call = StatContext(
        "pipeline_attribution",
        by=by,
        window_d=window_d,
        models=models,
        link=link,
        half_life_d=half_life_d,
        bounce_policy=bounce_policy,
    )
    deals = _deals(call, opportunities, opportunity_stages, link)
    people = _opportunity_people(call, deals, opportunity_prospect_roles, prospects, link)
    touches = [_mail(call, mailings, by, bounce_policy), *([] if calls is None else [_calls(call, calls, by)])]
    until = call.optional_instant(as_of)
    if until is not None:
        deals = keep(call, deals, "created after as_of", deals["created"] <= until)

    touched = _touches_of_deals(deals, people, pd.concat(touches, ignore_index=True), int(window_d * DAY))
    shares = _shares(touched, half_life_d)
    rest = deals.loc[~flags(deals["opportunity_id"].isin(touched["opportunity_id"])), ["opportunity_id"]]
    channel = by.removesuffix("_id")
    parts = [part for model in models for part in (_credited(shares, model, channel), _unattributed(rest, model))]
    credited = pd.concat(parts, ignore_index=True).merge(deals, on="opportunity_id", validate="m:1")
    credited["whole_amount"] = credited["amount"]
    credited["amount"] = credited["amount"] * credited["share"]
    credited = _by_model(credited, models)
    long = credited[credited["share"] > 0].reindex(columns=list(_LONG)).astype(_LONG)
    result = write(call, long, categories={"model": models, "channel": CHANNELS})
    attach(result, "summary", _summary(credited))
    _warn_of_deals(deals)
    return result


def _by_model(credited: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    orders = {"model": list(models), "channel": list(CHANNELS)}
    ranks = {f"{name}_rank": credited[name].map(order.index) for name, order in orders.items()}
    keys = ["opportunity_id", "model_rank", "channel_rank", "channel_id"]
    return credited.assign(**ranks).sort_values(keys, ignore_index=True)


def _credited(shares: pd.DataFrame, model: str, channel: str) -> pd.DataFrame:
    """Sum a model's shares by channel; channels that touched a deal and got nothing have 0."""
    grouped = shares.groupby(["opportunity_id", "channel_id"], dropna=False, as_index=False)[[model]].sum()
    credited = grouped.rename(columns={model: "share"}).assign(channel=channel, model=model)
    credited["channel"] = credited["channel"].where(credited["channel_id"].notna(), "none")
    return credited


def _unattributed(rest: pd.DataFrame, model: str) -> pd.DataFrame:
    return rest.assign(share=1.0, channel="unattributed", model=model)


def _deals(call: StatContext, opportunities: pd.DataFrame, stages: pd.DataFrame | None, link: str) -> pd.DataFrame:
    """Take opportunities with amount, currency, and the instant they began at."""
    columns = ["id", "amount", "currency_type", "created_at", "external_created_at", "trashed_at"]
    columns += ["account_id"] if link == "account" else []
    columns += ["opportunity_stage_id"] if stages is not None else []
    deals = read(call, "opportunities", opportunities, columns, optional=["amount_precise"])
    deals = keep(call, deals, "opportunity in the trash", deals["trashed_at"].isna())
    deals["created"] = deals["external_created_at"].fillna(deals["created_at"])
    deals = keep(call, deals, "opportunity without a date", deals["created"].notna())
    external = flags(deals["external_created_at"].notna())
    if synced := int((~external).sum()):
        call.assumed["opportunity without the CRM's date, dated by its arrival in Outreach"] = synced
    deals["created_source"] = pd.Series(np.where(external, "external", "outreach"), dtype="string[pyarrow]")
    deals["amount"] = deals["amount_precise"].fillna(deals["amount"])
    deals = deals.rename(columns={"id": "opportunity_id", "currency_type": "currency"})
    if stages is None:
        return deals
    named = read(call, "opportunity_stages", stages, ["id", "name", "is_closed"])
    named = named.rename(columns={"id": "opportunity_stage_id", "name": "stage"})
    return deals.merge(named, on="opportunity_stage_id", how="left", validate="m:1")


def _opportunity_people(
    call: StatContext, deals: pd.DataFrame, roles: pd.DataFrame, prospects: pd.DataFrame | None, link: str
) -> pd.DataFrame:
    """List who is linked with which opportunity, each pair once."""
    if link == "roles":
        pairs = read(call, "opportunity_prospect_roles", roles, ["opportunity_id", "prospect_id"])
    elif prospects is None:
        raise DataError('link="account" needs prospects.', hint="Pass prospects=fetch_prospects(org).")
    else:
        accounts = read(call, "prospects", prospects, ["id", "account_id"]).dropna(subset="account_id")
        pairs = deals.merge(accounts.rename(columns={"id": "prospect_id"}), on="account_id", validate="m:m")
    return pairs[["opportunity_id", "prospect_id"]].dropna().drop_duplicates()


def _mail(call: StatContext, mailings: pd.DataFrame, by: str, bounce_policy: str) -> pd.DataFrame:
    mail = read_deliveries(call, mailings, ["prospect_id", by], bounce_policy=bounce_policy)
    mail = mail[flags(mail["is_delivered"] & mail["delivered_at"].notna() & mail["prospect_id"].notna())]
    names = {"id": "touch_id", "delivered_at": "at", by: "channel_id"}
    return mail.rename(columns=names)[["prospect_id", "at", "touch_id", "channel_id"]].assign(kind=0)


def _calls(call: StatContext, calls: pd.DataFrame, by: str) -> pd.DataFrame:
    taken = read(call, "calls", calls, [*CALL_COLUMNS, by])
    dialed = table(outbound_calls(wrap(taken))).dropna(subset="prospect_id")
    names = {"id": "touch_id", "called_at": "at", by: "channel_id"}
    return dialed.rename(columns=names)[["prospect_id", "at", "touch_id", "channel_id"]].assign(kind=1)


def _touches_of_deals(deals: pd.DataFrame, people: pd.DataFrame, touches: pd.DataFrame, window: int) -> pd.DataFrame:
    """List each opportunity's touches inside its window, in order."""
    pairs = people.merge(deals[["opportunity_id", "created"]], on="opportunity_id", validate="m:1")
    touched = pairs.merge(touches, on="prospect_id", validate="m:m")
    touched["age"] = touched["created"] - touched["at"]
    touched = touched[flags((touched["age"] >= 0) & (touched["age"] <= window))]
    return touched.sort_values(["opportunity_id", "at", "kind", "touch_id"], ignore_index=True)


def _shares(touched: pd.DataFrame, half_life_d: float) -> pd.DataFrame:
    """Add what each model gives to each touch; the shares of an opportunity sum to 1."""
    deal = touched["opportunity_id"]
    older = floats(touched["age"] - touched.groupby("opportunity_id")["age"].transform("min")) / DAY
    with np.errstate(over="ignore"):  # so many half-lives that nothing is left
        weight = pd.Series(0.5 ** np.divide(older, half_life_d), index=touched.index)
    return touched.assign(
        first=(~deal.duplicated(keep="first")).astype(float),
        last=(~deal.duplicated(keep="last")).astype(float),
        linear=1.0 / deal.groupby(deal).transform("size").astype(float),
        time_decay=weight / weight.groupby(deal).transform("sum"),
    )


def _summary(credited: pd.DataFrame) -> pd.DataFrame:
    """Sum by model, currency and channel; what touched a deal influenced all of it, credit or not."""
    keys = ["model_rank", "currency", "channel_rank", "channel_id", "model", "channel"]
    grouped = credited.assign(got=credited["share"] > 0).groupby(keys, dropna=False)
    counts = grouped.agg(opportunities=("got", "sum"), credited=("share", "sum"))
    amounts = grouped[["amount", "whole_amount"]].sum(min_count=1)
    summary = counts.join(amounts).reset_index().rename(columns={"whole_amount": "influenced_amount"})
    return summary[[*_GROUP, "opportunities", "credited", "amount", "influenced_amount"]]


def _warn_of_deals(deals: pd.DataFrame) -> None:
    usual = deals["currency"].mode()
    apart = deals["amount"].isna() | (deals["currency"].isna() | ~deals["currency"].isin(usual[:1]))
    what = "Opportunities in another currency than most or without an amount, counted and never added"
    warn_of_rows(MixedCurrencyWarning, what, deals["opportunity_id"][flags(apart)])
    synced = deals["opportunity_id"][flags(deals["created_source"] == "outreach")]
    what = "Opportunities dated by their arrival in Outreach, since the CRM's date is missing"
    warn_of_rows(SyncTimeWarning, what, synced)
