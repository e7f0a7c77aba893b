/**
 * `npm run lint`: everything that is checked without running the product. `-- --fix` formats and mends what can be
 * mended; `-- --full` also builds, and checks the package as npm would publish it.
 */

import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { failPlainly, root, setUp } from "./setup.mjs"

/** Runs the steps and prints a line for each. Returns the names of those that failed. */
export function lint(node, { fix = false, full = false, walls = true } = {}) {
  const tool = (name, ...args) => [node, [binOf(name), ...args]]
  const steps = [
    ["format", ...tool("oxfmt", fix ? "--write" : "--check")],
    ["lint", ...tool("oxlint", "--type-aware", "--deny-warnings", "--format=stylish", ...(fix ? ["--fix"] : []))],
    ["types", ...tool("typescript", "-p", "tsconfig.json")],
    ["portable types", ...tool("typescript", "-p", "tsconfig.portable.json")],
    ["web types", ...tool("typescript", "-p", "tsconfig.web.json")],
    ["unused", ...tool("knip", "--no-progress", "--no-config-hints")],
  ]
  if (walls) steps.push(["walls", node, ["--test", "test/repo/layers.test.ts"]])
  if (full) steps.push(["build", node, ["scripts/build.mjs"]])
  // --pack=false: publint reads the files as they lie here instead of calling npm pack, which would build again.
  if (full || existsSync(join(root, "dist", "index.js")))
    steps.push(["package", ...tool("publint", "run", "--pack=false", "--strict")])
  return steps.filter(([name, command, args]) => !passes(name, command, args)).map(([name]) => name)
}

function passes(name, command, args) {
  const started = Date.now()
  const colour = process.stdout.isTTY === true ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }
  const env = { ...process.env, ...colour }
  const result = spawnSync(command, args, { cwd: root, env, encoding: "utf8", maxBuffer: 1 << 26 })
  const passed = result.status === 0
  console.log(`${passed ? "✔" : "✖"} ${name} (${Date.now() - started} ms)`)
  if (!passed) console.log(`${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`.trim())
  return passed
}

/** The script behind a package's command, so that it runs with the pinned Node and without a shell. */
function binOf(name) {
  const folder = join(root, "node_modules", name)
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  return join(folder, typeof bin === "string" ? bin : (bin[name] ?? Object.values(bin)[0]))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const failed = lint(setUp(), { fix: process.argv.includes("--fix"), full: process.argv.includes("--full") })
    if (failed.length > 0) console.log(`✖ failed: ${failed.join(", ")}`)
    process.exitCode = failed.length > 0 ? 1 : 0
  } catch (error) {
    failPlainly(error)
  }
}
