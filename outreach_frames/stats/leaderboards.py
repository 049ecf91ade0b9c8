"""
Leaderboards: groups ranked by a rate, with the part of chance in a rank.

The best of many small groups is mostly the luckiest. Rates are shrunk before they are ranked, and each group gets
the chance that it is the best.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from outreach_frames._frame_kinds import pandas_from
from outreach_frames.errors import DataError
from outreach_frames.metrics import RATES
from outreach_frames.stats._aggregate import MATURE_D, MEDIAN, engagement_parts, stack
from outreach_frames.stats._backends import wrap
from outreach_frames.stats._pandas import Floats, flags, float_column, keep, missing, read, read_mailings, table, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, Instant, to_micros
from outreach_frames.stats._validation import choice, column as column_name, id_mapping
from outreach_frames.stats.clusters import clusters_of, noted_effects
from outreach_frames.stats.shrinkage import Prior, PriorChoice, attach_prior, prior_for, shrunk
from outreach_frames.stats.suspects import warn_of_machines

LOW_TRUST = frozenset({"open_rate", "click_rate", "click_to_open_rate"})
"""Rates that machines inflate."""

LOWER_IS_BETTER = frozenset({"bounce_rate", "enrollment_bounce_rate", "opt_out_rate", "prospect_unsubscribe_rate"})

DRAWS = 20_000
_DRAWS_AT_ONCE = 1_000

_FRAMES = {"user_id": "users", "mailbox_id": "mailboxes", "sequence_id": "sequences", "template_id": "templates"}
_GROUP_NAMES = ("name", "email")


def leaderboard(
    mailings: pd.DataFrame,
    *,
    users: pd.DataFrame | None = None,
    mailboxes: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    by: str = "user_id",
    metric: str = "reply_rate",
    alias: Mapping[int, int] | None = None,
    prior: PriorChoice = "integrated",
    seed: int = 0,
    mature_d: float = MATURE_D,
    ci: float = 0.95,
    cluster: str | None = "auto",
    bounce_policy: str = "reply_wins",
    allow_low_trust: bool = False,
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Rank users, mailboxes, sequences or templates by a shrunk rate.

    ``raw`` = x / n, with the numerator and denominator of the metric; ``shrunk``: see `shrink_rates`.

    Parameters
    ----------
    mailings
        As for `engagement`, with the column of ``by``.
    users, mailboxes, sequences, templates
        The table that ``by`` refers to, if any: what to rank. ``id``, and ``name`` or ``email`` if present; of
        templates also ``stats_target_id``: a template that counts on another is ranked with it. Without a table, all
        groups with mail are ranked.
    by
        Column to group by. Mail is credited to its sender (``user_id``), not to the owner of the prospect now.
    metric
        A rate of `engagement`. Rates of opens and clicks need ``allow_low_trust=True``.
    alias
        Id of a group → id of the group to count it under, to pool copies of a sequence.
    prior
        Of the rates: ``"integrated"``, ``"moments"`` or (alpha, beta); see `shrink_rates`.
    seed
        Of the draws for ``p_top`` and ``p_above_median``.
    mature_d
        Mail sent less than this before ``as_of`` is left out, since its answers are still to come [d]; 0 keeps all.
    ci
        Probability of the interval.
    cluster
        Column of the clusters; see `engagement` and `clusters`.
    bounce_policy
        See `mailing_flags`.
    allow_low_trust
        Rank by a rate that machines inflate all the same.
    as_of
        When the data were extracted; default: what the frames' records say, else when the latest mail was sent.

    Returns
    -------
    leaderboard : DataFrame, one row for each group, best first
        Key, ``name`` (missing where unknown), ``n``, ``x``, ``raw``, ``shrunk``, ``lo``, ``hi``, ``p_top`` (chance of
        being the best), ``p_above_median`` (of being on the better side of the median group), ``rank`` (1 is the best,
        ties share the better one). Highest is best, but for bounces and opt-outs lowest. Groups without trials get the
        prior, come last, and have neither rank nor chances. `attached` gives the ``"prior"``, see
        `shrink_rates`.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        An unknown or low-trust metric, a wrong dtype, an id that occurs twice.

    Warns
    -----
    MachineOpenWarning
        A low-trust rate is ranked, and some opens or clicks are machines'.

    Notes
    -----
    ``p_top`` and ``p_above_median``: shares of 20,000 draws from the posteriors, standard error at most 0.0035. Not
    counted: mail without the key, and mail of groups that are not listed.

    Examples
    --------
    >>> ranks = stats.leaderboard(mailings, users=users, by="user_id")
    >>> ranks[["rank", "name", "x", "n"]].head(2).to_dict("records")
    [{'rank': 1, 'name': 'Yolanda Quillfeather', 'x': 23, 'n': 224},
    {'rank': 2, 'name': 'Dana Quillfeather', 'x': 21, 'n': 368}]
    >>> ranks[["raw", "shrunk", "p_top"]].head(1).round(2).to_dict("records")
    [{'raw': 0.1, 'shrunk': 0.08, 'p_top': 0.85}]
    """
    by, alias = column_name("by", by), id_mapping("alias", alias)
    call = StatContext(
        "leaderboard",
        by=by,
        metric=metric,
        alias=alias,
        prior=prior,
        seed=seed,
        mature_d=mature_d,
        ci=ci,
        cluster=cluster,
        bounce_policy=bounce_policy,
        allow_low_trust=allow_low_trust,
    )
    _check_metric(metric, allow_low_trust=allow_low_trust)
    prior_for([], [], prior)  # refuses one that is none
    mailings = pandas_from(mailings)
    present = list(mailings.columns) if isinstance(mailings, pd.DataFrame) else []
    together = clusters_of([metric], cluster if present else None, present, [by])
    needed = [*dict.fromkeys(["prospect_id", "sequence_state_id", *together.values()])]
    mail = read_mailings(call, mailings, needed, keys=[by], bounce_policy=bounce_policy)
    if metric in LOW_TRUST:
        warn_of_machines(mail)
    tables = {"users": users, "mailboxes": mailboxes, "sequences": sequences, "templates": templates}
    listed = _read_groups(call, by, {name: each for name, each in tables.items() if each is not None})
    call.optional_instant(as_of)

    mail = keep(call, mail, f"{by} missing", mail[by].notna())
    mail = _mature(call, mail, mature_d)
    mail, listed = _pooled(mail, listed, by, alias)
    counted = _group_counts(call, mail, listed, by, metric=metric, clusters=together)
    x, n, effect = (counted[name].to_numpy(dtype=np.float64) for name in ("x", "n", "effect"))
    raw = float_column(np.divide(x, n, out=np.full(len(n), np.nan), where=n > 0))
    x, n = x / effect, n / effect
    fitted = prior_for(x, n, prior)
    ranked = counted.assign(raw=raw, **shrunk(x, n, fitted, ci=ci))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    ranked["p_top"], ranked["p_above_median"] = map(float_column, _chances(x, n, fitted, sign, seed))
    worth = (ranked["shrunk"] * sign).where(ranked["n"] > 0)
    ranked["rank"] = worth.rank(method="min", ascending=False).astype("int64[pyarrow]")
    order = [by, "name", "n", "x", "raw", "shrunk", "lo", "hi", "p_top", "p_above_median", "rank"]
    result = write(call, ranked[order], sort=["rank", by])
    attach_prior(result, fitted)
    return result


def _read_groups(call: StatContext, by: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Read the table of the groups; only the one that ``by`` refers to may be passed."""
    for name in tables:
        if name != _FRAMES.get(by):
            raise DataError(f"by={by!r} does not refer to {name}.", hint=f"Pass the table of {by}, or leave it out.")
    for name, table_of_groups in tables.items():
        return read(call, name, table_of_groups, ["id"], optional=[*_GROUP_NAMES, "stats_target_id"])
    return None


def _check_metric(metric: str, *, allow_low_trust: bool) -> None:
    choice("metric to rank by", metric, RATES)
    if metric in LOW_TRUST and not allow_low_trust:
        raise DataError(
            f"{metric} counts machines' opens and clicks too: a ranking by it would rank mail filters.",
            hint='Rank by "reply_rate", or pass allow_low_trust=True.',
        )


def _pooled(
    mail: pd.DataFrame, listed: pd.DataFrame | None, by: str, alias: Mapping[int, int]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Credit the mail of templates that count on another, and of aliases, to where they count."""
    target: dict[Any, Any] = dict(alias)
    if listed is not None:
        target |= listed.set_index("id")["stats_target_id"].dropna().to_dict()
        listed = listed[~listed["id"].isin(target)]
    if target:
        mail = mail.assign(**{by: mail[by].map(target).astype(mail[by].dtype).fillna(mail[by])})
    return mail, listed


def _mature(call: StatContext, mail: pd.DataFrame, mature_d: float) -> pd.DataFrame:
    """Leave out the mail that has not had its time."""
    latest = mail["sent_at"].max() if call.as_of is None else to_micros(call.as_of)
    if not mature_d or pd.isna(latest):
        return mail
    young = flags(mail["sent_at"] > latest - int(mature_d * DAY))
    return keep(call, mail, f"mailing sent less than {mature_d:g} days before as_of", pd.Series(~young, mail.index))


def _group_counts(
    call: StatContext,
    mail: pd.DataFrame,
    listed: pd.DataFrame | None,
    by: str,
    *,
    metric: str,
    clusters: Mapping[str, str],
) -> pd.DataFrame:
    """
    Count successes ``x`` and trials ``n`` by group, with their design effect, sorted by key.

    Listed groups without mail have no trials.
    """
    successes, trials = RATES[metric]
    if listed is not None:
        mail = keep(call, mail, "mailing of a group that is not listed", mail[by].isin(listed["id"]))
    parts = engagement_parts(wrap(mail), [by], clusters, as_of=call.as_of)
    counted = table(noted_effects(call, stack(parts, [by], medians=[MEDIAN]), {metric: RATES[metric]}, clusters))
    effect = counted[f"{metric}_deff"] if clusters else 1.0
    counted = counted[[by, successes, trials]].assign(effect=effect)
    counted = counted.rename(columns={successes: "x", trials: "n"})
    if listed is None:
        return counted.sort_values(by, ignore_index=True).assign(name=missing(len(counted), "string[pyarrow]"))
    named = listed.rename(columns={"id": by}).assign(name=listed["name"].fillna(listed["email"]))
    counted = (
        named[[by, "name"]].merge(counted, on=by, how="left", validate="1:1").fillna({"x": 0, "n": 0, "effect": 1})
    )
    return counted.astype({"x": "int64[pyarrow]", "n": "int64[pyarrow]"}).sort_values(by, ignore_index=True)


def _chances(
    x: Floats, n: Floats, prior: Prior | None, sign: int, seed: int, *, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """Draw the groups' rates; return how often each is the best, and on the better side of the median."""
    seen = np.flatnonzero(n > 0)
    top, above = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if prior is None or not prior.is_proper:
        return top, above
    generator = np.random.default_rng(seed)
    wins, upper = np.zeros(len(seen)), np.zeros(len(seen))
    for _ in range(draws // _DRAWS_AT_ONCE):
        size = (_DRAWS_AT_ONCE, len(seen))
        part = generator.choice(len(prior.share), size=(_DRAWS_AT_ONCE, 1), p=prior.share)  # one prior for all groups
        drawn = sign * generator.beta(x[seen] + prior.alpha[part], n[seen] - x[seen] + prior.beta[part], size=size)
        wins += np.bincount(drawn.argmax(axis=1), minlength=len(seen))
        upper += (drawn > np.median(drawn, axis=1, keepdims=True)).sum(axis=0)
    top[seen], above[seen] = wins / draws, upper / draws
    return top, above
