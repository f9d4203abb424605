// The official parsers as an oracle: a line of JSON in, a line out; see tests/conformance/oracle.py.

import { createInterface } from "node:readline";

import { decodePayload } from "engine.io-parser";
import { Decoder } from "socket.io-parser";

const decoder = new Decoder({ maxAttachments: 16 });

/** What the official parser makes of a Socket.IO packet without its attachments; null if it refuses it. */
function packet(text) {
  try {
    const { type, attachments, nsp, id, data } = decoder.decodeString(text);
    return { type, attachments: attachments ?? 0, nsp, id: id ?? null, data: data ?? null };
  } catch {
    return null;
  }
}

/** The packets of a polling payload, binary ones in base 64; null if one of them is none. */
function payload(text) {
  const packets = decodePayload(text, "nodebuffer");
  if (packets.some(({ type }) => type === "error")) return null;
  return packets.map(({ type, data }) => (Buffer.isBuffer(data) ? ["binary", data.toString("base64")] : [type, data ?? ""]));
}

const verbs = { packet, payload };

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, texts } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(texts.map(verbs[verb]))}\n`);
}
