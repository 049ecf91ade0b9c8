"""
What the sandbox does where the vendor's documents are silent or disagree.

All settings may be changed while the sandbox runs. A client that is right under every value is right whatever the live
service does.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

RateHeaders = Literal["epoch", "delta", "iso", "pair", "absent"]
RetryAfter = Literal["delta", "epoch", "iso", "http-date", "absent"]


@cache
def _field_choices(cls: type) -> dict[str, tuple[Any, ...]]:
    """Return the values that the fields of a class may have, by field, where they are an enumeration."""
    choices = {}
    for name, hint in get_type_hints(cls).items():
        values = [value for each in (hint, *get_args(hint)) if get_origin(each) is Literal for value in get_args(each)]
        if values:
            choices[name] = tuple(values)
    return choices


def check_choice(cls: type, name: str, value: object) -> None:
    """
    Check the value of a field that is an enumeration; ``None`` is always accepted.

    Raises
    ------
    ValueError
        The field does not have this value.
    """
    choices = _field_choices(cls).get(name)
    if choices and value is not None and value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")


@dataclass(kw_only=True)
class SandboxSettings:
    """
    Behavior of the sandbox that the vendor does not document.

    Attributes
    ----------
    strict_media_type
        Refuse a GET without ``Content-Type: application/vnd.api+json`` (415); requests with a body always need it.
    unauthorized
        Body of a 401: a JSON:API error, or the JSON of the gateway before the API.
    unsorted_order
        Order of a collection without ``sort``: by id, or ``"scattered"`` (stable, but in no useful order).
    sortable_id
        Accept ``sort=id``.
    nulls
        Sort missing values below (``"lowest"``) or above (``"highest"``) all others; descending order reverses it.
    case_sensitive
        Compare text in filters with its case: ``filter[name]=acme`` does not match ``Acme``.
    null_words_in_new_syntax
        Read ``__null__`` and ``__notnull__`` as special values under ``newFilterSyntax=true`` too.
    invalid_value_status
        HTTP status for a filter value that cannot be read, such as an invalid date.
    include_links_only
        Accept ``include`` of a to-many relationship that has only a link; otherwise 400.
    unknown_fields
        Refuse or ignore a name in ``fields[...]`` that the type does not have.
    unknown_parameters
        Refuse or ignore a query parameter that the API does not have.
    oversized_page
        Refuse a page size above 1,000, or ``"clamp"`` it to 1,000.
    count
        Counts of collections: ``"exact"``, or ``"unknown"`` as under load (count 0, truncated).
    count_limit
        Largest count; above it, the count is this number and truncated [records].
    count_by_default
        Count collections without ``count=true``, as for apps registered before 2024-10-13.
    meta_without_count
        Leave ``meta`` out of an uncounted collection, or send it with a null count.
    next_past_offset_limit
        Send ``links.next`` past offset 10,000, where following it is an error; otherwise the pages end there.
    to_one_links
        Send ``links.related`` of to-one relationships beside their ``data``.
    encoded_links
        Percent-encode the brackets in the links of a page.
    organization
        Id of the organization in the root document and in installations; ``None`` to send no organization and no user.
    links_base_url
        Base of every link, for an organization on another host; ``None`` for the sandbox's own.
    contact_histogram_by_default
        Send ``contactHistogram`` of prospects without a request for it, as until 2026-10-01.
    lists_unnamed
        List accounts with ``named`` false and templates without a name; a request by id always returns them.
    types_spelling
        Spelling of the types in ``GET /types``: ``prospect`` or ``Prospect``.
    rate_limit
        Requests that a user may send in one window [requests].
    rate_window_s
        Length of the rate limit's window [s]; an hour at Outreach.
    rate_headers
        Form of ``X-RateLimit-*``: Reset as epoch, seconds or ISO 8601; ``"pair"``: two values in Remaining; or none.
    retry_after
        Form of ``Retry-After`` on a 429: seconds from now, epoch seconds, ISO 8601, HTTP date, or none.
    token_lifetime_s
        Lifetime of access tokens [s].
    refresh_token_lifetime_s
        Lifetime of refresh tokens [s].
    rotated_refresh_token
        End a refresh token when it is used, or keep it valid until it is 14 days old or 100 newer ones exist.
    token_interval_s
        Shortest time between two tokens of one user [s]; 0 for no limit.
    bad_grant_status
        HTTP status of ``invalid_grant``; 400 in the OAuth standard.
    mismatch_status
        HTTP status of a body whose type or id is not the URL's; 409 in JSON:API.
    create_with_id
        Ignore or refuse an ``id`` in the body of a create.
    unknown_members
        Refuse or ignore an attribute or relationship that the type does not have.
    read_only_members
        Refuse or ignore an attribute or relationship that cannot be written.
    strict_values
        Refuse values outside every closed enumeration of the schema; the examples of the vendor's guide then fail.
    required_members
        Refuse a create without what such a record needs, for example a name or a prospect.
    missing_related
        Refuse or accept a relationship to a record that does not exist.
    unique_external_ids
        Refuse a second record with the same ``prospect.externalId`` or ``account.customId``.
    deleted_references
        Clear or keep relationships to a deleted record; what belongs only to that record is deleted with it.
    interval_unit
        Unit of ``sequenceStep.interval``: seconds in the schema, minutes in the guide.
    enroll_in_disabled
        Accept prospects in a sequence that is not enabled.
    enroll_without_address
        Accept prospects without a deliverable address: never, in sequences without mail steps, or always.
    finish_from
        States from which ``finish`` is accepted: active only, or every unfinished one.
    event_updated_at
        Send ``updatedAt`` of logged events, which is in the guide but not in the schema.
    specific_events
        Send ``task.completed`` beside ``task.updated`` to a webhook for all actions, or instead of it.
    webhook_loopback
        Accept webhook URLs on this machine, over plain http too; the live API accepts public HTTPS only.
    webhook_relationships
        Form of relationships in deliveries: plain identifiers, or wrapped in ``data``.
    job_step_s
        Time a batch, import or compliance request stays in a state [s, sandbox clock]; ``None``: only reads advance it.
    batch_confirmed_count
        Batches of more records than this need their count to be confirmed [records].
    compliance_states
        Names of the states: the guide's (``queued``, ``temporary_failure``) or the schema's (``failed``).
    compliance_failures
        Every n-th compliance task fails once before it succeeds; 0 for none.
    compliance_requester
        Accept any requester address, or only that of a user.
    compliance_unknown
        Accept or refuse a compliance request for an address that no prospect has.

    Raises
    ------
    AttributeError
        An assigned name is not a setting.
    ValueError
        An assigned value is not one of the values of the setting.

    Examples
    --------
    >>> import outreach_frames as of
    >>> with of.sandbox(prospects=20, settings={"rate_limit": 100}) as org:
    ...     org.sandbox.settings.oversized_page = "clamp"  # from the next request on
    """

    strict_media_type: bool = True
    unauthorized: Literal["json:api", "gateway"] = "json:api"
    unsorted_order: Literal["id", "scattered"] = "id"
    sortable_id: bool = False
    nulls: Literal["lowest", "highest"] = "lowest"
    case_sensitive: bool = True
    null_words_in_new_syntax: bool = True
    invalid_value_status: Literal[400, 422] = 400
    include_links_only: bool = False
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    unknown_parameters: Literal["refuse", "ignore"] = "refuse"
    oversized_page: Literal["refuse", "clamp"] = "refuse"
    count: Literal["exact", "unknown"] = "exact"
    count_limit: int = 2_000_000
    count_by_default: bool = False
    meta_without_count: Literal["absent", "null"] = "absent"
    next_past_offset_limit: bool = True
    to_one_links: bool = False
    encoded_links: bool = True
    organization: int | None = 1
    links_base_url: str | None = None
    contact_histogram_by_default: bool = False
    lists_unnamed: bool = False
    types_spelling: Literal["singular", "capitalized"] = "singular"
    rate_limit: int = 10_000
    rate_window_s: float = 3600.0
    rate_headers: RateHeaders = "epoch"
    retry_after: RetryAfter = "delta"
    token_lifetime_s: float = 7200.0
    refresh_token_lifetime_s: float = 14 * 86_400.0
    rotated_refresh_token: Literal["invalid", "valid"] = "invalid"  # noqa: S105 - no secret
    token_interval_s: float = 60.0
    bad_grant_status: Literal[400, 401] = 400
    mismatch_status: Literal[409, 422] = 422
    create_with_id: Literal["ignore", "refuse"] = "ignore"
    unknown_members: Literal["refuse", "ignore"] = "refuse"
    read_only_members: Literal["refuse", "ignore"] = "refuse"
    strict_values: bool = False
    required_members: bool = True
    missing_related: Literal["refuse", "accept"] = "refuse"
    unique_external_ids: bool = False
    deleted_references: Literal["clear", "keep"] = "clear"
    interval_unit: Literal["seconds", "minutes"] = "seconds"
    enroll_in_disabled: bool = False
    enroll_without_address: Literal["never", "without mail steps", "always"] = "without mail steps"
    finish_from: Literal["active", "unfinished"] = "unfinished"
    event_updated_at: bool = False
    specific_events: Literal["beside", "instead"] = "beside"
    webhook_loopback: bool = True
    webhook_relationships: Literal["flat", "wrapped"] = "flat"
    job_step_s: float | None = 5.0
    batch_confirmed_count: int = 1_000
    compliance_states: Literal["guide", "schema"] = "guide"
    compliance_failures: int = 3
    compliance_requester: Literal["any", "user"] = "any"
    compliance_unknown: Literal["accept", "refuse"] = "accept"

    def __setattr__(self, name: str, value: object) -> None:
        """Set a setting, after a check of its name and value."""
        if name not in type(self).__dataclass_fields__:
            raise AttributeError(f"there is no setting {name!r} of the sandbox")
        check_choice(type(self), name, value)
        super().__setattr__(name, value)
