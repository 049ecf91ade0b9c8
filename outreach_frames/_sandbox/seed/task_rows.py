"""Rows of tasks and calls, and of opportunities, products and purchases."""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.columns import (
    Pointers,
    Resource,
    ToOne,
    column_resources,
    date_cells,
    flagged,
    instant_cells,
    integer_cells,
    pick,
    row_resources,
)
from outreach_frames._sandbox.seed.history import CURRENCIES, LOST, OPPORTUNITY_STAGES, ROLES, WON, History
from outreach_frames._sandbox.seed.mailings import latest, mailing_ids
from outreach_frames._sandbox.seed.names import CITIES
from outreach_frames._sandbox.seed.simulation import DAY_S, IntArray
from outreach_frames._sandbox.seed.tasks import ACTION_NAMES, DISPOSITIONS, MEETING, TASK_TYPES

_PURPOSES = ("Sequence call", "Follow-up", "Discovery", "Renewal")
_PRIORITIES = (("Low", 30), ("Normal", 60), ("High", 90))
_OPEN_NOTES = ("Check the notes before calling.", "Asked to be called after lunch.", "Left a voicemail last time.")


def work_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield tasks, calls, and their dispositions, purposes and priorities."""
    yield from _task_rows(history, pointers)
    yield from _call_rows(history, pointers)
    stamps = {"createdAt": "2024-01-08T09:00:00.000Z", "updatedAt": "2024-01-08T09:00:00.000Z"}
    yield from row_resources(
        "callDisposition",
        [
            {"name": name, "outcome": "Answered" if answered else "Not Answered", "order": order, **stamps}
            for order, (name, answered) in enumerate(DISPOSITIONS)
        ],
    )
    yield from row_resources(
        "callPurpose", [{"name": name, "order": order, **stamps} for order, name in enumerate(_PURPOSES)]
    )
    yield from row_resources(
        "taskPriority", [{"name": name, "weight": weight, "color": 0x0072B2, **stamps} for name, weight in _PRIORITIES]
    )
    yield from row_resources(
        "taskPurpose",
        [
            {"name": name, "order": order, "taskType": "in_person", **stamps}
            for order, name in enumerate(("Introduction", "Demonstration", "Contract"))
        ],
    )
    yield from row_resources(
        "taskDisposition",
        [
            {"name": name, "order": order, "taskType": "in_person", "value": name.lower().replace(" ", "_"), **stamps}
            for order, name in enumerate(("Went well", "No show", "Rescheduled"))
        ],
    )


def _sequence_template(history: History, tasks: dict[str, np.ndarray]) -> IntArray:
    """Id of the sequence template behind the message of an e-mail task, 0 for other tasks."""
    mailing = tasks["mailing"]
    ids: IntArray = np.where((mailing >= 0) & (tasks["step"] >= 0), history.mailings["variant"][mailing] + 1, 0)
    return ids


def _task_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    tasks, as_of = history.tasks, history.simulation.as_of
    count = len(tasks["due"])
    done = ~np.isnan(tasks["done"])
    state = np.where(done, 2, np.where(tasks["due"] <= as_of, 1, 0))
    changed = np.where(
        done, tasks["done"], np.where(state == 1, np.maximum(tasks["due"], tasks["created"]), tasks["created"])
    )
    autoskip = np.where(tasks["step"] >= 0, tasks["due"] + history.simulation.sequences.autoskip[tasks["step"]], np.nan)
    notes = [step.note for step in history.simulation.sequences.steps]
    numbers = np.arange(count)
    attributes = {
        "action": pick(ACTION_NAMES, tasks["action"]),
        "taskType": pick(TASK_TYPES, tasks["type"]),
        "state": pick(("pending", "incomplete", "complete"), state),
        "stateChangedAt": instant_cells(changed),
        "completed": done.tolist(),
        "completedAt": instant_cells(tasks["done"]),
        "dueAt": instant_cells(tasks["due"]),
        "scheduledAt": instant_cells(np.where(tasks["step"] >= 0, tasks["due"], np.nan)),
        "autoskipAt": instant_cells(autoskip),
        "note": pick(
            [*notes, *_OPEN_NOTES],
            np.where(tasks["step"] >= 0, tasks["step"], np.where(numbers % 3 == 0, len(notes) + numbers % 9 // 3, -1)),
        ),
        "opportunityAssociation": flagged("recent_created", tasks["step"] < 0),
        "createdAt": instant_cells(tasks["created"]),
        "updatedAt": instant_cells(latest(changed, tasks["created"])),
    }
    called = np.zeros(count, dtype=np.int64)
    from_task = history.calls["task"] >= 0
    called[history.calls["task"][from_task]] = np.flatnonzero(from_task) + 1
    people = history.cast.prospects
    owner, steps = pointers.one("user", tasks["user"] + 1), pointers.one("sequenceStep", tasks["step"] + 1)
    account = pointers.one("account", people.account[tasks["prospect"]] + 1)
    prospect = pointers.one("prospect", tasks["prospect"] + 1)
    helper = np.where(numbers % 37 == 0, 1, tasks["user"] + 1)
    relationships = {
        "owner": owner,
        "completer": pointers.one("user", np.where(done & ~tasks["skipped"], helper, 0)),
        "creator": [step or user for step, user in zip(steps, owner, strict=True)],
        "prospect": prospect,
        "subject": prospect,
        "account": account,
        "prospectAccount": account,
        "prospectOwner": pointers.one("user", people.owner[tasks["prospect"]] + 1),
        "sequence": pointers.one("sequence", tasks["sequence"] + 1),
        "sequenceState": pointers.one("sequenceState", tasks["enrollment"] + 1),
        "sequenceStep": steps,
        "sequenceTemplate": pointers.one("sequenceTemplate", _sequence_template(history, tasks)),
        "mailing": pointers.one("mailing", np.where(tasks["mailing"] >= 0, mailing_ids(history)[tasks["mailing"]], 0)),
        "call": pointers.one("call", called),
        "taskPriority": pointers.one("taskPriority", np.where(tasks["action"] == 1, 3, 2)),
    }
    yield from column_resources("task", range(1, count + 1), attributes, relationships)


def _call_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    calls = history.calls
    count = len(calls["dialed"])
    answered, elsewhere = calls["answered"], calls["elsewhere"]
    numbers = np.arange(count)
    outcome = np.where(elsewhere, 2, 0) + np.where(answered, 0, 1)
    place = history.cast.prospects.city[calls["prospect"]].tolist()
    theirs = [
        CITIES[city].phone.format(100 + person % 83)
        for city, person in zip(place, calls["prospect"].tolist(), strict=True)
    ]
    ours = [f"+1617555{100 + user % 100:04d}" for user in calls["user"].tolist()]
    inbound = calls["inbound"].tolist()
    action = np.where(calls["ends"], np.where(calls["disposition"] == MEETING, 3, 1), 0)
    unheard = elsewhere & (numbers % 5 == 0)
    attributes = {
        "direction": pick(("outbound", "inbound"), calls["inbound"].astype(int)),
        "outcome": pick(("Answered", "Not Answered", "completed", "no_answer"), outcome),
        "state": pick(("completed", "no_answer"), (~answered).astype(int)),
        "dialedAt": instant_cells(np.where(unheard, np.nan, calls["dialed"])),
        "answeredAt": instant_cells(calls["picked_up"]),
        "completedAt": instant_cells(calls["completed"]),
        "stateChangedAt": instant_cells(calls["completed"]),
        "from": [them if incoming else us for us, them, incoming in zip(ours, theirs, inbound, strict=True)],
        "to": [us if incoming else them for us, them, incoming in zip(ours, theirs, inbound, strict=True)],
        "sequenceAction": pick(
            ("Advance", "Finish", "Finish - No Reply", "Finish - Replied"), np.where(calls["step"] >= 0, action, -1)
        ),
        "externalVendor": flagged("Desk telephone", elsewhere),
        "userCallType": pick(("voip", "bridge"), np.where(elsewhere, -1, numbers % 4 // 3)),
        "shouldRecordCall": (numbers % 6 == 0).tolist(),
        "note": pick(
            ("Wants a call next quarter.", "Spoke to the assistant."), np.where(answered, numbers % 3 - 1, -1)
        ),
        "tags": [["meeting"] if is_meeting else [] for is_meeting in (calls["disposition"] == MEETING).tolist()],
        "createdAt": instant_cells(calls["created"]),
        "updatedAt": instant_cells(calls["created"]),
    }
    relationships = {
        "prospect": pointers.one("prospect", calls["prospect"] + 1),
        "user": pointers.one("user", calls["user"] + 1),
        "callDisposition": pointers.one("callDisposition", calls["disposition"] + 1),
        "callPurpose": pointers.one("callPurpose", np.where(calls["step"] >= 0, 1, numbers % 3 + 2)),
        "task": pointers.one("task", calls["task"] + 1),
        "sequence": pointers.one("sequence", calls["sequence"] + 1),
        "sequenceState": pointers.one("sequenceState", calls["enrollment"] + 1),
        "sequenceStep": pointers.one("sequenceStep", calls["step"] + 1),
    }
    yield from column_resources("call", range(1, count + 1), attributes, relationships)


_PRODUCTS = (
    ("Foundation", "Subscriptions"),
    ("Foundation Plus", "Subscriptions"),
    ("Onboarding", "Services"),
    ("Training day", "Services"),
)
_FORECASTS = ("Pipeline", "Best case", "Commit", "Omitted")


def business(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield opportunities, their stages and roles, products and purchases."""
    created = instant_cells(np.array([history.simulation.before(700)]))[0]
    stamps = {"createdAt": created, "updatedAt": created, "creator": ToOne("user", 1)}
    yield from row_resources(
        "opportunityStage",
        [
            stamps | {"name": name, "order": order, "isClosed": closed, "color": "#0072B2"}
            for order, (name, closed, _) in enumerate(OPPORTUNITY_STAGES, start=1)
        ],
    )
    yield from _opportunity_rows(history, pointers)
    yield from _role_rows(history, pointers)
    common = {"status": True, "deleted": False, "classification": "standard", "unitOfMeasure": "seat", **stamps}
    yield from row_resources(
        "product",
        [
            common | {"name": name, "productFamily": family, "code": f"00{number}", "owner": ToOne("user", 1)}
            for number, (name, family) in enumerate(_PRODUCTS, start=1)
        ],
    )
    yield from _purchases(history, pointers)


def _opportunity_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    deals, as_of = history.opportunities, history.simulation.as_of
    count = len(deals["opened"])
    numbers = np.arange(count)
    has_amount = ~np.isnan(deals["amount"])
    amount = np.nan_to_num(deals["amount"]).astype(np.int64)
    accounts = history.cast.accounts.name
    changed = np.minimum(latest(deals["synced"], np.where(deals["stage"] >= WON, deals["closes"], np.nan)), as_of)
    touched = history.touched[deals["primary"]]
    attributes = {
        "name": [
            f"{accounts[place] if place >= 0 else 'Direct'} – {_PRODUCTS[number % len(_PRODUCTS)][0]}"
            for number, place in enumerate(deals["account"].tolist())
        ],
        "amount": integer_cells(amount, where=has_amount),
        "amountPrecise": [
            f"{value}.00" if present else None
            for value, present in zip(amount.tolist(), has_amount.tolist(), strict=True)
        ],
        "currencyType": pick(CURRENCIES, deals["currency"]),
        "probability": [OPPORTUNITY_STAGES[stage][2] for stage in deals["stage"].tolist()],
        "forecastCategory": pick(_FORECASTS, np.where(deals["stage"] == LOST, 3, np.minimum(deals["stage"] // 2, 2))),
        "opportunityType": pick(("New business", "Expansion"), numbers % 4 // 3),
        "leadSource": pick(("Outbound", "Website", "Partner"), numbers % 4 - 1),
        "lostReason": pick(("Price", "No decision"), np.where(deals["stage"] == LOST, numbers % 2, -1)),
        "nextStep": pick(("Send the offer", "Agree on a date"), np.where(deals["stage"] < WON, numbers % 3 - 1, -1)),
        "customId": [f"00Q{number:09d}" for number in range(1, count + 1)],
        "tags": [[] for _ in range(count)],
        "closeDate": instant_cells(np.floor(deals["closes"])),
        "externalCreatedAt": instant_cells(np.where(deals["external"], deals["opened"], np.nan)),
        "externalUpdatedAt": instant_cells(np.where(deals["external"], changed, np.nan)),
        "touchedAt": instant_cells(touched),
        "trashedAt": instant_cells(np.where(deals["trashed"], np.minimum(deals["synced"] + 2 * DAY_S, as_of), np.nan)),
        "createdAt": instant_cells(deals["synced"]),
        "updatedAt": instant_cells(latest(changed, touched)),
    }
    stage, owner = pointers.one("opportunityStage", deals["stage"] + 1), pointers.one("user", deals["owner"] + 1)
    relationships = {
        "account": pointers.one("account", deals["account"] + 1),
        "owner": owner,
        "creator": owner,
        "opportunityStage": stage,
        "stage": stage,
        "primaryProspect": pointers.one("prospect", deals["primary"] + 1),
    }
    yield from column_resources("opportunity", range(1, count + 1), attributes, relationships)


def _role_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    roles = history.roles
    synced = instant_cells(history.opportunities["synced"][roles["opportunity"]])
    attributes = {
        "role": pick(ROLES, roles["role"]),
        "primary": roles["primary"].tolist(),
        "createdAt": synced,
        "updatedAt": synced,
    }
    relationships = {
        "opportunity": pointers.one("opportunity", roles["opportunity"] + 1),
        "prospect": pointers.one("prospect", roles["prospect"] + 1),
    }
    yield from column_resources("opportunityProspectRole", range(1, len(synced) + 1), attributes, relationships)


def _purchases(history: History, pointers: Pointers) -> Iterator[Resource]:
    rng = history.simulation.random("purchases")
    accounts = np.arange(0, len(history.cast.accounts.name), 6)
    count = len(accounts)
    begins = np.floor(history.simulation.as_of - rng.uniform(30, 500, count) * DAY_S)
    quantity = rng.integers(5, 200, count).astype(float)
    attributes = {
        "currency": pick(CURRENCIES, rng.integers(0, 3, count)),
        "description": "Yearly contract",
        "source": "CRM",
        "status": (begins + 365 * DAY_S > history.simulation.as_of).tolist(),
        "totalQuantity": quantity.tolist(),
        "totalValue": (quantity * 240).tolist(),
        "potentialQuantity": (quantity * 2).tolist(),
        "potentialValue": (quantity * 480).tolist(),
        "saturation": 0.5,
        "startDate": date_cells(begins),
        "endDate": date_cells(begins + 365 * DAY_S),
        "createdAt": instant_cells(begins),
        "updatedAt": instant_cells(begins),
    }
    user = pointers.one("user", history.cast.accounts.owner[accounts] + 1)
    relationships = {
        "account": pointers.one("account", accounts + 1),
        "product": pointers.one("product", np.arange(count) % len(_PRODUCTS) + 1),
        "owner": user,
        "creator": user,
    }
    yield from column_resources("purchase", range(1, count + 1), attributes, relationships)
