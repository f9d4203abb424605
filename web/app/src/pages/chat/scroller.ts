import { tick } from "svelte";

const NEAR_PX = 48;

interface Anchor {
  /** Of a message; its element may be another one after the change. */
  seq: string;
  top: number;
}

/**
 * Keeps what somebody reads where it is while messages come before and after it, and the newest in sight for whoever is at the end.
 *
 * Browsers anchor scrolling too, but not all of them and not at the very top, so theirs is switched off in the stylesheet.
 */
export class Scroller {
  /** Whether the end is in sight. */
  atEnd = true;

  constructor(
    private readonly box: HTMLElement,
    private readonly onscroll: () => void,
  ) {}

  /** Follows scrolling and sizes until the returned function is called. */
  follow(content: HTMLElement): () => void {
    const scrolled = () => {
      this.atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < NEAR_PX;
      this.onscroll();
    };
    const sizes = new ResizeObserver(() => {
      if (this.atEnd) this.toEnd();
    });
    sizes.observe(this.box);
    sizes.observe(content);
    this.box.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      sizes.disconnect();
      this.box.removeEventListener("scroll", scrolled);
    };
  }

  toEnd(): void {
    this.atEnd = true;
    this.box.scrollTop = this.box.scrollHeight;
  }

  /** To be called before the content changes; the returned function after it. */
  hold(): () => void {
    const anchor = this.atEnd ? undefined : this.anchor();
    return () => {
      if (this.atEnd) this.toEnd();
      const element = anchor && this.box.querySelector(`[data-seq="${anchor.seq}"]`);
      if (element) this.box.scrollTop += element.getBoundingClientRect().top - anchor.top;
    };
  }

  /** Brings an element into sight, at a part of the height from above. */
  async show(element: Element, part: number): Promise<void> {
    this.atEnd = false;
    await tick();
    const away = element.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
    this.box.scrollTop += away - this.box.clientHeight * part;
  }

  /** The first message in sight, and where it is. */
  private anchor(): Anchor | undefined {
    const edge = this.box.getBoundingClientRect().top;
    for (const element of this.box.querySelectorAll<HTMLElement>("[data-seq]")) {
      const { top, bottom } = element.getBoundingClientRect();
      if (bottom > edge) return { seq: element.dataset.seq ?? "", top };
    }
    return undefined;
  }
}
