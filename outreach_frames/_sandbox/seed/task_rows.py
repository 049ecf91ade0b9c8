"""Rows of work done by hand: tasks and calls, and the lists they choose from."""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.clock import Ints
from outreach_frames._sandbox.seed.columns import Pointers, Resource, flagged, instants, pick, records, resources
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.mailings import latest, mailing_ids
from outreach_frames._sandbox.seed.names import CITIES
from outreach_frames._sandbox.seed.tasks import ACTIONS, DISPOSITIONS, MEETING, TASK_TYPES

PURPOSES = ("Sequence call", "Follow-up", "Discovery", "Renewal")
PRIORITIES = (("Low", 30), ("Normal", 60), ("High", 90))
_OPEN_NOTES = ("Check the notes before calling.", "Asked to be called after lunch.", "Left a voicemail last time.")


def work_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield tasks, calls, and the dispositions, purposes and priorities they refer to."""
    yield from _tasks(history, pointers)
    yield from _calls(history, pointers)
    made = {"createdAt": "2024-01-08T09:00:00.000Z", "updatedAt": "2024-01-08T09:00:00.000Z"}
    yield from records(
        "callDisposition",
        [
            {"name": name, "outcome": "Answered" if answered else "Not Answered", "order": order, **made}
            for order, (name, answered) in enumerate(DISPOSITIONS)
        ],
    )
    yield from records("callPurpose", [{"name": name, "order": order, **made} for order, name in enumerate(PURPOSES)])
    yield from records(
        "taskPriority", [{"name": name, "weight": weight, "color": 0x0072B2, **made} for name, weight in PRIORITIES]
    )
    yield from records(
        "taskPurpose",
        [
            {"name": name, "order": order, "taskType": "in_person", **made}
            for order, name in enumerate(("Introduction", "Demonstration", "Contract"))
        ],
    )
    yield from records(
        "taskDisposition",
        [
            {"name": name, "order": order, "taskType": "in_person", "value": name.lower().replace(" ", "_"), **made}
            for order, name in enumerate(("Went well", "No show", "Rescheduled"))
        ],
    )


def _sequence_template(history: History, tasks: dict[str, np.ndarray]) -> Ints:
    """Id of the sequence template behind the message of an e-mail task, 0 for other tasks."""
    mailing = tasks["mailing"]
    found: Ints = np.where((mailing >= 0) & (tasks["step"] >= 0), history.mailings["variant"][mailing] + 1, 0)
    return found


def _tasks(history: History, pointers: Pointers) -> Iterator[Resource]:
    tasks, as_of = history.tasks, history.setting.as_of
    count = len(tasks["due"])
    done = ~np.isnan(tasks["done"])
    state = np.where(done, 2, np.where(tasks["due"] <= as_of, 1, 0))
    changed = np.where(
        done, tasks["done"], np.where(state == 1, np.maximum(tasks["due"], tasks["created"]), tasks["created"])
    )
    autoskip = np.where(tasks["step"] >= 0, tasks["due"] + history.setting.programme.autoskip[tasks["step"]], np.nan)
    notes = [step.note for step in history.setting.programme.steps]
    numbers = np.arange(count)
    attributes = {
        "action": pick(ACTIONS, tasks["action"]),
        "taskType": pick(TASK_TYPES, tasks["type"]),
        "state": pick(("pending", "incomplete", "complete"), state),
        "stateChangedAt": instants(changed),
        "completed": done.tolist(),
        "completedAt": instants(tasks["done"]),
        "dueAt": instants(tasks["due"]),
        "scheduledAt": instants(np.where(tasks["step"] >= 0, tasks["due"], np.nan)),
        "autoskipAt": instants(autoskip),
        "note": pick(
            [*notes, *_OPEN_NOTES],
            np.where(tasks["step"] >= 0, tasks["step"], np.where(numbers % 3 == 0, len(notes) + numbers % 9 // 3, -1)),
        ),
        "opportunityAssociation": flagged("recent_created", tasks["step"] < 0),
        "createdAt": instants(tasks["created"]),
        "updatedAt": instants(latest(changed, tasks["created"])),
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
    yield from resources("task", range(1, count + 1), attributes, relationships)


def _calls(history: History, pointers: Pointers) -> Iterator[Resource]:
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
        "dialedAt": instants(np.where(unheard, np.nan, calls["dialed"])),
        "answeredAt": instants(calls["picked_up"]),
        "completedAt": instants(calls["completed"]),
        "stateChangedAt": instants(calls["completed"]),
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
        "tags": [["meeting"] if met else [] for met in (calls["disposition"] == MEETING).tolist()],
        "createdAt": instants(calls["created"]),
        "updatedAt": instants(calls["created"]),
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
    yield from resources("call", range(1, count + 1), attributes, relationships)
