import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import typescript from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

const FILES = ["src/**/*.ts", "src/**/*.svelte", "test/**/*.ts"];

export default typescript.config(
  { ignores: ["dist", "scripts", "public", "*.config.js"] },
  { files: FILES, extends: [js.configs.recommended, ...typescript.configs.recommendedTypeChecked] },
  ...svelte.configs.recommended,
  {
    files: FILES,
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
        extraFileExtensions: [".svelte"],
      },
    },
    rules: {
      "no-undef": "off", // the type checker knows better
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_$", varsIgnorePattern: "^_$" }],
      "svelte/no-at-html-tags": "error",
      // It is about SvelteKit's links; ours are the router's.
      "svelte/prefer-svelte-reactivity": "off", // sets and addresses here are built, read and dropped
      "svelte/no-navigation-without-resolve": "off",
    },
  },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: { parserOptions: { parser: typescript.parser, svelteConfig } },
    rules: {
      // `$props()` is destructured with `let` as soon as one of them is bindable.
      "prefer-const": "off",
      "svelte/prefer-const": ["error", { destructuring: "all" }],
      // The linter takes what comes from other components for `any`; svelte-check knows their types.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
);
