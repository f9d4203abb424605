import type { Http } from "../http.js";
import type { Source, StreamEvent } from "../source.js";
import { eventsPath, start } from "./http.js";

const WAIT_S = 25;
const TIMEOUT_MS = (WAIT_S + 15) * 1000;
const PAGE = 1000;

/** Follows streams by requests that the server answers when there is something to tell. */
export function longpollSource(http: Http): Source {
  return async (sink, signal) => {
    let after = await start(http, sink, signal);
    while (!signal.aborted) {
      const path = eventsPath(sink.stream, `after=${after}&limit=${Math.min(PAGE, sink.room)}&wait=${WAIT_S}`);
      const page = await http.call<{ events: StreamEvent[] }>("GET", path, { signal, timeout_ms: TIMEOUT_MS });
      if (!sink.take(page.events) || sink.room === 0) return;
      after = sink.last ?? after;
    }
  };
}
