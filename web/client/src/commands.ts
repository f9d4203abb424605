import { RialtoError } from "./errors.js";
import type * as live from "./generated/asyncapi.js";
import type { Http } from "./http.js";
import { newKey } from "./keys.js";
import { retrying } from "./retry.js";
import type { Routes } from "./routes.js";
import type { Namespace } from "./types.js";
import { abort, following, later } from "./waiting.js";

/** What each command takes, without its key, and answers. */
export interface CommandTypes {
  bid: { body: Omit<live.SocketBid, "key">; answer: live.Placed };
  retract: { body: Omit<live.SocketRetract, "key">; answer: live.Retracted };
  send: { body: Omit<live.SocketSend, "key">; answer: live.Sent };
  edit: { body: Omit<live.SocketEdit, "key">; answer: live.Changed };
  delete: { body: Omit<live.SocketDelete, "key">; answer: live.Changed };
  react: { body: Omit<live.SocketReact, "key">; answer: live.Changed };
  typing: { body: live.TypingBody; answer: live.TypingSaid };
  readRoom: { body: live.SocketSeq; answer: live.Done };
  readNotifications: { body: live.ReadBody; answer: live.Unread };
}

export interface CommandOptions {
  /** Made up when missing. The same key over all attempts makes the command happen once. */
  key?: string;
  signal?: AbortSignal;
  /** How long to try again after failures that a retry can mend (30 s); 0 tries once, `Infinity` for ever. */
  patience_ms?: number;
}

interface Rest {
  method: string;
  path: string;
  body?: unknown;
}

interface Spec<B> {
  namespace: Namespace;
  event: string;
  /** Whether the server takes an idempotency key. */
  keyed: boolean;
  /** The same over HTTP, where there is such a thing. */
  rest?: (body: B) => Rest;
}

const PATIENCE_MS = 30_000;
/** What the last attempt may take, beyond patience. */
const LAST_MS = 10_000;
const part = (value: string | number) => encodeURIComponent(value);
const message = ({ room, seq }: { room: string; seq: number }) => `/api/v1/rooms/${part(room)}/messages/${part(seq)}`;

const SPECS: { [C in keyof CommandTypes]: Spec<CommandTypes[C]["body"]> } = {
  bid: {
    namespace: "/bidding",
    event: "bid",
    keyed: true,
    rest: ({ auction, ...body }) => ({ method: "POST", path: `/api/v1/auctions/${part(auction)}/bids`, body }),
  },
  retract: {
    namespace: "/bidding",
    event: "retract",
    keyed: true,
    rest: ({ auction, seq, ...body }) => ({
      method: "POST",
      path: `/api/v1/auctions/${part(auction)}/bids/${part(seq)}/retract`,
      body,
    }),
  },
  send: {
    namespace: "/chat",
    event: "send",
    keyed: true,
    rest: ({ room, ...body }) => ({ method: "POST", path: `/api/v1/rooms/${part(room)}/messages`, body }),
  },
  edit: {
    namespace: "/chat",
    event: "edit",
    keyed: true,
    rest: ({ room, seq, ...body }) => ({ method: "PATCH", path: message({ room, seq }), body }),
  },
  delete: {
    namespace: "/chat",
    event: "delete",
    keyed: true,
    rest: (body) => ({ method: "DELETE", path: message(body) }),
  },
  react: {
    namespace: "/chat",
    event: "react",
    keyed: true,
    rest: ({ emoji, on, ...at }) =>
      on
        ? { method: "POST", path: `${message(at)}/reactions`, body: { emoji } }
        : { method: "DELETE", path: `${message(at)}/reactions/${part(emoji)}` },
  },
  typing: { namespace: "/chat", event: "typing", keyed: false },
  readRoom: {
    namespace: "/chat",
    event: "read",
    keyed: false,
    rest: ({ room, seq }) => ({ method: "POST", path: `/api/v1/rooms/${part(room)}/read`, body: { seq } }),
  },
  readNotifications: {
    namespace: "/notifications",
    event: "read",
    keyed: false,
    rest: (body) => ({ method: "POST", path: "/api/v1/notifications/read", body }),
  },
};

/** Carries commands out: by socket or over HTTP, again after what a retry can mend, once by their key. */
export class Commands {
  constructor(
    private readonly routes: Routes,
    private readonly http: Http,
    private readonly closed: AbortSignal,
  ) {}

  async run<C extends keyof CommandTypes>(
    name: C,
    body: CommandTypes[C]["body"],
    options: CommandOptions = {},
  ): Promise<CommandTypes[C]["answer"]> {
    const spec: Spec<CommandTypes[C]["body"]> = SPECS[name];
    const key = options.key ?? newKey();
    const patience_ms = options.patience_ms ?? PATIENCE_MS;
    const { controller, release } = following(options.signal, this.closed);
    const { signal } = controller;
    const late = () => abort(controller, RialtoError.disconnected("no answer in time"));
    const stop = Number.isFinite(patience_ms) ? later(patience_ms + LAST_MS, late) : () => {};
    try {
      return await retrying(() => this.attempt(spec, body, key, signal), { patience_ms, signal });
    } finally {
      stop();
      release();
    }
  }

  private attempt<C extends keyof CommandTypes>(
    spec: Spec<CommandTypes[C]["body"]>,
    body: CommandTypes[C]["body"],
    key: string,
    signal: AbortSignal,
  ): Promise<CommandTypes[C]["answer"]> {
    const { link } = this.routes;
    if (this.routes.way !== "socket" || link === undefined) return this.overHttp(spec, body, key, signal);
    const keyed = spec.keyed ? { ...body, key } : body;
    return link.command(spec.namespace, spec.event, keyed, signal, this.routes.giveUp);
  }

  private async overHttp<C extends keyof CommandTypes>(
    { rest, event }: Spec<CommandTypes[C]["body"]>,
    command: CommandTypes[C]["body"],
    key: string,
    signal: AbortSignal,
  ): Promise<CommandTypes[C]["answer"]> {
    if (rest === undefined) throw new RialtoError("UNSUPPORTED", `${event} needs a socket`, false);
    const { method, path, body } = rest(command);
    const answer = await this.http.call<CommandTypes[C]["answer"] & { ok?: boolean }>(method, path, {
      body,
      key,
      signal,
    });
    const { ok: _, ...rested } = answer ?? {};
    return rested as CommandTypes[C]["answer"];
  }
}
