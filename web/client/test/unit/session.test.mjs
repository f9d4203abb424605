import assert from "node:assert/strict";
import { test } from "node:test";
import { RialtoError } from "../../dist/errors.js";
import { Session } from "../../dist/session.js";

const answer = (n) => ({ access_token: `access-${n}`, refresh_token: `refresh-${n}`, expires_in: 900 });

/** A server that renews each token once, and answers the same key with the same. */
function renewals() {
  const used = new Map();
  const renew = async (token, key) => {
    const before = used.get(token);
    if (before !== undefined && before !== key) throw new RialtoError("UNAUTHENTICATED", "used twice", false);
    used.set(token, key);
    return answer(Number(token.split("-")[1]) + 1);
  };
  return { renew, used };
}

function session(t, renew, tokens, hooks = {}) {
  const made = new Session(tokens, renew, hooks);
  t.after(() => made.close());
  return made;
}

async function loggedIn(t, renew) {
  let tokens;
  const first = session(t, renew, undefined, { onTokens: (now) => (tokens = now) });
  first.adopt(answer(1));
  return { first, tokens: () => tokens };
}

test("two sessions of one login renew it together, time after time", async (t) => {
  const { renew } = renewals();
  const { first, tokens } = await loggedIn(t, renew);
  const second = session(t, renew, tokens());
  for (const n of [1, 2, 3]) {
    await Promise.all([first.renew(`access-${n}`), second.renew(`access-${n}`)]);
    assert.equal(first.current, `access-${n + 1}`);
    assert.equal(second.current, `access-${n + 1}`);
  }
});

test("each renewal has a key of its own", async (t) => {
  const { renew, used } = renewals();
  const { first } = await loggedIn(t, renew);
  await first.renew("access-1");
  await first.renew("access-2");
  assert.equal(new Set(used.values()).size, 2);
});

test("shared tokens are used, told to listeners, and not given to be kept again", (t) => {
  const { renew } = renewals();
  const kept = [];
  const told = [];
  const one = session(t, renew, undefined, { onTokens: (tokens) => kept.push(tokens) });
  one.listen((token) => told.push(token));
  one.share({ access_token: "access-7", refresh_token: "refresh-7", expires_at: Date.now() + 900_000 });
  assert.equal(one.current, "access-7");
  one.share(undefined);
  assert.equal(one.signedIn, false);
  assert.deepEqual(told, ["access-7", undefined]);
  assert.deepEqual(kept, []);
});

test("a refused renewal does not end a login that was shared meanwhile", async (t) => {
  const over = [];
  let refuse;
  const renew = () => new Promise((_, reject) => (refuse = reject));
  const hooked = session(
    t,
    renew,
    { access_token: "access-1", refresh_token: "refresh-1", expires_at: Date.now() + 900_000 },
    { onSessionOver: (error) => over.push(error) },
  );
  const renewal = hooked.renew("access-1");
  hooked.share({ access_token: "access-2", refresh_token: "refresh-2", expires_at: Date.now() + 900_000 });
  refuse(new RialtoError("UNAUTHENTICATED", "used twice", false));
  await renewal;
  assert.equal(hooked.current, "access-2");
  assert.deepEqual(over, []);
});
