import { Manager, type Socket } from "socket.io-client";
import { RialtoError } from "./errors.js";
import type { Reconnect } from "./generated/asyncapi.js";
import { BACKOFF, pause } from "./retry.js";
import type { Session } from "./session.js";
import type { Namespace, Signals } from "./types.js";
import { abortable, later, throwIfAborted } from "./waiting.js";

const CONNECT_MS = 10_000;
const ACK_MS = 10_000;
/** Attempts in vain, in a row, after which sockets are taken to be impossible here. */
const IN_VAIN = 2;

interface Entry {
  socket: Socket;
  /** The token that it was last connected with. */
  token: string | undefined;
  refusals: number;
  fatal: RialtoError | undefined;
}

/** The one Socket.IO connection with its namespaces, each opened when first used. It reconnects by itself. */
export class Link {
  private readonly manager: Manager;
  private readonly entries = new Map<Namespace, Entry>();
  private readonly watchers = new Set<() => void>();
  private failures = 0;
  private closed = false;
  private readonly unlisten: () => void;

  constructor(
    url: string,
    transports: ("websocket" | "polling")[],
    private readonly session: Session,
  ) {
    this.manager = new Manager(url, {
      path: "/socket.io/",
      transports,
      tryAllTransports: true,
      upgrade: transports.includes("websocket"),
      autoConnect: false,
      reconnectionDelay: BACKOFF.first_ms,
      reconnectionDelayMax: BACKOFF.most_ms,
      timeout: CONNECT_MS,
    });
    this.manager.on("open", () => this.count(0));
    this.manager.on("error", () => this.count(this.failures + 1));
    this.unlisten = session.listen((token) => void this.reauthenticate(token));
  }

  /** Whether sockets do not work here, as far as is known. It goes on trying. */
  get hopeless(): boolean {
    return this.failures >= IN_VAIN;
  }

  /** The name of the transport in use. */
  get transport(): string | undefined {
    return this.manager._readyState === "open" ? this.manager.engine.transport.name : undefined;
  }

  /** Calls back whenever something about the connection has changed. Returns how to stop that. */
  watch(look: () => void): () => void {
    this.watchers.add(look);
    return () => this.watchers.delete(look);
  }

  /** Begins to connect a namespace, unless it is connected already. */
  open(namespace: Namespace): Socket {
    return this.entry(namespace).socket;
  }

  /** A namespace once it is connected. Rejects when it never will be, or when `giveUp()` holds. */
  ready(namespace: Namespace, signal?: AbortSignal, giveUp: () => boolean = () => false): Promise<Socket> {
    return abortable(signal, (resolve, reject) => {
      const look = () => {
        if (this.closed) return reject(new RialtoError("CLOSED", "The client was closed", false));
        const entry = this.entry(namespace);
        if (entry.socket.connected) resolve(entry.socket);
        else if (entry.fatal !== undefined) {
          reject(entry.fatal);
          this.forget(namespace); // who asks again, tries again
        } else if (giveUp()) reject(RialtoError.disconnected("sockets do not get through"));
      };
      const stop = this.watch(look);
      look();
      return stop;
    });
  }

  /** Sends one command and resolves with its positive ack. */
  async command<T>(
    namespace: Namespace,
    event: string,
    body: unknown,
    signal?: AbortSignal,
    giveUp?: () => boolean,
  ): Promise<T> {
    const send = async () => {
      const socket = await this.ready(namespace, signal, giveUp);
      throwIfAborted(signal);
      const ack = await abortable<{ ok?: boolean; error?: unknown } | undefined>(signal, (resolve, reject) => {
        const lost = (error: Error) => reject(RialtoError.disconnected(error.message));
        socket.timeout(ACK_MS).emitWithAck(event, body).then(resolve, lost);
        return () => {};
      });
      if (ack?.ok !== true) throw RialtoError.fromAck(ack?.error);
      const { ok: _, ...answer } = ack;
      return answer as T;
    };
    try {
      return await send();
    } catch (error) {
      const token = this.entries.get(namespace)?.token;
      if (!(error instanceof RialtoError) || error.code !== "UNAUTHENTICATED" || token === undefined) throw error;
      await this.session.renew(token);
      return send();
    }
  }

  /** Listens to what is told without a seq. */
  on<S extends keyof Signals>(namespace: Namespace, event: S, listener: (signal: Signals[S]) => void): () => void {
    const socket = this.open(namespace);
    socket.on(event as string, listener);
    return () => socket.off(event as string, listener);
  }

  /** Connects anew, as whoever is signed in now. */
  renew(): void {
    for (const namespace of this.entries.keys()) this.forget(namespace);
    this.manager.engine?.close();
    this.changed();
  }

  close(): void {
    this.closed = true;
    this.unlisten();
    for (const { socket } of this.entries.values()) socket.disconnect();
    this.manager._close();
    this.changed();
    this.watchers.clear();
  }

  private entry(namespace: Namespace): Entry {
    let entry = this.entries.get(namespace);
    if (entry === undefined) {
      entry = this.enter(namespace);
      this.entries.set(namespace, entry);
    }
    if (!entry.socket.active && entry.fatal === undefined && entry.refusals === 0) entry.socket.connect();
    return entry;
  }

  private enter(namespace: Namespace): Entry {
    const auth = (tell: (auth: object) => void) => {
      const give = (token: string | undefined) => {
        entry.token = token;
        tell(token === undefined ? {} : { token });
      };
      // A token that has ended is refused, which is tried again; without one, somebody would be nobody from now on.
      this.session.access().then(give, () => give(this.session.current));
    };
    const socket = this.manager.socket(namespace, { auth });
    const entry: Entry = { socket, token: undefined, refusals: 0, fatal: undefined };
    socket.on("connect", () => {
      entry.refusals = 0;
      this.changed();
    });
    socket.on("disconnect", () => {
      // The server has closed the namespace, or the connection is lost: the latter is the manager's to mend.
      if (!socket.active && !this.closed) this.again(entry, 1);
      this.changed();
    });
    socket.on("connect_error", (error: Error) => {
      if (!socket.active && !this.closed) void this.refused(entry, error.message);
    });
    socket.on("reconnect", ({ delay_ms }: Reconnect) => this.leave(delay_ms));
    return entry;
  }

  /** The server has refused a namespace. */
  private async refused(entry: Entry, code: string): Promise<void> {
    entry.refusals += 1;
    if (code === "UNAUTHENTICATED" && entry.token !== undefined && entry.refusals < 3) {
      const renewed = await this.session.renew(entry.token).then(
        () => true,
        (error: unknown) => error instanceof RialtoError && error.retryable,
      );
      if (renewed) return this.again(entry, entry.refusals);
    }
    if (code === "UNAUTHENTICATED" || code === "FORBIDDEN")
      entry.fatal = new RialtoError(code, "The login is not accepted", false);
    else if (code === "Invalid namespace") entry.fatal = new RialtoError("NOT_FOUND", code, false);
    else return this.again(entry, entry.refusals);
    this.changed();
  }

  private again(entry: Entry, failures: number): void {
    later(pause(failures, undefined), () => {
      if (!this.closed && !entry.socket.active && [...this.entries.values()].includes(entry)) entry.socket.connect();
    });
  }

  private forget(namespace: Namespace): void {
    const entry = this.entries.get(namespace);
    if (entry === undefined) return;
    entry.socket.disconnect();
    entry.fatal = undefined;
    entry.refusals = 0;
  }

  /** The instance ends: come back after the time that it says, which leads to another. */
  private leave(delay_ms: number): void {
    const { engine } = this.manager;
    later(delay_ms, () => this.manager.engine === engine && engine.close());
  }

  private async reauthenticate(token: string | undefined): Promise<void> {
    for (const entry of this.entries.values()) {
      if (entry.fatal === undefined || token === undefined) continue;
      entry.fatal = undefined;
      entry.refusals = 0;
      entry.socket.connect();
    }
    const live = [...this.entries.values()].filter((entry) => entry.socket.connected);
    if (live.length === 0) return;
    const known = live.find((entry) => entry.token !== undefined);
    if (token === undefined || known === undefined || live.some((entry) => entry.token === undefined))
      return this.renew();
    try {
      // For every namespace of the connection at once.
      const ack = (await known.socket.timeout(ACK_MS).emitWithAck("reauthenticate", { token })) as { ok?: boolean };
      if (ack?.ok !== true) return this.renew();
      for (const entry of live) entry.token = token;
    } catch {
      // Lost meanwhile: it comes back with the newer token.
    }
  }

  private count(failures: number): void {
    this.failures = failures;
    this.changed();
  }

  private changed(): void {
    for (const look of [...this.watchers]) look();
  }
}
