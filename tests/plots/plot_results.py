"""Results as `outreach_frames.stats` writes them, made by hand so that a picture's every number is known."""

import numpy as np
import pandas as pd
import pyarrow as pa

AS_OF = "2026-03-31T00:00:00Z"

AWKWARD_NAMES = [
    "Outbound – Enterprise EMEA – Q3 renewal risk, multi-threaded, v1",
    "Outbound – Enterprise EMEA – Q3 renewal risk, multi-threaded, v2",
    "🚀 Q4 blitz $5k to $9k",
    "Холодные письма: директора по продажам",
    "Ψηφιακός μετασχηματισμός",
    "عملاء جدد",
    "inbound",
    "inbound",
    "X",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenverordnungsfolgeprogramm",
    "Line\nbreak\tname",
    None,
    "<img src=x onerror=alert(1)>",
]
"""Long, alike but for the end, without blanks, non-Latin, right to left, a formula, equal, missing, markup."""
JAPANESE = "日本のお客様"


def arrow(frame: pd.DataFrame, function: str, **parameters: object) -> pd.DataFrame:
    """Give a frame the dtypes and the record of a statistic's result."""
    result = frame.convert_dtypes(dtype_backend="pyarrow")
    result.attrs["outreach_frames"] = {
        "function": function,
        "parameters": {"ci": 0.95, **parameters},
        "as_of": AS_OF,
        "rows_in": {"mailings": 12_345},
        "dropped": {},
        "version": "0.1.0",
    }
    return result


def wilson(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rate and 95 % score interval, NaN without trials."""
    z = 1.959964
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = successes / trials
        center = rate + z * z / 2 / trials
        reach = z * np.sqrt(rate * (1 - rate) / trials + z * z / 4 / trials**2)
        scale = 1 + z * z / trials
        return rate, (center - reach) / scale, (center + reach) / scale


def names_for(groups: int) -> dict[int, str | None]:
    """Give awkward names to the ids 1, 2, 3 and so on."""
    return {group + 1: AWKWARD_NAMES[group % len(AWKWARD_NAMES)] for group in range(groups)}


def rates_result(
    groups: int = 8,
    *,
    rate: str = "enrollment_reply_rate",
    empty: int = 1,
    mean: float = 0.06,
    key: str = "sequence_id",
    names: bool = True,
) -> pd.DataFrame:
    """One rate of many groups, of which the first `empty` have no trials."""
    random = np.random.default_rng(5)
    trials = np.round(np.exp(random.normal(5.2, 1.4, groups)))
    trials[:empty] = 0
    successes = random.binomial(trials.astype(int), random.beta(mean * 30, (1 - mean) * 30, groups)).astype(float)
    value, low, high = wilson(successes, trials)
    frame = pd.DataFrame({key: np.arange(1, groups + 1), "name": list(names_for(groups).values())})
    frame = frame.assign(**{rate: value, f"{rate}_n": trials.astype(int), f"{rate}_lo": low, f"{rate}_hi": high})
    return arrow(frame if names else frame.drop(columns="name"), "sequence_engagement", by=[key])


def funnel_result(sequences: int = 3, *, steps: int = 5, empty: bool = False) -> pd.DataFrame:
    """Step funnels, each ending in a step that nobody reached."""
    random = np.random.default_rng(2)
    kinds = ["auto_email", "manual_email", "call", "task", "linkedin"]
    rows = []
    for sequence in range(1, sequences + 1):
        at_risk, survival = float(int(np.exp(random.normal(5.5, 1)))), 1.0
        for order in range(1, steps + 1):
            at_risk = 0.0 if empty or order == steps > 1 else at_risk
            replies = float(random.binomial(int(at_risk), random.beta(2, 60)))
            hazard, low, high = wilson(np.array(replies), np.array(at_risk))
            survival *= 1 - np.nan_to_num(hazard)
            step = sequence * 100 + order
            rows.append(
                (
                    sequence,
                    order,
                    step,
                    kinds[(order - 1) % 5],
                    at_risk,
                    replies,
                    hazard,
                    at_risk,
                    low,
                    high,
                    1 - survival,
                )
            )
            at_risk = float(int((at_risk - replies) * 0.7))
    columns = ["sequence_id", "order", "step_id", "step_type", "at_risk", "first_replies"]
    columns += ["hazard", "hazard_n", "hazard_lo", "hazard_hi", "cumulative_reply"]
    return arrow(pd.DataFrame(rows, columns=columns), "step_funnel", attribution="direct")


def incidence_result(groups: int = 0, *, enrollments: int = 400) -> pd.DataFrame:
    """Cumulative incidence of three outcomes at four times; by sequence where there are groups."""
    times = np.array([0.5, 2.0, 6.0, 20.0])
    shares = {
        "reply": [0.0, 0.04, 0.09, 0.11],
        "opt_out": [0.01, 0.01, 0.02, 0.025],
        "bounce": [0.03, 0.03, 0.03, 0.03],
    }
    frames = []
    for group in range(1, max(groups, 1) + 1):
        at_risk = np.round(enrollments / group * np.array([1.0, 0.95, 0.8, 0.5]))
        frame = pd.DataFrame({"sequence_id": group, "t_d": times, "at_risk": at_risk, "events_any": 1.0})
        frame["censored"] = np.append(at_risk[:-1] - at_risk[1:], 10.0 if enrollments > 30 else at_risk[-1]) - 1
        frame["event_free"] = 1 - sum(np.array(values) for values in shares.values())
        for cause, values in shares.items():
            share = np.array(values)
            error = 2 * np.sqrt(share * (1 - share) / at_risk)
            frame[f"cif_{cause}"] = share
            frame[f"cif_{cause}_lo"] = np.where(share > 0, np.clip(share - error, 0, 1), np.nan)
            frame[f"cif_{cause}_hi"] = np.where(share > 0, np.clip(share + error, 0, 1), np.nan)
        frames.append(frame)
    result = pd.concat(frames)
    if not groups:
        return arrow(result.drop(columns="sequence_id"), "cumulative_incidence", by=None)
    return arrow(result, "cumulative_incidence", by=["sequence_id"])


def leaderboard_result(groups: int = 8, *, empty: int = 1) -> pd.DataFrame:
    """Users ranked by a shrunken reply rate; the last ones have sent nothing."""
    random = np.random.default_rng(8)
    trials = np.round(np.exp(random.normal(4.5, 1.3, groups)))
    trials[groups - empty :] = 0
    successes = random.binomial(trials.astype(int), 0.06).astype(float)
    prior = (3.0, 47.0)
    shrunk = (successes + prior[0]) / (trials + sum(prior))
    reach = 2 * np.sqrt(shrunk * (1 - shrunk) / (trials + sum(prior)))
    order = np.argsort(-np.where(trials > 0, shrunk, -1), kind="stable")
    with np.errstate(invalid="ignore"):
        raw = successes / trials
    ranks = np.where(trials[order] > 0, np.arange(1, groups + 1), np.nan)
    frame = pd.DataFrame({"user_id": order + 1, "name": [names_for(groups)[user + 1] for user in order]})
    frame = frame.assign(n=trials[order], x=successes[order], raw=raw[order], shrunk=shrunk[order])
    frame = frame.assign(lo=np.clip(shrunk - reach, 0, 1)[order], hi=(shrunk + reach)[order], rank=ranks)
    chances = np.where(trials[order] > 0, 1 / np.arange(1, groups + 1), np.nan)
    frame = frame.assign(p_top=chances, p_above_median=chances)
    return arrow(frame, "leaderboard", by="user_id", metric="reply_rate")


STATES = [
    "pending", "active", "paused", "paused_ooto", "finished_replied", "finished_no_reply", "bounced", "opted_out",
    "failed", "disabled",
]  # fmt: skip


def states_result(sequences: int = 6) -> pd.DataFrame:
    """Enrollments in each state; every third sequence has only two states."""
    random = np.random.default_rng(4)
    rows = []
    for sequence in range(1, sequences + 1):
        counts = random.multinomial(int(np.exp(random.normal(5, 1))) + 1, random.dirichlet(np.ones(10) / 2))
        counts = [5, 0, 0, 0, 1, 0, 0, 0, 0, 0] if sequence % 3 == 0 else counts
        total = sum(counts)
        rows += [(sequence, state, n, n / total) for state, n in zip(STATES, counts, strict=True) if n]
    return arrow(pd.DataFrame(rows, columns=["sequence_id", "bucket", "enrollments", "share"]), "state_flow")


def transitions_result(*, states: int = 6) -> pd.DataFrame:
    """State flow of two snapshots; one enrollment is new, one is gone."""
    random = np.random.default_rng(14)
    flows = [
        (one, other, int(random.poisson(40 if one == other else 6))) for one in STATES[:states] for other in STATES
    ]
    flows += [(None, "active", 1), ("active", None, 1)]
    result = states_result(2)
    result.attrs["transitions"] = dict(zip(("from", "to", "count"), map(list, zip(*flows, strict=True)), strict=True))
    return result


def coverage_result(accounts: int = 8, *, empty: int = 1) -> pd.DataFrame:
    """Accounts of which the first `empty` have no prospects."""
    random = np.random.default_rng(6)
    known = random.integers(1, 30, accounts)
    known[:empty] = 0
    contacted = random.binomial(known, 0.6)
    replied = random.binomial(contacted, 0.2)
    frame = pd.DataFrame({"account_id": range(1, accounts + 1), "name": list(names_for(accounts).values())})
    with np.errstate(invalid="ignore"):
        frame = frame.assign(prospects=known, contacted=contacted, replied=replied, coverage=contacted / known)
    return arrow(frame.assign(multi_threaded=contacted >= 2), "account_coverage")


def counters_result(sequences: int = 2) -> pd.DataFrame:
    """Counters of sequences beside rows, with every cause of a gap."""
    causes = ["equal", "other definition", "rows missing", "since-last-touch", "tracking off", "pending sync"]
    rows = []
    for sequence in range(1, sequences + 1):
        for place, counter in enumerate(["deliver_count", "open_count", "click_count", "reply_count", "bounce_count"]):
            cause = causes[(sequence + place) % 6] if place else "equal"
            api = 4_000 // (place**2 + 1) // sequence
            counted = api if cause == "equal" else int(api * 0.8)
            rows.append((sequence, counter, api, counted, counted, counted, api - counted, cause))
    rows.append((sequences, "opt_out_count", None, 3, 3, 3, None, "pending sync"))
    columns = ["sequence_id", "counter", "api", "unique_mailings", "total_events", "net", "gap", "cause"]
    return arrow(pd.DataFrame(rows, columns=columns), "reconcile_counters", on="sequence")


def cohorts_result(cohorts: int = 8, *, weeks: int = 6) -> pd.DataFrame:
    """Weekly cohorts, the later ones without their full time."""
    random = np.random.default_rng(7)
    rows = []
    for cohort in range(cohorts):
        size, events = int(random.integers(20, 400)), 0
        for week in range(weeks):
            events += int(random.binomial(size, 0.05 / (week + 1)))
            mature = week < cohorts - cohort
            rows.append((cohort, week, size, events, events / size if mature else np.nan, mature))
    frame = pd.DataFrame(rows, columns=["cohort", "week", "enrollments", "events", "rate", "mature"])
    mondays = pd.Timestamp("2026-03-23") - pd.to_timedelta(7 * (cohorts - 1 - frame.pop("cohort")), unit="D")
    frame = arrow(frame, "cohort_matrix", event="reply", tz="Europe/Berlin")
    frame.insert(0, "cohort_week", pd.array(mondays.dt.date, dtype=pd.ArrowDtype(pa.date32())))
    return frame


def heatmap_result(*, deliveries: int = 20_000, hours: int = 24) -> pd.DataFrame:
    """Deliveries by weekday and hour of the recipient's clock."""
    random = np.random.default_rng(3)
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    rows = []
    for place, weekday in enumerate(days):
        for hour in range(hours):
            busy = np.exp(-((hour - 10) ** 2) / 18) * (0.05 if place > 4 else 1)
            delivered = int(random.poisson(deliveries / 800 * busy))
            if delivered:
                replied = int(random.binomial(delivered, 0.05 + 0.03 * (hour == 9)))
                rows.append((weekday, hour, delivered, replied, (replied + 3) / (delivered + 60)))
    columns = ["weekday", "hour", "delivered", "replied", "shrunk"]
    return arrow(
        pd.DataFrame(rows, columns=columns), "send_time_heatmap", clock="prospect", metric="reply_rate", min_n=20
    )


def experiment_result(*, variants: int = 2, steps: int = 2, scale: int = 1, verdict: str = "too early") -> pd.DataFrame:
    """Tests of templates; the first step has the most enrollments."""
    rows = []
    for step in range(1, steps + 1):
        for variant in range(variants):
            n = scale * (400 - 10 * variant) // step
            x = int(n * (0.04 + 0.02 * variant))
            rate, low, high = wilson(np.array(float(x)), np.array(float(n)))
            rival = 300 + (0 if variant else variants - 1)
            sign = 1 if variant else -1
            row = (100 + step, 300 + variant, "ABCDEFGH"[variant], AWKWARD_NAMES[variant], n, x, rate, low, high, rival)
            gaps = (sign * 0.02, sign * 0.02 - 0.03, sign * 0.02 + 0.03, 0.5 + sign * 0.4) if n else (np.nan,) * 4
            rows.append((*row, *gaps, 0.001, 0.04, 0.4, 1_514, verdict))
    columns = ["step_id", "template_id", "variant", "name", "n", "x", "rate", "lo", "hi", "rival_id"]
    columns += [
        "diff",
        "diff_lo",
        "diff_hi",
        "p_better",
        "expected_loss",
        "p_always_valid",
        "srm_p",
        "n_needed",
        "verdict",
    ]
    result = arrow(pd.DataFrame(rows, columns=columns), "ab_test", metric="reply_rate")
    result["posterior_alpha"], result["posterior_beta"] = result["x"] + 2.0, result["n"] - result["x"] + 40.0
    return result


def credits_result(sequences: int = 3, *, currencies: int = 1, priced: bool = True) -> pd.DataFrame:
    """Deals credited to sequences under four models; every fifth deal is without a touch, every seventh one-off."""
    random = np.random.default_rng(9)
    rows = []
    for deal in range(1, 60 if sequences else 1):
        value = float(random.integers(5, 60) * 1000) if priced else None
        currency = ["USD", "EUR", "GBP", "JPY", "CHF", "SEK"][deal % currencies]
        touched = random.integers(1, sequences + 1, 2)
        for model in ("first", "last", "linear", "time_decay"):
            if deal % 5 == 0:
                shares = {("unattributed", None): 1.0}
            elif deal % 7 == 0:
                shares = {("none", None): 1.0}
            else:
                weight = {"first": 1.0, "last": 0.0, "linear": 0.5, "time_decay": 0.3}[model]
                shares = {("sequence", int(touched[0])): weight}
                shares["sequence", int(touched[1])] = shares.get(("sequence", int(touched[1])), 0) + 1 - weight
            for (channel, key), share in shares.items():
                credited = None if value is None else value * share
                rows.append((deal, channel, key, model, credited, share, currency))
    columns = ["opportunity_id", "channel", "channel_id", "model", "amount", "share", "currency"]
    return arrow(pd.DataFrame(rows, columns=columns), "pipeline_attribution", by="sequence_id", window_d=30)


def comparison_result(groups: int = 3, *, empty: bool = False) -> pd.DataFrame:
    """Two quarters by sequence: the rates rise, the mix shifts to the weaker ones."""
    random = np.random.default_rng(10)
    trials = {name: random.integers(50, 900, groups).astype(float) * (not empty) for name in ("a", "b")}
    rates = {"a": random.uniform(0.03, 0.07, groups), "b": random.uniform(0.04, 0.08, groups)}
    frame = pd.DataFrame({"sequence_id": np.arange(1, groups + 1)})
    total: dict[str, float | None] = {}
    for name, n in trials.items():
        successes = np.round(rates[name] * n)
        columns = [f"rate_{name}", f"rate_{name}_lo", f"rate_{name}_hi"]
        for column, values in zip(columns, wilson(successes, n), strict=True):
            frame[column] = values
        for column, value in zip(columns, wilson(successes.sum(), n.sum()), strict=True):
            total[column] = None if np.isnan(value) else float(value)
        frame[f"rate_{name}_n"], total[f"rate_{name}_n"] = n, float(n.sum())
        frame[f"share_{name}"] = n / max(n.sum(), 1)
    shares = frame["share_b"] - frame["share_a"]
    frame["rate_effect"] = (frame["rate_b"] - frame["rate_a"]) * (frame["share_a"] + frame["share_b"]) / 2
    frame["mix_effect"] = shares * (frame["rate_a"] + frame["rate_b"]) / 2
    for effect in ("rate_effect", "mix_effect"):
        total[effect] = None if empty else float(frame[effect].sum())
    difference = None if empty else total["rate_b"] - total["rate_a"]
    total |= {
        "diff": difference,
        "diff_lo": difference and difference - 0.02,
        "diff_hi": difference and difference + 0.02,
    }
    periods = {
        "a": ["2025-10-01T00:00:00Z", "2026-01-01T00:00:00Z"],
        "b": ["2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"],
    }
    result = arrow(frame, "compare_periods", by="sequence_id", metric="reply_rate", **periods)
    result.attrs["total"] = {name: [value] for name, value in total.items()}
    return result


def mondays(weeks: int) -> pd.Series:
    """The last Mondays before the extraction."""
    first = pd.Timestamp("2026-03-30") - pd.Timedelta(weeks=weeks - 1)
    days = [(first + pd.Timedelta(weeks=week)).date() for week in range(weeks)]
    return pd.Series(pd.array(days, dtype=pd.ArrowDtype(pa.date32())))


def deliverability_result(mailboxes: int = 3, *, weeks: int = 12, empty: bool = False) -> pd.DataFrame:
    """Weekly bounce rates; the second mailbox gets into trouble, the third did not send in its fourth week."""
    random = np.random.default_rng(12)
    frames = []
    for mailbox in range(1, mailboxes + 1):
        trials = random.integers(5, 400, weeks).astype(float) * (not empty)
        if mailbox == 3 and weeks > 3:
            trials[3] = 0
        risk = np.where(np.arange(weeks) > weeks - 4, 0.08 if mailbox == 2 else 0.015, 0.015)
        rate, low, high = wilson(random.binomial(trials.astype(int), risk).astype(float), trials)
        with np.errstate(divide="ignore"):
            error = np.sqrt(0.015 * 0.985 / trials)
        frame = pd.DataFrame({"mailbox_id": mailbox, "bounce_rate": rate, "bounce_rate_n": trials})
        frame = frame.assign(bounce_rate_lo=low, bounce_rate_hi=high, sent=trials, baseline=0.015)
        frame = frame.assign(limit_lo=np.maximum(0.015 - 3 * error, 0), limit_hi=0.015 + 3 * error)
        frame.loc[trials == 0, ["limit_lo", "limit_hi"]] = np.nan
        frames.append(
            frame.assign(alert=np.select([rate > 0.05, rate > 0.02], ["act", "watch"], "ok"), week=range(weeks))
        )
    result = pd.concat(frames, ignore_index=True)
    places = result.pop("week")
    thresholds = {"bounce_rate": [0.02, 0.05], "spam_rate": [0.001, 0.003]}
    result = arrow(result, "deliverability", by="mailbox_id", thresholds=thresholds, min_n=20)
    result.insert(1, "week", mondays(weeks)[places].array)
    return result


def activity_result(users: int = 3, *, weeks: int = 12, empty: bool = False) -> pd.DataFrame:
    """Touches by channel and week; the second user's backlog grows."""
    random = np.random.default_rng(13)
    frames = []
    for user in range(1, users + 1):
        load = 0 if empty else 1
        frame = pd.DataFrame({"user_id": user, "delivered": random.poisson(60 * load, weeks)})
        frame = frame.assign(calls_dialed=random.poisson(15 * load, weeks), tasks_done=random.poisson(6 * load, weeks))
        backlog = np.arange(weeks) * (6 if user == 2 else 1) * load
        frames.append(frame.assign(task_backlog=backlog, place=range(weeks)))
    result = pd.concat(frames, ignore_index=True)
    places = result.pop("place")
    result = arrow(result, "rep_activity", tz="Europe/Berlin")
    result.insert(1, "week", mondays(weeks)[places].array)
    return result


def trend_result(weeks: int = 26, *, metric: str = "reply_rate", empty: bool = False) -> pd.DataFrame:
    """Give a trend by week of which the last three weeks are not mature."""
    numbers = np.arange(weeks)
    days = [(pd.Timestamp("2026-03-30") - pd.Timedelta(weeks=int(weeks - 1 - n))).date() for n in numbers]
    sent = np.zeros(weeks) if empty else 40.0 + 13 * (numbers % 7)
    replied = np.minimum(sent, 2.0 + numbers % 5)
    columns: dict[str, object] = {"week": pd.array(days, dtype="date32[pyarrow]")}
    if metric == "meetings":
        columns |= {"meetings": replied, "meetings_lo": replied / 3, "meetings_hi": replied * 2 + 3}
    else:
        rate, low, high = wilson(replied, sent)
        columns |= {metric: rate, f"{metric}_n": sent, f"{metric}_lo": low, f"{metric}_hi": high}
    columns["mature"] = numbers < max(weeks - 3, 1)
    return arrow(pd.DataFrame(columns), "trend", metric=metric, by="week", mature_d=14)
