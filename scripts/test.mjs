/**
 * `npm test`: sets up what is missing, runs the checks of `npm run lint`, then every test. With patterns
 * (`npm test -- src/mux scope`) it runs only the test files whose path contains one of them, without the checks.
 * It fails when anything fails, and the totals of the tests are its last lines.
 */

import { spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { lint } from "./lint.mjs"
import { failPlainly, root, setUp } from "./setup.mjs"
import { setUpSystem } from "./system-packages.mjs"

/** Two files at a time: some tests measure time and would disturb each other. */
const concurrency = 2
/** These run behind the others and one at a time: they measure the machine, or emulate one on all its cores. */
const alone = ["src/capabilities/load/accuracy.test.ts", "test/kernel/"]
/** For one test, unless it sets its own. */
const timeoutMs = 120_000

try {
  const node = setUp()
  const patterns = process.argv.slice(2)
  const files = testFiles().filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
  )
  if (files.length === 0) {
    console.error(`No test file has a path that contains ${patterns.map((pattern) => `"${pattern}"`).join(" or ")}`)
    process.exit(1)
  }
  setUpSystem("test")
  const failedChecks = patterns.length === 0 ? lint(node, { walls: false }) : []
  const together = await runTests(
    node,
    files.filter((file) => !isAlone(file)),
    concurrency,
  )
  const apart = await runTests(
    node,
    files.filter((file) => isAlone(file)),
    1,
  )
  const code = together.code === 0 ? apart.code : together.code
  if (failedChecks.length > 0) console.log(`\n✖ failed checks: ${failedChecks.join(", ")} (npm run lint)`)
  console.log(`\n${summed(together.totals, apart.totals).join("\n")}`)
  process.exitCode = failedChecks.length > 0 ? 1 : code
} catch (error) {
  failPlainly(error)
}

function isAlone(file) {
  return alone.some((path) => file.startsWith(path))
}

function testFiles() {
  return ["src", "test"]
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(root, folder, file)))
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => relative(root, file).split(sep).join("/"))
    .sort((a, b) => a.localeCompare(b))
}

/** Lines of totals of both runs as one: `ℹ pass 12`. */
function summed(one, other) {
  const numbers = (lines) => new Map(lines.map((line) => [line.split(" ")[1], Number(line.split(" ")[2])]))
  const [first, second] = [numbers(one), numbers(other)]
  return [...new Set([...first.keys(), ...second.keys()])].map(
    (name) => `ℹ ${name} ${(first.get(name) ?? 0) + (second.get(name) ?? 0)}`,
  )
}

/** Resolves with the exit code and the reporter's totals, which it prints before the details of the failures. */
async function runTests(node, files, concurrency) {
  if (files.length === 0) return { code: 0, totals: [] }
  const flags = ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`, "--test-reporter=spec"]
  const colour = process.stdout.isTTY === true ? { FORCE_COLOR: "1" } : {}
  const child = spawn(node, [...flags, ...files], {
    cwd: root,
    env: { ...process.env, ...colour },
    stdio: ["ignore", "pipe", "inherit"],
  })
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal))
  const totals = []
  let line = ""
  child.stdout.setEncoding("utf8")
  child.stdout.on("data", (text) => {
    process.stdout.write(text)
    const lines = (line + text).split("\n")
    line = lines.pop()
    const plain = lines.map((each) => each.replace(/\u001b\[\d+m/g, ""))
    totals.push(...plain.filter((each) => /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(each)))
  })
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve({ code: code ?? 1, totals }))
  })
}
