"""What demo users say to each other in the rooms of jobs."""

from __future__ import annotations

from random import Random
from typing import Final

_QUESTIONS: Final = (
    "Is the end date fixed, or would a week later do?",
    "Are the materials on site, or do I bring them?",
    "Could I come by tomorrow to have a look?",
    "Is there access in the evening, too?",
    "Who else will be working there at the same time?",
    "Do you have drawings, or photographs at least?",
    "Does the price include taking away what is left over?",
    "How was this done the last time?",
    "May I bring an apprentice?",
    "Is it enough to begin on Monday?",
)
_ANSWERS: Final = (
    "Yes, that is fine.",
    "Good question. I'd say yes, but put it into your offer, please.",
    "No, I'm afraid not.",
    "It depends. What would you suggest?",
    "All of that is up to you.",
    "I'll find out and tell everybody here.",
    "The sooner the better 🙂",
    "As it says in the description.",
)
REACTIONS: Final = ("👍", "🙏", "😀", "🎉")


def question(dice: Random) -> str:
    """What a bidder wants to know."""
    return dice.choice(_QUESTIONS)


def answer(dice: Random) -> str:
    """What the client says to it."""
    return dice.choice(_ANSWERS)
