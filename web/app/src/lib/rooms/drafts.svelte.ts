import { session } from "$lib/market.svelte";

export interface Draft {
  text: string;
  /** seq of the message that it answers */
  reply_to?: number | undefined;
}

/** What was typed and not sent yet, by room, on this device. */
class Drafts {
  private all = $state.raw<Readonly<Record<string, Draft>>>({});
  private of: string | undefined;

  get(room: string): Draft | undefined {
    return this.all[room];
  }

  set(room: string, draft: Draft): void {
    const others = Object.entries(this.all).filter(([id]) => id !== room);
    const empty = draft.text.trim() === "" && draft.reply_to === undefined;
    this.all = Object.fromEntries(empty ? others : [...others, [room, draft]]);
    localStorage.setItem(this.name, JSON.stringify(this.all));
  }

  /** Reads what is kept of whoever is signed in. */
  open(): void {
    if (this.of === session.user?.id) return;
    this.of = session.user?.id;
    try {
      this.all = JSON.parse(localStorage.getItem(this.name) ?? "{}") as Record<string, Draft>;
    } catch {
      this.all = {};
    }
  }

  private get name(): string {
    return `rialto.drafts.${this.of ?? ""}`;
  }
}

export const drafts = new Drafts();
