// The examples of README.md, one after the other, as one program.

import { readFile, rm, writeFile } from "node:fs/promises";
import { it } from "node:test";

import { A, newEmail, PASSWORD } from "../../../../tests/js/market.mjs";
import { room } from "./people.mjs";

it("has examples that run", async () => {
  const text = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const examples = [...text.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1]);
  const imports = new Set(examples.flatMap((example) => example.match(/^import .*$/gm) ?? []));
  const bodies = examples.map((example) => example.replace(/^import .*$/gm, ""));
  // Ann of the examples has no room yet, so the chat is somebody else's.
  const parts = bodies.map((body) => (body.includes("outbox") ? `{ const client = talker;\n${body}}` : body));
  const program = `
    ${[...imports].join("\n")}
    export async function run({ url, email, password, auction, room, tokens }) {
      const talker = new Client({ url, tokens });
      ${parts.join("\n")}
      client.close();
      talker.close();
      await live.closed;
    }`;
  const { auction, ann, room: id } = await room();
  const tokens = { access_token: ann.token, refresh_token: ann.refresh, expires_at: Date.now() + 600_000 };
  // In the package's own folder, or its name would not be found.
  const file = new URL(`readme-${process.pid}.mjs`, import.meta.url);
  await writeFile(file, program);
  try {
    const { run } = await import(file.href);
    await run({ url: A, email: newEmail(), password: PASSWORD, auction, room: id, tokens });
  } finally {
    await rm(file);
  }
});
