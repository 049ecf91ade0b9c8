"""Extras: what they install, and the error where one is missing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from outreach_frames.errors import MissingExtraError

EXTRAS = {
    "excel": {"openpyxl": "openpyxl", "xlsxwriter": "XlsxWriter"},
    "explore": {"voila": "voila"},
    "locale": {"babel": "Babel"},
    "notebook": {"IPython": "IPython", "ipywidgets": "ipywidgets", "jinja2": "Jinja2"},
    "plots": {"matplotlib": "matplotlib"},
    "report": {"nbclient": "nbclient", "nbconvert": "nbconvert", "nbformat": "nbformat", "ipykernel": "ipykernel"},
    "s2s": {"jwt": "PyJWT", "cryptography": "cryptography"},
    "s3": {"fsspec": "fsspec", "s3fs": "s3fs"},
    "sandbox": {"starlette": "Starlette", "uvicorn": "uvicorn"},
    "sql": {"duckdb": "DuckDB"},
    "webhooks": {"starlette": "Starlette", "uvicorn": "uvicorn"},
}
"""Extra → module → library. The keyring is used where it is installed, and not missed otherwise."""


def require(extra: str, purpose: str, *modules: str) -> None:
    """
    Raise an error that names an extra unless its modules are installed; none is imported.

    Parameters
    ----------
    extra
        Name of the extra.
    purpose
        What needs it: the beginning of the message, in the plural.
    *modules
        Those of its modules that are needed; default: all.

    Raises
    ------
    MissingExtraError
        A module is not installed.
    """
    for module, library in EXTRAS[extra].items():
        if (not modules or module in modules) and not is_installed(module):
            raise MissingExtraError(f"{purpose} need {library}, which is not installed.", extra=extra, module=module)


@contextmanager
def required(extra: str, purpose: str, *modules: str) -> Iterator[None]:
    """Turn the failed import of a library that is not installed into the error of `require`."""
    try:
        yield
    except ImportError:
        require(extra, purpose, *modules)
        raise


def is_installed(module: str) -> bool:
    """Tell whether a module can be found, without importing it."""
    if module in sys.modules:  # a module without a specification is there, and None stands for one that is not
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
