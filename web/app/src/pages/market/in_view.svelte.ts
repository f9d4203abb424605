import type { Attachment } from "svelte/attachments";
import { SvelteSet } from "svelte/reactivity";

/** How long something has to stay in view, so that scrolling past isn't following. */
const SETTLED_MS = 200;

/** Which of many elements are in view. */
export class InView {
  readonly ids = new SvelteSet<string>();
  private readonly names = new Map<Element, string>();
  private readonly coming = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly observer = new IntersectionObserver((entries) => this.look(entries), { rootMargin: "120px 0px" });

  /** Watches an element: `<li {@attach inView.watch(id)}>`. */
  watch(id: string): Attachment {
    return (element) => {
      this.names.set(element, id);
      this.observer.observe(element);
      return () => {
        this.observer.unobserve(element);
        this.names.delete(element);
        this.leave(id);
      };
    };
  }

  private look(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const id = this.names.get(target);
      if (id === undefined) continue;
      if (!isIntersecting) this.leave(id);
      else if (!this.coming.has(id))
        this.coming.set(
          id,
          setTimeout(() => this.ids.add(id), SETTLED_MS),
        );
    }
  }

  private leave(id: string): void {
    clearTimeout(this.coming.get(id));
    this.coming.delete(id);
    this.ids.delete(id);
  }
}
