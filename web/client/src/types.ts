import type {
  BiddingStreamEvents,
  ChatStreamEvents,
  NotificationsStreamEvents,
  PresenceSignal,
  Receipt,
  StreamWatchers,
  TypingSignal,
  Unread,
} from "./generated/asyncapi.js";
import type { components } from "./generated/openapi.js";

export type AuctionEvent = BiddingStreamEvents["events"][number];
export type RoomEvent = ChatStreamEvents["events"][number];
export type UserEvent = NotificationsStreamEvents["events"][number];

/** `auction:<id>`, `room:<id>` or `user:<id>`. */
export type StreamName = `auction:${string}` | `room:${string}` | `user:${string}`;

/** The events that a stream carries, by its name. */
export type EventOf<N extends StreamName> = N extends `auction:${string}`
  ? AuctionEvent
  : N extends `room:${string}`
    ? RoomEvent
    : UserEvent;

export type StreamState = Record<string, unknown>;

/** What is told without a seq, over sockets only: it may be lost. */
export interface Signals {
  watchers: StreamWatchers;
  typing: TypingSignal;
  receipt: Receipt;
  presence: PresenceSignal;
  unread: Unread;
}

export type Schemas = components["schemas"];
export type User = Schemas["LoggedIn"]["user"];

export type Namespace = "/bidding" | "/chat" | "/notifications";
export type Transport = "websocket" | "polling" | "sse" | "longpoll";
