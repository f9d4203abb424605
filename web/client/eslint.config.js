import js from "@eslint/js";
import typescript from "typescript-eslint";

const missing = ["window", "document", "localStorage", "process", "Buffer"].map((name) => ({
  name,
  message: "not there in every runtime; what the library needs is passed in",
}));

export default typescript.config(
  { ignores: ["dist", "src/generated"] },
  {
    files: ["src/**/*.ts"],
    extends: [js.configs.recommended, ...typescript.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-restricted-globals": ["error", ...missing],
      // A signal's reason is whatever somebody gave it, and is passed on as it is.
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      "@typescript-eslint/only-throw-error": "off",
      // `{ ok: _, ...rest }` leaves a field out.
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_$" }],
    },
  },
);
