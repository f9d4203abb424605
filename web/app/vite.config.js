import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = process.env.RIALTO_URL ?? "http://127.0.0.1:8080";
// The market takes sockets from pages of its own origin only.
const to = { target, changeOrigin: true, headers: { origin: target } };

export default defineConfig({
  plugins: [svelte()],
  resolve: {
    alias: { "@rialto/client": at("../client/src/index.ts"), $lib: at("src/lib"), $ui: at("src/ui") },
    // The library's sources lie outside of this folder; what they import is this folder's.
    dedupe: ["socket.io-client"],
  },
  build: {
    target: "es2022",
    manifest: true,
    // No data: URLs, which the content security policy allows for images only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": to,
      "/socket.io": { ...to, ws: true },
    },
  },
  test: { include: ["test/**/*.test.ts"] },
});
