"""
What the page of tasks shows below each: its result on made-up data.

The tasks are those of the folder ``docs/tasks`` as they stand; ``tests/test_tasks.py`` checks their results.
"""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

import outreach_frames as of
from outreach_frames.errors import OutreachWarning

_SHOWN, _WIDE, _KEYS = 5, 10, 3
_COLUMNS = {
    *("id", "delivered", "replied", "opened", "reply_rate", "reply_rate_n", "open_rate", "n", "x", "rate", "verdict"),
    *("rate_a", "rate_b", "diff", "first_name", "last_name", "title", "name", "event_at"),
}
"""Those of a wide table, with its keys, that the page shows."""
_org = of.sandbox(prospects=300, seed=7)
_snapshot = of.open_snapshot("data/sample", dtypes="numpy")
_person = _snapshot.frame("prospects")["emails"].iloc[0][0]
pd.DataFrame({"email": [_person], "amount": [500]}).to_csv("deals.csv", index=False)
pd.DataFrame({"user_id": [1, 2], "quota": [10, 20]}).to_csv("quota.csv", index=False)


def task(name: str) -> Any:
    """Run a task and return its result; of a table, the first rows."""
    names = {"of": of, "org": _org, "snapshot": _snapshot, "pd": pd}
    code = Path("docs", "tasks", f"{name}.py").read_text(encoding="utf-8")
    with warnings.catch_warnings(), of.plots.theme():
        warnings.simplefilter("ignore", OutreachWarning)
        exec(compile(code, name, "exec"), names)  # noqa: S102  the task as it stands
    result: Any = names["result"]
    if isinstance(result, pd.DataFrame) and len(result.columns) > _WIDE:
        keys = {*result.columns[:_KEYS], *(name for name in result.columns if name.endswith("__name"))}
        result = result[[name for name in result.columns if name in keys | _COLUMNS]]
    return result.head(_SHOWN) if isinstance(result, pd.DataFrame | pd.Series) else result
