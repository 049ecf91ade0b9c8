"""``kill -9`` in the middle of writing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import outreach_frames as of
from outreach_frames._http import BearerAuth
from tests.trust.trust_setting import connect, rows, true_rows

ROUNDS = 20


def test_what_a_killed_process_left_is_in_nobodys_way(sandbox, tmp_path):
    """In a container every process has the same number, and left its half of a snapshot under it."""
    (tmp_path / "snapshot" / f".writing-{os.getpid()}").mkdir(parents=True)

    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        taken = of.take_snapshot(org, tmp_path / "snapshot", resources=["accounts"])

    assert rows(taken.frame("accounts")) == true_rows(sandbox)


def test_killed_twenty_times_while_writing_the_next_start_works(sandbox, tmp_path):
    """Power cuts happen at any point: what was stored is whole or is not there, and nothing warns."""
    program = Path(__file__).with_name("killed_writer.py")
    command = [sys.executable, program, sandbox.base_url, tmp_path, "4", str(ROUNDS)]

    run = subprocess.run(command, input=f"{sandbox.token}\n", capture_output=True, text=True, timeout=100, check=False)

    rounds = [json.loads(line) for line in run.stdout.splitlines()]
    everybody = [id_ for id_, _ in true_rows(sandbox)]
    assert (run.returncode, run.stderr) == (0, "")
    assert len(rounds) == ROUNDS
    assert all(fetched == everybody == snapshot for _, _, fetched, snapshot in rounds)
    assert all(kept >= 5 for _, kept, _, _ in rounds)
    assert len({stored for stored, *_ in rounds}) > 1
