"""Answers to requests that write."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from outreach_frames.catalogue import ResourceType
from outreach_frames.emulator import problems
from outreach_frames.emulator.access import Grant
from outreach_frames.emulator.documents import Writer
from outreach_frames.emulator.pipeline import document
from outreach_frames.emulator.query import Query, Reader
from outreach_frames.emulator.state import State
from outreach_frames.emulator.store import Record
from outreach_frames.emulator.writing import actions, records
from outreach_frames.emulator.writing.bodies import read_draft
from outreach_frames.emulator.writing.editor import Editor

CREATED, NO_CONTENT = 201, 204


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
        draft = read_draft(await request.body(), kind, self._state.settings)
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

    @property
    def _reader(self) -> Reader:
        return Reader(self._state.schema, self._state.settings)

    def _editor(self, request: Request, kind: ResourceType, level: str) -> Editor:
        grant: Grant = request.scope["state"]["grant"]
        grant.require([kind.plural], level)
        return Editor(self._state, grant.user)

    def _named(self, request: Request, kind: ResourceType) -> Record:
        record = self._state.store.find(kind.name, request.path_params["id"])
        if record is None:
            raise problems.not_found(kind.name, request.path_params["id"])
        return record

    def _resource(self, record: Record, query: Query, *, status: int = 200) -> Response:
        state = self._state
        writer = Writer(state.store, state.schema, state.settings, state.link_base, query)
        return document(writer.single(record), status=status)
