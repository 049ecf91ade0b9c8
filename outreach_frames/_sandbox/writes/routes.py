"""Answers to requests that write."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from outreach_frames._sandbox import errors
from outreach_frames._sandbox.access import Grant
from outreach_frames._sandbox.documents import Writer
from outreach_frames._sandbox.middleware import document
from outreach_frames._sandbox.query import Query, Reader
from outreach_frames._sandbox.state import State
from outreach_frames._sandbox.store import Record, key_of
from outreach_frames._sandbox.writes import actions, batches, compliance, imports, records
from outreach_frames._sandbox.writes.request_body import read_attributes, read_draft
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

CREATED, NO_CONTENT = 201, 204

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
        return self._resource(record, query, status=CREATED)

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
        return Response(status_code=NO_CONTENT)

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
            return self._resource(imports.begin(editor, name, payload), query)
        return self._resource(self._batch(request, editor, name, payload, parameters), query)

    def _compliance_request(self, editor: UnitOfWork, kind: ResourceType, body: bytes) -> Response:
        draft = read_draft(body, kind, self._state.settings)
        answer = {"data": {"batch_compliance_request_id": compliance.request(editor, draft.attributes)}}
        return document(msgspec.json.encode(answer), status=CREATED)

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
        return batches.begin(editor, kind, name, payload, ids, confirmed=confirmed)

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


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["state"]["grant"]
    return grant
