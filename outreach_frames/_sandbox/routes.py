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
from outreach_frames._sandbox.documents import Writer
from outreach_frames._sandbox.errors import Problem
from outreach_frames._sandbox.paging import Ordered, page_url
from outreach_frames._sandbox.query import Query, Reader, Tree
from outreach_frames._sandbox.server import (
    API,
    AuthMiddleware,
    FaultMiddleware,
    JobMiddleware,
    Recorder,
    answer,
    document,
)
from outreach_frames._sandbox.state import State
from outreach_frames._sandbox.store import Record, key_of
from outreach_frames._sandbox.writes import actions, batches, imports, records
from outreach_frames._sandbox.writes.request_body import read_attributes, read_draft
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

_CREATED, _NO_CONTENT = 201, 204

FILE_ACTIONS: Mapping[str, Callable[[UnitOfWork, Mapping[str, str]], dict[str, Any]]] = {
    "generateUploadLink": imports.upload_link,
    "validateUpload": imports.validate_upload,
}
"""Actions that answer with something that is no record."""


class Writes:
    """
    Creates, updates, deletes and acts.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def create(self, request: Request, kind: ResourceType) -> Response:
        """Create a record: 201 with the resource in full."""
        editor = self._editor(request, kind, "write")
        query = self._reader.writing(request.url.query)
        body = await request.body()
        if kind.name == "complianceRequest":
            return self._compliance_request(editor, kind, body)
        draft = read_draft(body, kind, self._state.settings)
        record = records.create(editor, kind, draft)
        return self._resource(record, query, status=_CREATED)

    async def update(self, request: Request, kind: ResourceType) -> Response:
        """Change what the request names: 200 with the resource in full."""
        editor = self._editor(request, kind, "write")
        query = self._reader.writing(request.url.query)
        record = self._named(request, kind)
        draft = read_draft(await request.body(), kind, self._state.settings, id_=request.path_params["id"])
        return self._resource(records.update(editor, kind, record, draft), query)

    async def delete(self, request: Request, kind: ResourceType) -> Response:
        """Delete a record: 204 without a body."""
        editor = self._editor(request, kind, "delete")
        self._reader.writing(request.url.query)
        records.delete(editor, self._named(request, kind))
        return Response(status_code=_NO_CONTENT)

    async def act(self, request: Request, kind: ResourceType, name: str) -> Response:
        """Carry out an action on one record: 200 with the resource."""
        editor = self._editor(request, kind, "write")
        query, parameters = self._reader.action(request.url.query, kind.actions[name])
        record = actions.act(editor, self._named(request, kind), name, parameters)
        return document(msgspec.json.encode({})) if record is None else self._resource(record, query)

    async def act_on_many(self, request: Request, kind: ResourceType, name: str) -> Response:
        """Carry out an action on a collection: a batch or an import, which begins, or something about a file."""
        editor = self._editor(request, kind, "write")
        query, parameters = self._reader.action(request.url.query, kind.collection_actions[name])
        body = await request.body()
        if name in FILE_ACTIONS:
            return document(msgspec.json.encode({"data": FILE_ACTIONS[name](editor, parameters)}))
        payload = read_attributes(body)
        if kind.name == "import":
            return self._resource(imports.begin_import(editor, name, payload), query)
        return self._resource(self._batch(request, editor, name, payload, parameters), query)

    def _compliance_request(self, editor: UnitOfWork, kind: ResourceType, body: bytes) -> Response:
        draft = read_draft(body, kind, self._state.settings)
        answer = {"data": {"batch_compliance_request_id": imports.begin_erasure(editor, draft.attributes)}}
        return document(msgspec.json.encode(answer), status=_CREATED)

    def _batch(
        self, request: Request, editor: UnitOfWork, name: str, payload: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> Record:
        """Choose the records of a batch by filter and ids; without either they are all of them."""
        kind = batches.target(self._state.schema, name, parameters)
        _grant(request).require([kind.plural], "write")
        tests = self._reader.batch(kind, request.url.query)
        ids = batches.wanted_ids(payload)
        if ids is None or tests:
            store = self._state.store
            found = [each.id for each in store.records(kind.name) if all(test.test(store, each) for test in tests)]
            wanted = None if ids is None else {key_of(kind.name, each) for each in ids}
            ids = [each for each in found if wanted is None or key_of(kind.name, each) in wanted]
        confirmed = parameters.get("skipConfirmation") == "true"
        return batches.begin_batch(editor, kind, name, payload, ids, confirmed=confirmed)

    @property
    def _reader(self) -> Reader:
        return Reader(self._state.schema, self._state.settings)

    def _editor(self, request: Request, kind: ResourceType, level: str) -> UnitOfWork:
        grant = _grant(request)
        grant.require([kind.plural], level)
        return UnitOfWork(self._state, grant.user)

    def _named(self, request: Request, kind: ResourceType) -> Record:
        record = self._state.store.find(kind.name, request.path_params["id"])
        if record is None:
            raise errors.not_found(kind.name, request.path_params["id"])
        return record

    def _resource(self, record: Record, query: Query, *, status: int = 200) -> Response:
        state = self._state
        writer = Writer(state.store, state.schema, state.settings, state.link_base, query)
        return document(writer.single(record), status=status)


COLLECTION = {"list": "GET", "create": "POST"}
MEMBER = {"get": "GET", "update": "PATCH", "delete": "DELETE"}
METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Api:
    """
    Answers to requests.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._writes = Writes(state)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        state = self._state
        application = Starlette(
            routes=[
                *AuthRoutes(state).routes(),
                *PublicRoutes(state).routes(),
                Route(API, self.root, methods=["GET"]),
                Route(f"{API}/types", self.types, methods=METHODS),
                Route(f"{API}/customObjects/{{name}}", self.custom_objects, methods=METHODS),
                Route(f"{API}/customObjects/{{name}}/{{id}}", self.custom_object, methods=METHODS),
                Route(f"{API}/{{plural}}", self.collection, methods=METHODS),
                Route(f"{API}/{{plural}}/{{id}}", self.member, methods=METHODS),
                Route(f"{API}/{{plural}}/actions/{{action}}", self.collection_action, methods=METHODS),
                Route(f"{API}/{{plural}}/{{id}}/actions/{{action}}", self.member_action, methods=METHODS),
            ],
            middleware=[
                Middleware(layer, state=state) for layer in (Recorder, FaultMiddleware, AuthMiddleware, JobMiddleware)
            ],
            exception_handlers={
                Problem: lambda _, problem: answer(problem),
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
        return document(msgspec.json.encode({"data": None, "meta": meta, "links": {"self": self._state.link_base}}))

    async def types(self, request: Request) -> Response:
        """Describe the custom fields."""
        _check_method(request, ["GET"])
        return document(documents.types_document(self._state.custom_fields, self._state.settings))

    async def collection(self, request: Request) -> Response:
        """List the records of a type, or create one."""
        return await self._collection(request, self._state.schema.collection(request.path_params["plural"]))

    async def member(self, request: Request) -> Response:
        """Show, change or delete one record."""
        return await self._member(request, self._state.schema.collection(request.path_params["plural"]))

    async def member_action(self, request: Request) -> Response:
        """Carry out an action on one record."""
        kind = self._state.schema.collection(request.path_params["plural"])
        name = request.path_params["action"]
        if kind is None or name not in kind.actions:
            raise errors.no_route(request.url.path)
        _check_method(request, ["POST"])
        return await self._writes.act(request, kind, name)

    async def collection_action(self, request: Request) -> Response:
        """Carry out an action on a collection."""
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
        """Show, change or delete one record of a custom object."""
        return await self._member(request, self._state.schema.custom_object(request.path_params["name"]))

    async def _collection(self, request: Request, found: ResourceType | None) -> Response:
        kind = _with_operation(request, found, COLLECTION)
        return await self._writes.create(request, kind) if request.method == "POST" else self._listing(request, kind)

    async def _member(self, request: Request, found: ResourceType | None) -> Response:
        kind = _with_operation(request, found, MEMBER)
        writes = {"PATCH": self._writes.update, "DELETE": self._writes.delete}
        write = writes.get(request.method)
        return await write(request, kind) if write else self._single(request, kind)

    # Answers

    def _listing(self, request: Request, kind: ResourceType) -> Response:
        state = self._state
        query = Reader(state.schema, state.settings).listing(kind, request.url.query)
        self._check_scopes(request, kind, query)
        found = self._select(kind, query)
        page = found.page(query.page, state.settings)
        url = f"{state.link_base}/{kind.plural}"
        links = {
            name: page_url(url, request.url.query, changes, encoded=state.settings.encoded_links)
            for name, changes in page.links.items()
        }
        meta = documents.count_meta(len(found), query, state.settings)
        return document(self._writer(query).collection(page.records, meta=meta, links=links))

    def _single(self, request: Request, kind: ResourceType) -> Response:
        state = self._state
        query = Reader(state.schema, state.settings).single(kind, request.url.query)
        self._check_scopes(request, kind, query)
        record = state.store.find(kind.name, request.path_params["id"])
        if record is None:
            raise errors.not_found(kind.name, request.path_params["id"])
        return document(self._writer(query).single(record))

    def _writer(self, query: Query) -> Writer:
        state = self._state
        return Writer(state.store, state.schema, state.settings, state.link_base, query)

    def _select(self, kind: ResourceType, query: Query) -> Ordered:
        """Return all records that a listing is cut from; the same question asked for the next page costs nothing."""
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

    def _check_scopes(self, request: Request, kind: ResourceType, query: Query) -> None:
        kinds = dict.fromkeys([kind.name, *self._included_types(kind, query.include)])
        known = [self._state.schema.type(name) for name in kinds]
        _grant(request).require([each.plural for each in known if each is not None], "read")

    def _included_types(self, kind: ResourceType, tree: Tree) -> list[str]:
        found = []
        for name, branch in tree.items():
            for target in kind.relationships[name].targets if name in kind.relationships else ():
                other = self._state.schema.type(target)
                if other is not None:
                    found += [target, *self._included_types(other, branch)]
        return found

    # Errors

    def _unrouted(self, request: Request, error: Exception) -> Response:
        path = request.url.path
        if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
            allowed = (error.headers or {}).get("Allow", "").split(", ")
            return answer(errors.method_not_allowed(request.method, path, allowed))
        return answer(errors.no_route(path))


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["state"]["grant"]
    return grant


def _with_operation(request: Request, kind: ResourceType | None, methods: Mapping[str, str]) -> ResourceType:
    """
    Return the type of a path after checking that the API has this operation on it.

    Raises
    ------
    Problem
        404 for a path that the API does not have, 405 for a method that the path does not take.
    """
    taken = [method for operation, method in methods.items() if kind is not None and operation in kind.operations]
    if kind is None or not taken:
        raise errors.no_route(request.url.path)
    _check_method(request, taken)
    return kind


def _check_method(request: Request, taken: list[str]) -> None:
    if ("GET" if request.method == "HEAD" else request.method) not in taken:
        raise errors.method_not_allowed(request.method, request.url.path, taken)


def _is_listed(record: Record) -> bool:
    """Accounts that were never named and templates without a name exist, but their lists leave them out."""
    if record.type == "account":
        return record.attributes.get("named") is not False
    return record.type != "template" or bool(record.attributes.get("name"))
