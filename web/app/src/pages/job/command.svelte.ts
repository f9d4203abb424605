import { rest } from "$lib/market.svelte";
import { fieldErrors, type FieldErrors } from "$lib/errors";
import { toasts } from "$lib/toasts.svelte";

/** Something that is done to an auction or its job: under way, refused, or done. */
export class Command {
  busy = $state(false);
  error = $state.raw<unknown>(undefined);
  wrong = $state.raw<FieldErrors>({});

  /** Whether it was done. What is tried again within the call has the same key. */
  async run(path: string, body: Record<string, unknown>, done: string): Promise<boolean> {
    this.busy = true;
    this.clear();
    try {
      await rest("POST", path, { body });
      toasts.show(done, { tone: "good" });
      return true;
    } catch (error) {
      this.error = error;
      this.wrong = fieldErrors(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  clear(): void {
    this.error = undefined;
    this.wrong = {};
  }
}
