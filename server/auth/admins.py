"""Making somebody an admin: by whoever can reach the database, since the first one cannot be made by another."""

from __future__ import annotations

from typing import Any

from pymongo import AsyncMongoClient

from models.user import User


async def grant_admin(mongodb_url: str, database: str, email: str) -> bool:
    """Make the account with this address an admin's, from its next login or refresh on; False if there is none."""
    client: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(mongodb_url, w="majority") as client:
        outcome = await client[database][User.Settings.name].update_one(
            {"email": email.strip().lower()}, {"$set": {"admin": True}}
        )
    return outcome.matched_count == 1
