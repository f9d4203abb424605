export type ToastTone = "plain" | "good" | "bad";

export interface Toast {
  id: number;
  text: string;
  tone: ToastTone;
  /** Something to go to. */
  link?: { href: string; text: string } | undefined;
}

const SHOWN_MS = 6000;
const MOST = 3;

/** Short news at the edge of the page: of what has happened, never of what has to be read. */
class Toasts {
  items = $state<Toast[]>([]);
  private next = 1;

  show(text: string, { tone = "plain", link }: Partial<Omit<Toast, "id" | "text">> = {}): void {
    const id = this.next++;
    this.items = [...this.items, { id, text, tone, link }].slice(-MOST);
    setTimeout(() => this.dismiss(id), SHOWN_MS);
  }

  dismiss(id: number): void {
    this.items = this.items.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
