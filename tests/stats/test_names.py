import subprocess
import sys

import pytest

from outreach_frames import stats


def test_every_public_name_is_there_and_documented():
    for name in stats.__all__:
        assert getattr(stats, name).__doc__, name


def test_the_names_are_sorted_and_listed():
    assert stats.__all__ == sorted(stats.__all__)
    assert dir(stats) == stats.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="engagment"):
        _ = stats.engagment


def test_importing_the_statistics_loads_no_scientific_library():
    """Pandas alone costs a second; `--help` must not pay for it."""
    heavy = "{'scipy', 'pandas', 'narwhals', 'matplotlib'}"
    code = f"import sys, outreach_frames.stats; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
