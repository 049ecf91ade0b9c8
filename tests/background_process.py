"""A server in a process of its own, ready when it says so."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

PATIENCE = 60.0
"""How long a server may take to start [s]."""


@contextmanager
def serving(command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    Run a command until the block ends.

    Parameters
    ----------
    command
        Program and arguments.
    ready
        Regular expression of the line that says it listens; its first group is what the block gets.
    environment
        Further variables.

    Raises
    ------
    RuntimeError
        It ended, or said nothing in time; with what it wrote.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if found := re.search(ready, line):
                break
        else:
            raise RuntimeError(f"{command[0]} did not start:\n{''.join(said)}")
        watchdog.cancel()
        # A full pipe would stop the server: what it writes from here on is of no interest.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found[1]
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
