import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import AS_OF, make_frame

COLUMNS = ["id", "owner_id", "task_type", "state", "due_at", "completed_at"]
DUE = "2025-03-10T12:00:00Z"


def tasks(*rows):
    made = [
        {"id": n, "owner_id": 1, "task_type": "manual", "due_at": DUE, **row} for n, row in enumerate(rows, start=1)
    ]
    return make_frame(made, *COLUMNS)


IN_TIME = {"state": "complete", "completed_at": "2025-03-10T12:00:00Z"}
LATE = {"state": "complete", "completed_at": "2025-03-11T12:00:00Z"}
OPEN = {"state": "incomplete"}


def test_completed_of_those_due_and_in_time_of_those_completed():
    """3 of 4 (Wilson 0.300642 to 0.954413) and 2 of 3; the open one is 20.5 days over at the end of March."""
    found = stats.task_completion(tasks(IN_TIME, IN_TIME, LATE, OPEN), as_of=AS_OF).iloc[0]

    assert found[["tasks_due", "tasks_completed", "tasks_on_time", "task_backlog"]].tolist() == [4, 3, 2, 1]
    assert (found["task_completion_rate"], found["task_completion_rate_n"]) == (0.75, 4)
    assert found["task_completion_rate_lo"] == pytest.approx(0.300642, abs=1e-6)
    assert found["task_completion_rate_hi"] == pytest.approx(0.954413, abs=1e-6)
    assert (found["task_on_time_rate"], found["task_on_time_rate_n"]) == (pytest.approx(2 / 3), 3)
    assert found["backlog_age_d"] == 20.5


def test_what_was_completed_after_as_of_was_still_open_then():
    """Its state says complete today; only a task without a time of completion must be believed."""
    rows = [IN_TIME, LATE, {"state": "complete"}, OPEN]

    found = stats.task_completion(tasks(*rows), as_of="2025-03-11T00:00:00Z").iloc[0]

    assert found[["tasks_due", "tasks_completed", "tasks_on_time", "task_backlog"]].tolist() == [4, 2, 1, 2]
    assert found["backlog_age_d"] == 0.5


def test_the_backlogs_age_is_its_median():
    rows = [{**OPEN, "due_at": f"2025-03-{day:02d}T00:00:00Z"} for day in (1, 30, 21)]

    assert stats.task_completion(tasks(*rows), as_of=AS_OF)["backlog_age_d"].tolist() == [10]


def test_by_owner_and_kind_of_task():
    rows = [IN_TIME, {**OPEN, "task_type": "call"}, {**OPEN, "owner_id": 2}]

    found = stats.task_completion(tasks(*rows), as_of=AS_OF)

    assert found[["owner_id", "task_type", "task_backlog"]].to_numpy().tolist() == [
        [1, "call", 1],
        [1, "manual", 0],
        [2, "manual", 1],
    ]


def test_what_is_not_due_yet_is_not_judged():
    """Else every new task would lower the rate."""
    rows = [IN_TIME, {**OPEN, "due_at": "2025-04-02T00:00:00Z"}, {**OPEN, "due_at": None}, {**OPEN, "owner_id": None}]

    found = stats.task_completion(tasks(*rows), as_of=AS_OF)

    assert found["tasks_due"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "task without a due date": 1,
        "task due after as_of": 1,
        "owner_id missing": 1,
    }


def test_no_tasks_give_a_row_without_rates():
    found = stats.task_completion(tasks(), by=None, as_of=AS_OF)

    assert found["tasks_due"].tolist() == [0]
    assert found[["task_completion_rate", "task_on_time_rate", "backlog_age_d"]].isna().to_numpy().all()


def test_bad_input_is_named():
    with pytest.raises(DataError, match="needs to know when the data were extracted"):
        stats.task_completion(tasks(OPEN))
    with pytest.raises(MissingColumnError, match="'task_type' is missing; task_completion needs it"):
        stats.task_completion(tasks(OPEN).drop(columns="task_type"), as_of=AS_OF)
