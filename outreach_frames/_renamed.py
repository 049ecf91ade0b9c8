"""Old names and positions of arguments: they go on working, with a warning that gives the new way."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def with_old_names(package: str, load: Callable[[str], Any], names: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Let a lazy package answer to old names.

    Parameters
    ----------
    package
        Dotted name, for the warning.
    load
        The package's ``__getattr__``.
    names
        New names by old names.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  it becomes the package's own
        if name in names:
            warnings.warn(f"{package}.{name} is now {package}.{names[name]}.", FutureWarning, stacklevel=2)
        return load(names.get(name, name))

    return __getattr__


def with_old_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take old keywords; each is given with its new name."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old in kwargs:
                    warnings.warn(f"{function.__name__}({old}=) is now {new}=.", FutureWarning, stacklevel=2)
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def with_old_positions(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take by position, after the first argument, what is now given by keyword."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> R:
            named = dict(zip(names, args[1:], strict=False))
            if named and len(args) <= 1 + len(names) and not named.keys() & kwargs.keys():
                keywords = ", ".join(f"{name}=" for name in named)
                warnings.warn(f"Pass {keywords} of {function.__name__} by keyword.", FutureWarning, stacklevel=2)
                args = args[:1]
                kwargs |= named
            return function(*args, **kwargs)

        return cast("Callable[P, R]", call)

    return decorate
