"""Somebody without a socket: reads lists, pages and what happened, over plain HTTP."""

from __future__ import annotations

from typing import Final

from locust.env import Environment

from loadtest.people.person import Person, habit
from loadtest.wire.follow import Follow

_PAGE: Final = 50
_PAGES: Final = 3
_WAITS_S: Final = 5


class RestHistory(Person):
    """Reads; holds every history that it pages through to the promise that streams make."""

    weight = 8
    think_s = 6.0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._known: dict[str, Follow] = {}

    def account(self) -> str:
        """See `Person`."""
        return self.world.person()

    @habit(4)
    def browse(self) -> None:
        """Leaf through the jobs by cursor; no job may come twice."""
        query: dict[str, str | int] = {"status": "open", "sort": "newest", "limit": 10}
        seen: set[str] = set()
        for _ in range(_PAGES):
            answer = self.rest("GET", "/jobs", query=query)
            if answer.code:
                return
            found = {job["id"] for job in answer.body["items"]}
            if seen & found:
                self.world.record.wrong("GET /jobs", "a job came twice")
            seen |= found
            if not answer.body["next_cursor"]:
                return
            query["cursor"] = answer.body["next_cursor"]

    @habit(2)
    def search(self) -> None:
        """Look for words."""
        self.rest("GET", "/jobs", "/jobs?q", query={"q": self.dice.choice(["house", "paint", "ladder"])})

    @habit(4)
    def look_closer(self) -> None:
        """Read about an auction, its job and its client."""
        lot = self.world.lot()
        self.rest("GET", f"/auctions/{lot.id}", "/auctions/{id}")
        job = self.rest("GET", f"/jobs/{lot.job}", "/jobs/{id}")
        if not job.code:
            self.rest("GET", f"/users/{job.body['owner']}", "/users/{id}")

    @habit(6)
    def read_history(self) -> None:
        """Go on with the history of an auction from where one stopped reading, and wait a little at its end."""
        stream = f"auction:{self.world.lot().id}"
        follow = self._known.get(stream)
        if follow is None:
            state = self.rest("GET", f"/streams/{stream}", "/streams/{stream}")
            if state.code:
                return
            follow = self._known[stream] = Follow(stream)
            follow.begin(max(0, state.body["seq"] - self.dice.randint(0, _PAGE * _PAGES)))
        for _ in range(_PAGES):
            if not self._page(follow):
                break
        else:
            return
        self._page(follow, wait=_WAITS_S)

    def _page(self, follow: Follow, wait: int = 0) -> bool:
        """Read on; tells whether there is more."""
        query = {"after": follow.seq or 0, "limit": _PAGE, **({"wait": wait} if wait else {})}
        name = "/streams/{stream}/events" + ("?wait" if wait else "")
        answer = self.rest("GET", f"/streams/{follow.stream}/events", name, query=query)
        if answer.code:
            return False
        for fault in follow.take(answer.body["events"], answer.body["seq"]):
            self.world.record.fault("REST", fault)
        return bool(answer.body["more"])

    @habit(1)
    def look_at_oneself(self) -> None:
        """Read one's account and notifications."""
        self.rest("GET", "/users/me")
        self.rest("GET", "/notifications", query={"limit": 20})
