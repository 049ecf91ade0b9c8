"""Explorers without a browser: what they show follows from the values of their controls."""

import ast
import gc
import inspect
import re
import warnings
from datetime import date
from html import unescape
from html.parser import HTMLParser
from itertools import islice, product

import ipywidgets as w
import pandas as pd
import polars as pl
import pytest
from pandas.io.formats.style import Styler

import outreach_frames as of
from outreach_frames import widgets
from outreach_frames._jsonapi import collector_paused
from outreach_frames.errors import DataError
from outreach_frames.widgets._explorer import as_html

EXPLORERS = [
    widgets.SequenceExplorer,
    widgets.DefinitionExplorer,
    widgets.ABTestExplorer,
    widgets.ProspectExplorer,
    widgets.SendTimeExplorer,
    widgets.MailboxExplorer,
]
MESSAGES = {"div", "section", "h4", "b", "iframe"}
each = pytest.mark.parametrize("kind", EXPLORERS, ids=lambda kind: kind.__name__)


def test_explorers_are_named_as_such_and_all_are_tested_here():
    assert set(EXPLORERS) == {getattr(widgets, name) for name in widgets.__all__ if name.endswith("Explorer")}
    assert set(widgets.__all__) == {each.__name__ for each in EXPLORERS} | {"Messages", "draw_timeline"}


@each
def test_one_rule_for_the_arguments_of_explorers(kind):
    """The source is first; all else is by keyword. A view and its code take the controls by keyword."""
    source, *options = inspect.signature(kind).parameters.values()
    views = [list(inspect.signature(getattr(kind, name)).parameters.values())[1:] for name in ("view", "code")]

    assert source.name == "source"
    assert {option.kind for option in options} <= {source.KEYWORD_ONLY}
    assert {each.kind for view in views for each in view} == {source.KEYWORD_ONLY}
    assert [each.name for each in views[0]] == [each.name for each in views[1]]


@each
def test_a_view_takes_the_controls_and_nothing_else(kind, frames):
    explorer = kind(frames)

    assert set(explorer.state) == set(inspect.signature(kind.view).parameters) - {"self"}


def shown(explorer):
    return explorer._output.value


def values(control):
    """Some values a control can take."""
    if isinstance(control, w.Checkbox):
        return [True, False]
    if isinstance(control, w.FloatSlider | w.IntSlider):
        return [control.min, control.value, control.max]
    return [value for _, value in control.options[:4]]


def states(explorer):
    names = list(explorer.controls)
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*map(values, explorer.controls.values()))]


def run(code, **names):
    """Run printed code; return the value of its last line, as a notebook would."""
    *before, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(before, []), "code", "exec"), names)  # noqa: S102  that it runs is what is tested
    return eval(compile(ast.Expression(last.value), "code", "eval"), names)  # noqa: S307  as above


def table(styler):
    """Return what a table shows as text: the first cell of each row → the other ones."""
    rows = re.findall(r"<tr>(.*?)</tr>", styler.to_html(), re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    plain = [[" ".join(unescape(cell).split()) for cell in row] for row in cells if row]
    return {first: others for first, *others in plain}


class Elements(HTMLParser):
    """Collect the elements and attributes that a browser would make."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep one element."""
        self.found.append((tag, dict(attrs)))


@each
def test_each_control_moves_what_is_shown(kind, frames):
    explorer = kind(frames)
    for name, control in explorer.controls.items():
        seen, first = set(), control.value
        for value in values(control):
            control.value = value
            seen.add(_unnamed(shown(explorer)))
        control.value = first
        assert len(seen) > 1, name


@each
def test_what_is_shown_is_the_view_of_the_state(kind, frames):
    """Nothing hidden decides: the same values give the same picture."""
    explorer = kind(frames)
    for name, control in explorer.controls.items():
        control.value = values(control)[-1]
        assert _unnamed(shown(explorer)) == _unnamed(shown(_with(kind(frames), explorer.state))), name


def _unnamed(html):
    """Leave out the random name that pandas gives to each table."""
    return re.sub(r"T_[0-9a-f]{5}", "T_", html)


def _with(explorer, state):
    for name, value in state.items():
        explorer.controls[name].value = value
    return explorer


@each
@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")  # the notebook shows them
@pytest.mark.parametrize("origin", ["snapshot", "frames"])
def test_the_code_runs_and_gives_the_same(kind, origin, sample, frames):
    """What "as code" prints is run as printed; pictures are compared by their description, tables by their figures."""
    explorer = kind(sample if origin == "snapshot" else frames)
    explorer._as_code.value = True
    for state in islice(states(explorer), 0, None, 7):
        _with(explorer, state)
        mine = explorer.view(**state)
        if isinstance(mine, str):
            continue

        theirs = run(explorer._code.value, **({} if origin == "snapshot" else {"frames": frames}))

        if isinstance(mine, widgets.Messages):
            assert theirs.to_html() == mine.to_html()
        elif kind is widgets.DefinitionExplorer:
            figures = [row[0] for row in table(mine).values()]
            ((first, others),) = table(theirs).items()
            assert [first, *others][::2] == figures
        elif isinstance(mine, Styler):
            assert table(theirs) == table(mine)
        else:
            assert theirs.get_figure(root=True).outreach_alt == mine.get_figure(root=True).outreach_alt


def test_code_is_shown_only_when_asked_for(frames):
    explorer = widgets.ProspectExplorer(frames)
    assert explorer._code.layout.display == "none"

    explorer._as_code.value = True

    assert "draw_timeline" in explorer._code.value
    assert explorer._code.layout.display is None


@each
def test_markup_in_names_stays_text_in_every_view(kind, nasty):
    """Whatever a prospect, sequence or template is called: the only elements are ours, and none has a handler."""
    explorer = kind(nasty)
    for state in islice(states(explorer), 0, None, 7):
        _with(explorer, state)
        for tag, attributes in Elements(shown(explorer)).found:
            assert tag in {"img", "p", "table", "thead", "tbody", "tr", "th", "td", "br", "span", *MESSAGES}
            assert not [name for name in attributes if name.startswith("on")]
            assert tag != "img" or attributes["src"].startswith("data:image/png;base64,")
            assert tag != "iframe" or ("src" not in attributes and not attributes["sandbox"])  # nothing is allowed


@each
def test_markup_in_names_stays_text_in_labels(kind, nasty):
    """Lists of options are text in a browser; descriptions would be markup only if that were allowed."""
    for control in kind(nasty).controls.values():
        assert not getattr(control, "description_allow_html", False)
        assert "<" not in control.description


def test_a_sentence_with_a_name_in_it_is_escaped(nasty):
    explorer = widgets.SequenceExplorer(nasty | {"mailings": nasty["mailings"].head(0)})

    assert "&lt;img src=x" in shown(explorer)
    assert "<img" not in shown(explorer)


@each
def test_no_rows_are_a_sentence_or_missing_figures(kind, empty):
    text = shown(kind(empty))

    assert "<img" not in text
    assert "nan" not in text.lower()
    assert re.search(r"There are no|No step|No mail", text)


@each
def test_a_missing_table_is_said_in_place(kind, frames):
    table = next(iter(kind.TABLES))

    explorer = kind({name: frame for name, frame in frames.items() if name != table})

    assert f"There is no table &#x27;{table}&#x27;." in shown(explorer)
    assert "Hint:" in shown(explorer)
    assert explorer.controls == {}


@each
def test_a_missing_column_is_said_in_place(kind, frames):
    table, columns = next(iter(kind.TABLES.items()))

    explorer = kind(frames | {table: frames[table].drop(columns=columns[0])})

    assert f"Column &#x27;{columns[0]}&#x27; is missing" in shown(explorer)


@each
@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (pd.DataFrame({"id": [1]}), 'mailings": mailings'),
        ([pd.DataFrame({"id": [1]})], 'mailings": mailings'),
        ("data/sample", "of.open_snapshot"),
        (None, 'mailings": mailings'),
    ],
    ids=["frame", "list", "path", "nothing"],
)
def test_what_is_no_source_is_refused_at_once(kind, source, hint):
    """One frame in place of frames by name is a likely slip: the message says what to give."""
    with pytest.raises(DataError, match=hint):
        kind(source)


@each
def test_a_table_that_is_no_frame_is_said_in_place(kind, frames):
    table = next(iter(kind.TABLES))

    explorer = kind(frames | {table: frames[table].to_dict("records")})

    assert f"The table &#x27;{table}&#x27; is a list." in shown(explorer)


def test_a_frame_of_another_library_is_taken(frames):
    of_polars = widgets.ProspectExplorer(frames | {"mailings": pl.from_pandas(frames["mailings"])})

    assert shown(of_polars) == shown(widgets.ProspectExplorer(frames))


@each
def test_instants_without_a_zone_are_read_as_utc(kind, frames):
    """A frame that went through a spreadsheet has none; the statistics read them so too."""
    bare = {
        name: frame.assign(
            **{
                column: frame[column].astype("datetime64[us, UTC]").dt.tz_localize(None)
                for column in frame
                if "timestamp" in str(frame[column].dtype)
            }
        )
        for name, frame in frames.items()
    }
    explorer, same = kind(frames), kind(bare)

    for state in islice(states(explorer), 0, None, 11):
        assert _unnamed(shown(_with(same, state))) == _unnamed(shown(_with(explorer, state)))


def test_a_snapshot_without_a_table_is_said_in_place(tmp_path):
    with of.sandbox(prospects=5) as org:
        snapshot = of.take_snapshot(org, tmp_path, resources=["mailings"], progress=False)

    assert "sequence_states" in shown(widgets.DefinitionExplorer(snapshot))


@each
def test_a_live_organization_is_read_once(kind):
    """What was read stays usable when the connection is gone: the controls ask for nothing more."""
    with of.sandbox(prospects=60) as org:
        explorer = kind(org)
        assert explorer.controls
        assert "of.fetch(org" in explorer.code(**explorer.state)

    for control in explorer.controls.values():
        control.value = values(control)[-1]

    assert re.search("<(img|table|section)", shown(explorer))


def test_a_connection_that_is_gone_is_said_in_place():
    """Over real HTTP: the organization has stopped listening."""
    with of.sandbox(prospects=5) as org:
        pass

    explorer = widgets.DefinitionExplorer(org)

    assert "connection is closed" in shown(explorer)
    assert "Traceback" not in shown(explorer)
    assert explorer.controls == {}


def test_a_connection_lost_while_reading_is_said_and_tried_again():
    """Over real HTTP: the calls, read last, get no answer; once they do, the button reads all and makes controls."""
    with of.sandbox(prospects=40) as org:
        org.sandbox.faults.add(path="/calls", delivery="dropped", times=None)
        explorer = widgets.ProspectExplorer(org)
        assert "/calls" in shown(explorer)
        assert "Traceback" not in shown(explorer)
        assert explorer.controls == {}
        (again,) = explorer._row.children

        org.sandbox.faults.clear()
        again.click()

    assert "<img" in shown(explorer)
    assert explorer.controls


def test_a_view_that_fails_does_not_leave_the_one_before(frames, monkeypatch):
    """A picture under controls that do not belong to it would be read as theirs."""
    explorer = widgets.ProspectExplorer(frames)

    def fail(**_state):
        raise ZeroDivisionError

    monkeypatch.setattr(explorer, "view", fail)
    with pytest.raises(ZeroDivisionError):
        explorer.controls["prospect"].index = 3

    assert "could not be drawn" in shown(explorer)


def test_pictures_carry_their_description(frames):
    text = shown(widgets.ProspectExplorer(frames))

    assert re.search(r'alt="Time line of one prospect, \d+ rows: \d+ delivered', text)


def test_room_is_kept_whatever_is_shown(frames):
    explorer = widgets.SequenceExplorer(frames)

    assert explorer._output.layout.height == f"{explorer.HEIGHT}px"
    assert explorer._output.layout.overflow == "auto"


def test_one_off_mail_is_left_out_where_it_is_not_to_count(frames):
    chosen = {"bounce_policy": "reply_wins", "automatic": True, "untracked": False}
    explorer = widgets.DefinitionExplorer(frames)
    with_it, without = (table(explorer.view(one_off=value, **chosen))["reply rate"] for value in (True, False))

    mailings = frames["mailings"]
    arrived = mailings["delivered_at"].notna() & (mailings["bounced_at"].isna() | mailings["replied_at"].notna())
    assert with_it[1].endswith(f"n = {arrived.sum():,}")
    assert without[1].endswith(f"n = {(arrived & mailings['sequence_id'].notna()).sum():,}")
    assert with_it[-1] == "0"
    assert without[2:4] == with_it[2:4], "the usual rate, its interval and n"


@pytest.mark.parametrize(
    ("kind", "control", "value", "resting"),
    [
        (widgets.SequenceExplorer, "picture", "rates", {"sequence"}),
        (widgets.ABTestExplorer, "look", "messages", {"detectable", "prior"}),
        (widgets.MailboxExplorer, "look", "health", {"mailbox", "rate"}),
    ],
)
def test_controls_rest_where_they_decide_nothing(kind, control, value, resting, frames):
    """Disabled, so that the keyboard passes them by and nobody waits for a change that cannot come."""
    explorer = kind(frames)
    first = explorer.controls[control].value

    explorer.controls[control].value = value
    assert {name for name, other in explorer.controls.items() if getattr(other, "disabled", False)} == resting

    explorer.controls[control].value = first
    assert not any(getattr(other, "disabled", False) for other in explorer.controls.values())


@pytest.mark.parametrize("days", [0, 30])
@pytest.mark.parametrize("picture", ["steps", "outcomes"])
def test_a_sequence_without_mail_is_said(picture, days, frames):
    """Neither an empty picture nor one of other mail: a sequence that is new, or that rested in the period."""
    frames = frames | {"sequences": frames["sequences"].assign(id=frames["sequences"]["id"] + 1000)}

    explorer = widgets.SequenceExplorer(frames)
    said = explorer.view(picture=picture, sequence=1001, days=days)

    period = " to enrollments begun since 1 Mar 2026" if days else ""
    assert said.replace("\N{NO-BREAK SPACE}", " ") == f"“{frames['sequences']['name'][0]}” delivered no mail{period}."


def test_a_period_holds_enrollments_begun_in_it_with_all_their_mail(frames):
    """Bounced first mail begins an enrollment too; a later mail of an enrollment begun before is no new one."""
    mailings = frames["mailings"]
    sent = mailings["delivered_at"].fillna(mailings["bounced_at"])
    begun = sent.groupby(mailings["sequence_state_id"]).min()
    recent = begun[begun >= pd.Timestamp("2026-03-01", tz="UTC")].index
    of_one = mailings[mailings["sequence_id"].eq(1) & mailings["sequence_state_id"].isin(recent)]
    assert of_one["bounced_at"].notna().any()

    ax = widgets.SequenceExplorer(frames).view(picture="outcomes", sequence=1, days=30)

    written = " ".join(text.get_text() for text in ax.texts).replace("\N{NO-BREAK SPACE}", " ")
    assert "enrollments begun since 1 Mar 2026" in written
    assert f"{of_one['sequence_state_id'].nunique()} enrollments" in written
    assert "bounced 0" not in written


def test_mailboxes_with_alerts_are_offered_first(frames):
    """Those with most weeks to watch or to act on; the list of a large organization is long."""
    last, mailings = max(frames["mailboxes"]["id"]), frames["mailings"].copy()
    mailings.loc[::2, "mailbox_id"] = last
    mailings.loc[::8, "bounced_at"] = mailings["delivered_at"]
    frames = {**frames, "mailings": mailings}

    listed = [number for _, number in widgets.MailboxExplorer(frames).controls["mailbox"].options]

    weeks = of.stats.deliverability(frames["mailings"], mailboxes=frames["mailboxes"])
    alerts = weeks[weeks["alert"].isin(["act", "watch"])].groupby("mailbox_id").size().reindex(listed).fillna(0)
    assert alerts.iloc[0] > 0
    assert alerts.is_monotonic_decreasing


def test_a_picture_of_one_sequence_names_it(frames):
    """It may be passed on without its controls."""
    explorer = widgets.SequenceExplorer(frames)

    for picture in ("steps", "outcomes"):
        ax = explorer.view(picture=picture, sequence=4, days=0)
        assert "Webinar follow-up" in {text.get_text() for text in ax.texts}


def test_a_period_without_mail_leaves_every_sequence_without_a_rate(frames):
    """All sequences side by side: each has its row and "no data", none a rate of zero."""
    as_of = {"outreach_frames": {**frames["mailings"].attrs["outreach_frames"], "as_of": "2027-03-31T00:00:00Z"}}
    mailings = frames["mailings"].copy()
    mailings.attrs = as_of

    ax = widgets.SequenceExplorer(frames | {"mailings": mailings}).view(picture="rates", sequence=1, days=30)

    rows = len(frames["sequences"])
    assert f"Without data: {rows}." in ax.figure.outreach_alt


def test_a_change_leaves_the_search_for_garbage_and_the_warnings_as_they_were(frames, monkeypatch):
    """Both are put off while a view is drawn; a view that fails must not leave them off for the whole notebook."""
    explorer = widgets.ProspectExplorer(frames)
    seen = []

    def fail(**_state):
        seen.append(gc.isenabled())
        raise ZeroDivisionError

    monkeypatch.setattr(explorer, "view", fail)
    filters = list(warnings.filters)
    with pytest.raises(ZeroDivisionError):
        explorer.controls["prospect"].index = 3

    assert seen == [False]
    assert gc.isenabled()
    assert list(warnings.filters) == filters


def test_text_is_escaped():
    assert "<b>" not in as_html("<b>bold</b>")


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
def test_a_test_is_titled_by_its_step_s_place_in_its_sequence(frames):
    """Its id would read like a place; the printed call gives the same title."""
    monitor = widgets.ABTestExplorer(frames)
    step = frames["sequence_steps"].set_index("id").loc[monitor.state["step"]]
    name = frames["sequences"].set_index("id")["name"][step["sequence_id"]]
    called = f"step {step['order']} of {name}"

    printed = run(monitor.code(**monitor.state), of=of, pd=pd, frames=frames)

    assert called in monitor.view(**monitor.state).figure.outreach_alt
    assert called in printed.figure.outreach_alt


def test_the_difference_worth_finding_is_written_as_tables_write_percentages(frames):
    """One form of a percentage on a page: ``of.show`` has a no-break space before the sign."""
    slider = widgets.ABTestExplorer(frames).controls["detectable"]

    assert (slider.label, slider.value) == ("2.0\N{NO-BREAK SPACE}%", 0.02)
    assert [slider.options[place] for place in (0, -1)] == [
        ("0.5\N{NO-BREAK SPACE}%", 0.005),
        ("10.0\N{NO-BREAK SPACE}%", 0.1),
    ]


def test_two_changes_at_a_time_leave_the_search_for_garbage_as_it_was(frames, monkeypatch):
    """A fetch in another thread rests it too: the one that ends first must not wake it."""
    explorer = widgets.ProspectExplorer(frames)
    seen = []
    monkeypatch.setattr(explorer, "view", lambda **_state: seen.append(gc.isenabled()) or "drawn")

    with collector_paused():
        explorer.controls["prospect"].index = 4
        seen.append(gc.isenabled())

    assert seen == [False, False]
    assert gc.isenabled()


TIMED = [kind for kind in EXPLORERS if kind is not widgets.ProspectExplorer]


@pytest.mark.parametrize("kind", TIMED, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
def test_a_period_is_that_of_the_statistics_and_of_the_code(kind, sample):
    """Words, bounds and a zone; what is printed gives the same figures outside."""
    whole, february = kind(sample), kind(sample, period="2026-02", tz="Europe/Berlin")
    bounded = kind(sample, since=date(2026, 2, 1), until="2026-03-01", tz="Europe/Berlin")

    assert _unnamed(shown(february)) != _unnamed(shown(whole))
    assert _unnamed(shown(bounded)) == _unnamed(shown(february))
    february._as_code.value = True
    theirs = run(february._code.value)
    if kind is not widgets.DefinitionExplorer:
        assert theirs.get_figure(root=True).outreach_alt == february.view(**february.state).figure.outreach_alt
    assert "period='2026-02'" in february._code.value


def test_outcomes_of_a_period_say_which(sample):
    explorer = widgets.SequenceExplorer(sample, period="2026-01")
    state = explorer.state | {"picture": "outcomes"}

    written = " ".join(text.get_text() for text in explorer.view(**state).texts).replace("\N{NO-BREAK SPACE}", " ")
    assert "enrollments begun since 1 Jan 2026 and before 1 Feb 2026" in written
    assert "all dates" not in written


@pytest.mark.parametrize("options", [{"period": "fortnight"}, {"period": "2026-01", "since": "2026-01-01"}])
def test_a_period_that_is_none_is_refused_at_once(options, frames):
    with pytest.raises(DataError):
        widgets.SequenceExplorer(frames, **options)


def test_a_long_list_is_searched_and_keeps_what_was_chosen(frames):
    """Five hundred prospects: words in any order and case; with no match the list stays whole."""
    explorer = widgets.ProspectExplorer(frames)
    search, listed = explorer._row.children[:2]
    everything, chosen = listed.options, listed.options[5]
    listed.value = chosen[1]
    first, last, _ = chosen[0].split(" ", 2)
    before = shown(explorer)

    search.value = f"{last.upper()} {first[:3].lower()}"
    assert chosen in listed.options
    assert len(listed.options) < len(everything)
    assert (listed.value, shown(explorer)) == (chosen[1], before)

    search.value = everything[7][0]
    assert listed.value == everything[7][1]
    assert shown(explorer) != before

    search.value = "nobody is called so"
    assert (listed.options, search.description) == (everything, "no match:")
    search.value = ""
    assert (listed.options, search.description, listed.value) == (everything, "", everything[7][1])


def test_short_lists_have_no_search(frames):
    assert not any(isinstance(each, w.Text) for each in widgets.MailboxExplorer(frames)._row.children)


def test_a_test_begins_with_the_sequence_and_step_that_are_named(sample):
    by_name = widgets.ABTestExplorer(sample, sequence="Outbound – Operations leaders", step=3)
    steps = sample.frame("sequence_steps").set_index("id")
    by_id = widgets.ABTestExplorer(sample, sequence=int(steps.loc[9, "sequence_id"]))

    assert by_name.state["step"] == 9
    assert by_id.state["step"] in {7, 9}
    assert "There is no test at step 2 of Webinar follow-up" in shown(
        widgets.ABTestExplorer(sample, sequence="Webinar follow-up", step=2)
    )


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
def test_a_test_says_in_how_many_days_it_has_its_enrollments(sample):
    """Of (2,525 − 69) × 2 at the pace of the last thirty days; counted here from the mailings."""
    explorer = widgets.ABTestExplorer(sample)
    mailings = sample.frame("mailings")
    first = mailings[mailings["sequence_step_id"] == 1].groupby("sequence_state_id")["delivered_at"].min()
    end = pd.Timestamp("2026-03-31T00:00:00Z")
    pace = (first >= end - pd.Timedelta(days=30)).sum() / 30

    alt = explorer.view(**explorer.state).figure.outreach_alt.replace("\N{NO-BREAK SPACE}", " ")
    assert f"about {(2525 - 69) * 2 / pace / 365:.0f} more years at {pace:.1f} a day" in alt
