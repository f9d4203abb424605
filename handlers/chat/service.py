"""Use cases of rooms. Every rule is in `models.rules.room`; this knows who may come in, and carries commands to the streams.

Membership follows from the market: two people who have to do with each other have a room, a job's client, its bidders and those
it invited have one, and so have the parties of a contract. In the room of a job people appear when they first say something or
ask for the room: were they added when they bid, it would tell who bids.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from handlers.chat.places import Places
from handlers.chat.relations import CLIENT, Relations
from models.job import Job
from models.rules.room.messages import sayable
from models.rules.room.naming import CONTRACT, DM, JOB, contract_place, dm_place, job_place, pseudonym, room_stream
from models.rules.room.state import State
from models.rules.stream import Command, Rejected
from server.auth.principal import Principal
from server.clock import Clock, new_id
from server.errors import AppError
from server.streams.pending import Answer, rejection
from server.streams.streams import Streams

Check = Callable[[Principal, State, str, Mapping[str, Any]], Awaitable[None]]
"""`(who, state, stream, payload)`; raises AppError to refuse a `send`, an `edit` or a `react` that sets something.

The state may be a moment old, its charter never changes; it is live, to be read before the next await. A payload with `text` and
`seq` is an edit, one with `text` alone is sent, one with `emoji` is a reaction.
"""

Entry = Callable[[Principal, str], Awaitable[None]]
"""`(who, whom)`; raises AppError to refuse a room that `who` asks for: with `whom`, or of a job when that is empty."""

_NAMES_OFFERED: Final = 3
_NOT_IN: Final = "You are not in this room"


class Rooms:
    """Rooms, as their members use them.

    Attributes:
        relations: who may talk to whom.
        checks: what other parts of the chat want to know before something is said.
        entries: the same before somebody gets a room.
    """

    def __init__(self, streams: Streams, clock: Clock) -> None:
        self._streams = streams
        self._places = Places(clock)
        self.relations = Relations(streams)
        self.checks: list[Check] = []
        self.entries: list[Entry] = []

    # -- opening ------------------------------------------------------------------------------------------------------

    async def dm(self, principal: Principal, user: str) -> str:
        """The id of the one room of the caller and another user, opened if need be.

        Raises:
            AppError: VALIDATION_FAILED for oneself; FORBIDDEN unless either has bid on a job of the other's or was invited to
                one, and for whoever was removed; what an entry refuses.
        """
        if user == principal.id:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "user"], "msg": "must be somebody else"}])
        await self._enter(principal, user)
        place = dm_place(principal.id, user)
        if (known := await self._places.find(place)) is not None:
            await self.require_member(principal, known)
            return known
        if not await self.relations.acquainted(principal.id, user):
            raise AppError("FORBIDDEN", "There is no open bid or invitation between the two of you")
        parties = [[party, ""] for party in sorted((principal.id, user))]
        return await self._open(place, {"kind": DM, "parties": parties})

    async def job_room(self, principal: Principal, job_id: str) -> str:
        """The id of a job's room, opened if need be; the caller is in it then.

        Raises:
            AppError: NOT_FOUND for a job that the caller can't see; FORBIDDEN unless it is the caller's, or the caller has bid
                or is invited, and for whoever was removed.
        """
        await self._enter(principal, "")
        job = await self.relations.job(principal, job_id)
        role = await self.relations.role(job, principal.id)
        if role is None:
            raise AppError("FORBIDDEN", "The room is for the client, its bidders and those it invited")
        parties = [[job.owner, CLIENT]]
        room = await self._open(job_place(job.id), {"kind": JOB, "job": job.id, "owner": job.owner, "parties": parties})
        await self._join(principal, room_stream(room), job, role)
        return room

    async def contract_room(self, contract: str, parties: Mapping[str, str]) -> str:
        """The id of a contract's room, opened if need be. For other parts of the server: nobody is asked.

        Args:
            parties: roles by user id.
        """
        rows = [[user, role] for user, role in sorted(parties.items())]
        return await self._open(contract_place(contract), {"kind": CONTRACT, "contract": contract, "parties": rows})

    # -- who may ------------------------------------------------------------------------------------------------------

    async def authorise(self, principal: Principal | None, stream: str) -> None:
        """Whether the caller may read the stream of a room.

        Raises:
            AppError: UNAUTHENTICATED, NOT_FOUND, FORBIDDEN.
        """
        if principal is None:
            raise AppError("UNAUTHENTICATED")
        await self._may_read(principal, await self._current(stream))

    async def state(self, room: str) -> State:
        """A room as it stands; live: read it before the next await.

        Raises:
            AppError: NOT_FOUND.
        """
        return await self._current(room_stream(room))

    async def require_reader(self, principal: Principal, room: str) -> State:
        """A room that the caller may read: as a member, as somebody who may become one, or as a moderator, save in a `dm`.

        Returns: a copy of its state, which nobody changes.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        state = (await self.state(room)).copy()
        await self._may_read(principal, state)
        return state

    async def require_member(self, principal: Principal, room: str) -> State:
        """A room that the caller is in.

        Returns: the live state, perhaps a moment old; read it before the next await.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        stream = room_stream(room)
        state: State = (await self._streams.known(stream)).state
        if not state.is_member(principal.id):
            state = await self._current(stream)
        if not state.is_member(principal.id):
            raise AppError("FORBIDDEN", _NOT_IN)
        return state

    async def knows_bidders(self, state: State) -> bool:
        """Whether the client of a job's room may know who is behind the pseudonyms."""
        return self.relations.shows_bidders(await self._job(state))

    # -- doing --------------------------------------------------------------------------------------------------------

    async def send(self, principal: Principal, room: str, payload: Mapping[str, Any], key: str) -> Answer:
        """Say something. `payload` and answer as for `models.rules.room.messages.decide_send`.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN, CONFLICT, VALIDATION_FAILED, IDEMPOTENCY_MISMATCH, UNAVAILABLE; what a check refuses.
        """
        stream = room_stream(room)
        state: State = (await self._streams.known(stream)).state
        if not state.is_member(principal.id):
            state = await self._admit(principal, stream, payload)
        context = {"id": new_id(), **await self._refusal(principal, state, stream, payload)}
        return await self._streams.append(stream, Command("send", principal.id, payload, key, context))

    async def edit(self, principal: Principal, room: str, payload: Mapping[str, Any], key: str | None) -> Answer:
        """Change one's own message: `{seq, text, mentions?}`.

        Raises:
            AppError: as `send`; EDIT_TOO_LATE.
        """
        stream = room_stream(room)
        refusal = await self._refusal(principal, await self.require_member(principal, room), stream, payload)
        return await self._streams.append(stream, Command("edit", principal.id, payload, key, refusal))

    async def react(self, principal: Principal, room: str, payload: Mapping[str, Any], key: str | None) -> Answer:
        """Set or take back a reaction: `{seq, emoji, on}`.

        Raises:
            AppError: as `send`.
        """
        state, stream = await self.require_member(principal, room), room_stream(room)
        refusal = await self._refusal(principal, state, stream, payload) if payload["on"] else {}
        return await self._streams.append(stream, Command("react", principal.id, payload, key, refusal))

    async def delete(self, principal: Principal, room: str, payload: Mapping[str, Any], key: str | None) -> Answer:
        """Delete one's own message, or as a moderator anybody's in any room: `{seq}`.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN, CONFLICT, IDEMPOTENCY_MISMATCH, UNAVAILABLE.
        """
        command = Command("delete", principal.id, payload, key, {"moderator": principal.may_moderate})
        return await self._streams.append(room_stream(room), command)

    async def remove(self, principal: Principal, room: str, payload: Mapping[str, Any], key: str | None) -> Answer:
        """Remove a member for good, as a moderator or as the client of the job: `{user}`, the name in the room.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN, IDEMPOTENCY_MISMATCH, UNAVAILABLE.
        """
        stream = room_stream(room)
        command = Command("remove", principal.id, payload, key, {"moderator": principal.may_moderate})
        answer = await self._streams.append(stream, command)
        await self.enlist(stream)
        return answer

    async def unveil(self, room: str) -> None:
        """Have people go by their ids if nothing is hidden any more.

        Raises:
            AppError: NOT_FOUND, UNAVAILABLE.
        """
        state = await self.state(room)
        if state.veiled and not await self.relations.veiled(await self._job(state)):
            await self._streams.append(room_stream(room), Command("reveal", "system"))

    async def unveil_job(self, job_id: str) -> None:
        """As `unveil`, of the room of a job, if it has one."""
        if (room := await self._places.find(job_place(job_id))) is not None:
            await self.unveil(room)

    async def enlist(self, stream: str) -> None:
        """Bring what lists know of a room up to date.

        Raises:
            AppError: NOT_FOUND, UNAVAILABLE.
        """
        await self._places.enlist(stream, await self._current(stream))

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _open(self, place: str, charter: Mapping[str, Any]) -> str:
        room = await self._places.allot(place, charter["kind"])
        await self._streams.append(room_stream(room), Command("open", "system", charter))
        await self.enlist(room_stream(room))
        return room

    async def _current(self, stream: str) -> State:
        head = await self._streams.current(stream)
        if head.seq == 0:
            raise AppError("NOT_FOUND", "No such room")
        state: State = head.state
        return state

    async def _may_read(self, principal: Principal, state: State) -> None:
        if state.is_member(principal.id):
            return
        if principal.may_moderate and state.kind != DM:
            return
        await self._role(principal, state)

    async def _role(self, principal: Principal, state: State) -> tuple[Job, str]:
        """The job of a room that the caller is not in but may join, and as what; else FORBIDDEN."""
        if state.kind == JOB and state.member(principal.id) is None:
            job = await self._job(state)
            role = await self.relations.role(job, principal.id)
            if role is not None:
                return job, role
        raise AppError("FORBIDDEN", _NOT_IN)

    async def _job(self, state: State) -> Job:
        job = await Job.get(state.job)
        assert job is not None, "a published job stays"
        return job

    async def _enter(self, principal: Principal, user: str) -> None:
        for entry in self.entries:
            await entry(principal, user)

    async def _check(self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]) -> None:
        for check in self.checks:
            await check(principal, state, stream, payload)

    async def _refusal(
        self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the checks have against it, as the context of a command: its repetition is answered all the same.

        Raises:
            AppError: UNAVAILABLE.
        """
        try:
            await self._check(principal, state, stream, payload)
        except AppError as error:
            if error.code == "UNAVAILABLE":
                raise
            details = {**(error.details or {}), **({"errors": error.errors} if error.errors else {})}
            return {"refusal": {"code": error.code, "message": error.message, "details": details}}
        return {}

    async def _admit(self, principal: Principal, stream: str, payload: Mapping[str, Any]) -> State:
        """Let somebody say something who, for all that was known, is not in the room: the room as it was before.

        Raises:
            AppError: also what the checks and the rules say: who may not speak, or has nothing to say, does not join.
        """
        state = await self._current(stream)
        if not state.is_member(principal.id):
            job, role = await self._role(principal, state)
            await self._check(principal, state, stream, payload)
            try:
                sayable(state, payload)
            except Rejected as rejected:
                raise rejection(rejected) from None
            await self._join(principal, stream, job, role)
        return state

    async def _join(self, principal: Principal, stream: str, job: Job, role: str) -> None:
        names = None
        if principal.id != job.owner and await self.relations.veiled(job):
            names = [pseudonym(new_id()) for _ in range(_NAMES_OFFERED)]
        await self._streams.append(stream, Command("join", principal.id, {"role": role}, context={"names": names}))
        await self.enlist(stream)
