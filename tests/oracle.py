"""
The worked oracle: an organization small enough to be counted by hand, and every statistic of it.

Its file keeps the keys of its authors, who write British English; `ORACLE` has them as this package's columns.
"""

import json
from pathlib import Path

_FILE = Path(__file__).parent / "data" / "metrics_oracle.json"

ORACLE = json.loads(_FILE.read_text(encoding="utf-8").replace("enrolment", "enrollment"))
