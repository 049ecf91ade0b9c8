"""SECURITY.md names a test for each promise: each must be there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def test_the_document_names_tests():
    assert len(NAMED) > 25


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_promise_names_a_test_that_exists(file, test):
    """A renamed test would leave a promise that nothing shows."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))

    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
