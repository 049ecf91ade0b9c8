"""
The paths of the API and their responses.

There are routes for every type and operation of the catalog, custom objects, ``/types`` and the root. A path of the API
with a method that it does not have is a 405, any other path a 404. Both are JSON:API documents.
"""

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outreach_frames._sandbox import documents, errors
from outreach_frames._sandbox.auth import NO_USER, Grant
from outreach_frames._sandbox.auth_routes import AuthRoutes, PublicRoutes
from outreach_frames._sandbox.documents import DocumentWriter
from outreach_frames._sandbox.errors import HttpError
from outreach_frames._sandbox.paging import Ordered, page_url
from outreach_frames._sandbox.query import ParsedQuery, QueryReader, Tree
from outreach_frames._sandbox.server import (
    API_PATH,
    AuthMiddleware,
    FaultMiddleware,
    JobMiddleware,
    Recorder,
    error_response,
    json_api_response,
)
from outreach_frames._sandbox.state import SandboxState
from outreach_frames._sandbox.store import Record, key_of
from outreach_frames._sandbox.writes import actions, batches, imports, records
from outreach_frames._sandbox.writes.request_body import read_attributes, read_draft
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

_CREATED, _NO_CONTENT = 201, 204

_FILE_ACTIONS: Mapping[str, Callable[[UnitOfWork, Mapping[str, str]], dict[str, Any]]] = {
    "generateUploadLink": imports.upload_link,
    "validateUpload": imports.validate_upload,
}
"""Actions whose response is not a record."""


class Writes:
    """
    Handlers of requests that write.

    Parameters
    ----------
    state
        State of the sandbox.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def create(self, request: Request, kind: ResourceType) -> Response:
        """Create a record: 201 with the resource."""
        unit = self._unit_of_work(request, kind, "write")
        query = self._reader.writing(request.url.query)
        body = await request.body()
        if kind.name == "complianceRequest":
            return self._compliance_request(unit, kind, body)
        draft = read_draft(body, kind, self._state.settings)
        record = records.create_record(unit, kind, draft)
        return self._resource(record, query, status=_CREATED)

    async def update(self, request: Request, kind: ResourceType) -> Response:
        """Update a record: 200 with the resource."""
        unit = self._unit_of_work(request, kind, "write")
        query = self._reader.writing(request.url.query)
        record = self._record(request, kind)
        draft = read_draft(await request.body(), kind, self._state.settings, id_=request.path_params["id"])
        return self._resource(records.update_record(unit, kind, record, draft), query)

    async def delete(self, request: Request, kind: ResourceType) -> Response:
        """Delete a record: 204 without a body."""
        unit = self._unit_of_work(request, kind, "delete")
        self._reader.writing(request.url.query)
        records.delete_record(unit, self._record(request, kind))
        return Response(status_code=_NO_CONTENT)

    async def act(self, request: Request, kind: ResourceType, name: str) -> Response:
        """Execute an action on one record: 200 with the resource."""
        unit = self._unit_of_work(request, kind, "write")
        query, parameters = self._reader.action(request.url.query, kind.actions[name])
        record = actions.act(unit, self._record(request, kind), name, parameters)
        return json_api_response(msgspec.json.encode({})) if record is None else self._resource(record, query)

    async def act_on_many(self, request: Request, kind: ResourceType, name: str) -> Response:
        """Execute an action on a collection: start a batch or an import, or handle an upload."""
        unit = self._unit_of_work(request, kind, "write")
        query, parameters = self._reader.action(request.url.query, kind.collection_actions[name])
        body = await request.body()
        if name in _FILE_ACTIONS:
            return json_api_response(msgspec.json.encode({"data": _FILE_ACTIONS[name](unit, parameters)}))
        payload = read_attributes(body)
        if kind.name == "import":
            return self._resource(imports.begin_import(unit, name, payload), query)
        return self._resource(self._batch(request, unit, name, payload, parameters), query)

    def _compliance_request(self, unit: UnitOfWork, kind: ResourceType, body: bytes) -> Response:
        draft = read_draft(body, kind, self._state.settings)
        document = {"data": {"batch_compliance_request_id": imports.begin_erasure(unit, draft.attributes)}}
        return json_api_response(msgspec.json.encode(document), status=_CREATED)

    def _batch(
        self, request: Request, unit: UnitOfWork, name: str, payload: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> Record:
        """Select the records of a batch by filter and ids; without either, all records."""
        kind = batches.target(self._state.schema, name, parameters)
        _grant(request).require([kind.plural], "write")
        tests = self._reader.batch(kind, request.url.query)
        ids = batches.requested_ids(payload)
        if ids is None or tests:
            store = self._state.store
            matches = [each.id for each in store.records(kind.name) if all(test.test(store, each) for test in tests)]
            keys = None if ids is None else {key_of(kind.name, each) for each in ids}
            ids = [each for each in matches if keys is None or key_of(kind.name, each) in keys]
        confirmed = parameters.get("skipConfirmation") == "true"
        return batches.begin_batch(unit, kind, name, payload, ids, confirmed=confirmed)

    @property
    def _reader(self) -> QueryReader:
        return QueryReader(self._state.schema, self._state.settings)

    def _unit_of_work(self, request: Request, kind: ResourceType, level: str) -> UnitOfWork:
        grant = _grant(request)
        grant.require([kind.plural], level)
        return UnitOfWork(self._state, grant.user)

    def _record(self, request: Request, kind: ResourceType) -> Record:
        record = self._state.store.find(kind.name, request.path_params["id"])
        if record is None:
            raise errors.not_found(kind.name, request.path_params["id"])
        return record

    def _resource(self, record: Record, query: ParsedQuery, *, status: int = 200) -> Response:
        state = self._state
        writer = DocumentWriter(state.store, state.schema, state.settings, state.link_base, query)
        return json_api_response(writer.single(record), status=status)


_COLLECTION_METHODS = {"list": "GET", "create": "POST"}
_MEMBER_METHODS = {"get": "GET", "update": "PATCH", "delete": "DELETE"}
_ALL_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Api:
    """
    Handlers of requests to the API.

    Parameters
    ----------
    state
        State of the sandbox.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._writes = Writes(state)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        state = self._state
        application = Starlette(
            routes=[
                *AuthRoutes(state).routes(),
                *PublicRoutes(state).routes(),
                Route(API_PATH, self.root, methods=["GET"]),
                Route(f"{API_PATH}/types", self.types, methods=_ALL_METHODS),
                Route(f"{API_PATH}/customObjects/{{name}}", self.custom_objects, methods=_ALL_METHODS),
                Route(f"{API_PATH}/customObjects/{{name}}/{{id}}", self.custom_object, methods=_ALL_METHODS),
                Route(f"{API_PATH}/{{plural}}", self.collection, methods=_ALL_METHODS),
                Route(f"{API_PATH}/{{plural}}/{{id}}", self.member, methods=_ALL_METHODS),
                Route(f"{API_PATH}/{{plural}}/actions/{{action}}", self.collection_action, methods=_ALL_METHODS),
                Route(f"{API_PATH}/{{plural}}/{{id}}/actions/{{action}}", self.member_action, methods=_ALL_METHODS),
            ],
            middleware=[
                Middleware(layer, state=state) for layer in (Recorder, FaultMiddleware, AuthMiddleware, JobMiddleware)
            ],
            exception_handlers={
                HttpError: lambda _, error: error_response(error),
                HTTPException: self._unrouted,
            },
        )
        application.router.redirect_slashes = False
        return application

    # Routes

    async def root(self, request: Request) -> Response:
        """Describe the application, the organization and the user of the token. The vendor's form is unknown."""
        grant = _grant(request)
        scopes = None if grant.scopes is None else sorted(grant.scopes)
        meta: dict[str, Any] = {"app": {"name": "outreach_frames sandbox"}, "scopes": scopes}
        if (organization := self._state.settings.organization) is not None:
            meta["org"] = {"type": "org", "id": organization}
            if grant.user != NO_USER:
                meta["user"] = {"type": "user", "id": grant.user}
        return json_api_response(
            msgspec.json.encode({"data": None, "meta": meta, "links": {"self": self._state.link_base}})
        )

    async def types(self, request: Request) -> Response:
        """Describe the custom fields."""
        _check_method(request, ["GET"])
        return json_api_response(documents.types_document(self._state.custom_fields, self._state.settings))

    async def collection(self, request: Request) -> Response:
        """List the records of a type, or create one."""
        return await self._collection(request, self._state.schema.collection(request.path_params["plural"]))

    async def member(self, request: Request) -> Response:
        """Return, update or delete one record."""
        return await self._member(request, self._state.schema.collection(request.path_params["plural"]))

    async def member_action(self, request: Request) -> Response:
        """Execute an action on one record."""
        kind = self._state.schema.collection(request.path_params["plural"])
        name = request.path_params["action"]
        if kind is None or name not in kind.actions:
            raise errors.no_route(request.url.path)
        _check_method(request, ["POST"])
        return await self._writes.act(request, kind, name)

    async def collection_action(self, request: Request) -> Response:
        """Execute an action on a collection."""
        kind = self._state.schema.collection(request.path_params["plural"])
        name = request.path_params["action"]
        if kind is None or name not in kind.collection_actions:
            raise errors.no_route(request.url.path)
        _check_method(request, ["POST"])
        return await self._writes.act_on_many(request, kind, name)

    async def custom_objects(self, request: Request) -> Response:
        """List the records of a custom object, or create one."""
        return await self._collection(request, self._state.schema.custom_object(request.path_params["name"]))

    async def custom_object(self, request: Request) -> Response:
        """Return, update or delete one record of a custom object."""
        return await self._member(request, self._state.schema.custom_object(request.path_params["name"]))

    async def _collection(self, request: Request, kind: ResourceType | None) -> Response:
        kind = _with_operation(request, kind, _COLLECTION_METHODS)
        return await self._writes.create(request, kind) if request.method == "POST" else self._listing(request, kind)

    async def _member(self, request: Request, kind: ResourceType | None) -> Response:
        kind = _with_operation(request, kind, _MEMBER_METHODS)
        writes = {"PATCH": self._writes.update, "DELETE": self._writes.delete}
        write = writes.get(request.method)
        return await write(request, kind) if write else self._single(request, kind)

    # Responses

    def _listing(self, request: Request, kind: ResourceType) -> Response:
        state = self._state
        query = QueryReader(state.schema, state.settings).listing(kind, request.url.query)
        self._check_scopes(request, kind, query)
        selection = self._select(kind, query)
        page = selection.page(query.page, state.settings)
        url = f"{state.link_base}/{kind.plural}"
        links = {
            name: page_url(url, request.url.query, changes, encoded=state.settings.encoded_links)
            for name, changes in page.links.items()
        }
        meta = documents.count_meta(len(selection), query, state.settings)
        return json_api_response(self._writer(query).collection(page.records, meta=meta, links=links))

    def _single(self, request: Request, kind: ResourceType) -> Response:
        state = self._state
        query = QueryReader(state.schema, state.settings).single(kind, request.url.query)
        self._check_scopes(request, kind, query)
        record = state.store.find(kind.name, request.path_params["id"])
        if record is None:
            raise errors.not_found(kind.name, request.path_params["id"])
        return json_api_response(self._writer(query).single(record))

    def _writer(self, query: ParsedQuery) -> DocumentWriter:
        state = self._state
        return DocumentWriter(state.store, state.schema, state.settings, state.link_base, query)

    def _select(self, kind: ResourceType, query: ParsedQuery) -> Ordered:
        """Return all records of a listing, sorted; cached for the next page."""
        state = self._state
        tests = tuple(condition.text for condition in query.conditions)

        def select() -> Ordered:
            records = (
                record
                for record in state.store.records(kind.name)
                if (state.settings.lists_unnamed or _is_listed(record))
                and all(condition.test(state.store, record) for condition in query.conditions)
            )
            return Ordered(kind.plural, records, query.sort, state.settings)

        return state.store.remember(("selection", kind.name, tests, query.sort, astuple(state.settings)), select)

    def _check_scopes(self, request: Request, kind: ResourceType, query: ParsedQuery) -> None:
        kinds = dict.fromkeys([kind.name, *self._included_types(kind, query.include)])
        types = [self._state.schema.type(name) for name in kinds]
        _grant(request).require([each.plural for each in types if each is not None], "read")

    def _included_types(self, kind: ResourceType, tree: Tree) -> list[str]:
        types = []
        for name, branch in tree.items():
            for target in kind.relationships[name].targets if name in kind.relationships else ():
                other = self._state.schema.type(target)
                if other is not None:
                    types += [target, *self._included_types(other, branch)]
        return types

    # Errors

    def _unrouted(self, request: Request, error: Exception) -> Response:
        path = request.url.path
        if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
            allowed = (error.headers or {}).get("Allow", "").split(", ")
            return error_response(errors.method_not_allowed(request.method, path, allowed))
        return error_response(errors.no_route(path))


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["state"]["grant"]
    return grant


def _with_operation(request: Request, kind: ResourceType | None, methods: Mapping[str, str]) -> ResourceType:
    """
    Return the type of a path after a check that the API has this operation.

    Raises
    ------
    HttpError
        404 for a path that the API does not have, 405 for a method that the path does not have.
    """
    allowed = [method for operation, method in methods.items() if kind is not None and operation in kind.operations]
    if kind is None or not allowed:
        raise errors.no_route(request.url.path)
    _check_method(request, allowed)
    return kind


def _check_method(request: Request, allowed: list[str]) -> None:
    if ("GET" if request.method == "HEAD" else request.method) not in allowed:
        raise errors.method_not_allowed(request.method, request.url.path, allowed)


def _is_listed(record: Record) -> bool:
    """Whether a list contains a record: not accounts with ``named`` false, nor templates without a name."""
    if record.type == "account":
        return record.attributes.get("named") is not False
    return record.type != "template" or bool(record.attributes.get("name"))
