"""The explorers as people meet them: in JupyterLab and on Voilà's page, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

KERNEL_READY = """() => {
    const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
    const kernel = session?.session?.kernel;
    return session?.isReady && kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
EXPLORERS = 6
SEQUENCES, DEFINITIONS, EXPERIMENTS, TIMELINE, SEND_TIMES, MAILBOXES = range(EXPLORERS)


@pytest.fixture(params=["lab", "voila"])
def explorers(request, page, artifacts):
    """Open the notebook, run it where that is the reader's part, and wait until the kernel has nothing left to do."""
    page.goto(request.getfixturevalue(request.param))
    if request.param == "lab":
        page.wait_for_function(KERNEL_READY)
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    shown = page.locator(".outreach-explorer")
    expect(shown).to_have_count(EXPLORERS)
    for explorer in shown.all():
        expect(explorer.locator("img, table").first).to_be_visible()
    yield shown
    page.screenshot(path=artifacts / f"explore_{request.param}.png", full_page=True)
    for place, explorer in enumerate(shown.all()):
        explorer.screenshot(path=artifacts / f"explore_{request.param}_{place + 1}.png")


def picture(explorer):
    return explorer.locator("img")


def changes(explorer, act):
    """Do something and wait for another picture, drawn whole, with nothing below it moved."""
    before, room = picture(explorer).get_attribute("src"), explorer.bounding_box()["height"]
    act()
    expect(picture(explorer)).not_to_have_attribute("src", before)
    assert picture(explorer).evaluate("async p => { await p.decode(); return p.naturalWidth }") > 400
    assert len(picture(explorer).get_attribute("alt")) > 40
    assert explorer.bounding_box()["height"] == room


def test_every_control_changes_what_is_shown(explorers):
    """One pass over all controls, so that the notebook is run once for each server."""
    explorer = explorers.nth(SEQUENCES)
    for name in ("Outcomes", "All sequences", "Steps"):
        changes(explorer, explorer.get_by_role("button", name=name).click)
    changes(explorer, lambda: explorer.get_by_label("Sequence").select_option(label="Webinar follow-up (4)"))
    changes(explorer, lambda: explorer.get_by_label("Begun").select_option("in the last 90 days"))

    explorer = explorers.nth(DEFINITIONS)
    table, room = explorer.locator("table"), explorer.bounding_box()["height"]
    for name in ("count one-off mail", "count automatic replies", "count untracked mail as unopened"):
        before = table.inner_text()
        explorer.get_by_label(name).click()
        expect(table).not_to_have_text(before, use_inner_text=True)
    before = table.inner_text()
    explorer.get_by_role("button", name="bounced").click()
    expect(table).not_to_have_text(before, use_inner_text=True)
    assert explorer.bounding_box()["height"] == room

    explorer = explorers.nth(EXPERIMENTS)
    changes(explorer, lambda: explorer.get_by_label("Step").select_option(index=1))
    changes(explorer, lambda: explorer.locator(".noUi-handle").press("ArrowRight"))
    changes(explorer, explorer.get_by_role("button", name="flat").click)
    room = explorer.bounding_box()["height"]
    explorer.get_by_role("button", name="Messages").click()
    expect(explorer.locator("iframe")).not_to_have_count(0)
    expect(explorer.frame_locator("iframe").first.get_by_text("Good morning, {{first_name}}")).to_be_visible()
    expect(explorer.get_by_text("Subject:").first).to_be_visible()
    assert explorer.bounding_box()["height"] == room
    explorer.get_by_role("button", name="Result").click()
    expect(picture(explorer)).to_be_visible()

    explorer = explorers.nth(TIMELINE)
    changes(explorer, lambda: explorer.get_by_label("Prospect").select_option(index=7))

    explorer.get_by_placeholder("search prospect").fill("0 no such name")
    expect(explorer.get_by_text("no match:")).to_be_visible()
    explorer.get_by_placeholder("search prospect").fill("")

    code = explorer.locator("textarea")
    expect(code).to_be_hidden()
    explorer.get_by_role("button", name="as code").click()
    expect(code).to_have_value(re.compile("draw_timeline"))

    explorer = explorers.nth(SEND_TIMES)
    changes(explorer, explorer.get_by_role("button", name="UTC").click)
    changes(explorer, lambda: explorer.locator(".noUi-handle").press("ArrowRight"))

    explorer = explorers.nth(MAILBOXES)
    changes(explorer, lambda: explorer.get_by_label("Mailbox").select_option(index=1))
    changes(explorer, explorer.get_by_role("button", name="opt-outs").click)
    room = explorer.bounding_box()["height"]
    explorer.get_by_role("button", name="Health of all").click()
    expect(explorer.locator("table")).to_be_visible()
    assert explorer.bounding_box()["height"] == room


TABBABLE = "button:not([disabled]), select:not([disabled]), input:not([disabled]), .noUi-handle, [contenteditable=true]"


def test_the_keyboard_reaches_every_control_in_order(explorers, page):
    """Tab goes from control to control of each explorer; the space bar presses a button."""
    for explorer in explorers.all():
        controls = explorer.locator(TABBABLE).locator("visible=true").element_handles()
        controls[0].focus()
        for control in controls[1:]:
            page.keyboard.press("Tab")
            assert control.evaluate("control => document.activeElement === control"), control.text_content()

    explorer = explorers.nth(SEQUENCES)
    explorer.get_by_role("button", name="Outcomes").focus()
    changes(explorer, lambda: page.keyboard.press("Space"))
