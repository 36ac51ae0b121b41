import { builtinModules } from "node:module";

import eslint from "@eslint/js";
import simpleImportSort from "eslint-plugin-simple-import-sort";
import tseslint from "typescript-eslint";

/** What a workflow may not load: it runs in a sandbox without Node, and must give the same result at every replay. */
const NOT_IN_WORKFLOWS = [
  ...["node:*", ...builtinModules.filter((name) => !name.startsWith("_"))],
  ...["pg", "zod", "@temporalio/client", "@temporalio/worker", "@temporalio/activity"],
];

/** TypeScript checks the names in a literal, but not in one that is spread: `...(x && { tpyo: x })` passes. */
const NO_SPREAD_LITERAL = {
  selector:
    ":matches(SpreadElement, SpreadElement > LogicalExpression, SpreadElement > ConditionalExpression) > ObjectExpression[properties.length>0]",
  message: "The names in a spread literal are not checked: write the properties out.",
};

const NO_BARE_SQLSTATE = {
  selector: "Literal[value=/^[0-9A-Z]{3}[0-9]{2}$/]",
  message: "SQLSTATEs have names in src/postgres/errors/sqlstate.ts.",
};

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", ".cache/"] },
  eslint.configs.recommended,
  {
    plugins: { "simple-import-sort": simpleImportSort },
    rules: {
      "simple-import-sort/imports": "error",
      "simple-import-sort/exports": "error",
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-restricted-syntax": ["error", NO_SPREAD_LITERAL],
      // Interfaces are satisfied by functions that happen to need no await.
      "@typescript-eslint/require-await": "off",
      // Taking activities out of their proxy is how they are called.
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    // Tests may say in full what they expect.
    files: ["src/**/*.ts", "activities/**/*.ts"],
    ignores: ["src/postgres/errors/sqlstate.ts", "src/postgres/errors/outlook.ts"],
    rules: { "no-restricted-syntax": ["error", NO_SPREAD_LITERAL, NO_BARE_SQLSTATE] },
  },
  {
    files: ["workflows/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: [...NOT_IN_WORKFLOWS.flatMap((name) => [name, `${name}/*`])],
              message: "Workflows are deterministic and run without Node.",
              allowTypeImports: true,
            },
            {
              group: ["**/src/**", "!**/src/format.ts", "!**/src/summary.ts", "**/activities/**"],
              message: "A workflow reaches activities through a proxy: only `import type`.",
              allowTypeImports: true,
            },
          ],
        },
      ],
    },
  },
  {
    // A test's promise belongs to the runner, and a describe block is as long as its tests.
    files: ["test/**/*.ts"],
    rules: {
      "max-lines-per-function": "off",
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "it", "describe", "suite"] },
          ],
        },
      ],
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } },
  },
);
