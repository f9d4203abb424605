/** Resolves after a while; rejects with the signal's reason when that comes first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return abortable(signal, (resolve) => {
    const timer = setTimeout(resolve, ms);
    return () => clearTimeout(timer);
  });
}

/**
 * A promise that an abort signal can end.
 *
 * `begin` starts what is waited for and returns how to stop it, which is called once the promise is settled.
 */
export function abortable<T>(
  signal: AbortSignal | undefined,
  begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const begun: { stop?: () => void } = {};
    let settled = false;
    const settle = (done: () => void) => {
      if (settled) return;
      settled = true;
      unlisten();
      begun.stop?.();
      done();
    };
    const abort = () => settle(() => reject(signal?.reason));
    const unlisten = onAbort(signal, abort);
    begun.stop = begin(
      (value) => settle(() => resolve(value)),
      (reason) => settle(() => reject(reason)),
    );
    if (settled) begun.stop();
  });
}

const aborts = new WeakMap<AbortSignal, Set<() => void>>();

/** One listener per signal for all of ours: Node.js warns of a leak when a signal has many. Returns how to stop listening. */
function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => {};
  const runs = aborts.get(signal) ?? new Set();
  if (!aborts.has(signal)) {
    aborts.set(signal, runs);
    signal.addEventListener("abort", () => {
      for (const each of [...runs]) each();
    });
  }
  runs.add(run);
  return () => runs.delete(run);
}

/** A controller that also aborts with other signals, until `release`. `AbortSignal.any` is missing in React Native. */
export function following(...parents: (AbortSignal | undefined)[]): {
  controller: AbortController;
  release: () => void;
} {
  const controller = new AbortController();
  const undo = parents.map((parent) => {
    const abort = () => controller.abort(parent?.reason);
    if (parent?.aborted) abort();
    return onAbort(parent, abort);
  });
  return { controller, release: () => undo.forEach((each) => void each()) };
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A timer that does not keep a Node.js process alive. Returns how to stop it. */
export function later(ms: number, run: () => void): () => void {
  const timer: unknown = setTimeout(run, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
  (timer as { unref?: () => void }).unref?.();
  return () => clearTimeout(timer as number);
}
