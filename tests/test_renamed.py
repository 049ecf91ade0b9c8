"""Old public names go on working and say the new one."""

import pandas as pd
import pytest

import outreach_frames as of

MOVED = [
    (of.stats, "compliance", "opt_out_violations"),
    (of.stats, "enrolment_outcomes", "enrollment_outcomes"),
    (of.stats, "summarise", "summarize"),
    (of.plots, "plot_ab", "plot_ab_test"),
    (of.plots, "plot_workload", "plot_rep_activity"),
    (of.widgets, "ABMonitor", "ABTestExplorer"),
    (of.widgets, "DefinitionSwitch", "DefinitionExplorer"),
    (of.widgets, "MailboxWatch", "MailboxExplorer"),
    (of.widgets, "ReplyTimeline", "ProspectExplorer"),
    (of.widgets, "SendTimePicker", "SendTimeExplorer"),
]


@pytest.mark.parametrize(("package", "old", "new"), MOVED, ids=lambda each: getattr(each, "__name__", each))
def test_an_old_name_is_the_new_function_with_a_warning(package, old, new):
    with pytest.warns(FutureWarning, match=f"{old} is now .*{new}"):
        function = getattr(package, old)

    assert function is getattr(package, new)


def test_an_old_name_is_not_listed():
    assert not {old for _, old, _ in MOVED} & set(of.stats.__all__ + of.plots.__all__ + of.widgets.__all__)


def test_an_old_keyword_is_given_with_its_new_name():
    document = {"data": [{"type": "engine", "id": "1", "attributes": {"type": "turbine"}}]}

    with pytest.warns(FutureWarning, match="catalogue=.* is now catalog="):
        old = of.read_jsonapi(document, catalogue=False)

    assert old.equals(of.read_jsonapi(document, catalog=False))


def test_a_table_by_position_is_given_by_keyword():
    rates = pd.DataFrame({"n": [100, 200]})

    with pytest.warns(FutureWarning, match="Pass trials= of shrink_rates by keyword"):
        old = of.stats.shrink_rates([5, 20], rates["n"])

    pd.testing.assert_frame_equal(old, of.stats.shrink_rates([5, 20], trials=rates["n"]))
    with pytest.raises(TypeError):
        of.stats.shrink_rates([5, 20], rates["n"], 3)
