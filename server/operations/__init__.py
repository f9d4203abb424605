"""What each process of the market does, for the admins' page: read from its metrics, shared through Redis, told by any instance."""

from server.operations.operations import Operations

__all__ = ["Operations"]
