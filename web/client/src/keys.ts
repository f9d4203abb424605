/** A new idempotency key. React Native has no `crypto` of its own; there a key need not be unguessable, only unique. */
export function newKey(): string {
  const crypto = globalThis.crypto as Crypto | undefined;
  if (crypto?.randomUUID !== undefined) return crypto.randomUUID();
  const symbol = () => Math.floor(Math.random() * 36).toString(36);
  return Date.now().toString(36) + Array.from({ length: 24 }, symbol).join("");
}
