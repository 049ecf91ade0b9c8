"""
Secret text and bytes, whose ``repr`` does not show them.

Tracebacks with local variables (IPython, rich, Sentry) print what ``repr`` gives. Hidden text is read and sent like any
other text. Text that is built from it, such as a concatenation, is not hidden.
"""

from typing import Any, TypeVar, cast

_Secret = TypeVar("_Secret")


class HiddenText(str):
    """A secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"

    def __getitem__(self, key: Any) -> "HiddenText":
        """Keep a part hidden too: rich prints the beginning of a long text."""
        return HiddenText(super().__getitem__(key))


class HiddenBytes(bytes):
    """A body."""

    def __repr__(self) -> str:
        return "b'…'"

    def __getitem__(self, key: Any) -> Any:
        """Keep a part hidden too; a single byte is a number, as ever."""
        part = super().__getitem__(key)
        return HiddenBytes(part) if isinstance(part, bytes) else part

    def removeprefix(self, prefix: Any, /) -> "HiddenBytes":
        """Keep the rest hidden."""
        return HiddenBytes(super().removeprefix(prefix))


def hidden(value: _Secret) -> _Secret:
    """Return text, bytes or the parts of a tuple as hidden ones, equal to what was given; anything else as it is."""
    if isinstance(value, tuple):
        return cast("_Secret", tuple(map(hidden, value)))
    if isinstance(value, str):
        return cast("_Secret", HiddenText(value))
    return cast("_Secret", HiddenBytes(value)) if isinstance(value, bytes) else value


def revealed(value: object) -> str:
    """Return hidden text as it is: msgspec's ``enc_hook``, since it writes plain text only."""
    if isinstance(value, HiddenText):
        return str(value)
    raise NotImplementedError
