// The way between a client and instances, which can be closed, cut, and made to lose answers: a TCP forwarder.

import { once } from "node:events";
import { connect, createServer } from "node:net";

const opened = new Set();

export class Road {
  /** Client bytes that match are answered by a cut. */
  blocked = /(?!)/;
  /** Server bytes that match are lost with the connection, once. */
  lost = /(?!)/;
  /** Server bytes that match are lost, once, and the connection goes on. No real network does that. */
  swallowed = /(?!)/;
  /** How often each of them happened. */
  blocks = 0;
  swallows = 0;
  losses = 0;
  /** How many connections came. */
  count = 0;
  closed = false;

  /** To the first of the targets that accepts. */
  static async to(...urls) {
    const road = new Road();
    road.targets = urls.map((url) => new URL(url));
    road.pairs = new Set();
    road.server = createServer((near) => void road.#join(near));
    road.server.listen(0, "127.0.0.1");
    await once(road.server, "listening");
    road.url = `http://127.0.0.1:${road.server.address().port}`;
    opened.add(road);
    return road;
  }

  static endAll() {
    for (const road of opened) road.end();
  }

  /** Cuts every connection. */
  cut() {
    for (const pair of [...this.pairs]) pair.cut();
  }

  /** Lets nobody through until `open`. */
  close() {
    this.closed = true;
    this.cut();
  }

  open() {
    this.closed = false;
  }

  end() {
    opened.delete(this);
    this.server.close();
    this.cut();
  }

  async #join(near) {
    this.count += 1;
    near.on("error", () => {});
    if (this.closed) return near.resetAndDestroy();
    const far = await this.#reach();
    if (far === undefined || near.destroyed) {
      far?.destroy();
      return near.resetAndDestroy();
    }
    const pair = {
      cut: () => {
        this.pairs.delete(pair);
        near.destroy();
        far.destroy();
      },
    };
    this.pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on("close", pair.cut);
      from.on("error", pair.cut);
      from.on("end", () => to.end());
    }
    near.on("data", (bytes) => {
      if (this.blocked.test(bytes.toString("latin1"))) {
        this.blocks += 1;
        return pair.cut();
      }
      far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (this.lost.test(bytes.toString("latin1"))) {
        this.losses += 1;
        this.lost = /(?!)/;
        return pair.cut();
      }
      if (this.swallowed.test(bytes.toString("latin1"))) {
        this.swallows += 1;
        this.swallowed = /(?!)/;
        return;
      }
      near.write(bytes);
    });
  }

  async #reach() {
    for (const { hostname, port } of this.targets) {
      const far = connect(Number(port), hostname);
      const ok = await new Promise((resolve) => {
        far.once("connect", () => resolve(true));
        far.once("error", () => resolve(false));
      });
      if (ok) return far;
    }
    return undefined;
  }
}
