// The official client with the few verbs that the test programs share.

import { after } from "node:test";

import { io } from "socket.io-client";

const opened = new Set();

// What a failed test leaves open would keep the program, and whoever waits for it, from ending.
after(() => {
  for (const socket of opened) socket.close();
});

/** How a stock client can be told to connect. `default` starts with polling and upgrades. */
export const TRANSPORTS = {
  websocket: { transports: ["websocket"] },
  polling: { transports: ["polling"], upgrade: false },
  default: {},
};

const PATIENCE_MS = 20_000;

/** A socket in a namespace, not connected yet; `watch` collects the events of its streams from the first moment. */
export function open(url, namespace, { transport = "websocket", token, ...options } = {}) {
  const socket = io(url + namespace, {
    ...TRANSPORTS[transport],
    auth: token === undefined ? {} : { token },
    forceNew: true,
    reconnection: false,
    ...options,
  });
  opened.add(socket);
  socket.batches = [];
  socket.waiting = new Set();
  socket.on("events", (batch) => {
    socket.batches.push(batch);
    for (const look of [...socket.waiting]) look();
  });
  return socket;
}

/** A connected socket. Rejects with the client's `connect_error`. */
export function connect(url, namespace, options) {
  const socket = open(url, namespace, options);
  return settled(socket);
}

/** Resolves with the socket once it is connected. */
export function settled(socket) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not connected in time")), PATIENCE_MS);
    socket.once("connect", () => (clearTimeout(timer), resolve(socket)));
    socket.once("connect_error", (error) => (clearTimeout(timer), socket.close(), reject(error)));
  });
}

/** Resolves with the reason once the socket is disconnected. */
export function disconnected(socket) {
  return new Promise((resolve, reject) => {
    if (socket.disconnected) return resolve("already");
    const timer = setTimeout(() => reject(new Error("still connected")), PATIENCE_MS);
    socket.once("disconnect", (reason) => (clearTimeout(timer), resolve(reason)));
  });
}

/** The name of the transport that a socket uses now. */
export function transportOf(socket) {
  return socket.io.engine.transport.name;
}

/** Resolves once a `default` client has upgraded. */
export function upgraded(socket) {
  if (transportOf(socket) === "websocket") return Promise.resolve();
  return new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
}

/** Sends a command; resolves with its ack, whatever it says. */
export function command(socket, event, ...body) {
  return socket.timeout(PATIENCE_MS).emitWithAck(event, ...body);
}

/** The events of a stream that the server emitted to this socket, flattened, in order of arrival. */
export function received(socket, stream) {
  return socket.batches.filter((batch) => batch.stream === stream).flatMap((batch) => batch.events);
}

/** Resolves with the received events of a stream once `enough(events)` holds. */
export function until(socket, stream, enough) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const events = received(socket, stream);
      if (!enough(events)) return;
      clearTimeout(timer);
      socket.waiting.delete(look);
      resolve(events);
    };
    const timer = setTimeout(() => {
      socket.waiting.delete(look);
      reject(new Error(`${stream}: only ${JSON.stringify(received(socket, stream))}`));
    }, PATIENCE_MS);
    socket.waiting.add(look);
    look();
  });
}

/** Whether the events are exactly first, first + 1, ... */
export function dense(events, first) {
  return events.every((event, index) => event.seq === first + index);
}
