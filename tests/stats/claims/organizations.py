"""
Made-up organizations in which everything that happens is known, to try claims on.

Written from the definitions alone and independent of the package's own sandbox. In `Organization` nothing differs
unless it is asked for: every sequence, step, rep, mailbox, hour and week has the same rates.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from outreach_frames import stats

DAY = 86_400
START = 1_767_571_200
"""Monday, 5 January 2026, 00:00 UTC [s since 1970]."""

AS_OF = "2026-07-06T00:00:00Z"
END = 1_783_296_000
"""The same [s since 1970]."""


def instants(seconds):
    """Make a column of UTC instants from seconds, NaN as missing."""
    values = np.where(np.isnan(seconds), -1, seconds).astype("int64") * 1_000_000
    column = pd.Series(values, dtype="int64[pyarrow]").mask(np.isnan(seconds))
    return column.astype("timestamp[us, UTC][pyarrow]")


def whole(values):
    values = np.asarray(values, dtype=np.float64)
    column = pd.Series(np.nan_to_num(values).astype("int64"), dtype="int64[pyarrow]")
    return column.mask(np.isnan(values))


def frame(resource, **columns):
    """Make a frame as fetch() returns it, with its record."""
    made = pd.DataFrame(columns)
    made.attrs["outreach_frames"] = {"resource": resource, "as_of": AS_OF}
    return made


def alike(rng: np.random.Generator, p, rho: float, groups: np.ndarray) -> np.ndarray:
    """Draw a probability for each member of groups whose outcomes are correlated by rho: Beta-distributed about p."""
    p = np.broadcast_to(np.asarray(p, dtype=np.float64), groups.shape)
    if rho == 0:
        return p
    size = (1 - rho) / rho
    quantile = rng.random(groups.max() + 1)[groups]
    from scipy.stats import beta  # noqa: PLC0415  only where outcomes are alike

    return beta.ppf(quantile, p * size, (1 - p) * size)


@dataclass
class Organization:
    """
    An organization in which nothing differs.

    Attributes
    ----------
    sizes
        Enrollments of each sequence.
    steps
        Steps of each sequence; one number, or one for each.
    reply, bounce, opt_out, failure
        Chance of a first reply within the sequence, that an address is bad, that a person opts out at a mail, that a
        mail fails to leave.
    account_size, rho
        How many enrollments share an account, and how much alike their replies are.
    began_d
        Days before the end at which each sequence began; default: all at the start.
    replies, bounces
        Chances of single sequences, by place, where something is to differ.
    mailbox_bounces
        Chance of single mailboxes, by place.
    """

    sizes: Any
    steps: Any = 4
    reply: float = 0.06
    bounce: float = 0.02
    opt_out: float = 0.005
    failure: float = 0.01
    account_size: int = 1
    rho: float = 0.0
    began_d: dict[int, float] = field(default_factory=dict)
    replies: dict[int, float] = field(default_factory=dict)
    bounces: dict[int, float] = field(default_factory=dict)
    mailbox_bounces: dict[int, float] = field(default_factory=dict)
    reps: int = 6

    def tables(self, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
        """Draw what happened."""
        sizes = np.asarray(self.sizes)
        steps = np.broadcast_to(self.steps, sizes.shape)
        sequence = np.repeat(np.arange(len(sizes)), sizes)
        n = len(sequence)
        began = np.full(len(sizes), float(START))
        for place, days in self.began_d.items():
            began[place] = END - days * DAY
        created = began[sequence] + rng.random(n) * (END - began[sequence])
        account = rng.permutation(np.arange(n) // self.account_size)
        rep = rng.integers(0, self.reps, n)

        chance = np.array([self.replies.get(place, self.reply) for place in range(len(sizes))])[sequence]
        answers = rng.random(n) < alike(rng, chance, self.rho, account)
        bad = np.array([self.bounces.get(place, self.bounce) for place in range(len(sizes))])[sequence]
        bad = np.array([self.mailbox_bounces.get(place, -1.0) for place in range(self.reps)])[rep].clip(0) + np.where(
            np.isin(rep, list(self.mailbox_bounces)), 0.0, bad
        )
        bounces = rng.random(n) < bad
        answered_step = rng.integers(0, steps[sequence])
        delay = rng.exponential(1.5 * DAY, n)

        rows = []
        alive = np.ones(n, dtype=bool)
        for step in range(int(steps.max())):
            at = created + step * 3 * DAY + rng.random(n) * DAY
            here = alive & (step < steps[sequence]) & (at < END)
            fails = here & (rng.random(n) < self.failure)
            sent = here & ~fails
            bounced = sent & bounces & (step == 0)
            delivered = sent & ~bounced
            replied = delivered & answers & (answered_step == step) & (at + delay < END)
            left = delivered & ~replied & (rng.random(n) < self.opt_out)
            opened, clicked = delivered & (rng.random(n) < 0.4), delivered & (rng.random(n) < 0.05)
            rows.append(
                pd.DataFrame(
                    {
                        "state_number": np.flatnonzero(here),
                        "step": step,
                        "at": at[here],
                        "failed": fails[here],
                        "delivered": delivered[here],
                        "bounced": bounced[here],
                        "replied": np.where(replied, at + delay, np.nan)[here],
                        "left": np.where(left, at + 3_600, np.nan)[here],
                        "opened": opened[here],
                        "clicked": clicked[here],
                        "variant": rng.integers(0, 2, here.sum()),
                    }
                )
            )
            alive &= ~bounced & ~replied & ~left & ~(delivered & answers & (answered_step == step))
        mail = pd.concat(rows, ignore_index=True)
        return self._frames(rng, mail, sequence=sequence, steps=steps, created=created, account=account, rep=rep)

    def _frames(self, rng, mail, *, sequence, steps, created, account, rep) -> dict[str, pd.DataFrame]:
        n, number = len(sequence), mail["state_number"].to_numpy()
        at = mail["at"].to_numpy()
        first_step = np.concatenate([[0], np.cumsum(steps)])
        step_id = first_step[sequence[number]] + mail["step"].to_numpy() + 1
        flag = {
            name: mail[name].to_numpy(dtype=bool) for name in ("failed", "delivered", "bounced", "opened", "clicked")
        }
        mailings = frame(
            "mailings",
            id=whole(np.arange(1, len(mail) + 1)),
            state=pd.Series(np.where(flag["failed"], "failed", "delivered"), dtype="string[pyarrow]"),
            mailing_type=pd.Series(["sequence"] * len(mail), dtype="string[pyarrow]"),
            error_reason=pd.Series(np.where(flag["failed"], "limit", None), dtype="string[pyarrow]"),
            created_at=instants(at - 60),
            scheduled_at=instants(at - 60),
            delivered_at=instants(np.where(flag["delivered"], at, np.nan)),
            bounced_at=instants(np.where(flag["bounced"], at + 60, np.nan)),
            replied_at=instants(mail["replied"].to_numpy()),
            unsubscribed_at=instants(mail["left"].to_numpy()),
            marked_as_spam_at=instants(np.full(len(mail), np.nan)),
            opened_at=instants(np.where(flag["opened"], at + 7_200, np.nan)),
            open_count=whole(flag["opened"].astype(int)),
            track_opens=pd.Series(np.ones(len(mail), dtype=bool), dtype="bool[pyarrow]"),
            clicked_at=instants(np.where(flag["clicked"], at + 7_300, np.nan)),
            click_count=whole(flag["clicked"].astype(int)),
            track_links=pd.Series(np.ones(len(mail), dtype=bool), dtype="bool[pyarrow]"),
            prospect_id=whole(number + 1),
            account_id=whole(account[number] + 1),
            sequence_id=whole(sequence[number] + 1),
            sequence_state_id=whole(number + 1),
            sequence_step_id=whole(step_id),
            template_id=whole(2 * step_id + mail["variant"].to_numpy()),
            mailbox_id=whole(rep[number] + 1),
            user_id=whole(rep[number] + 1),
        )
        replied = np.full(n, np.nan)
        opted_out, ended = np.full(n, np.nan), np.full(n, "active", dtype=object)
        last = created + (steps[sequence] - 1) * 3 * DAY + DAY
        ended[last < END] = "finished"
        for column, target in (("replied", replied), ("left", opted_out)):
            happened = mail[~mail[column].isna()]
            target[happened["state_number"]] = happened[column]
        ended[~np.isnan(replied)] = "finished"
        ended[~np.isnan(opted_out)] = "opted_out"
        ended[mail.loc[mail["bounced"], "state_number"]] = "bounced"
        sequences, step_table = self._plan(steps)
        due = created + rng.random(n) * 20 * DAY
        done = np.where(rng.random(n) < 0.8, due - 1_000, np.nan)
        reps = np.arange(1, self.reps + 1)
        first_steps = np.concatenate([[0], np.cumsum(steps)])[:-1] + 1  # where two templates are compared
        template = np.sort(np.concatenate([2 * first_steps, 2 * first_steps + 1]))
        return {
            "mailings": mailings,
            "sequences": sequences,
            "sequence_steps": step_table,
            "sequence_states": frame(
                "sequence_states",
                id=whole(np.arange(1, n + 1)),
                state=pd.Series(ended, dtype="string[pyarrow]"),
                created_at=instants(created),
                state_changed_at=instants(np.minimum(last, END)),
                replied_at=instants(replied),
                reply_count=whole(~np.isnan(replied)),
                pause_reason=pd.Series([None] * n, dtype="string[pyarrow]"),
                prospect_id=whole(np.arange(1, n + 1)),
                account_id=whole(account + 1),
                sequence_id=whole(sequence + 1),
                user_id=whole(rep + 1),
            ),
            "prospects": frame(
                "prospects",
                id=whole(np.arange(1, n + 1)),
                account_id=whole(account + 1),
                opted_out=pd.Series(~np.isnan(opted_out), dtype="bool[pyarrow]"),
                opted_out_at=instants(opted_out),
                **{zone: pd.Series([None] * n, dtype="string[pyarrow]") for zone in _ZONES},
            ),
            "tasks": frame(
                "tasks",
                id=whole(np.arange(1, n + 1)),
                owner_id=whole(rep + 1),
                completer_id=whole(rep + 1),
                action=pd.Series(["action_item"] * n, dtype="string[pyarrow]"),
                state=pd.Series(np.where(np.isnan(done), "incomplete", "complete"), dtype="string[pyarrow]"),
                due_at=instants(due),
                completed_at=instants(done),
                prospect_id=whole(np.arange(1, n + 1)),
            ),
            "users": frame(
                "users", id=whole(reps), name=pd.Series([f"Rep {rep}" for rep in reps], dtype="string[pyarrow]")
            ),
            "mailboxes": frame(
                "mailboxes",
                id=whole(reps),
                email=pd.Series([f"rep{rep}@example.com" for rep in reps], dtype="string[pyarrow]"),
            ),
            "templates": frame(
                "templates",
                id=whole(template),
                name=pd.Series([f"Template {each}" for each in template], dtype="string[pyarrow]"),
                stats_target_id=whole(np.full(len(template), np.nan)),
                updated_at=instants(np.full(len(template), float(START))),
            ),
            "sequence_templates": frame(
                "sequence_templates",
                id=whole(template),
                enabled=pd.Series([True] * len(template), dtype="bool[pyarrow]"),
                enabled_at=instants(np.full(len(template), float(START))),
                sequence_step_id=whole(template // 2),
                template_id=whole(template),
            ),
        }

    @staticmethod
    def _plan(steps):
        ids = np.arange(1, len(steps) + 1)
        of = np.repeat(ids, steps)
        order = np.concatenate([np.arange(1, count + 1) for count in steps])
        sequences = frame(
            "sequences",
            id=whole(ids),
            name=pd.Series([f"Sequence {each}" for each in ids], dtype="string[pyarrow]"),
            duration_in_days=whole(3 * steps),
            transactional=pd.Series([False] * len(ids), dtype="bool[pyarrow]"),
        )
        table = frame(
            "sequence_steps",
            id=whole(np.arange(1, len(of) + 1)),
            sequence_id=whole(of),
            order=whole(order),
            step_type=pd.Series(["auto_email"] * len(of), dtype="string[pyarrow]"),
            interval=whole(np.full(len(of), 3 * 24 * 60)),
        )
        return sequences, table


_ZONES = ("time_zone_iana", "time_zone_inferred", "time_zone")


def all_results(tables: dict[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """Compute what the three reports compute and findings have a rule about, from one organization."""
    mailings, states = tables["mailings"], tables["sequence_states"]
    half = pd.Timestamp(AS_OF) - pd.Timedelta(days=90)
    return [
        stats.sequence_engagement(mailings, sequences=tables["sequences"], sequence_states=states),
        stats.step_funnel(mailings, sequence_steps=tables["sequence_steps"]),
        stats.cohort_matrix(mailings, sequence_states=states),
        stats.state_flow(mailings, sequence_states=states),
        stats.enrollment_outcomes(
            mailings, sequence_states=states, sequences=tables["sequences"], sequence_steps=tables["sequence_steps"]
        ),
        stats.engagement(mailings, by="mailbox_id"),
        stats.ab_test(mailings, sequence_templates=tables["sequence_templates"], templates=tables["templates"]),
        stats.leaderboard(mailings, users=tables["users"], by="user_id"),
        stats.send_time_heatmap(mailings, prospects=tables["prospects"]),
        stats.deliverability(mailings, mailboxes=tables["mailboxes"]),
        stats.failures(mailings, by="mailbox_id"),
        stats.prospect_opt_outs(mailings, prospects=tables["prospects"]),
        stats.rep_activity(mailings, users=tables["users"], tasks=tables["tasks"]),
        stats.compare_periods(
            mailings,
            statistic=stats.engagement,
            a=(half - pd.Timedelta(days=90), half),
            b=(half, AS_OF),
            by="sequence_id",
        ),
    ]
