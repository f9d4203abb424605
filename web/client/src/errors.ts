import type { Fault } from "./generated/asyncapi.js";

/** Codes that the client adds to the server's. */
export type ClientCode =
  /** The connection was lost, or could not be made, before there was an answer. */
  | "DISCONNECTED"
  /** The client was closed. */
  | "CLOSED"
  /** What was asked for needs another transport. */
  | "UNSUPPORTED"
  /** Something other than Rialto has answered. */
  | "BAD_RESPONSE";

export type ErrorCode = Fault["code"] | ClientCode;

export type Details = Record<string, unknown>;

/** Every failure: refused by the server, or not answered at all. */
export class RialtoError extends Error {
  override readonly name = "RialtoError";

  constructor(
    /** Stable, for programs. */
    readonly code: ErrorCode,
    message: string,
    /** Whether the same command, with the same key, can succeed later. */
    readonly retryable: boolean,
    /** Facts for programs: `errors` [{loc, msg}], `min_next`, `retry_after_ms`. */
    readonly details: Details = {},
  ) {
    super(message);
  }

  /** How long the server wants to be left alone. */
  get retry_after_ms(): number {
    const wait = this.details.retry_after_ms;
    return typeof wait === "number" && wait > 0 ? wait : 0;
  }

  /** From the error of a negative ack. */
  static fromAck(error: unknown): RialtoError {
    const fault = (error ?? {}) as Partial<Fault>;
    if (typeof fault.code !== "string") return new RialtoError("BAD_RESPONSE", "The answer is not Rialto's", false);
    return new RialtoError(fault.code, fault.message ?? fault.code, fault.retryable === true, fault.details ?? {});
  }

  static disconnected(reason: string): RialtoError {
    return new RialtoError("DISCONNECTED", `No connection: ${reason}`, true);
  }
}
