// Socket.IO 4.8 on Node.js, set up as its own pages on performance advise: `ws`, no compression, no client bundle, and the first
// HTTP request of a connection not kept. See __init__.py for what it answers.
//
//   PEER_SECRET=... node node.mjs PORT
import { createSecretKey } from "node:crypto";
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const SECRET = createSecretKey(Buffer.from(process.env.PEER_SECRET)); // a text would be tried as a public key first, each time
const HASH = "0".repeat(64);
const END_AT = "2027-01-01T00:00:00.000Z";

const http = createServer();
const io = new Server(http, { serveClient: false });
io.engine.on("connection", (raw) => {
  raw.request = null;
});

const bidding = io.of("/bidding");
const seqs = new Map();

bidding.use((socket, next) => {
  try {
    socket.data.user = jwt.verify(socket.handshake.auth.token, SECRET, { algorithms: ["HS256"] }).sub;
    next();
  } catch {
    next(new Error("UNAUTHENTICATED"));
  }
});

bidding.on("connection", (socket) => {
  const user = socket.data.user;

  socket.on("subscribe", ({ stream }, ack) => {
    socket.join(stream);
    ack({ ok: true, stream, seq: seqs.get(stream) ?? 0, state: null, events: [], more: false });
  });

  socket.on("bid", ({ auction, amount }, ack) => {
    const stream = `auction:${auction}`;
    const seq = (seqs.get(stream) ?? 0) + 1;
    seqs.set(stream, seq);
    const event = {
      amount,
      bidder: user,
      end_at: END_AT,
      leader: user,
      price: amount,
      seq,
      t: new Date().toISOString(),
      type: "bid",
      hash: HASH,
    };
    bidding.to(stream).emit("events", { stream, events: [event], seq });
    ack({ ok: true, seq, price: amount, leading: true, end_at: END_AT });
  });

  socket.on("sync_time", ({ t0 }, ack) => {
    const t1 = Date.now();
    ack({ ok: true, t0, t1, t2: Date.now() });
  });
});

// Before its memory is read, so that what it holds counts and not what it has not yet thrown away.
process.on("SIGUSR2", () => globalThis.gc?.());
http.listen(Number(process.argv[2]), "127.0.0.1");
