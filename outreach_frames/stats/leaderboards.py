"""
Leaderboards: groups ranked by a rate, with what chance does to a rank.

The best of many small groups is mostly the luckiest. Rates are shrunk before they are ranked, and each group is told
how likely it is the best at all.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import wrap
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import choice, column as column_name, id_mapping
from outreach_frames.stats._small import Floats, Ints, column, keep, missing, read, read_mailings, table, write
from outreach_frames.stats._tally import MEDIAN, RATES, engagement_parts, stack
from outreach_frames.stats.shrinkage import GivenPrior, Prior, prior_for, shrunk
from outreach_frames.stats.suspects import warn_of_machines

LOW_TRUST = frozenset({"open_rate", "click_rate", "click_to_open_rate"})
"""Rates that machines inflate."""

LOWER_IS_BETTER = frozenset({"bounce_rate", "opt_out_rate"})

DRAWS = 20_000
_AT_ONCE = 1_000

_FRAMES = {"user_id": "users", "mailbox_id": "mailboxes", "sequence_id": "sequences", "template_id": "templates"}
_NAMES = ("name", "email")


def leaderboard(
    mailings: pd.DataFrame,
    groups: pd.DataFrame | None = None,
    *,
    by: str = "user_id",
    metric: str = "reply_rate",
    alias: Mapping[int, int] | None = None,
    prior: GivenPrior = "integrated",
    seed: int = 0,
    ci: float = 0.95,
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
    groups
        The users, mailboxes, sequences or templates to rank: ``id``, and ``name`` or ``email`` if known; of templates
        also ``stats_target_id``: a template that counts on another is ranked with it. Without it, those with mail.
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
    ci
        Probability of the interval.
    bounce_policy
        See `mailing_flags`.
    allow_low_trust
        Rank by a rate that machines inflate all the same.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    leaderboard : DataFrame, one row for each group, best first
        Key, ``name`` (missing where unknown), ``n``, ``x``, ``raw``, ``shrunk``, ``lo``, ``hi``, ``p_top`` (chance of
        being the best), ``p_above_median`` (of being on the better side of the median group), ``rank`` (1 is the best,
        ties share the better one). Highest is best, but for bounces and opt-outs lowest. Groups without trials get the
        prior, come last, and have neither rank nor chances. ``attrs["prior"]``: see `shrink_rates`.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        An unknown or low-trust metric, a wrong dtype, an id that occurs twice.

    Warns
    -----
    MachineOpenWarning
        A low-trust rate is ranked, and some opens or clicks are machines'.

    Notes
    -----
    ``p_top`` and ``p_above_median``: shares of 20,000 draws from the posteriors, standard error at most 0.0035. Not
    counted: mail without the key, and mail of groups that are not listed. Source: this project's metric dictionary,
    part 2.7.
    """
    by, alias = column_name("by", by), id_mapping("alias", alias)
    call = Call(
        "leaderboard",
        by=by,
        metric=metric,
        alias=alias,
        prior=prior,
        seed=seed,
        ci=ci,
        bounce_policy=bounce_policy,
        allow_low_trust=allow_low_trust,
    )
    _check_metric(metric, allow_low_trust=allow_low_trust)
    prior_for([], [], prior)  # refuses one that is none
    mail = read_mailings(call, mailings, ["prospect_id", "sequence_state_id"], keys=[by], bounce_policy=bounce_policy)
    if metric in LOW_TRUST:
        warn_of_machines(mail)
    listed = None
    if groups is not None:
        listed = read(call, _FRAMES.get(by, "groups"), groups, ["id"], optional=[*_NAMES, "stats_target_id"])
    call.look(as_of)

    mail = keep(call, mail, f"{by} missing", mail[by].notna())
    mail, listed = _pooled(mail, listed, by, alias)
    counted = _counted(call, mail, listed, by, metric)
    x, n = (counted[name].to_numpy(dtype=np.int64) for name in ("x", "n"))
    fitted = prior_for(x, n, prior)
    raw = column(np.divide(x, n, out=np.full(len(n), np.nan), where=n > 0))
    ranked = counted.assign(raw=raw, **shrunk(x, n, fitted, ci=ci))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    ranked["p_top"], ranked["p_above_median"] = map(column, _chances(x, n, fitted, sign, seed))
    worth = (ranked["shrunk"] * sign).where(ranked["n"] > 0)
    ranked["rank"] = worth.rank(method="min", ascending=False).astype("int64[pyarrow]")
    order = [by, "name", "n", "x", "raw", "shrunk", "lo", "hi", "p_top", "p_above_median", "rank"]
    result = write(call, ranked[order], sort=["rank", by])
    result.attrs["prior"] = None if fitted is None else fitted.record
    return result


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


def _counted(call: Call, mail: pd.DataFrame, listed: pd.DataFrame | None, by: str, metric: str) -> pd.DataFrame:
    """Count successes ``x`` and trials ``n`` by group, sorted by key; listed groups without mail have none."""
    successes, trials = RATES[metric]
    if listed is not None:
        mail = keep(call, mail, "mailing of a group that is not listed", mail[by].isin(listed["id"]))
    parts = engagement_parts(wrap(mail), [by])
    counted = table(stack(parts, [by], medians=[MEDIAN]))[[by, successes, trials]]
    counted = counted.rename(columns={successes: "x", trials: "n"})
    if listed is None:
        return counted.sort_values(by, ignore_index=True).assign(name=missing(len(counted), "string[pyarrow]"))
    named = listed.rename(columns={"id": by}).assign(name=listed["name"].fillna(listed["email"]))
    counted = named[[by, "name"]].merge(counted, on=by, how="left", validate="1:1").fillna({"x": 0, "n": 0})
    return counted.astype({"x": "int64[pyarrow]", "n": "int64[pyarrow]"}).sort_values(by, ignore_index=True)


def _chances(
    x: Ints, n: Ints, prior: Prior | None, sign: int, seed: int, *, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """Draw the groups' rates; return how often each is the best, and on the better side of the median."""
    seen = np.flatnonzero(n > 0)
    top, above = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if prior is None or not prior.is_proper:
        return top, above
    generator = np.random.default_rng(seed)
    wins, upper = np.zeros(len(seen)), np.zeros(len(seen))
    for _ in range(draws // _AT_ONCE):
        size = (_AT_ONCE, len(seen))
        part = generator.choice(len(prior.share), size=(_AT_ONCE, 1), p=prior.share)  # one prior for all groups
        drawn = sign * generator.beta(x[seen] + prior.alpha[part], n[seen] - x[seen] + prior.beta[part], size=size)
        wins += np.bincount(drawn.argmax(axis=1), minlength=len(seen))
        upper += (drawn > np.median(drawn, axis=1, keepdims=True)).sum(axis=0)
    top[seen], above[seen] = wins / draws, upper / draws
    return top, above
