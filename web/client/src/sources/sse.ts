import { RialtoError } from "../errors.js";
import type { Http } from "../http.js";
import type { Source, StreamEvent } from "../source.js";
import { EventParser } from "../sse_parser.js";
import { abort, following, later, reasonOf } from "../waiting.js";
import { eventsPath, start } from "./http.js";

/** The server writes something at once; a proxy that collects answers holds it back. */
const FIRST_MS = 10_000;
/** It then writes at least every 15 s. */
const SILENCE_MS = 45_000;

/** Thrown where Server-Sent Events can't be read: by this runtime, or through this network. */
export class SseUnusable extends RialtoError {
  constructor(why: string) {
    super("DISCONNECTED", why, true);
  }
}

/** Follows streams by Server-Sent Events, read with `fetch`: `EventSource` can't send a token. */
export function sseSource(http: Http): Source {
  return async (sink, signal) => {
    const after = await start(http, sink, signal);
    const { controller, release } = following(signal);
    let timer = later(FIRST_MS, () => abort(controller, new SseUnusable("nothing came in time")));
    try {
      const headers = { Accept: "text/event-stream", "Cache-Control": "no-store" };
      const response = await http.open(
        "GET",
        eventsPath(sink.stream, `after=${after}`),
        { headers },
        controller.signal,
      );
      const readable = response.headers.get("Content-Type")?.startsWith("text/event-stream") && response.body !== null;
      if (!readable || response.body === undefined) throw new SseUnusable("the answer can't be read bit by bit");
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read().catch((error: Error) => {
          throw controller.signal.aborted ? reasonOf(controller.signal) : RialtoError.disconnected(error.message);
        });
        if (done) throw RialtoError.disconnected("the event stream has ended");
        timer();
        timer = later(SILENCE_MS, () => abort(controller, RialtoError.disconnected("the event stream is silent")));
        const events = parser
          .push(decoder.decode(value, { stream: true }))
          .map((data) => JSON.parse(data) as StreamEvent);
        if (!sink.take(events)) return;
      }
    } finally {
      timer();
      release();
      controller.abort();
    }
  };
}
