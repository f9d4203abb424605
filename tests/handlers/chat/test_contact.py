"""What counts as contact details, and what does not."""

from __future__ import annotations

import pytest

from handlers.chat.contact import find_contact

DETAILS = [
    # addresses
    ("mail me: joe.painter@example.com", "email"),
    ("JOE+work@Mail.Example.co.uk please", "email"),
    ("joe (at) example dot com", "email"),
    ("joe [at] example [dot] com", "email"),
    ("joe{at}example.com", "email"),
    ("joe at example dot com", "email"),
    ("joe @ example . com is wrong but joe @ example.com is not", "email"),
    ("joe at gmail", "email"),
    ("joe(at)gmail", "email"),
    ("ｊｏｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "email"),
    ("j\u200boe@exam\u200bple.com", "email"),
    ("schreib an joe (ät) example punkt de", "email"),
    # links
    ("see https://example.com/portfolio", "link"),
    ("HTTP://EXAMPLE.COM", "link"),
    ("www.example.com", "link"),
    ("my work is on example.com.", "link"),
    ("joes-paintings.shop has all", "link"),
    ("(sub.domain.example.org)", "link"),
    ("t.me/joe_paints", "link"),
    ("wa.me/491701234567", "link"),
    ("discord.gg/abcdef", "link"),
    ("bit.ly/3xyz", "link"),
    ("ftp://files.example.net", "link"),
    ("http://rialto.test@example.com/", "email"),
    ("http://rialto.test.example.com/", "link"),
    # telephone numbers
    ("+49 170 1234567", "phone"),
    ("+1 (555) 123-4567", "phone"),
    ("0044 20 7946 0958", "phone"),
    ("+4917012345678", "phone"),
    ("0171 2345678", "phone"),
    ("030/12345678", "phone"),
    ("07911 123456", "phone"),
    ("(555) 123-4567", "phone"),
    ("555-123-4567", "phone"),
    ("555.123.4567 any time", "phone"),
    ("01712345678", "phone"),
    ("call me: 5551234567", "phone"),
    ("my mobile number is 1712345678", "phone"),
    ("tel. 1234567", "phone"),
    ("WhatsApp 0171-2345678", "phone"),
    ("zero one seven one two three four five", "phone"),
    ("０１７１ ２３４５６７８", "phone"),
    ("on 2026-11-21 call me at 555 123 4567", "phone"),
    # names elsewhere
    ("telegram: @joe_paints", "handle"),
    ("Telegram @joe", "handle"),
    ("I am @joe_paints on Instagram", "handle"),
    ("my skype is joepaints", "handle"),
    ("skype: live:joe.paints", "handle"),
    ("my discord: joe#1234", "handle"),
    ("joe#1234, that is Discord", "handle"),
    ("add me on discord", "handle"),
    ("find me on Instagram, there are pictures", "handle"),
    ("just WhatsApp me", "handle"),
    ("message me via Signal", "handle"),
    ("insta = joe.paints99", "handle"),
]

TALK = [
    "",
    "Good morning! When can you start?",
    # prices
    "I can do it for 1,200.50 EUR",
    "€ 12.500,00 is my last word",
    "10 000 000 000 JPY",
    "between $3,500 and $4,200",
    "0.05 per word, 120 000 words",
    "5.000.000,00 Euro",
    "20% now, 80% at the end",
    # dates and times
    "on 2026-11-21 at 10:00",
    "2026-11-21T10:00:00.000Z",
    "from 01.02.2026 10:00 to 05.02.2026 18:30",
    "12/24/2026 or 01/02/27",
    "09:30-12:45 and 13:15-18:00",
    "2024-2026",
    "the years 2019 2020 2021 2022",
    # versions, technologies, files
    "needs Python 3.11.7 and PostgreSQL 16.2.1",
    "v1.2.3-rc.4+build.20261121",
    "we use node.js, ASP.NET and Socket.IO",
    "the bug is in main.py, lib.rs and README.md; run build.sh",
    "at index.html line 45",
    "e.g. this, i.e. that",
    "The end.So what? It works.It does.",
    "192.168.0.1 is the router's",
    "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "550e8400-e29b-41d4-a716-446655440000",
    # numbers of other things
    "order 4500012345",
    "Order no. 123-456-7890",
    "invoice #2026-000123-4567",
    "ticket 0171 2345678",
    "ISBN 978-3-16-148410-0",
    "SKU 0012345678901",
    "the walls are 12.50 x 3.20 x 2.75 m",
    "pi is 3.14159265358979",
    "1234567890 rows",
    "one two three go",
    "rooms 101, 102, 103, 104 and 105",
    # at, messengers and mentions without an address
    "I'll be at home at three",
    "meet at noon. Then we talk",
    "look at that dot on the wall",
    "We need a Discord bot and a WhatsApp integration",
    "Telegram is great for that, isn't it?",
    "signal processing is my field",
    "@bob what do you think?",
    "@Guest k3x9pq and @Guest 7tz2mm, have you used Slack?",
    "issue#1234 is fixed",
    "call me old-fashioned, but 12 coats are too many",
    "our teams are in Berlin",
    "2 pieces @ 5.00 each",
    "Rate: 50@hour",
    "10:1 mix, 2.5 l per 10 m2, 3 coats, 450 m2 in 14 days",
]


@pytest.mark.parametrize(("text", "kind"), DETAILS)
def test_contact_details_are_found(text: str, kind: str) -> None:
    assert find_contact(text) == kind


@pytest.mark.parametrize("text", TALK)
def test_a_jobs_talk_passes(text: str) -> None:
    assert find_contact(text) is None


def test_the_markets_own_links_pass() -> None:
    own = {"rialto.test", "127.0.0.1"}
    assert find_contact("the job: https://rialto.test/jobs/abc and http://127.0.0.1:8080/x", own) is None
    assert find_contact("see rialto.test/jobs/abc", own) is None
    assert find_contact("https://rialto.test/x and https://example.com/", own) == "link"
    assert find_contact("https://rialto.test.example.com/", own) == "link"


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a@", "0", "0 ", "+1 ", "at ", "a at ", "one ", "telegram ", "@a ", "www.", "("]
)
def test_long_texts_of_any_pattern_are_no_burden(unit: str) -> None:
    """The test's own limit would tell of an expression that takes for ever."""
    for _ in range(20):
        find_contact((unit * 4_000)[:4_000])
