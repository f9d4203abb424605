import type { Http } from "../http.js";
import type { Sink } from "../source.js";
import type { StreamState } from "../types.js";

export const eventsPath = (stream: string, query: string) =>
  `/api/v1/streams/${encodeURIComponent(stream)}/events?${query}`;

/** The seq to go on from; the state is read first when there is none. */
export async function start(http: Http, sink: Sink, signal: AbortSignal): Promise<number> {
  if (sink.last === undefined) {
    const path = `/api/v1/streams/${encodeURIComponent(sink.stream)}`;
    const { state, seq } = await http.call<{ state: StreamState; seq: number }>("GET", path, { signal });
    sink.snapshot(state, seq);
    return seq;
  }
  return sink.last;
}
