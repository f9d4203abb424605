import { ServerClock } from "./clock.js";
import { type CommandOptions, Commands, type CommandTypes } from "./commands.js";
import { RialtoError } from "./errors.js";
import type { Times } from "./generated/asyncapi.js";
import { Http, type HttpCall } from "./http.js";
import { newKey } from "./keys.js";
import { Link } from "./link.js";
import { Outbox, type OutboxHooks, type Storage } from "./outbox.js";
import { Routes, type Way } from "./routes.js";
import { Session, type SessionHooks, type Tokens } from "./session.js";
import { type SubscribeOptions, Subscription } from "./subscription.js";
import type { EventOf, Namespace, Schemas, Signals, StreamName, StreamState, Transport, User } from "./types.js";
import { abort, throwIfAborted } from "./waiting.js";

export interface ClientOptions extends SessionHooks, OutboxHooks {
  /** Where Rialto is, such as `https://market.example`. */
  url: string;
  /** A login that was kept; see `onTokens`. */
  tokens?: Tokens | undefined;
  /** What may be used, all by default. The best that works is. */
  transports?: readonly Transport[];
  /** Keeps messages that were not sent yet between runs. */
  storage?: Storage;
  /** In place of the runtime's own. */
  fetch?: typeof globalThis.fetch;
  /** The local clock, ms since the epoch; it should not jump. */
  clock?: () => number;
}

const ALL: readonly Transport[] = ["websocket", "polling", "sse", "longpoll"];
const PATIENCE_MS = 30_000;

const SPOKEN: { [S in keyof Signals]: Namespace } = {
  watchers: "/bidding",
  typing: "/chat",
  receipt: "/chat",
  presence: "/chat",
  unread: "/notifications",
};

/** A client of one Rialto, for one user or nobody in particular. */
export class Client {
  /** The market's time. */
  readonly clock: ServerClock;
  /** Messages that are sent in order, also after a time without a connection. */
  readonly outbox: Outbox;

  private readonly session: Session;
  private readonly http: Http;
  private readonly link: Link | undefined;
  private readonly routes: Routes;
  private readonly commands: Commands;
  private readonly end = new AbortController();

  constructor(options: ClientOptions) {
    const url = options.url.replace(/\/+$/, "");
    const transports = options.transports ?? ALL;
    if (transports.length === 0) throw new TypeError("at least one transport is needed");
    const bySocket = transports.filter(
      (one): one is "websocket" | "polling" => one === "websocket" || one === "polling",
    );
    this.http = new Http(url, options.fetch ?? globalThis.fetch, () => this.session, this.end.signal);
    this.session = new Session(
      options.tokens,
      (refresh_token, key) =>
        this.http.call("POST", "/api/v1/auth/refresh", {
          body: { refresh_token },
          key,
          anonymous: true,
          patience_ms: PATIENCE_MS,
        }),
      options,
    );
    this.link = bySocket.length > 0 ? new Link(url, bySocket, this.session) : undefined;
    this.routes = new Routes(this.link, this.http, transports);
    this.commands = new Commands(this.routes, this.http, this.end.signal);
    this.clock = new ServerClock((t0) => this.time(t0), options.clock ?? steady());
    this.outbox = new Outbox(
      (message, key) => this.commands.run("send", message, { key, patience_ms: Number.POSITIVE_INFINITY }),
      options.storage,
      options,
      this.end.signal,
    );
  }

  /** How streams and commands travel now. */
  get way(): Way {
    return this.routes.way;
  }

  /** The Socket.IO transport in use: `websocket` or `polling`; undefined without a connection. */
  get transport(): string | undefined {
    return this.link?.transport;
  }

  get signedIn(): boolean {
    return this.session.signedIn;
  }

  async register(body: Schemas["Registration"]): Promise<User> {
    return this.enter("/api/v1/auth/register", body);
  }

  async login(body: Schemas["Credentials"]): Promise<User> {
    return this.enter("/api/v1/auth/login", body);
  }

  /** Ends the login everywhere. Here it has ended also when the server can't be told, which is then thrown. */
  async logout(): Promise<void> {
    try {
      await this.http.call<void>("POST", "/api/v1/auth/logout", { patience_ms: PATIENCE_MS });
    } finally {
      this.session.adopt(undefined);
    }
  }

  /** Takes over the tokens that another client of the same login was given, or the login's end: for tabs that share one. */
  share(tokens: Tokens | undefined): void {
    this.session.share(tokens);
  }

  /** Calls back whenever `way` or `transport` may have changed. Returns how to stop that. */
  watch(look: () => void): () => void {
    return this.routes.watch(look);
  }

  /** Follows a stream; see `Subscription`. */
  subscribe<N extends StreamName, S = StreamState>(
    stream: N,
    options: SubscribeOptions<EventOf<N>, S> = {},
  ): Subscription<EventOf<N>, S> {
    throwIfAborted(this.end.signal);
    return new Subscription<EventOf<N>, S>(stream, this.routes, options, this.end.signal);
  }

  /** Listens to what is told without a seq, over sockets only. Returns how to stop. */
  on<S extends keyof Signals>(signal: S, listener: (told: Signals[S]) => void): () => void {
    if (this.link === undefined) throw new RialtoError("UNSUPPORTED", `${signal} is told over sockets only`, false);
    return this.link.on(SPOKEN[signal], signal, listener);
  }

  bid(body: CommandTypes["bid"]["body"], options?: CommandOptions) {
    return this.commands.run("bid", body, options);
  }

  retract(body: CommandTypes["retract"]["body"], options?: CommandOptions) {
    return this.commands.run("retract", body, options);
  }

  /** Sends a message now; see `outbox` for one that may wait. */
  send(body: CommandTypes["send"]["body"], options?: CommandOptions) {
    return this.commands.run("send", body, options);
  }

  edit(body: CommandTypes["edit"]["body"], options?: CommandOptions) {
    return this.commands.run("edit", body, options);
  }

  delete(body: CommandTypes["delete"]["body"], options?: CommandOptions) {
    return this.commands.run("delete", body, options);
  }

  react(body: CommandTypes["react"]["body"], options?: CommandOptions) {
    return this.commands.run("react", body, options);
  }

  /** Tells a room that somebody is typing; not tried again, since it would be late. */
  typing(body: CommandTypes["typing"]["body"]) {
    return this.commands.run("typing", body, { patience_ms: 0 });
  }

  readRoom(body: CommandTypes["readRoom"]["body"], options?: CommandOptions) {
    return this.commands.run("readRoom", body, options);
  }

  readNotifications(body: CommandTypes["readNotifications"]["body"], options?: CommandOptions) {
    return this.commands.run("readNotifications", body, options);
  }

  /** Any other call of the REST interface: `rest("GET", "/jobs?limit=5")`. Mutations get an idempotency key. */
  rest<T = unknown>(method: string, path: string, call: Omit<HttpCall, "anonymous" | "headers"> = {}): Promise<T> {
    const key = call.key ?? (method === "GET" ? undefined : newKey());
    return this.http.call<T>(method, `/api/v1${path}`, { patience_ms: PATIENCE_MS, ...call, key });
  }

  /** A document that isn't JSON: `text("/auctions/1/log")`. */
  text(path: string, call: Pick<HttpCall, "signal" | "timeout_ms"> = {}): Promise<string> {
    return this.http.text("GET", `/api/v1${path}`, { patience_ms: PATIENCE_MS, ...call });
  }

  /** Ends everything. Subscriptions end cleanly; commands under way fail with `CLOSED`. */
  close(): void {
    abort(this.end, new RialtoError("CLOSED", "The client was closed", false));
    this.session.close();
    this.clock.close();
    this.link?.close();
  }

  private async enter(path: string, body: unknown): Promise<User> {
    const answer = await this.http.call<Schemas["LoggedIn"]>("POST", path, { body, anonymous: true });
    this.session.adopt(answer);
    return answer.user;
  }

  private async time(t0: number): Promise<{ t1: number; t2: number }> {
    if (this.link !== undefined && this.routes.way === "socket")
      return this.link.command<Times>("/bidding", "sync_time", { t0 }, this.end.signal, this.routes.giveUp);
    const { timestamp } = await this.http.call<{ timestamp: string }>("GET", "/api/health", { anonymous: true });
    const t = Date.parse(timestamp);
    return { t1: t, t2: t };
  }
}

/** The local clock as it was at the start, and no later step of it. */
function steady(): () => number {
  const { performance } = globalThis as { performance?: Performance };
  if (performance === undefined) return () => Date.now();
  const base = Date.now() - performance.now();
  return () => base + performance.now();
}
