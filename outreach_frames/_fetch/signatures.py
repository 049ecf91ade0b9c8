"""
The options of the fetch functions, and their types: the kind of frame follows from ``as_``.

The types say what a call returns to type checkers; `inspect.signature`, from which notebooks complete names, shows
every option of every function.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Unpack, cast, get_type_hints, overload

import pandas as pd
import pyarrow as pa

from outreach_frames._fetch.custom_fields import Custom
from outreach_frames._fetch.plan import FetchOptions, Fields
from outreach_frames._frame_kinds import Dtypes
from outreach_frames._query import Include
from outreach_frames.client import Client

if TYPE_CHECKING:
    import polars as pl


class Options(TypedDict, total=False):
    """Options that every fetch function takes, beside ``as_``; see `fetch`."""

    filter: Mapping[str, Any] | None
    sort: str | Sequence[str] | None
    include: Include
    fields: Fields
    limit: int | None
    page_size: int | None
    custom: Custom
    data_connections: bool
    parallel: int | None
    refresh: bool
    progress: bool | None
    params: Mapping[str, Any] | None
    strict: bool
    dtypes: Dtypes | None


class FetchFunction(Protocol):
    """Type of `outreach_frames.fetch`."""

    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["polars"], **options: Unpack[Options]
    ) -> "pl.DataFrame": ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pyarrow"], **options: Unpack[Options]
    ) -> pa.Table: ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pandas"] = ..., **options: Unpack[Options]
    ) -> pd.DataFrame: ...


class ResourceFunction(Protocol):
    """Type of the functions of one resource type, such as `outreach_frames.fetch_prospects`."""

    @overload
    def __call__(self, client: Client, /, *, as_: Literal["polars"], **options: Unpack[Options]) -> "pl.DataFrame": ...
    @overload
    def __call__(self, client: Client, /, *, as_: Literal["pyarrow"], **options: Unpack[Options]) -> pa.Table: ...
    @overload
    def __call__(
        self, client: Client, /, *, as_: Literal["pandas"] = ..., **options: Unpack[Options]
    ) -> pd.DataFrame: ...


class TablesFunction(Protocol):
    """Type of `outreach_frames.fetch_tables`."""

    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["polars"], **options: Unpack[Options]
    ) -> "dict[str, pl.DataFrame]": ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pyarrow"], **options: Unpack[Options]
    ) -> dict[str, pa.Table]: ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pandas"] = ..., **options: Unpack[Options]
    ) -> dict[str, pd.DataFrame]: ...


class BatchesFunction(Protocol):
    """Type of `outreach_frames.fetch_batches`."""

    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pandas"], **options: Unpack[Options]
    ) -> Iterator[pd.DataFrame]: ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["polars"], **options: Unpack[Options]
    ) -> "Iterator[pl.DataFrame]": ...
    @overload
    def __call__(
        self, client: Client, resource: str, /, *, as_: Literal["pyarrow"] = ..., **options: Unpack[Options]
    ) -> Iterator[pa.RecordBatch]: ...


def fetch_function(function: Callable[..., Any]) -> FetchFunction:
    """Return a function as a `FetchFunction`, which it stays."""
    return cast("FetchFunction", function)


def resource_function(function: Callable[..., Any]) -> ResourceFunction:
    """Show the options of `fetch` in the signature of a function of one resource type."""
    return cast("ResourceFunction", _with_options(function))


def tables_function(function: Callable[..., Any]) -> TablesFunction:
    """Show the options of `fetch` in the signature of `fetch_tables`."""
    return cast("TablesFunction", _with_options(function))


def batches_function(function: Callable[..., Any]) -> BatchesFunction:
    """Show the options of `fetch` in the signature of `fetch_batches`, but for those that it refuses."""
    return cast("BatchesFunction", _with_options(function, without={"parallel", "params"}))


def _with_options(function: Any, *, without: Collection[str] = ()) -> Any:
    """Put the options in place of ``**options`` in the signature that `inspect.signature` shows."""
    own = inspect.signature(function)
    kinds = get_type_hints(FetchOptions)
    options = {
        each.name: inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=kinds[each.name]
        )
        for each in dataclasses.fields(FetchOptions)
        if each.name not in without
    }
    named = {name: each for name, each in own.parameters.items() if each.kind is not inspect.Parameter.VAR_KEYWORD}
    function.__signature__ = own.replace(parameters=sorted((options | named).values(), key=lambda each: each.kind))
    return function
