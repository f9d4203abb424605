import type { Schemas } from "@rialto/client";
import { client, rest } from "./market.svelte";

/** How much news waits: for the bell and the chat in the shell. */
class Unread {
  notifications = $state(0);
  messages = $state(0);

  /** Follows both for somebody; returns how to stop that. */
  follow(user: string | undefined): (() => void) | void {
    if (user === undefined) {
      this.notifications = 0;
      this.messages = 0;
      return;
    }
    void this.countNotifications();
    void this.countMessages();
    const stopSignal = client.on("unread", ({ unread }) => (this.notifications = unread));
    const inbox = client.subscribe(`user:${user}`, {
      onSnapshot: (state) => this.take(state),
      onEvent: (event) => {
        this.take(event);
        if (event.type === "notification" && (event.kind === "message" || event.kind === "mention"))
          void this.countMessages();
      },
    });
    inbox.closed.catch(() => {}); // a session that is over leads to sign-in
    return () => {
      stopSignal();
      inbox.unsubscribe();
    };
  }

  /** To be called when a room was read. */
  async countMessages(): Promise<void> {
    try {
      const { rooms } = await rest<Schemas["Unread"]>("GET", "/rooms/unread");
      this.messages = rooms.reduce((sum, room) => (room.muted ? sum : sum + room.unread), 0);
    } catch {
      // The next message counts again.
    }
  }

  private async countNotifications(): Promise<void> {
    try {
      const { unread } = await rest<Schemas["Notifications"]>("GET", "/notifications?limit=1");
      this.notifications = unread;
    } catch {
      // The stream tells it as well.
    }
  }

  private take(told: object): void {
    if ("unread" in told && typeof told.unread === "number") this.notifications = told.unread;
  }
}

export const unread = new Unread();
