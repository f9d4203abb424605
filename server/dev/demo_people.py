"""The people of the demo market, and where its jobs are."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

PASSWORD: Final = "demo-on-the-rialto"  # noqa: S105 - printed for everybody to use
DOMAIN: Final = "demo.example"

Role = Literal["client", "freelancer", "both"]

_TRADES: Final = (
    ("I build web shops and booking systems, and stay reachable after the launch.", ("python", "django", "postgresql")),
    ("Joiner with a workshop of my own. Old windows are my favourite patients.", ("joinery", "restoration", "oak")),
    ("Electrician, certified for charging points and three-phase machines.", ("ev-charging", "three-phase")),
    ("Translator and interpreter, sworn since 2011. I ask before I guess.", ("french", "portuguese", "english")),
    ("Camera, sound and cutting from one hand, small equipment, quiet shoes.", ("camera", "editing", "sound")),
    (
        "I design signs, labels and other things that people have to read in a hurry.",
        ("typography", "signage", "print"),
    ),
    ("Data people call it cleaning. I call it reading carefully.", ("python", "statistics", "deduplication")),
    ("Heating, drains, bathrooms. I take my shoes off and my rubble with me.", ("heating", "bathroom", "drainage")),
)


class Person(NamedTuple):
    """Somebody with an account."""

    name: str
    role: Role

    @property
    def email(self) -> str:
        """`first.last@demo.example`, in plain letters."""
        return f"{self.name.lower().replace(' ', '.')}@{DOMAIN}"


class City(NamedTuple):
    """A real city; coordinates in degrees (WGS 84)."""

    address: str
    lat: float
    lng: float


CLIENTS: Final = tuple(
    Person(name, "client")
    for name in (
        "Amara Okafor",
        "Beatriz Lima",
        "Clara Hoffmann",
        "Dmitri Volkov",
        "Elena Rossi",
        "Farid Haddad",
        "Greta Lindqvist",
        "Hiro Tanaka",
        "Ines Moreau",
        "Jonas Weber",
        "Katarzyna Nowak",
        "Liam Gallagher",
        "Mei Chen",
        "Nadia Benali",
    )
)

FREELANCERS: Final = tuple(
    Person(name, "freelancer")
    for name in (
        "Olu Adeyemi",
        "Paolo Bianchi",
        "Quinn Harper",
        "Rania Mansour",
        "Sven Eriksen",
        "Tomas Novotny",
        "Ursula Keller",
        "Victor Santos",
        "Wanjiru Kamau",
        "Xavier Dubois",
        "Yuki Sato",
        "Zofia Kowalska",
        "Anton Petrov",
        "Bridget Murphy",
        "Carlos Ortega",
        "Diana Popescu",
        "Emil Jensen",
        "Fatima Zahra",
        "Giulia Conti",
        "Henrik Larsen",
        "Isabel Navarro",
        "Jamal Carter",
    )
)

BOTH: Final = tuple(Person(name, "both") for name in ("Kofi Mensah", "Leila Farsi", "Marta Silva", "Noah Becker"))

ADMIN: Final = Person("Ada Admin", "both")
"""Not one of the market's people: it looks after them."""

PEOPLE: Final = (*CLIENTS, *FREELANCERS, *BOTH)
OWNERS: Final = (*CLIENTS, *BOTH)
BIDDERS: Final = FREELANCERS

CITIES: Final = {
    "Amsterdam": City("Amsterdam, Netherlands", 52.3676, 4.9041),
    "Athens": City("Athens, Greece", 37.9838, 23.7275),
    "Barcelona": City("Barcelona, Spain", 41.3874, 2.1686),
    "Berlin": City("Berlin, Germany", 52.5200, 13.4050),
    "Bologna": City("Bologna, Italy", 44.4949, 11.3426),
    "Copenhagen": City("Copenhagen, Denmark", 55.6761, 12.5683),
    "Dublin": City("Dublin, Ireland", 53.3498, -6.2603),
    "Glasgow": City("Glasgow, United Kingdom", 55.8642, -4.2518),
    "Hamburg": City("Hamburg, Germany", 53.5511, 9.9937),
    "Krakow": City("Kraków, Poland", 50.0647, 19.9450),
    "Lagos": City("Lagos, Nigeria", 6.5244, 3.3792),
    "Lisbon": City("Lisbon, Portugal", 38.7223, -9.1393),
    "London": City("London, United Kingdom", 51.5074, -0.1278),
    "Lyon": City("Lyon, France", 45.7640, 4.8357),
    "Madrid": City("Madrid, Spain", 40.4168, -3.7038),
    "Nairobi": City("Nairobi, Kenya", -1.2921, 36.8219),
    "New York": City("New York, United States", 40.7128, -74.0060),
    "Oslo": City("Oslo, Norway", 59.9139, 10.7522),
    "Porto": City("Porto, Portugal", 41.1579, -8.6291),
    "Prague": City("Prague, Czechia", 50.0755, 14.4378),
    "Sao Paulo": City("São Paulo, Brazil", -23.5505, -46.6333),
    "Stockholm": City("Stockholm, Sweden", 59.3293, 18.0686),
    "Tokyo": City("Tokyo, Japan", 35.6762, 139.6503),
    "Venice": City("Venice, Italy", 45.4408, 12.3155),
    "Vienna": City("Vienna, Austria", 48.2082, 16.3738),
    "Zurich": City("Zürich, Switzerland", 47.3769, 8.5417),
}


def profile(freelancer: Person) -> dict[str, object]:
    """What a freelancer says of itself, as `PATCH /users/me` takes it."""
    index = FREELANCERS.index(freelancer)
    about, skills = _TRADES[index % len(_TRADES)]
    city = list(CITIES.values())[index % len(CITIES)]
    rate = {"amount": 3500 + 250 * (index * 7 % 19), "currency": "EUR"}
    return {"about": about, "skills": list(skills), "location": city._asdict(), "hourly_rate": rate}
