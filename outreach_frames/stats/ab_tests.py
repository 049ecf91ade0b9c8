"""
Tests of templates: which variant of a step earns more, and whether that is more than chance.

The unit is the enrollment at the step, since a step writes to an enrollment once. Only the time in which all variants
ran is compared: before that, the older one met other people in another season.
"""

from string import ascii_uppercase

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames._frame_kinds import pandas_from
from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import ChangedTemplateWarning
from outreach_frames.stats._pandas import flags, frame_of_rows, keep, missing, read, read_mailings, write
from outreach_frames.stats._statistic import StatContext, warn_of_rows
from outreach_frames.stats._timestamps import DAY, Instant
from outreach_frames.stats._validation import beta_prior, choice, column as column_name
from outreach_frames.stats.ab_verdict import Arm, Rules, rate_effect, read_step
from outreach_frames.stats.clusters import ACCOUNTS
from outreach_frames.stats.comparisons import BetaShape
from outreach_frames.stats.power import NEVER, Trials
from outreach_frames.stats.provenance import attach
from outreach_frames.stats.shrinkage import PriorChoice, prior_for
from outreach_frames.stats.suspects import warn_of_machines

OUTCOMES = {
    "reply_rate": ("is_replied", "replied_at", "is_delivered"),
    "click_rate": ("is_clicked", "clicked_at", "is_click_tracked"),
    "open_rate": ("is_opened", "opened_at", "is_open_tracked"),
}
"""What counts as success, when it happened, and what counts as a trial."""


OTHER_TESTS = 5
"""From so many other tests on they tell which rates are usual."""

_TEST_PARTS = 20
_FLAT = (1.0, 1.0)

_ARM = ["sequence_step_id", "template_id"]
_UNIT = ["sequence_step_id", "sequence_state_id"]

_COMPARISON = dict.fromkeys(("diff", "diff_lo", "diff_hi", "p_better", "expected_loss", "p_always_valid"), pa.float64())
_VARIANTS = {
    "step_id": pa.int64(),
    "template_id": pa.int64(),
    "variant": pa.string(),
    "arrivals": pa.int64(),
    "n": pa.int64(),
    "x": pa.int64(),
    **dict.fromkeys(("rate", "lo", "hi", "design_effect"), pa.float64()),
    "rival_id": pa.int64(),
    **_COMPARISON,
    "srm_p": pa.float64(),
    "n_needed": pa.int64(),
    "verdict": pa.string(),
    **dict.fromkeys(("prior_alpha", "prior_beta", "posterior_alpha", "posterior_beta"), pa.float64()),
}
_PAIRS = {"step_id": pa.int64(), "template_1": pa.int64(), "template_2": pa.int64(), **_COMPARISON}


@with_old_positions("sequence_templates", "templates")
def ab_test(
    mailings: pd.DataFrame,
    *,
    sequence_templates: pd.DataFrame,
    templates: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    prior: str | tuple[float, float] = "empirical",
    tau: float | None = None,
    planned_n: int | None = None,
    detectable: float = 0.02,
    overlap_only: bool = True,
    cluster: str | None = "auto",
    ci: float = 0.95,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Compare the templates of each step that has several.

    ``rate`` = enrollments with a success at the step / enrollments with a delivered mailing at the step, that is, n.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``, and ``sequence_state_id``, ``sequence_step_id``,
        ``template_id``.
    sequence_templates
        ``id``, ``sequence_step_id``, ``template_id``, ``enabled``, ``enabled_at``: which templates a step has.
    templates
        ``id``, and ``name`` and ``updated_at`` if known.
    metric
        ``"reply_rate"``; ``"click_rate"`` or ``"open_rate"``, which count machines too, over mailings with tracking.
    prior
        Of the rates, for ``p_better`` and ``expected_loss``: ``"empirical"``, fitted to the variants of other tests,
        never to those under test, and flat where there are fewer than five others; ``"flat"``; (alpha, beta); or
        ``"moments"``, fitted by moments to all variants, those under test included, which makes both too timid.
    tau
        Of ``p_always_valid``. Default: the exact test, see `power.exact_p`. Else the differences expected
        beforehand by the large-sample test, see `comparisons.always_valid_p`.
    planned_n
        Plan: enrollments in each variant before anything but "A better" is said; default: ``n_needed``.
    detectable
        Smallest difference worth detecting, absolute, for ``n_needed`` and the verdict.
    overlap_only
        Compare enabled variants only, and mail sent after the last of them was enabled. When a variant was disabled
        is unknown.
    cluster
        Column of the clusters; ``"auto"``: the account, else none; ``None``: independent enrollments. See `clusters`.
    ci
        Confidence level of all intervals; 1 − ci is the level of the verdict.
    bounce_policy
        See `mailing_flags`.
    as_of
        Mail sent and successes after it are left out; default: none.

    Returns
    -------
    test : DataFrame, one row for each variant, sorted by ``step_id``, ``template_id``
        ``step_id``, ``template_id``, ``variant`` ("A", "B" …), ``name``; ``window_from`` [UTC]; ``arrivals``
        [enrollments sent to]; ``n``, ``x``, ``rate``, ``lo``, ``hi``; ``design_effect`` [trials that count as one for
        the rate]; then, against ``rival_id``, the best of the other variants: ``diff``, ``diff_lo``,
        ``diff_hi``, ``p_better`` = P(this rate > rival's), ``expected_loss`` [successes per trial] of choosing this
        one, ``p_always_valid``; and for the step: ``srm_p``, ``n_needed`` [enrollments in each variant], ``verdict``,
        and the prior, ``prior_alpha`` and ``prior_beta``; and the Beta distribution of the variant's rate after the
        test, ``posterior_alpha`` and ``posterior_beta``. Missing where a variant has no trial. ``attrs["pairs"]``: all
        pairs, see `attached`.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype, an id that occurs twice, an unknown metric or prior.

    Warns
    -----
    ChangedTemplateWarning
        A template was updated while it was compared.
    MachineOpenWarning
        Opens or clicks are compared, and some are machines'.

    Notes
    -----
    Verdict, in this order: "broken split" if the variants did not get equal shares (``srm_p`` < 0.001): then read no
    rate. "A better" if A beats every other variant with an always-valid p, times the number of pairs (Bonferroni),
    below 1 − ci. "too early" while a variant has fewer enrollments than planned. "no difference as large as ±2 points"
    if the intervals of all differences lie within ± ``detectable``. Else "undecided": more mail can still tell.

    ``p_better`` is right where rates are as the prior says: a flat prior takes any rate, and any difference, for
    equally likely, and so trusts small tests too much if differences are rare; it is not the chance that the verdict is
    right.

    ``n_needed``: where the always-valid test has found ``detectable`` in 80 % of tests, see `power_table`, times the
    design effect; for two rates in whose middle that of all variants lies. Intervals: Wilson; difference: Newcombe's
    hybrid score. ``srm_p``: χ² of the arrivals against equal shares. The always-valid p looks at the end of each day
    (UTC) on which something happened, at cohorts of 20 enrollments or more. With clusters all counts are divided by the
    design effect of the difference (for a rate: of the rate), and Student's quantile takes the place of the normal one;
    see `ab_verdict`. An enrollment that was sent two variants at a step counts for the first. See also the modules
    `comparisons` and `power`.

    Examples
    --------
    >>> tests = stats.ab_test(mailings, sequence_templates=sequence_templates, templates=templates)
    >>> tests[["name", "n", "x", "verdict"]].head(2).to_dict("records")
    [{'name': 'VP Eng 1 – build times', 'n': 69, 'x': 1, 'verdict': 'too early'},
    {'name': 'VP Eng 1 – short question', 'n': 84, 'x': 5, 'verdict': 'too early'}]
    >>> tests["step_id"].nunique()
    7
    """
    numbers = {"tau": tau, "planned_n": planned_n, "detectable": detectable, "overlap_only": overlap_only, "ci": ci}
    call = StatContext("ab_test", metric=metric, prior=prior, **numbers, bounce_policy=bounce_policy)
    choice("metric for a test", metric, OUTCOMES)
    _check_prior(prior)
    keys = ["sequence_state_id", "sequence_step_id", "template_id"]
    together = _cluster(cluster, mailings)
    call.parameters["cluster"] = together
    mail = read_mailings(call, mailings, keys, keys=[] if together is None else [together], bounce_policy=bounce_policy)
    columns = ["id", "sequence_step_id", "template_id", "enabled", "enabled_at"]
    variants = _variants(call, read(call, "sequence_templates", sequence_templates, columns), overlap_only=overlap_only)
    described = (
        None if templates is None else read(call, "templates", templates, ["id"], optional=["name", "updated_at"])
    )
    until = call.optional_instant(as_of)

    mail = _compared_mail(call, mail, variants)
    if metric != "reply_rate":
        warn_of_machines(mail)
    units = _units(mail, *OUTCOMES[metric], until=until, cluster=together)
    steps = _arms(variants, units)
    rules = Rules(tau, planned_n, detectable, ci, clustered=together is not None)
    priors = _priors(prior, steps, rules)
    tested, pairs = [], []
    for step, arms in steps.items():
        of_variants, of_pairs = read_step(arms, rules, priors[step])
        tested += [{"step_id": step, **row} for row in of_variants]
        pairs += [{"step_id": step, **row} for row in of_pairs]
    result = write(call, _described(frame_of_rows(tested, _VARIANTS), variants, described), instants=["window_from"])
    attach(result, "pairs", frame_of_rows(pairs, _PAIRS))
    return result


def _cluster(cluster: str | None, mailings: object) -> str | None:
    """Choose the column of the clusters."""
    if cluster is None:
        return None
    named = column_name("cluster", cluster)
    if named != "auto":
        return named
    mailings = pandas_from(mailings)
    present = set(mailings.columns) if isinstance(mailings, pd.DataFrame) else set()
    return next((name for name in ACCOUNTS if name in present), None)


def _variants(call: StatContext, listed: pd.DataFrame, *, overlap_only: bool) -> pd.DataFrame:
    """List the variants to compare, one row for each step and template, with the start of the step's window."""
    listed = keep(call, listed, "variant of no step or template", listed[_ARM].notna().all(axis=1))
    if overlap_only:
        listed = keep(call, listed, "disabled variant: when it ran is unknown", listed["enabled"])
    variants = listed.groupby(_ARM, as_index=False)[["enabled_at"]].min()
    several = variants.groupby("sequence_step_id")["template_id"].transform("size") > 1
    variants = keep(call, variants, "variant alone on its step", several)
    starts = variants.groupby("sequence_step_id")["enabled_at"].transform("max")
    return variants.assign(window_from=starts if overlap_only else missing(len(variants), "int64[pyarrow]"))


def _compared_mail(call: StatContext, mail: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """Keep sent mail of compared variants inside their window, of the variant that the enrollment was sent first."""
    mail = keep(call, mail, "mailing of no enrollment", mail["sequence_state_id"].notna())
    mail = keep(call, mail, "mailing never sent", mail["is_sent"])
    mail = mail.merge(variants.assign(compared=True), on=_ARM, how="left", validate="m:1")
    mail = keep(call, mail, "mailing of no compared variant", mail["compared"].notna())
    early = flags(mail["sent_at"] < mail["window_from"])
    mail = keep(call, mail, "sent before all variants were enabled", pd.Series(~early))
    first = mail.sort_values(["sent_at", "id"]).drop_duplicates(_UNIT).loc[:, [*_UNIT, "template_id"]]
    mail = mail.merge(first, on=_UNIT, suffixes=("", "_first"), validate="m:1")
    return keep(call, mail, "enrollment sent another variant before", mail["template_id"] == mail["template_id_first"])


def _units(
    mail: pd.DataFrame, success: str, happened_at: str, trial: str, *, until: int | None, cluster: str | None
) -> pd.DataFrame:
    """Make one row for each enrollment at a step: cluster, and the days of arrival, trial, success [missing: not]."""
    happened = mail[happened_at].where(mail[happened_at] > mail["sent_at"], mail["sent_at"])
    timed = mail[_ARM].assign(
        sequence_state_id=mail["sequence_state_id"],
        arrival=mail["sent_at"],
        trial=mail["sent_at"].where(mail[trial]),
        success=happened.where(mail[success] & mail[trial]),
    )
    if until is not None:
        instants = timed[["arrival", "trial", "success"]]
        timed[["arrival", "trial", "success"]] = instants.where(instants <= until)
    timed["cluster"] = -1 if cluster is None else pd.factorize(mail[cluster])[0]
    units: pd.DataFrame = timed.groupby([*_ARM, "sequence_state_id"], as_index=False).min()
    alone = units["cluster"] < 0
    units["cluster"] = units["cluster"].where(~alone, -1 - np.arange(len(units)))
    return units.assign(**{name: units[name] // DAY for name in ("arrival", "trial", "success")})


def _arms(variants: pd.DataFrame, units: pd.DataFrame) -> dict[int, list[Arm]]:
    """Make the arms of each step, labeled in the order of their templates."""
    sent = dict(tuple(units.groupby(_ARM)))
    steps: dict[int, list[Arm]] = {}
    for step, template in variants[_ARM].sort_values(_ARM).itertuples(index=False):
        arms = steps.setdefault(int(step), [])
        mine = sent.get((step, template), units.head(0))
        arrived, tried = mine[mine["arrival"].notna()], mine[mine["trial"].notna()]
        trials = Trials(
            tried["trial"].to_numpy(dtype=np.int64), tried["success"].to_numpy(dtype=np.int64, na_value=NEVER)
        )
        clusters = (part["cluster"].to_numpy(dtype=np.int64) for part in (arrived, tried))
        arms.append(Arm(int(template), _label(len(arms)), next(clusters), trials, next(clusters)))
    return steps


def _label(number: int) -> str:
    """Return A, B … Z, AA, AB … as a sheet names its columns."""
    first, last = divmod(number, len(ascii_uppercase))
    return (_label(first - 1) if first else "") + ascii_uppercase[last]


def _check_prior(prior: str | tuple[float, float]) -> None:
    if isinstance(prior, str):
        choice("prior", prior, ("empirical", "flat", "moments"))
    else:
        beta_prior("prior", prior)


def _priors(prior: str | tuple[float, float], steps: dict[int, list[Arm]], rules: Rules) -> dict[int, BetaShape]:
    """Choose the prior of each step."""
    if not isinstance(prior, str):
        return dict.fromkeys(steps, beta_prior("prior", prior))
    if prior == "empirical":
        counts = {step: [_arm_counts(arm, rules) for arm in arms if arm.n] for step, arms in steps.items()}
        parts = [list(steps)[part::_TEST_PARTS] for part in range(_TEST_PARTS)]
        return {
            step: _prior([counts[other] for other in counts if other not in part]) for part in parts for step in part
        }
    everything = [[(float(arm.x), float(arm.n)) for arm in arms] for arms in steps.values()]
    return dict.fromkeys(steps, _FLAT if prior == "flat" else _fitted(everything, prior))


def _arm_counts(arm: Arm, rules: Rules) -> tuple[float, float]:
    effect = rate_effect(arm) if rules.clustered else 1.0
    return arm.x / effect, arm.n / effect


def _prior(others: list[list[tuple[float, float]]]) -> BetaShape:
    """Fit the prior to other tests that have begun, if they are enough."""
    begun = [counts for counts in others if counts]
    return _fitted(begun, "integrated") if len(begun) >= OTHER_TESTS else _FLAT


def _fitted(tests: list[list[tuple[float, float]]], method: PriorChoice) -> BetaShape:
    counts = np.array([count for test in tests for count in test], dtype=np.float64).reshape(-1, 2)
    fitted = prior_for(counts[:, 0], counts[:, 1], method)
    return fitted.as_beta() if fitted is not None and fitted.is_proper else _FLAT


def _described(tested: pd.DataFrame, variants: pd.DataFrame, templates: pd.DataFrame | None) -> pd.DataFrame:
    """Add the windows and the templates' names; warn of templates that were changed."""
    windows = variants.rename(columns={"sequence_step_id": "step_id"})[["step_id", "template_id", "window_from"]]
    described = tested.merge(windows, on=["step_id", "template_id"], how="left", validate="1:1")
    described = described.sort_values(["step_id", "template_id"], ignore_index=True)
    if templates is None:
        described["name"] = pd.Series([None] * len(described), dtype="string[pyarrow]")
    else:
        described = described.merge(templates, left_on="template_id", right_on="id", how="left", validate="m:1")
        changed = flags(described["updated_at"] > described["window_from"])
        what = "Templates updated after their comparison began, so that which text was sent is unknown"
        warn_of_rows(ChangedTemplateWarning, what, set(described["template_id"][changed]))
    others = [name for name in _VARIANTS if name not in {"step_id", "template_id", "variant"}]
    return described[["step_id", "template_id", "variant", "name", "window_from", *others]]
