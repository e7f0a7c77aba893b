import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { picture, trialFolder } from "../../../../test/kit/share-disk.ts"

const program = fileURLToPath(new URL("../../../../test/kit/run-share-store.ts", import.meta.url))

/** Runs until it has printed so many lines, then kills it. Returns what it printed. */
async function run(args: readonly string[], lines: number): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  let printed = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text
    if (printed.split("\n").length > lines) child.kill("SIGKILL")
  })
  await once(child, "close")
  return printed
}

test("a receiver that is killed again and again ends with the right bytes", { timeout: 60_000 }, async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree/sub"), { recursive: true })
  fs.writeFileSync(join(folder, "tree/a"), randomBytes(3_000_000))
  fs.writeFileSync(join(folder, "tree/sub/b"), randomBytes(1_500_000))
  fs.writeFileSync(join(folder, "tree/sub/c"), "")
  fs.symlinkSync("sub/b", join(folder, "tree/link"))
  const args = [join(folder, "tree"), join(folder, "copy"), "fixed"]
  const found: number[] = []
  let printed = ""
  for (let kill = 0; kill < 5 && !printed.includes("done"); kill++) {
    printed = await run(args, kill === 4 ? Infinity : 80 + Math.floor(Math.random() * 80))
    found.push(Number(/found (\d+)/.exec(printed)?.[1]))
  }
  assert.match(printed, /done/)
  assert.deepEqual(picture(join(folder, "copy")), picture(join(folder, "tree")))
  assert.deepEqual(fs.readdirSync(folder).toSorted(), ["copy", "tree"])
  for (const [index, bytes] of found.entries()) assert.ok(index === 0 || bytes >= (found[index - 1] as number))
  t.diagnostic(`found by each run: ${found.join(", ")}`)
})
