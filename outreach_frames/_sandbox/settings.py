"""
What the vendor does not say, decided in one place.

Each field of `Settings` is one open question of the Outreach API (or two sources that disagree) and the answer the
sandbox gives by default. All may be changed while it runs: a client that is right under every answer is right
whatever the live service does.
"""

from dataclasses import dataclass
from typing import Literal

RateHeaders = Literal["epoch", "delta", "iso", "pair", "absent"]
RetryAfter = Literal["delta", "epoch", "iso", "http-date", "absent"]


@dataclass(kw_only=True)
class Settings:
    """
    The sandbox's answers to what is not documented.

    Attributes
    ----------
    strict_media_type
        Refuse a GET without ``Content-Type: application/vnd.api+json`` (415). The vendor asks for it on every request;
        public clients leave it out and work. Bodies are always checked.
    unauthorized
        Form of a 401: a JSON:API error, or the gateway's own JSON that was seen in the wild. The error's id is not
        published.
    unsorted_order
        Order of a collection when no ``sort`` is sent: by id, or ``"scattered"`` (stable but in no useful order).
    sortable_id
        Whether ``sort=id`` is accepted. Nothing in the contract says it is.
    nulls
        Whether a missing value sorts below or above all others; descending order reverses it.
    case_sensitive
        Whether ``filter[name]=acme`` misses ``Acme``.
    null_words_in_new_syntax
        Whether ``__null__`` and ``__notnull__`` keep their meaning under ``newFilterSyntax=true``.
    invalid_value_status
        Status of a filter value that cannot be read, such as a bad date: 400 or 422.
    include_links_only
        Whether a to-many that only ever carries a link may be included; refused (400) otherwise.
    unknown_fields
        What ``fields[prospect]=noSuchName`` does.
    unknown_parameters
        What a query parameter that the API does not have does.
    oversized_page
        What ``page[size]`` and ``page[limit]`` above 1,000 do: an error, or the page is cut to 1,000.
    count
        ``"exact"``, or ``"unknown"``: the answer under load, count 0 and truncated.
    count_limit
        Above this many records the count is this number and truncated [records].
    count_by_default
        Whether a collection is counted without ``count=true``, as for apps registered before 2024-10-13.
    meta_without_count
        Whether an uncounted collection has no ``meta`` or one with a null count.
    next_past_offset_limit
        Whether ``links.next`` goes on past offset 10,000, where following it is an error. Without, the walk just ends.
    to_one_links
        Whether to-one relationships carry ``links.related`` beside ``data``: the schema declares it, no example has it.
    encoded_links
        Whether the brackets in the links of a page are percent-encoded.
    organization
        Id of the organization, by which the root document and installations name it; ``None``: the root document names
        neither it nor the user.
    links_base_url
        Base of every link, when an organization's API lives on another host; ``None`` for the sandbox's own.
    contact_histogram_by_default
        Whether prospects carry ``contactHistogram`` unasked, as until 2026-10-01.
    lists_unnamed
        Whether lists show accounts with ``named`` false and templates without a name; single requests always do.
    types_spelling
        How ``GET /types`` spells its types.
    rate_limit
        Requests a user may make in one window [requests].
    rate_window
        Length of the window [s]; the vendor's is an hour.
    rate_headers
        Form of the ``X-RateLimit-*`` headers: Reset as epoch seconds, as seconds to go or as an ISO 8601 time;
        ``"pair"`` for two values in Remaining (``"9999, 19988"``, the second undocumented); or none.
    retry_after
        Form of ``Retry-After`` on a 429. Documented as an alias of Reset, which clients read as seconds to go.
    token_lifetime, refresh_token_lifetime
        Of access tokens and of refresh tokens [s].
    rotated_refresh_token
        Whether a refresh token that was used ends at once, or stays good until it is 14 days old or 100 newer ones
        exist. Two sources disagree.
    mint_throttle
        A user gets one token in this time [s]; 0 for any number.
    bad_grant_status
        Status of ``invalid_grant``; the OAuth standard says 400.
    mismatch_status
        Status of a body whose type or id is not the URL's; JSON:API says 409.
    create_with_id
        What an ``id`` in the body of a create does. The guide sends one for a ruleset.
    unknown_members, read_only_members
        What an attribute or relationship does that the type does not have, or that cannot be written.
    strict_values
        Refuse values outside every closed enumeration of the schema. The guide itself then fails: it writes
        ``onlyIfActive`` and ``completed``.
    required_members
        Whether a create without what a record of its type cannot be without (a name, a prospect) is refused. Only
        "Name can't be blank" is documented.
    missing_related
        What a relationship to a record that does not exist does.
    unique_external_ids
        Whether ``prospect.externalId`` and ``account.customId`` may occur only once. Imports match on them.
    deleted_references
        Whether relationships to a deleted record are cleared, or go on naming it. What belongs to the record alone
        (a prospect's enrollments, open tasks, addresses and notes) goes with it.
    interval_unit
        Unit of ``sequenceStep.interval``: the schema says seconds, the guide minutes.
    enroll_in_disabled
        Whether prospects can be added to a sequence that is not enabled.
    enroll_without_address
        Whether a prospect without a deliverable address can be added: to no sequence, to sequences without mail steps,
        or to any.
    finish_from
        Which enrollments ``finish`` takes: active ones, as its description says, or every unfinished one.
    event_updated_at
        Whether logged events have ``updatedAt``, which the guide shows and sorts by and the schema does not have.
    specific_events
        Whether a webhook for everything receives ``task.updated`` as well as ``task.completed`` for one change.
    webhook_loopback
        Whether webhooks may point to this machine and over plain http to it. The live API takes public HTTPS only.
    webhook_relationships
        Form of relationships in deliveries: flat identifiers, as observed, or wrapped in ``data``.
    job_seconds
        How long a batch, import or compliance request stays in each of its states [s, the sandbox's clock]; reading
        its resource type moves it on at once. ``None``: only reading does.
    batch_confirmed_count
        Batches of more records than this must be confirmed with their count [records].
    compliance_states
        Names of the states: the guide's (``queued``, ``temporary_failure``) or the schema's (``failed``).
    compliance_failures
        Every so-many-th compliance task fails once before it succeeds; 0 for never.
    compliance_requester
        Whether the requester's address must be that of a user, as the guide describes it.
    compliance_unknown
        What a request for an address that nobody has does.
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
    rate_window: float = 3600.0
    rate_headers: RateHeaders = "epoch"
    retry_after: RetryAfter = "delta"
    token_lifetime: float = 7200.0
    refresh_token_lifetime: float = 14 * 86_400.0
    rotated_refresh_token: Literal["invalid", "valid"] = "invalid"  # noqa: S105 - no secret
    mint_throttle: float = 60.0
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
    job_seconds: float | None = 5.0
    batch_confirmed_count: int = 1_000
    compliance_states: Literal["guide", "schema"] = "guide"
    compliance_failures: int = 3
    compliance_requester: Literal["any", "user"] = "any"
    compliance_unknown: Literal["accept", "refuse"] = "accept"
