"""Where Redis is: one server, or the primaries of a cluster; and the client for ordinary commands that fits it.

A cluster's URL is `redis+cluster://[user:password@]host:port[,host:port ...]` (`rediss+cluster` with TLS): it says of what kind the
servers are in the one place that is configured anyhow, and names several of them, since any one may be down when we start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

_CLUSTER: Final = "+cluster://"
_CONNECTIONS: Final = 1_000
"""To one server of a cluster at most; a client that may have no more fails, it does not wait."""


class Servers(Protocol):
    """The servers that share the channels among them.

    Attributes:
        client: for commands; in a cluster it sends each to where its key is. Failures are RedisError or OSError.
        names: of the servers that own channels, as far as is known.
    """

    client: Redis

    @property
    def names(self) -> frozenset[str]:
        """See above."""
        ...

    async def look(self) -> None:
        """Learn what owns what by now. Raises RedisError, OSError."""
        ...

    def owner(self, channel: bytes) -> str | None:
        """The name of the server that a channel belongs to; None while nobody owns it."""
        ...

    def connection(self, name: str) -> AbstractConnection:
        """A new connection to a server, not yet connected. Raises RedisError for one that is not there any more."""
        ...


def servers_at(url: str, timeout_s: float) -> Servers:
    """What a URL leads to; nothing is connected yet. Raises ValueError for a malformed one."""
    options = {
        "protocol": 2,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 0,
    }
    return Cluster(url, options) if _CLUSTER in url else Single(url, options)


class Single:
    """One server, which owns everything."""

    names: Final = frozenset({"redis"})

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.client: Redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), retry_on_error=[], **options)

    async def look(self) -> None:
        """See Servers."""

    def owner(self, channel: bytes) -> str | None:
        """See Servers."""
        return "redis"

    def connection(self, name: str) -> AbstractConnection:
        """See Servers."""
        return cast("AbstractConnection", self.client.connection_pool.make_connection())  # type: ignore[no-untyped-call]


class Cluster:
    """The primaries of a cluster."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        scheme, _, rest = url.partition(_CLUSTER)
        place, slash, path = rest.partition("/")
        login, at, hosts = place.rpartition("@")
        parsed = [parse_url(f"{scheme}://{login}{at}{host}{slash}{path}") for host in hosts.split(",")]
        common: dict[str, Any] = {**parsed[0]}
        for unwanted in ("host", "port", "db"):
            common.pop(unwanted, None)
        if common.pop("connection_class", None) is not None:
            common["ssl"] = True
        self._client = _Client(
            startup_nodes=[ClusterNode(each.get("host", "localhost"), each.get("port", 6379)) for each in parsed],
            retry=Retry(NoBackoff(), 1),  # once more after the slots have been looked up again
            max_connections=_CONNECTIONS,
            **common,
            **options,
        )
        self.client = cast("Redis", self._client)
        self.names: frozenset[str] = frozenset()

    async def look(self) -> None:
        """See Servers."""
        try:
            await self._client.initialize()
            await self._client.nodes_manager.initialize()
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error
        finally:
            slots = self._client.nodes_manager.slots_cache
            self.names = frozenset(nodes[0].name for nodes in {id(nodes): nodes for nodes in slots.values()}.values())

    def owner(self, channel: bytes) -> str | None:
        """See Servers."""
        nodes = self._client.nodes_manager.slots_cache.get(self._client.keyslot(channel))
        return nodes[0].name if nodes else None

    def connection(self, name: str) -> AbstractConnection:
        """See Servers."""
        node = self._client.nodes_manager.nodes_cache.get(name)
        if node is None:
            raise RedisConnectionError(f"{name} is no server of the cluster any more")
        return node.connection_class(**node.connection_kwargs)


class _Client(RedisCluster):
    """The cluster's client, whose failures are of the same family as those of a single server's."""

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_command(*args, **kwargs)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    def pipeline(self, transaction: Any | None = None, shard_hint: Any | None = None) -> ClusterPipeline:
        make: Any = _Pipeline  # its base is abstract to the type checker
        return cast("ClusterPipeline", make(self, transaction))


class _Pipeline(ClusterPipeline):
    async def initialize(self) -> ClusterPipeline:
        try:
            return await super().initialize()
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        try:
            return await super().execute(raise_on_error, allow_redirections)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error
