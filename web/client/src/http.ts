import { type Details, type ErrorCode, RialtoError } from "./errors.js";
import { BACKOFF, retrying } from "./retry.js";
import type { Session } from "./session.js";
import { abort, following, later, reasonOf, sleep } from "./waiting.js";

export interface HttpCall {
  body?: unknown;
  /** The idempotency key: the same over all attempts. */
  key?: string | undefined;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
  /** Whether the login goes with it; it does unless told. */
  anonymous?: boolean;
  /** For one attempt. */
  timeout_ms?: number;
  /** For all attempts together; 0 makes only one. */
  patience_ms?: number;
}

const TIMEOUT_MS = 15_000;
/** How long a call that only reads waits for a renewed token. */
const RENEWAL_MS = 2000;
/** With how many tokens a call is made: a long poll may outlive several. */
const MOST_TOKENS = 5;
const MEANT_AS: Record<number, ErrorCode> = {
  429: "RATE_LIMITED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE",
};

/** Calls over HTTP, with typed errors. */
export class Http {
  constructor(
    private readonly url: string,
    private readonly fetch: typeof globalThis.fetch,
    private readonly session: () => Session,
    /** Aborted when the client is closed. */
    private readonly closed: AbortSignal,
  ) {}

  /** The decoded answer; undefined without a body. */
  call<T>(method: string, path: string, call: HttpCall = {}): Promise<T> {
    const attempt = () => this.request<T>(method, path, call);
    return retrying(attempt, { patience_ms: call.patience_ms ?? 0, backoff: BACKOFF, signal: call.signal });
  }

  /** An answer whose body is read by the caller; `timeout_ms` ends with its head. */
  async open(method: string, path: string, call: HttpCall, signal: AbortSignal): Promise<Response> {
    for (let tokens = 1; ; tokens++) {
      const token = call.anonymous ? undefined : await this.token(method);
      try {
        return await this.send(method, path, call, token, signal);
      } catch (error) {
        const refused = error instanceof RialtoError && error.code === "UNAUTHENTICATED";
        if (!refused || token === undefined || tokens === MOST_TOKENS) throw error;
        await this.session().renew(token);
        if (this.session().current === token) throw error;
      }
    }
  }

  /** The answer as text, for what isn't JSON. */
  text(method: string, path: string, call: HttpCall = {}): Promise<string> {
    const attempt = () => this.fetchText(method, path, call);
    return retrying(attempt, { patience_ms: call.patience_ms ?? 0, backoff: BACKOFF, signal: call.signal });
  }

  /**
   * The token to send. Who only reads doesn't wait long for the renewal of one: without a network there may be an answer that was kept
   * for it, and a server that is there refuses it, which is waited for.
   */
  private token(method: string): Promise<string | undefined> {
    const session = this.session();
    const token = session.access();
    if (method !== "GET") return token;
    return Promise.race([token, sleep(RENEWAL_MS).then(() => session.current)]);
  }

  private async request<T>(method: string, path: string, call: HttpCall): Promise<T> {
    const text = await this.fetchText(method, path, call);
    return (text === "" ? undefined : decoded(text)) as T;
  }

  private async fetchText(method: string, path: string, call: HttpCall): Promise<string> {
    const { controller, release } = following(call.signal, this.closed);
    const timer = later(call.timeout_ms ?? TIMEOUT_MS, () =>
      abort(controller, RialtoError.disconnected("no answer in time")),
    );
    try {
      const response = await this.open(method, path, call, controller.signal);
      return await response.text().catch((error: unknown) => {
        throw lost(error, controller.signal);
      });
    } finally {
      timer();
      release();
    }
  }

  private async send(
    method: string,
    path: string,
    call: HttpCall,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    const headers: Record<string, string> = { Accept: "application/json", ...call.headers };
    if (call.body !== undefined) headers["Content-Type"] = "application/json";
    if (call.key !== undefined) headers["Idempotency-Key"] = call.key;
    if (token !== undefined) headers.Authorization = `Bearer ${token}`;
    let response: Response;
    try {
      const body = call.body === undefined ? null : JSON.stringify(call.body);
      // Called bare: a browser's fetch refuses to be a method.
      const { fetch } = this;
      response = await fetch(this.url + path, { method, headers, body, signal });
    } catch (error) {
      throw lost(error, signal);
    }
    if (!response.ok) throw await problem(response);
    return response;
  }
}

function lost(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return reasonOf(signal);
  return RialtoError.disconnected(error instanceof Error ? error.message : String(error));
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RialtoError("BAD_RESPONSE", "The answer is not JSON", false);
  }
}

async function problem(response: Response): Promise<RialtoError> {
  const said = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined;
  if (typeof said?.code === "string") {
    const details: Details = { ...(said.details as Details | undefined) };
    if (said.errors) details.errors = said.errors;
    const message = [said.detail, said.title].find((text) => typeof text === "string" && text !== "") ?? said.code;
    return new RialtoError(said.code as ErrorCode, message as string, said.retryable === true, details);
  }
  const meant = MEANT_AS[response.status];
  const seconds = Number(response.headers.get("Retry-After"));
  const details: Details = seconds > 0 ? { retry_after_ms: seconds * 1000 } : {};
  return new RialtoError(meant ?? "BAD_RESPONSE", `Status ${response.status}`, meant !== undefined, details);
}
