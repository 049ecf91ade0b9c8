"""
Tests of templates: which variant of a step earns more, and whether that is more than chance.

The unit is the enrolment at the step, since a step writes to an enrolment once. Only the time in which all variants ran
is compared: before that, the older one met other people in another season.
"""

from string import ascii_uppercase

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.stats._calendar import DAY
from outreach_frames.stats._call import Call
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import choice
from outreach_frames.stats._small import Ints, flags, keep, missing, read, read_mailings, settled, typed, write
from outreach_frames.stats.attachments import attach
from outreach_frames.stats.intervals import wilson
from outreach_frames.stats.readouts import Arm, Rules, read_step
from outreach_frames.stats.shrinkage import Prior, fit_prior, given_prior
from outreach_frames.stats.suspects import warn_of_machines
from outreach_frames.stats.traps import ChangedTemplateWarning, warn

OUTCOMES = {
    "reply": ("is_replied", "replied_at", "is_delivered"),
    "click": ("is_clicked", "clicked_at", "is_click_tracked"),
    "open": ("is_opened", "opened_at", "is_open_tracked"),
}
"""What counts as success, when it happened, and what counts as a trial."""

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
    "rival_id": pa.int64(),
    **_COMPARISON,
    "srm_p": pa.float64(),
    "n_needed": pa.int64(),
    "verdict": pa.string(),
}
_PAIRS = {"step_id": pa.int64(), "template_1": pa.int64(), "template_2": pa.int64(), **_COMPARISON}


def ab_test(
    mailings: pd.DataFrame,
    sequence_templates: pd.DataFrame,
    templates: pd.DataFrame | None = None,
    *,
    metric: str = "reply",
    prior: str | tuple[float, float] = "empirical",
    tau: float = 0.01,
    min_n: int | None = None,
    detectable: float = 0.02,
    overlap_only: bool = True,
    ci: float = 0.95,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Compare the templates of each step that has several.

    ``rate`` = enrolments with a success at the step / enrolments with a delivered mailing at the step, that is, n.

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
        ``"reply"``; ``"click"`` or ``"open"``, which machines do too, over mailings with tracking.
    prior
        Of the rates, for ``p_better`` and ``expected_loss``: ``"empirical"``, fitted to all variants (see
        `shrink_rates`; flat where nothing can be fitted), ``"flat"``, or (alpha, beta).
    tau
        Differences expected beforehand, for ``p_always_valid``; see `comparisons.always_valid_p`.
    min_n
        Plan: enrolments in each variant before "no clear difference" is said; default: ``n_needed``.
    detectable
        Smallest difference worth detecting, absolute, for ``n_needed``.
    overlap_only
        Compare enabled variants only, and mail sent after the last of them was enabled. When a variant was disabled
        is unknown.
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
        [enrolments sent to]; ``n``, ``x``, ``rate``, ``lo``, ``hi``; then, against ``rival_id``, the best of the
        other variants: ``diff``, ``diff_lo``, ``diff_hi``, ``p_better`` = P(this rate > rival's), ``expected_loss``
        [successes per trial] of choosing this one, ``p_always_valid``; and for the step: ``srm_p``, ``n_needed``
        [enrolments in each variant], ``verdict``. Missing where a variant has no trial. ``attrs["pairs"]``: all pairs,
        see `attached`; ``attrs["prior"]``: the prior used.

    Raises
    ------
    MissingColumnError
        A column is absent.
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
    below 1 − ci. "too early" while a variant has fewer enrolments than planned. Else "no clear difference".

    Intervals: Wilson; difference: Newcombe's hybrid score. ``srm_p``: χ² of the arrivals against equal shares. The
    always-valid p looks at the end of each day (UTC) on which something happened. An enrolment that was sent two
    variants at a step counts for the first. Source: this project's metric dictionary, part 2.6, and the modules
    `comparisons`, `power` and `shrinkage`.
    """
    numbers = {"tau": tau, "min_n": min_n, "detectable": detectable, "overlap_only": overlap_only, "ci": ci}
    call = Call("ab_test", metric=metric, prior=prior, **numbers, bounce_policy=bounce_policy)
    choice("metric for a test", metric, OUTCOMES)
    given = _given(prior)
    mail = read_mailings(
        call, mailings, ["sequence_state_id", "sequence_step_id", "template_id"], bounce_policy=bounce_policy
    )
    columns = ["id", "sequence_step_id", "template_id", "enabled", "enabled_at"]
    variants = _variants(call, read(call, "sequence_templates", sequence_templates, columns), overlap_only=overlap_only)
    known = None if templates is None else read(call, "templates", templates, ["id"], optional=["name", "updated_at"])
    until = settled(call, as_of)

    mail = _compared_mail(call, mail, variants)
    if metric != "reply":
        warn_of_machines(mail)
    units = _units(mail, *OUTCOMES[metric], until=until)
    steps = _arms(variants, units)
    used = given or _prior([arm for arms in steps.values() for arm in arms])
    rules = Rules((used.alpha, used.beta), tau, min_n, detectable, ci)
    tested, pairs = [], []
    for step, arms in steps.items():
        of_variants, of_pairs = read_step(arms, rules)
        tested += [{"step_id": step, **row} for row in of_variants]
        pairs += [{"step_id": step, **row} for row in of_pairs]
    result = write(call, _described(typed(tested, _VARIANTS), variants, known, ci), instants=["window_from"])
    attach(result, "pairs", typed(pairs, _PAIRS))
    result.attrs["prior"] = used.as_record()
    return result


def _variants(call: Call, listed: pd.DataFrame, *, overlap_only: bool) -> pd.DataFrame:
    """List the variants to compare, one row for each step and template, with the start of the step's window."""
    listed = keep(call, listed, "variant of no step or template", listed[_ARM].notna().all(axis=1))
    if overlap_only:
        listed = keep(call, listed, "disabled variant: when it ran is unknown", listed["enabled"])
    variants = listed.groupby(_ARM, as_index=False)[["enabled_at"]].min()
    several = variants.groupby("sequence_step_id")["template_id"].transform("size") > 1
    variants = keep(call, variants, "variant alone on its step", several)
    starts = variants.groupby("sequence_step_id")["enabled_at"].transform("max")
    return variants.assign(window_from=starts if overlap_only else missing(len(variants), "int64[pyarrow]"))


def _compared_mail(call: Call, mail: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """Keep sent mail of compared variants inside their window, of the variant that the enrolment was sent first."""
    mail = keep(call, mail, "mailing of no enrolment", mail["sequence_state_id"].notna())
    mail = keep(call, mail, "mailing never sent", mail["is_sent"])
    mail = mail.merge(variants.assign(compared=True), on=_ARM, how="left", validate="m:1")
    mail = keep(call, mail, "mailing of no compared variant", mail["compared"].notna())
    early = flags(mail["sent_at"] < mail["window_from"])
    mail = keep(call, mail, "sent before all variants were enabled", pd.Series(~early))
    first = mail.sort_values(["sent_at", "id"]).drop_duplicates(_UNIT).loc[:, [*_UNIT, "template_id"]]
    mail = mail.merge(first, on=_UNIT, suffixes=("", "_first"), validate="m:1")
    return keep(call, mail, "enrolment sent another variant before", mail["template_id"] == mail["template_id_first"])


def _units(mail: pd.DataFrame, success: str, happened_at: str, trial: str, *, until: int | None) -> pd.DataFrame:
    """Make one row for each enrolment at a step: the days of its arrival, trial and success [missing: not]."""
    happened = mail[happened_at].where(mail[happened_at] > mail["sent_at"], mail["sent_at"])
    timed = mail[_ARM].assign(
        sequence_state_id=mail["sequence_state_id"],
        arrival=mail["sent_at"],
        trial=mail["sent_at"].where(mail[trial]),
        success=happened.where(mail[success]),
    )
    if until is not None:
        instants = timed[["arrival", "trial", "success"]]
        timed[["arrival", "trial", "success"]] = instants.where(instants <= until)
    units: pd.DataFrame = timed.groupby([*_ARM, "sequence_state_id"], as_index=False).min()
    return units.assign(**{name: units[name] // DAY for name in ("arrival", "trial", "success")})


def _arms(variants: pd.DataFrame, units: pd.DataFrame) -> dict[int, list[Arm]]:
    """Make the arms of each step, labelled in the order of their templates."""
    sent = dict(tuple(units.groupby(_ARM)))
    steps: dict[int, list[Arm]] = {}
    for step, template in variants[_ARM].sort_values(_ARM).itertuples(index=False):
        arms = steps.setdefault(int(step), [])
        mine = sent.get((step, template), units.head(0))
        days = (mine[name].dropna().to_numpy(dtype=np.int64) for name in ("trial", "success"))
        arms.append(Arm(int(template), _label(len(arms)), int(mine["arrival"].notna().sum()), *days))
    return steps


def _label(number: int) -> str:
    """Return A, B … Z, AA, AB … as a sheet names its columns."""
    first, last = divmod(number, len(ascii_uppercase))
    return (_label(first - 1) if first else "") + ascii_uppercase[last]


def _given(prior: str | tuple[float, float]) -> Prior | None:
    """Return the prior that the caller gives; ``None`` if it is to be fitted."""
    if not isinstance(prior, str):
        return given_prior(prior)
    return given_prior((1, 1)) if choice("prior", prior, ("empirical", "flat")) == "flat" else None


def _prior(arms: list[Arm]) -> Prior:
    counts: Ints = np.array([(arm.x, arm.n) for arm in arms], dtype=np.int64).reshape(-1, 2)
    fitted = fit_prior(counts[:, 0], counts[:, 1])
    return fitted if fitted is not None and fitted.is_proper else given_prior((1, 1))


def _described(tested: pd.DataFrame, variants: pd.DataFrame, templates: pd.DataFrame | None, ci: float) -> pd.DataFrame:
    """Add rates with intervals, the windows, and the templates' names; warn of templates that were changed."""
    rates = wilson(tested["x"], tested["n"], ci=ci)[["rate", "lo", "hi"]]
    windows = variants.rename(columns={"sequence_step_id": "step_id"})[["step_id", "template_id", "window_from"]]
    described = tested.join(rates).merge(windows, on=["step_id", "template_id"], how="left", validate="1:1")
    described = described.sort_values(["step_id", "template_id"], ignore_index=True)
    if templates is None:
        described["name"] = pd.Series([None] * len(described), dtype="string[pyarrow]")
    else:
        described = described.merge(templates, left_on="template_id", right_on="id", how="left", validate="m:1")
        changed = flags(described["updated_at"] > described["window_from"])
        what = "Templates updated after their comparison began, so that which text was sent is unknown"
        warn(ChangedTemplateWarning, what, set(described["template_id"][changed]), stacklevel=4)
    order = ["step_id", "template_id", "variant", "name", "window_from", "arrivals", "n", "x", "rate", "lo", "hi"]
    return described[[*order, "rival_id", *_COMPARISON, "srm_p", "n_needed", "verdict"]]
