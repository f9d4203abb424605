"""What everybody is answered over REST. The rows of streams are in `matrix_streams`."""

from __future__ import annotations

from typing import Final

from tests.attack.matrix import Row
from tests.handlers.market import PASSWORD

_JOB: Final = {"title": "Paint a fence", "description": "Green.", "category": "crafts"}
_NEW: Final = {"email": "<fresh>@example.com", "password": PASSWORD, "name": "Somebody", "role": "both"}
_BID: Final = {"amount": 30_000, "kind": "auto"}  # a limit, which the leader may improve too
_HOOK: Final = {"url": "https://example.com/hook", "events": ["job.created"]}
_NO_WAY_BACK: Final = "RETRACT_NOT_ALLOWED"

# fmt: off
ACCOUNTS: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("POST /auth/register",                 "201 201 201 201 201 201 201 201", _NEW, harmless=True),
    Row("POST /auth/login",                    "200 200 200 200 200 200 200 200", {"email": "<email>", "password": PASSWORD}, harmless=True),
    Row("POST /auth/login",                    "401 401 401 401 401 401 401 401", {"email": "<email>", "password": "not that one"}),
    Row("POST /auth/refresh",                  "200 200 200 200 200 200 200 200", {"refresh_token": "<refresh_token>"}),
    Row("POST /auth/refresh",                  "401 401 401 401 401 401 401 401", {"refresh_token": "<unknown>"}),
    Row("POST /auth/verify-email",             "200 200 200 200 200 200 200 200", {"token": "<verification>"}, harmless=True),
    Row("POST /auth/verify-email",             "422 422 422 422 422 422 422 422", {"token": "<unknown>"}),
    Row("GET /auth/verify-email?token=<verification>", "200 200 200 200 200 200 200 200"),
    Row("GET /auth/verify-email?token=<unknown>", "422 422 422 422 422 422 422 422"),
    Row("POST /auth/logout",                   "401 204 204 204 204 204 204 204", personal=True),
    Row("POST /auth/resend-verification",      "401 204 204 204 204 204 204 204", needs=("no_mail",), personal=True),
    Row("POST /auth/password",                 "401 204 204 204 204 204 204 204",
        {"current_password": PASSWORD, "new_password": "another horse battery"}, personal=True),
    Row("POST /auth/password",                 "401 403 403 403 403 403 403 403",
        {"current_password": "not that one", "new_password": "another horse battery"}),
    Row("GET /auth/sessions",                  "401 200 200 200 200 200 200 200"),
    Row("DELETE /auth/sessions/<session>",     "401 404 404 204 404 404 404 404"),
    Row("GET /users/me",                       "401 200 200 200 200 200 200 200"),
    Row("PATCH /users/me",                     "401 200 200 200 200 200 200 200", {"about": "Paints."}, harmless=True),
    Row("GET /users/me/bids",                  "401 200 200 200 200 200 200 200"),
    Row("GET /users/<owner>",                  "200 200 200 200 200 200 200 200"),  # a profile is public, for the blocked as well
    Row("GET /users/<unknown>",                "404 404 404 404 404 404 404 404"),
)

JOBS: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("POST /jobs",                          "401 201 403 201 403 403 201 201", _JOB, harmless=True),  # freelancers post none
    Row("GET /jobs",                           "200 200 200 200 200 200 200 200", needs=("job",)),
    Row("GET /jobs?mine=true",                 "401 200 200 200 200 200 200 200"),
    Row("GET /jobs?invited=true",              "401 200 200 200 200 200 200 200"),
    Row("GET /jobs/<job>",                     "200 200 200 200 200 200 200 200"),
    Row("GET /jobs/<invited_job>",             "404 404 200 200 200 200 404 200"),
    Row("GET /jobs/<draft>",                   "404 404 404 200 404 404 404 200"),
    Row("PATCH /jobs/<job>",                   "401 403 403 200 403 403 403 403", {"category": "other"}),
    Row("PATCH /jobs/<invited_job>",           "401 404 403 200 403 403 404 403", {"category": "other"}),
    Row("PATCH /jobs/<draft>",                 "401 404 404 200 404 404 404 403", {"category": "other"}),
    Row("DELETE /jobs/<job>",                  "401 403 403 409 403 403 403 403"),  # published, so there to stay
    Row("DELETE /jobs/<draft>",                "401 404 404 204 404 404 404 403"),
    Row("POST /jobs/<job>/publish",            "401 403 403 200 403 403 403 403", {}),  # it is already
    Row("POST /jobs/<draft>/publish",          "401 404 404 200 404 404 404 403", {}),
    Row("POST /jobs/<job>/cancel",             "401 403 403 200 403 403 403 200", {"reason": "Done by a friend"}),
    Row("POST /jobs/<invited_job>/cancel",     "401 404 403 200 403 403 404 200", {"reason": "Done by a friend"}),
    Row("POST /jobs/<draft>/cancel",           "401 404 404 200 404 404 404 200", {}),
    Row("POST /jobs/<job>/complete",           "401 403 403 409 403 403 403 403"),  # nobody works on it yet
    Row("POST /jobs/<work>/complete",          "401 403 403 200 403 403 403 403"),
)

_NONE: Final = "AUCTION_NOT_FOUND"

AUCTIONS: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("GET /auctions/<auction>",             "200 200 200 200 200 200 200 200"),
    Row("GET /auctions/<invited_auction>",     f"{_NONE} {_NONE} 200 200 200 200 {_NONE} 200"),
    Row("GET /auctions/<sealed>",              "200 200 200 200 200 200 200 200"),
    Row("POST /auctions/<auction>/bids",       "401 201 201 SELF_BID BLOCKED 201 201 201", _BID),  # the room is another thing
    Row("POST /auctions/<invited_auction>/bids", "401 NOT_INVITED 201 SELF_BID BLOCKED 201 NOT_INVITED NOT_INVITED", _BID),
    Row("POST /auctions/<auction>/bids/<bid>/retract",
        f"401 {_NO_WAY_BACK} 200 {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK}", {"reason": "typo"}),
    Row("POST /auctions/<auction>/bids/<blocked_bid>/retract",  # whoever is blocked may still take back what was bid before
        f"401 {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} 200 {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK}", {"reason": "typo"}),
    Row("POST /auctions/<invited_auction>/bids/<invited_bid>/retract",
        f"401 {_NONE} 200 {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} {_NONE} {_NO_WAY_BACK}", {"reason": "typo"}),
    Row("POST /auctions/<auction>/award",      "401 403 403 AWARD_CONFLICT 403 403 403 AWARD_CONFLICT", {}),  # it still runs
    Row("POST /auctions/<proposals>/award",    "401 403 403 200 403 403 403 200", {"bidder": "<member>"}),
    Row("POST /auctions/<auction>/accept",
        "401 AWARD_CONFLICT AWARD_CONFLICT AWARD_CONFLICT AWARD_CONFLICT AWARD_CONFLICT AWARD_CONFLICT AWARD_CONFLICT", {}),
    Row("POST /auctions/<awarded>/accept",     "401 403 200 403 403 403 403 403", {}),
    Row("POST /auctions/<awarded>/decline",    "401 403 200 403 403 403 403 403", {"reason": "Too busy"}),
    Row("POST /auctions/<auction>/reopen",     "401 403 403 AWARD_CONFLICT 403 403 403 AWARD_CONFLICT", {"end_at": "<later>"}),
    Row("POST /auctions/<declined>/reopen",    "401 403 403 200 403 403 403 200", {"end_at": "<later>"}),
    Row("POST /auctions/<suspended>/reconfirm", "401 403 200 403 BLOCKED 200 403 403", {}),  # a bid that counts again is a bid
    Row("POST /auctions/<proposals>/counter",  "401 403 200 422 BLOCKED 200 403 403", {"amount": 8_000}),  # so is a new offer
    Row("POST /auctions/<proposals>/counter",  "401 403 200 200 BLOCKED 200 403 403", {"amount": 8_000, "bidder": "<proposer>"}),
    Row("POST /auctions/<invited_auction>/counter", f"401 {_NONE} 403 403 403 403 {_NONE} 403", {"amount": 8_000}),
    Row("POST /auctions/<auction>/pause",      "401 403 403 403 403 403 403 200", {}),
    Row("POST /auctions/<paused>/resume",      "401 403 403 403 403 403 403 200", {}),
    Row("GET /auctions/<auction>/log",         "200 200 200 200 200 200 200 200"),
    Row("GET /auctions/<invited_auction>/log", f"{_NONE} {_NONE} 200 200 200 200 {_NONE} 200"),
    Row("GET /auctions/<auction>/export",      "401 403 403 403 403 403 403 200"),
    Row("GET /auctions/<sealed>/export",       "401 403 403 403 403 403 403 409"),  # envelopes stay closed for everybody
)

ROOMS: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("GET /rooms",                          "401 200 200 200 200 200 200 200", needs=("room",)),
    Row("GET /rooms/unread",                   "401 200 200 200 200 200 200 200", needs=("room",)),
    Row("POST /rooms",                         "401 403 201 201 201 201 403 403", {"kind": "job", "job": "<job>"}),
    Row("POST /rooms",                         "401 403 201 201 201 403 403 403", {"kind": "job", "job": "<job>"}, needs=("room",)),
    Row("POST /rooms",                         "401 404 201 201 201 201 404 403", {"kind": "job", "job": "<invited_job>"}),
    Row("POST /rooms",                         "401 404 404 201 404 404 404 403", {"kind": "job", "job": "<draft>"}),
    Row("POST /rooms",                         "401 403 201 422 BLOCKED 201 403 403", {"kind": "dm", "user": "<owner>"}, needs=("auction",)),
    Row("POST /rooms",                         "401 403 201 422 BLOCKED 403 403 403", {"kind": "dm", "user": "<owner>"}, needs=("left_dm",)),
    Row("POST /rooms",                         "401 403 422 201 403 403 403 403", {"kind": "dm", "user": "<member>"}, needs=("auction",)),
    Row("POST /rooms",                         "401 403 403 403 403 403 403 403", {"kind": "dm", "user": "<stranger>"}),
    Row("GET /rooms/<room>",                   "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<invited_room>",           "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<dm>",                     "401 403 200 200 403 403 403 403"),  # what two people say is theirs
    Row("GET /rooms/<blocked_dm>",             "401 403 403 200 200 403 403 403"),  # what was said before stays
    Row("GET /rooms/<left_dm>",                "401 403 403 200 403 403 403 403"),
    Row("GET /rooms/<contract_room>",          "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<unknown>",                "401 404 404 404 404 404 404 404"),
    Row("POST /rooms/<room>/read",             "401 403 200 200 200 403 200 200", {"seq": 1}, harmless=True),  # whoever reads may keep a place
    Row("POST /rooms/<dm>/read",               "401 403 200 200 403 403 403 403", {"seq": 1}, harmless=True),
    Row("POST /rooms/<room>/delivered",        "401 403 200 200 200 403 200 200", {"seq": 1}, harmless=True),
    Row("POST /rooms/<left_dm>/delivered",     "401 403 403 200 403 403 403 403", {"seq": 1}, harmless=True),
    Row("PUT /rooms/<room>/mute",              "401 403 200 200 200 403 200 200", {"muted": True}, harmless=True),
    Row("PUT /rooms/<dm>/mute",                "401 403 200 200 403 403 403 403", {"muted": True}, harmless=True),
    Row("GET /rooms/<room>/presence",          "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<dm>/presence",            "401 403 200 200 403 403 403 403"),
    Row("DELETE /rooms/<room>/members/<member>", "401 403 403 200 403 403 200 200"),
    Row("DELETE /rooms/<room>/members/<owner>", "401 403 403 403 403 403 200 200"),
    Row("DELETE /rooms/<room>/members/<removed>", "401 403 403 404 403 403 404 404"),
    Row("DELETE /rooms/<dm>/members/<member>", "401 403 403 403 403 403 200 200"),
    Row("DELETE /rooms/<contract_room>/members/<member>", "401 403 403 403 403 403 200 200"),
    Row("POST /rooms/<room>/reports",          "401 403 422 201 201 403 403 403", {"messages": ["<message>"], "reason": "spam"}, harmless=True),
    Row("POST /rooms/<blocked_dm>/reports",    "401 403 403 201 422 403 403 403", {"messages": ["<blocked_dm_message>"], "reason": "abuse"}),
)

_SAID: Final = {"text": "Good morning"}

MESSAGES: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("GET /rooms/<room>/messages",          "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<dm>/messages",            "401 403 200 200 403 403 403 403"),
    Row("GET /rooms/<left_dm>/messages?after=0", "401 403 403 200 403 403 403 403"),
    Row("GET /rooms/<room>/search?q=morning",  "401 403 200 200 200 403 200 200"),
    Row("GET /rooms/<dm>/search?q=morning",    "401 403 200 200 403 403 403 403"),
    Row("POST /rooms/<room>/messages",         "401 403 201 201 201 403 403 403", _SAID, harmless=True),  # moderators read, they don't talk
    Row("POST /rooms/<invited_room>/messages", "401 403 201 201 201 403 403 403", _SAID, harmless=True),
    Row("POST /rooms/<sealed_room>/messages",  "401 403 201 201 201 403 403 403", _SAID, harmless=True),
    Row("POST /rooms/<dm>/messages",           "401 403 201 201 403 403 403 403", _SAID, harmless=True),
    Row("POST /rooms/<blocked_dm>/messages",   "401 403 403 BLOCKED BLOCKED 403 403 403", _SAID),
    Row("POST /rooms/<left_dm>/messages",      "401 403 403 201 403 403 403 403", _SAID),
    Row("POST /rooms/<contract_room>/messages", "401 403 201 201 201 403 403 403", _SAID, harmless=True),
    Row("POST /rooms/<unknown>/messages",      "401 404 404 404 404 404 404 404", _SAID),
    Row("PATCH /rooms/<room>/messages/<message>", "401 403 200 403 403 403 403 403", _SAID),
    Row("PATCH /rooms/<room>/messages/<removed_message>", "401 403 403 403 403 403 403 403", _SAID),
    Row("PATCH /rooms/<dm>/messages/<dm_message>", "401 403 200 403 403 403 403 403", _SAID),
    Row("PATCH /rooms/<blocked_dm>/messages/<blocked_dm_message>", "401 403 403 BLOCKED BLOCKED 403 403 403", _SAID),
    Row("DELETE /rooms/<room>/messages/<message>", "401 403 200 403 403 403 200 200"),
    Row("DELETE /rooms/<room>/messages/<removed_message>", "401 403 403 403 403 403 200 200"),
    Row("DELETE /rooms/<dm>/messages/<dm_message>", "401 403 200 403 403 403 200 200"),
    Row("DELETE /rooms/<blocked_dm>/messages/<blocked_dm_message>", "401 403 403 403 200 403 200 200"),
    Row("GET /rooms/<room>/messages/<message>/versions", "401 403 200 403 403 403 200 200"),
    Row("GET /rooms/<room>/messages/<removed_message>/versions", "401 403 403 403 403 403 200 200"),
    Row("GET /rooms/<dm>/messages/<dm_message>/versions", "401 403 200 403 403 403 403 403"),
    Row("POST /rooms/<room>/messages/<message>/reactions", "401 403 200 200 200 403 403 403", {"emoji": "❤️"}, harmless=True),
    Row("POST /rooms/<dm>/messages/<dm_message>/reactions", "401 403 200 200 403 403 403 403", {"emoji": "❤️"}, harmless=True),
    Row("POST /rooms/<blocked_dm>/messages/<blocked_dm_message>/reactions", "401 403 403 BLOCKED BLOCKED 403 403 403", {"emoji": "❤️"}),
    Row("DELETE /rooms/<room>/messages/<message>/reactions/<emoji>", "401 403 200 200 200 403 403 403", harmless=True),  # only ever one's own
)

MODERATION: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("POST /blocks",                        "401 201 201 201 201 201 201 201", {"user": "<stranger>"}, harmless=True),
    Row("POST /blocks",                        "401 404 404 404 404 404 404 404", {"user": "<unknown>"}),
    Row("GET /blocks",                         "401 200 200 200 200 200 200 200"),
    Row("DELETE /blocks/<stranger>",           "401 204 204 204 204 204 204 204", harmless=True),  # only ever one's own
    Row("GET /moderation/reports",             "401 403 403 403 403 403 200 200", needs=("report",)),
    Row("GET /moderation/reports/<report>",    "401 403 403 403 403 403 200 200"),
    Row("GET /moderation/reports/<unknown>",   "401 403 403 403 403 403 404 404"),
    Row("POST /moderation/reports/<report>/resolve", "401 403 403 403 403 403 200 200", {"action": "none"}),
    Row("GET /moderation/bans",                "401 403 403 403 403 403 200 200"),
    Row("POST /moderation/bans",               "401 403 403 403 403 403 201 201", {"user": "<stranger>", "reason": "Spam"}),
    Row("POST /moderation/bans",               "401 403 403 403 403 403 403 201", {"user": "<colleague>", "reason": "Spam"}),
    Row("POST /moderation/bans",               "401 403 403 403 403 403 403 403", {"user": "<admin>", "reason": "Spam"}),
    Row("DELETE /moderation/bans/<banned>",    "401 403 403 403 403 403 204 204"),
    Row("GET /audit",                          "401 403 403 403 403 403 403 200", needs=("banned",)),
    Row("GET /operations",                     "401 403 403 403 403 403 403 200"),
)

TOLD: Final = (
    #                                          anon other member owner blocked removed moderator admin
    Row("GET /notifications",                  "401 200 200 200 200 200 200 200"),
    Row("POST /notifications/read",            "401 200 200 200 200 200 200 200", {"seq": 0}, harmless=True),
    Row("POST /webhooks",                      "401 201 201 201 201 201 201 201", _HOOK, harmless=True),
    Row("POST /webhooks",                      "401 403 403 403 403 403 403 201", {**_HOOK, "scope": "all"}, harmless=True),
    Row("GET /webhooks",                       "401 200 200 200 200 200 200 200", needs=("webhook",)),
    Row("GET /webhooks/<webhook>",             "401 404 404 200 404 404 404 404"),  # its owner's alone
    Row("PATCH /webhooks/<webhook>",           "401 404 404 200 404 404 404 404", {"description": "Mine"}),
    Row("DELETE /webhooks/<webhook>",          "401 404 404 204 404 404 404 404"),
    Row("POST /webhooks/<webhook>/rotate",     "401 404 404 200 404 404 404 404"),
    Row("POST /webhooks/<webhook>/ping",       "401 404 404 202 404 404 404 404"),
    Row("GET /webhooks/<webhook>/deliveries",  "401 404 404 200 404 404 404 404"),
    Row("GET /webhooks/<webhook>/deliveries/<delivery>", "401 404 404 200 404 404 404 404"),
    Row("POST /webhooks/<webhook>/deliveries/<delivery>/replay", "401 404 404 200 404 404 404 404"),
    Row("POST /webhooks/<webhook>/replay",     "401 404 404 200 404 404 404 404", {"since": "2026-01-01T00:00:00.000Z"}),
)
# fmt: on

REST: Final = (*ACCOUNTS, *JOBS, *AUCTIONS, *ROOMS, *MESSAGES, *MODERATION, *TOLD)
