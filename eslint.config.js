import tseslint from "typescript-eslint";

/** Which top folders a folder may import (docs/architecture.md draws it); test/architecture.test.ts checks the same. */
const programs = ["server", "pilot", "harvester", "client"];
const mayNotImport = {
  protocol: ["common", ...programs],
  common: programs,
  server: programs.filter((program) => program !== "server"),
  pilot: programs.filter((program) => program !== "pilot"),
  harvester: programs.filter((program) => program !== "harvester"),
};

const boundaries = Object.entries(mayNotImport).map(([folder, forbidden]) => ({
  files: [`${folder}/**/*.ts`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          {
            group: forbidden.map((name) => `**/${name}/**`),
            message: "See docs/architecture.md, import directions.",
          },
        ],
      },
    ],
  },
}));

const pureFiles = [
  "protocol/**/*.ts",
  "server/core.ts",
  "server/core/**/*.ts",
  "server/reactor.ts",
  "server/reactor/**/*.ts",
  "server/points/**/*.ts",
  "server/tasks/**/*.ts",
  "server/queues/**/*.ts",
  "server/samplers/**/*.ts",
  "harvester/planner.ts",
];

export default tseslint.config(
  {
    ignores: [
      "dist/**",
      "node_modules/**",
      ".venv/**",
      ".cache/**",
      "**/*.js",
      "examples/**",
      "steering/**",
      "test/support/fake-batch/**",
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "max-lines": ["error", { max: 500, skipBlankLines: false }],
      "max-lines-per-function": ["error", { max: 70, skipComments: true, skipBlankLines: true }],
      "max-params": ["error", 4],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrorsIgnorePattern: "^_" },
      ],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-invalid-void-type": "off",
      "@typescript-eslint/prefer-reduce-type-parameter": "off",
      "no-console": "error",
    },
  },
  ...boundaries,
  {
    files: pureFiles,
    ignores: ["server/samplers/asker.ts", "server/samplers/worker.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        "process",
        "setTimeout",
        "setInterval",
        "setImmediate",
        "performance",
        "fetch",
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
          message: "Time is passed in.",
        },
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "Time is passed in.",
        },
        {
          selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
          message: "Randomness is passed in.",
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts", "scripts/**/*.ts"],
    rules: {
      "max-lines": ["error", 800],
      "max-lines-per-function": "off",
      "@typescript-eslint/no-floating-promises": "error",
      "no-console": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
