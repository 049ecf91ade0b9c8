"""Old public names: they go on working, with a warning that gives the new name."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

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
