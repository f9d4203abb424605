"""From documents to what clients see of them."""

from __future__ import annotations

from typing import Any

from models.session import Session
from models.user import User
from server.clock import to_rfc3339


def public_view(user: User) -> dict[str, Any]:
    """`PublicUser` of schemas.py; without the e-mail address."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "about": user.about,
        "skills": user.skills,
        "hourly_rate": user.hourly_rate.model_dump() if user.hourly_rate else None,
        "location": user.location.model_dump() if user.location else None,
        "active": user.active,
        "rating": user.rating,
        "rating_count": user.rating_count,
        "completed_jobs": user.completed_jobs,
        "retraction_count": user.retraction_count,
        "badges": user.badges,
        "created_at": to_rfc3339(user.created_at),
    }


def own_view(user: User) -> dict[str, Any]:
    """`OwnUser` of schemas.py."""
    return {
        **public_view(user),
        "email": user.email,
        "email_verified": user.email_verified,
        "admin": user.admin,
    }


def session_view(session: Session, current: str) -> dict[str, Any]:
    """`OwnSession` of schemas.py."""
    return {
        "id": session.id,
        "device": session.device,
        "created_at": to_rfc3339(session.created_at),
        "used_at": to_rfc3339(session.used_at),
        "current": session.id == current,
    }
