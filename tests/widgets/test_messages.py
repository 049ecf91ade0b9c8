"""Templates' messages: what comes from the data is text, or locked in a frame that runs and loads nothing."""

from html.parser import HTMLParser

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.widgets import ABTestExplorer, Messages

BREAKING_OUT = """"><script>alert(1)</script><p title='"'>&quot;&gt;&lt;b&gt;</iframe><img src=x onerror=alert(2)>"""


class Elements(HTMLParser):
    """Collect elements with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep one element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        """Keep text."""
        self.text += data


def frame_of(html):
    (frame,) = (attributes for tag, attributes in Elements(html).found if tag == "iframe")
    return frame


def templates(**columns):
    return pd.DataFrame({"id": [7], "name": ["Hello"], "subject": ["About you"], **columns})


def test_a_body_stays_inside_its_attribute():
    """Quotes, tags and entities: a browser reads the body back, no frame ended, and makes no element of it outside."""
    html = Messages(templates(body_html=[BREAKING_OUT])).to_html()

    assert [tag for tag, _ in Elements(html).found] == ["div", "section", "h4", "p", "b", "iframe"]
    assert BREAKING_OUT.replace("</iframe>", "</x-iframe>") in frame_of(html)["srcdoc"]


def test_a_body_may_do_nothing():
    """An empty sandbox: no script, form, window, nor the page's own origin; and nothing is loaded."""
    frame = frame_of(Messages(templates(body_html=["<p>Hello"])).to_html())

    assert frame["sandbox"] in {None, ""}
    assert frame["referrerpolicy"] == "no-referrer"
    assert "src" not in frame
    head = [attributes for tag, attributes in Elements(frame["srcdoc"]).found if tag in {"meta", "base", "p"}]
    assert head[1] == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    }
    assert head[-1] == {}, "the policy stands before the body"


@pytest.mark.parametrize(
    "element",
    ["<a href=x>", "<A\thref=x>", "<a/href=x>", "<link rel=preconnect>", "<meta http-equiv=refresh>", "<iframe src=x>"],
)
def test_elements_that_lead_elsewhere_are_renamed(element):
    """A policy holds back neither clicks nor connections made in advance; a removed element could close another."""
    for body in (element, f"<li{element}nk rel=preconnect>", f"<svg>{element}"):
        document = frame_of(Messages(templates(body_html=[body])).to_html())["srcdoc"].partition("<body>")[2]

        made = {tag for tag, _ in Elements(document).found}
        assert made
        assert not made & {"a", "link", "meta", "iframe"}


def test_elements_with_like_names_stay():
    """Of ``<article>`` and ``<address>`` only the first letter is that of a link."""
    body = "<article><address><abbr><metadata></article>"

    assert body in frame_of(Messages(templates(body_html=[body])).to_html())["srcdoc"]


def test_name_and_subject_are_text():
    markup = "<img src=x onerror=alert(1)>"

    html = Messages(templates(name=[markup], subject=[markup], body_html=["<p>Hello"])).to_html()

    assert "img" not in {tag for tag, _ in Elements(html).found}
    assert Elements(html).text.count(markup) == 2
    assert frame_of(html)["title"] == f"Body of {markup}"


def test_a_body_of_text_is_text():
    html = Messages(templates(body_text=["Hello <b>you</b>\nBye"], body_html=[None])).to_html()

    assert "Hello <b>you</b>\nBye" in Elements(html).text
    assert "iframe" not in html


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "they come only where they are asked for"),
        ({"body_html": [None]}, "The body is empty."),
        ({"body_html": [" "], "body_text": [pd.NA]}, "The body is empty."),
        ({"subject": [None]}, "No subject is known."),
        ({"name": [pd.NA]}, "template 7"),
    ],
    ids=["not asked for", "missing", "blank", "no subject", "no name"],
)
def test_what_is_not_there_is_said(columns, said):
    assert said in Elements(Messages(templates(**columns)).to_html()).text


def test_bodies_come_where_they_are_asked_for(tmp_path):
    """What the sentence tells the reader to do, over real HTTP and through a snapshot."""
    with of.sandbox(prospects=20) as org:
        usual = of.fetch(org, "templates")
        whole = of.fetch(org, "templates", fields="*")
        kept = of.take_snapshot(org, tmp_path, resources={"templates": {"fields": "*"}}, progress=False)

    assert "These data hold no bodies" in Messages(usual).to_html()
    for templates in (whole, kept.frame("templates")):
        assert "These data hold no bodies" not in Messages(templates).to_html()
        assert "<iframe" in Messages(templates).to_html()


def test_that_there_are_no_bodies_is_said_once():
    two = pd.concat([templates(), templates()])

    assert Messages(two).to_html().count("These data hold no bodies") == 1


def test_a_notebook_shows_messages():
    shown = Messages(templates())

    assert shown._repr_html_() == shown.to_html()


def test_what_is_no_frame_of_templates_is_refused():
    with pytest.raises(DataError, match="Give the frame of templates"):
        Messages([{"id": 1}])
    with pytest.raises(MissingColumnError):
        Messages(pd.DataFrame({"subject": ["x"]}))


def test_the_monitor_shows_the_messages_that_it_compares(frames):
    """Those of the step's test, in the order of the variants; every subject as in the data."""
    explorer = ABTestExplorer(frames)
    explorer.controls["look"].value = "messages"
    variants = frames["sequence_templates"]
    listed = variants[(variants["sequence_step_id"] == explorer.state["step"]) & variants["enabled"]]
    compared = frames["templates"][frames["templates"]["id"].isin(listed["template_id"])].sort_values("id")

    text = Elements(explorer._output.value).text

    told = zip(compared["name"], compared["subject"], strict=True)
    places = [text.index(f"{name}Subject: {subject}") for name, subject in told]
    assert places == sorted(places)
    assert len(places) > 1


def test_the_sample_has_bodies(frames):
    """The page that the notebooks ship shows messages, not a sentence about where they would come from."""
    explorer = ABTestExplorer(frames)

    html = explorer.view(**explorer.state | {"look": "messages"}).to_html()

    assert html.count("<iframe") >= 2
    assert "no bodies" not in html
