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
    if (signal?.aborted) return reject(reasonOf(signal));
    const begun: { stop?: () => void } = {};
    let settled = false;
    const settle = (done: () => void) => {
      if (settled) return;
      settled = true;
      unlisten();
      begun.stop?.();
      done();
    };
    const ended = () => settle(() => reject(signal && reasonOf(signal)));
    const unlisten = onAbort(signal, ended);
    begun.stop = begin(
      (value) => settle(() => resolve(value)),
      (reason) => settle(() => reject(reason)),
    );
    if (settled) begun.stop();
  });
}

const reasons = new WeakMap<AbortSignal, unknown>();

/** Aborts for a reason. The signals of React Native carry none, so it is kept beside them. */
export function abort(controller: AbortController, reason: unknown): void {
  if (!controller.signal.aborted) reasons.set(controller.signal, reason);
  controller.abort(reason);
}

/** Why a signal was aborted. */
export function reasonOf(signal: AbortSignal): unknown {
  if (reasons.has(signal)) return reasons.get(signal);
  return signal.reason ?? Object.assign(new Error("This operation was aborted"), { name: "AbortError" });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
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
    const follow = () => abort(controller, parent && reasonOf(parent));
    if (parent?.aborted) follow();
    return onAbort(parent, follow);
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
