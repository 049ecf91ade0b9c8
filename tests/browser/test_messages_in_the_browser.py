"""A template's body in a real browser: it is seen, and it can do nothing."""

import socket
from threading import Thread

import pandas as pd
import pytest

from outreach_frames.widgets import Messages

HOSTILE = [
    '<script>top.ran = true; new Image().src = "{elsewhere}/script"</script>',
    '<script src="{elsewhere}/script"></script>',
    '<img src=x onerror="top.ran = true">',
    '"><script>top.ran = true</script>',
    "</iframe><script>top.ran = true</script>",
    '<img src="{elsewhere}/picture" srcset="{elsewhere}/other 2x">',
    "<style>@import url({elsewhere}/style); p {{ background: url({elsewhere}/picture) }}</style>",
    '<link rel="stylesheet" href="{elsewhere}/style"><link rel="preconnect" href="{elsewhere}">',
    '<meta http-equiv="refresh" content="0; url={elsewhere}/refresh"><base href="{elsewhere}">',
    '<iframe src="{elsewhere}/frame"></iframe><iframe srcdoc="<img src={elsewhere}/picture>"></iframe>',
    '<object data="{elsewhere}/object"></object><embed src="{elsewhere}/embed">',
    '<video src="{elsewhere}/film" poster="{elsewhere}/poster" autoplay></video>',
    '<svg><image href="{elsewhere}/picture"/><use href="{elsewhere}/drawing#a"/></svg>',
    '<table background="{elsewhere}/picture"><tr><td>1</table>',
]
LED = [
    '<a target="_self" href="{elsewhere}/link">here</a>',
    '<a target="_top" href="{elsewhere}/link" ping="{elsewhere}/ping">here</a>',
    '<form action="{elsewhere}/form"><button>here</button></form>',
]
REFUSED = ("sandbox", "Content Security Policy", "about:srcdoc")
"""Words of the console where the browser has refused something."""


@pytest.fixture
def elsewhere():
    """Listen; return the address and the list of connections made."""
    made = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_count, args=(server, made), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", made


def _count(server, made):
    while True:
        try:
            connection, address = server.accept()
        except OSError:  # closed at the end of the test
            return
        made.append(address)
        Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection):
    with connection:
        if connection.recv(4096):  # one made in advance may send nothing, and is closed by the browser
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def body_shown(tab, body):
    """Show a body in a page of its own, and wait until the frame has loaded."""
    templates = pd.DataFrame({"id": [1], "name": ["Hello"], "subject": ["About you"], "body_html": [body]})
    tab.set_content(f"<!DOCTYPE html><title>Messages</title>{Messages(templates).to_html()}", wait_until="load")
    return tab.frame_locator("iframe")


def settled(tab, elsewhere):
    """Ask something of the address outside the frame: whatever the frame had asked before has arrived then."""
    address, made = elsewhere
    tab.evaluate("address => fetch(address, {mode: 'no-cors'}).then(() => null)", f"{address}/end")
    return len(made)


@pytest.mark.parametrize("body", HOSTILE)
def test_a_body_runs_nothing_and_asks_nothing(body, tab, said, elsewhere):
    """Each body is looked at with a server that counts every connection, made in advance or in earnest."""
    frame = body_shown(tab, f"{body.format(elsewhere=elsewhere[0])}<p>Good morning</p>")

    frame.get_by_text("Good morning").wait_for()

    assert tab.evaluate("window.ran") is None
    assert settled(tab, elsewhere) == 1, "only our own question"
    assert [text for text in said if not any(word in text for word in REFUSED)] == []


@pytest.mark.parametrize("body", LED)
def test_a_body_leads_nowhere(body, tab, elsewhere):
    """Neither a click nor the keyboard follows a link: a page elsewhere would learn who looks."""
    frame = body_shown(tab, body.format(elsewhere=elsewhere[0]))
    frame.get_by_text("here").click()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")

    assert settled(tab, elsewhere) == 1
    assert len(tab.context.pages) == 1
    assert frame.get_by_text("here").is_visible()


def test_what_a_body_holds_itself_is_shown(tab, said):
    """Styles and pictures that are in the body need nobody else."""
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    frame = body_shown(tab, f'<style>p {{ color: rgb(1, 2, 3) }}</style><p>Good morning</p><img src="{pixel}">')

    assert frame.get_by_text("Good morning").evaluate("p => getComputedStyle(p).color") == "rgb(1, 2, 3)"
    assert frame.locator("img").evaluate("async p => { await p.decode(); return p.naturalWidth }") == 1
    assert said == []
