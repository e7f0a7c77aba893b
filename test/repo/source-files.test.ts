import assert from "node:assert/strict"
import { test } from "node:test"
import { importsOf } from "./source-files.ts"

test("every way to import is seen, with its line", () => {
  const text = [
    'import type { A } from "./a.ts"',
    "import {",
    "  b,",
    "  c,",
    '} from "../b.ts"',
    'import "./effect.ts"',
    'export { d } from "./d.ts"',
    'export * from "package/part"',
    'const e = await import("node:fs")',
    'new Worker(new URL("./worker.ts", import.meta.url))',
  ].join("\n")
  assert.deepEqual(
    importsOf(text).map(({ specifier, line }) => `${line} ${specifier}`),
    ["1 ./a.ts", "2 ../b.ts", "6 ./effect.ts", "7 ./d.ts", "8 package/part", "9 node:fs", "10 ./worker.ts"],
  )
})

test("imports in comments and plain exports are not imports", () => {
  const text = [
    "/**",
    ' * import { a } from "./a.ts"',
    " */",
    '// import "./b.ts"',
    'export const word = "from"',
    'export function name(): string { return "x" }',
  ].join("\n")
  assert.deepEqual(importsOf(text), [])
})
