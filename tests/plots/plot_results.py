"""Results as `outreach_frames.stats` writes them, made by hand so that a picture's every number is known."""

import numpy as np
import pandas as pd

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
        centre = rate + z * z / 2 / trials
        reach = z * np.sqrt(rate * (1 - rate) / trials + z * z / 4 / trials**2)
        scale = 1 + z * z / trials
        return rate, (centre - reach) / scale, (centre + reach) / scale


def names_for(groups: int) -> dict[int, str | None]:
    """Give awkward names to the ids 1, 2, 3 and so on."""
    return {group + 1: AWKWARD_NAMES[group % len(AWKWARD_NAMES)] for group in range(groups)}


def rates_result(
    groups: int = 8,
    *,
    rate: str = "enrolment_reply_rate",
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


def incidence_result(groups: int = 0, *, enrolments: int = 400) -> pd.DataFrame:
    """Cumulative incidence of three outcomes at four times; by sequence where there are groups."""
    times = np.array([0.5, 2.0, 6.0, 20.0])
    shares = {
        "reply": [0.0, 0.04, 0.09, 0.11],
        "opt_out": [0.01, 0.01, 0.02, 0.025],
        "bounce": [0.03, 0.03, 0.03, 0.03],
    }
    frames = []
    for group in range(1, max(groups, 1) + 1):
        at_risk = np.round(enrolments / group * np.array([1.0, 0.95, 0.8, 0.5]))
        frame = pd.DataFrame({"sequence_id": group, "t_d": times, "at_risk": at_risk, "events_any": 1})
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
