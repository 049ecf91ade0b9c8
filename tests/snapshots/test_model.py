"""Any sequence of changes, refreshes, webhooks and kills: the snapshot is readable, and equals the organization."""

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest
import uvicorn
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import outreach_frames as of
from outreach_frames.errors import OutreachError
from outreach_frames.webhooks import receiver_app
from tests.fetch_support import organization
from tests.snapshot_support import accounts

ROOT = Path(__file__).parents[2]
SECRET = "between us"
KILLS = 10
WORK = st.sampled_from(["refresh", "sweep", "apply"])
NAMES = st.sampled_from(["New", "Newer", "Newest"])


@contextmanager
def receiving(store):
    """Receive deliveries as ``outreach-frames webhooks serve`` does; give the URL."""
    server = uvicorn.Server(receiver_app.configuration(store, secret=SECRET))
    with receiver_app.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/hooks"
        finally:
            server.should_exit = True
            thread.join()


class Office:
    """
    An organization of accounts whose changes webhooks deliver, and a snapshot of it.

    Parameters
    ----------
    folder
        Of the snapshot and of the store of deliveries.
    number
        How many accounts there are.
    """

    def __init__(self, folder, number):
        self.folder = folder
        self.store = folder / "deliveries.sqlite"
        with ExitStack() as stack:
            self.org = stack.enter_context(organization(folder / "cache", *accounts(*range(1, number + 1))))
            url = stack.enter_context(receiving(self.store))
            of.patterns.subscribe(self.org, url, resource="account", secret=SECRET)
            self.snapshot = of.take_snapshot(self.org, folder / "org", resources=["accounts"], progress=False)
            self.close = stack.pop_all().close

    def deliveries(self):
        """Return what was delivered, once everything is."""
        assert self.org.sandbox.webhooks.flush(timeout=20)
        return of.webhooks.read(self.store)

    def bring_up(self, work, chance):
        """Bring the snapshot up to date, and compare it with the organization."""
        if work == "apply":
            deliveries = self.deliveries()
            deliveries = deliveries.sample(frac=1, random_state=chance.randrange(2**32))
            first = deliveries.iloc[: chance.randrange(len(deliveries) + 1)]  # some come later, some twice
            with suppress_doubts():
                self.snapshot = self.snapshot.apply(first, keep=2)
            self.snapshot = self.snapshot.apply(pd.concat([deliveries, first]), keep=2)
        else:
            deletions = "sweep" if work == "sweep" else "counts"
            self.snapshot = self.snapshot.refresh(self.org, deletions=deletions, keep=2, progress=False)
        self.compare()

    def compare(self):
        """Compare the snapshot with what the organization has, and with what the API says."""
        frame = self.snapshot.frame("accounts")
        stored = {each.id: each.attributes.get("name") for each in self.org.sandbox.store.records("account")}
        assert dict(zip(frame["id"], frame["name"], strict=True)) == stored
        assert frame["id"].is_monotonic_increasing
        pd.testing.assert_frame_equal(frame, of.fetch(self.org, "accounts", refresh=True, progress=False))

    def kill(self, killer, work, delay):
        """Have a process bring the snapshot up to date, kill it, and open what there is."""
        self.deliveries()
        token = self.org.sandbox.token
        killer.stdin.write(json.dumps([work, self.org.base_url, token, str(self.folder), delay]) + "\n")
        killer.stdin.flush()
        assert killer.stdout.readline() == "\n"
        self.snapshot = of.open_snapshot(self.folder / "org")
        self.snapshot.verify()

    def ids(self):
        """Return the ids of the accounts there are."""
        return sorted(each.id for each in self.org.sandbox.store.records("account"))


@contextmanager
def suppress_doubts():
    """Of a part of the deliveries a record can be changed before it is created."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("outreach_frames.snapshots._apply.warn", lambda *_: None)
        yield


class _Model(RuleBasedStateMachine):
    """Random creates, updates, deletes, interruptions and kills."""

    def __init__(self, folder, killer):
        super().__init__()
        self.folder = folder
        self.killer = killer
        self.office = None

    @initialize(number=st.integers(0, 60))
    def begin(self, number):
        self.office = Office(self.folder, number)

    @rule(names=st.lists(NAMES, min_size=1, max_size=12))
    def create(self, names):
        for name in names:
            self.office.org.create("accounts", name=name)

    @rule(data=st.data(), names=st.lists(NAMES, min_size=1, max_size=5))
    def update(self, data, names):
        for name in names:
            if ids := self.office.ids():
                self.office.org.update("accounts", data.draw(st.sampled_from(ids)), name=name)

    @rule(data=st.data(), name=NAMES, domain=st.sampled_from([None, "new.example"]))
    def update_twice(self, data, name, domain):
        """Of one second, in which the API stamps both alike."""
        if ids := self.office.ids():
            account = data.draw(st.sampled_from(ids))
            self.office.org.update("accounts", account, name="Passing", domain="passing.example")
            self.office.org.update("accounts", account, name=name, domain=domain)

    @rule(data=st.data(), number=st.integers(1, 12))
    def delete(self, data, number):
        for _ in range(number):
            if ids := self.office.ids():
                self.office.org.delete("accounts", data.draw(st.sampled_from(ids)))

    @rule(seconds=st.integers(1, 5_000))
    def wait(self, seconds):
        self.office.org.sandbox.advance(seconds)

    @rule(after=st.integers(0, 8), deletions=st.sampled_from(["counts", "sweep"]))
    def interrupt(self, after, deletions):
        office = self.office
        office.org.sandbox.faults.add(path="/accounts", method="GET", after=after, times=None, status=403)
        with suppress(OutreachError):
            office.snapshot = office.snapshot.refresh(office.org, deletions=deletions, keep=2, progress=False)
        office.org.sandbox.faults.clear()

    @rule(work=WORK, chance=st.randoms(use_true_random=False))
    def bring_up(self, work, chance):
        self.office.bring_up(work, chance)

    @rule(killed=st.sampled_from(["refresh", "apply"]), delay=st.floats(0, 0.3), work=WORK, chance=st.randoms())
    def kill(self, killed, delay, work, chance):
        self.office.kill(self.killer, killed, delay)
        self.office.bring_up(work, chance)

    @invariant()
    def the_current_version_is_readable(self):
        if self.office is not None:
            of.open_snapshot(self.folder / "org").verify()

    def teardown(self):
        if self.office is not None:
            self.office.close()


@pytest.fixture
def killer():
    """Start the program that kills writers."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, Path(__file__).with_name("killed_writer.py")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize(("examples", "steps"), [(2, 8), pytest.param(12, 15, marks=pytest.mark.slow)])
def test_after_any_sequence_of_events_the_snapshot_equals_the_organization(tmp_path_factory, killer, examples, steps):
    checks = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=[Phase.generate],  # to shrink a failure takes minutes
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(lambda: _Model(tmp_path_factory.mktemp("model"), killer), settings=checks)


@pytest.mark.slow
def test_killed_ten_times_while_deliveries_are_applied(tmp_path, killer):
    chance = random.Random(5)  # noqa: S311  the same points every time
    office = Office(tmp_path, 60)
    try:
        for number in range(KILLS):
            office.org.create("accounts", name=f"New {number}")
            office.org.update("accounts", 31 + number % 30, name=f"Changed {number}")
            office.org.delete("accounts", office.ids()[0])
            office.kill(killer, "apply", chance.uniform(0.0, 0.3))
            office.bring_up("apply", chance)
    finally:
        office.close()
