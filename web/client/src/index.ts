export { Client, type ClientOptions } from "./client.js";
export { type Offset, ServerClock } from "./clock.js";
export type { CommandOptions, CommandTypes } from "./commands.js";
export { type ClientCode, type Details, type ErrorCode, RialtoError } from "./errors.js";
export type * as live from "./generated/asyncapi.js";
export type { components, operations, paths } from "./generated/openapi.js";
export type { Message, Outbox, Sent, Storage } from "./outbox.js";
export type { Way } from "./routes.js";
export type { Tokens } from "./session.js";
export type { StreamEvent } from "./source.js";
export { type SubscribeOptions, Subscription } from "./subscription.js";
export type {
  AuctionEvent,
  EventOf,
  Namespace,
  RoomEvent,
  Schemas,
  Signals,
  StreamName,
  StreamState,
  Transport,
  User,
  UserEvent,
} from "./types.js";
