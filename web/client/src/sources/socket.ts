import type { Socket } from "socket.io-client";
import { RialtoError } from "../errors.js";
import type { Subscribe } from "../generated/asyncapi.js";
import type { Link } from "../link.js";
import type { Sink, Source, StreamEvent } from "../source.js";
import type { Namespace, StreamState } from "../types.js";
import { abortable } from "../waiting.js";

interface Opening {
  seq: number;
  state: StreamState | null;
  events: StreamEvent[];
  more: boolean;
}

interface Reader {
  sink: Sink;
  /** Not all of its past is there yet, so live events may not fit. */
  opening: boolean;
  again: () => void;
}

/** Follows streams by `subscribe` on a socket. */
export function socketSource(link: Link, namespace: Namespace, giveUp: () => boolean): Source {
  const ports = new Map<string, Port>();
  return async (sink, signal) => {
    const socket = await link.ready(namespace, signal, giveUp);
    const name = sink.stream;
    let port = ports.get(name);
    if (port === undefined || port.socket !== socket) {
      port = new Port(link, namespace, socket, name);
      ports.set(name, port);
    }
    await port.follow(sink, signal);
  };
}

/**
 * One stream on one namespace. The server knows one subscription of a stream per socket, so all local readers share it: each
 * gets everything that comes, and drops what it has.
 */
class Port {
  private readonly readers = new Set<Reader>();
  private turn: Promise<unknown> = Promise.resolve();
  /** The last seq that anybody has heard of. Live events may come in the same breath as the ack, before it is looked at. */
  private head = 0;

  constructor(
    private readonly link: Link,
    private readonly namespace: Namespace,
    readonly socket: Socket,
    private readonly stream: string,
  ) {}

  async follow(sink: Sink, signal: AbortSignal): Promise<void> {
    let reader: Reader | undefined;
    const lost = () => RialtoError.disconnected("the socket was closed");
    await abortable<void>(signal, (resolve, reject) => {
      const disconnected = () => reject(lost());
      this.socket.on("disconnect", disconnected);
      reader = { sink, opening: true, again: resolve };
      this.enter(reader);
      this.inTurn(() => this.open(reader as Reader, signal)).catch(reject);
      return () => {
        this.socket.off("disconnect", disconnected);
        if (reader !== undefined) this.leave(reader);
      };
    });
  }

  private readonly deliver = (batch: { stream: string; events: StreamEvent[] }) => {
    if (batch.stream !== this.stream) return;
    this.head = Math.max(this.head, batch.events.at(-1)?.seq ?? 0);
    this.hand(batch.events);
    // With this event somebody may have lost the right to read; the server then ends the subscription without a word.
    if (batch.events.some((event) => event.type === "member_removed")) this.restart(this.readers);
  };

  private enter(reader: Reader): void {
    if (this.readers.size === 0) this.socket.on("events", this.deliver);
    this.readers.add(reader);
  }

  private leave(reader: Reader): void {
    this.readers.delete(reader);
    if (this.readers.size > 0) return;
    this.socket.off("events", this.deliver);
    void this.inTurn(async () => {
      if (this.readers.size === 0 && this.socket.connected)
        await this.link.command(this.namespace, "unsubscribe", { stream: this.stream });
    }).catch(() => {}); // the connection is lost, and the subscription with it
  }

  /** Subscribes after what a reader has, page by page, until events come by themselves. */
  private async open(reader: Reader, signal: AbortSignal): Promise<void> {
    const { sink } = reader;
    let after = sink.last;
    for (;;) {
      if (signal.aborted || !this.readers.has(reader)) return this.restart(this.readers);
      const body: Subscribe = after === undefined ? { stream: this.stream } : { stream: this.stream, after };
      const gone = () => !this.socket.connected;
      const opening = await this.link.command<Opening>(this.namespace, "subscribe", body, signal, gone);
      if (after === undefined && sink.last === undefined) sink.snapshot(opening.state ?? {}, opening.seq);
      this.head = Math.max(this.head, opening.seq);
      this.hand(opening.events);
      after = opening.seq;
      if (!opening.more) break;
    }
    reader.opening = false;
    const behind = (each: Reader) => !each.opening && each.sink.last !== undefined && each.sink.last < this.head;
    this.restart([...this.readers].filter(behind));
  }

  private hand(events: readonly StreamEvent[]): void {
    for (const reader of [...this.readers]) {
      // One that has no state yet gets it with what comes after it, in its own turn.
      if (reader.sink.last === undefined) continue;
      if (!reader.sink.take(events) && (!reader.opening || reader.sink.room === 0)) reader.again();
    }
  }

  private restart(readers: Iterable<Reader>): void {
    for (const reader of [...readers]) reader.again();
  }

  /** One subscribe at a time: each replaces the one before. */
  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.turn.then(run);
    this.turn = result.catch(() => {});
    return result;
  }
}
