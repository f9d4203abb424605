import type { Http } from "./http.js";
import type { Link } from "./link.js";
import type { Source } from "./source.js";
import { longpollSource } from "./sources/longpoll.js";
import { socketSource } from "./sources/socket.js";
import { sseSource } from "./sources/sse.js";
import type { Namespace, Transport } from "./types.js";

export type Way = "socket" | "sse" | "longpoll";

/** Which way streams and commands go now: by sockets while there is hope for them, else over HTTP. */
export class Routes {
  /** Set when Server-Sent Events turned out not to get through. */
  sseUnusable = false;
  private readonly sources: { socket: Record<Namespace, Source> | undefined; sse: Source; longpoll: Source };

  constructor(
    readonly link: Link | undefined,
    http: Http,
    private readonly allowed: readonly Transport[],
  ) {
    const bySocket = (namespace: Namespace) => link && socketSource(link, namespace, this.giveUp);
    this.sources = {
      socket: link && {
        "/bidding": bySocket("/bidding") as Source,
        "/chat": bySocket("/chat") as Source,
        "/notifications": bySocket("/notifications") as Source,
      },
      sse: sseSource(http),
      longpoll: longpollSource(http),
    };
  }

  /** The way to take now. */
  get way(): Way {
    if (this.link !== undefined && !this.giveUp()) return "socket";
    const sse = this.allowed.includes("sse") && !(this.sseUnusable && this.allowed.includes("longpoll"));
    return sse ? "sse" : "longpoll";
  }

  /** Whether sockets shall not be waited for, since there is another way. */
  readonly giveUp = (): boolean =>
    this.link?.hopeless === true && (this.allowed.includes("sse") || this.allowed.includes("longpoll"));

  source(way: Way, stream: string): Source {
    if (way !== "socket") return this.sources[way];
    return (this.sources.socket as Record<Namespace, Source>)[namespaceOf(stream)];
  }

  /** Calls back whenever the way may have changed. */
  watch(look: () => void): () => void {
    return this.link?.watch(look) ?? (() => {});
  }
}

/** Where a stream is subscribed. The server refuses names of other kinds. */
export function namespaceOf(stream: string): Namespace {
  if (stream.startsWith("room:")) return "/chat";
  return stream.startsWith("user:") ? "/notifications" : "/bidding";
}
