/** `rdv share` and `rdv get` where things go wrong or change: new versions, hostile names, full folders, Ctrl+C at odd moments. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import { join, resolve } from "node:path"
import { test } from "node:test"
import type { MissingFiles } from "../../src/capabilities/share/peer/missing-files.ts"
import { assertOneLine, RunningCommand, runCommand } from "../kit/command.ts"
import type { CommandRecord } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { sharePlaces } from "../kit/share-places.ts"
import { picture } from "../kit/share-disk.ts"

const places = sharePlaces()
const { folder } = places

async function sharing(...args: readonly string[]): Promise<{ sender: RunningCommand; code: string }> {
  const sender = new RunningCommand(["share", "--relay", places.address, "--json", ...args], { data: folder("sender") })
  const { code } = (await sender.event("share.published")) as { code?: string }
  return { sender, code: code ?? "" }
}

function getting(code: string, output: string, ...args: readonly string[]): RunningCommand {
  return new RunningCommand(["get", code, "-o", output, "--relay", places.address, "--no-serve", ...args], {
    data: folder("receiver"),
  })
}

function cameBytes(done: CommandRecord): number {
  const { relay: relayed = 0, direct = 0, cast = 0 } = done["via"] as Record<string, number>
  return relayed + direct + cast
}

test("--watch and --follow: each new version costs what has changed, wherever it is", async (t) => {
  const tree = join(folder("source"), "tree")
  fs.mkdirSync(tree)
  const big = join(tree, "big")
  const bytes = randomBytes(4_000_000)
  fs.writeFileSync(big, bytes)
  fs.writeFileSync(join(tree, "small"), randomBytes(300_000))
  const { sender, code } = await sharing(tree, "--watch")
  await using _ = sender
  const into = folder("followed")
  await using receiver = getting(code, `${into}/`, "--follow", "--json")
  assert.ok(cameBytes(await receiver.event("share.done")) > 4_300_000)

  const steps: [string, number, () => void][] = [
    ["bytes in the middle change", 700_000, () => fs.writeFileSync(big, bytes.fill("x", 2_000_000, 2_000_100))],
    [
      "bytes are inserted",
      700_000,
      () => fs.writeFileSync(big, Buffer.concat([bytes.subarray(0, 1e6), Buffer.from("new"), bytes.subarray(1e6)])),
    ],
    ["a file is added", 1_000_000, () => fs.writeFileSync(join(tree, "added"), randomBytes(200_000))],
    ["a file is deleted", 500_000, () => fs.rmSync(join(tree, "small"))],
  ]
  for (const [what, most, change] of steps) {
    change()
    const came = cameBytes(await receiver.event("share.done"))
    t.diagnostic(`${what}: ${came} of ${fs.statSync(big).size} bytes came`)
    assert.ok(came < most, `${what}: ${came}`)
    assert.deepEqual(picture(join(into, "tree")), picture(tree), what)
  }
  assert.deepEqual(fs.readdirSync(into), ["tree"])
})

test("names that would command a terminal do not, and scripts get them as they are", async () => {
  const path = join(folder("source"), "\u001b]0;owned\u0007\u001b[2J\nnext")
  fs.writeFileSync(path, "evil")
  const { sender, code } = await sharing(path)
  await using _ = sender
  const into = folder("escapes")
  fs.writeFileSync(join(into, "\u001b]0;owned\u0007\u001b[2J\nnext"), "other")
  const refused = await getting(code, `${into}/`).ended
  assertOneLine(refused, 1, /\?\]0;owned\?\?\[2J next/)
  const done = await getting(code, `${into}/`, "--overwrite").ended
  assert.equal(done.code, 0, done.stderr)
  assert.doesNotMatch(done.stderr, /[\u0000-\u0009\u000b-\u001f]/)
  assert.equal(done.stdout, `${join(into, "\u001b]0;owned\u0007\u001b[2J\nnext")}\n`)
})

test("what is wrong with the disk here is not told as something wrong with the share", async () => {
  const path = join(folder("source"), "file")
  fs.writeFileSync(path, randomBytes(10_000))
  const { sender, code } = await sharing(path)
  await using _ = sender
  assertOneLine(await getting(code, "/proc/nowhere/file").ended, 1, /There is no folder \/proc\/nowhere/)
  assertOneLine(await getting(code, "/proc/nowhere/file", "--timeout", "60s").ended, 1, /There is no folder/)
  assert.equal((await getting(code, "/proc/file").ended).code, 1)
})

test("of two receivers into the same place one gets it, and the other one says who has it", async () => {
  const path = join(folder("source"), "file")
  fs.writeFileSync(path, randomBytes(3_000_000))
  const { sender, code } = await sharing(path, "--limit", "1MB/s")
  await using _ = sender
  const into = folder("both")
  const [one, two] = await Promise.all([getting(code, `${into}/`).ended, getting(code, `${into}/`).ended])
  const [good, other] = one.code === 0 ? [one, two] : [two, one]
  assert.equal(good.code, 0, good.stderr)
  assertOneLine(other, 1, /Process \d+ receives the same thing into the same place/)
  assert.deepEqual(fs.readFileSync(join(into, "file")), fs.readFileSync(path))
  assert.deepEqual(fs.readdirSync(into), ["file"])
})

test("when the only holder has gone, the files of which parts are missing are named, for people and for scripts", async () => {
  const tree = join(folder("source"), "tree")
  fs.mkdirSync(join(tree, "sub"), { recursive: true })
  const names = ["a", "b", "c", "sub/d", "sub/e", "sub/f"]
  for (const name of names) fs.writeFileSync(join(tree, name), randomBytes(150_000))
  const { sender, code } = await sharing(tree, "--limit", "300KB/s", "--chunk", "16KiB")
  await using _ = sender
  const people = getting(code, `${folder("people")}/`, "--timeout", "8s")
  await using scripts = getting(code, `${folder("scripts")}/`, "--json", "--timeout", "8s")
  for (;;) {
    const { haveBytes } = (await scripts.event("share.progress")) as { haveBytes?: number }
    if ((haveBytes ?? 0) > 50_000) break
  }
  sender.kill("SIGKILL")
  const failed = (await scripts.event("share.failed")) as { missing?: MissingFiles; code?: string }
  assert.equal(failed.code, "timeout")
  const { files = [], moreFiles = 0, bytes = 0 } = failed.missing ?? {}
  assert.ok(files.length > 0 && files.every(({ path, ofBytes }) => names.includes(path) && ofBytes === 150_000))
  assert.equal(files.length < 3 && moreFiles > 0, false)
  assert.ok(bytes > 0 && bytes < 900_000, String(bytes))
  const records = scripts.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as CommandRecord)
  const waiting = records.findLast(({ event, missing }) => event === "share.progress" && missing !== undefined)
  assert.deepEqual(waiting?.["missing"], failed.missing)
  const { code: status, stderr } = await people.ended
  assert.equal(status, 4, stderr)
  assert.match(stderr, /Nothing came for 8 s: it waits for .* parts of \S+ \(\d[^)]*B\).* with nobody who is here$/m)
})

test("--once lets those finish who have begun, and takes nobody new behind the first one", async () => {
  const path = join(folder("source"), "file")
  fs.writeFileSync(path, randomBytes(1_500_000))
  const { sender, code } = await sharing(path, "--once", "--limit", "500KB/s", "--no-relay-cache")
  await using _ = sender
  const places = [folder("one"), folder("two")]
  const both = await Promise.all(places.map((into) => getting(code, `${into}/`).ended))
  for (const [at, { code: status, stderr }] of both.entries()) {
    assert.equal(status, 0, stderr)
    assert.deepEqual(fs.readFileSync(join(places[at] as string, "file")), fs.readFileSync(path))
  }
  assert.equal((await sender.ended).code, 0)
  assertOneLine(
    await getting(code, `${folder("late")}/`).ended,
    5,
    /is over: The share was for one receiver, who has it/,
  )
})

test("the same command a second time leaves the first one alone, and says who has it", async () => {
  const path = join(folder("source"), "file")
  fs.writeFileSync(path, randomBytes(2_000_000))
  const { sender, code } = await sharing(path, "--limit", "500KB/s")
  await using _ = sender
  const data = folder("receiver")
  const into = folder("into")
  const args = ["get", code, "-o", `${into}/`, "--relay", places.address, "--no-serve", "--json"]
  const first = new RunningCommand(args, { data })
  await first.event("share.manifest")
  // Nobody is through before the others were told.
  sender.kill("SIGSTOP")
  const second = await runCommand(args, { data })
  assertOneLine(second, 1, new RegExp(`Process ${first.pid} receives the same thing into the same place: wait for it`))
  // A killed one is in nobody's way.
  first.kill("SIGKILL")
  await first.ended
  const third = new RunningCommand(args, { data })
  await third.event("share.manifest")
  assertOneLine(await runCommand(args, { data }), 1, new RegExp(`Process ${third.pid} receives`))
  sender.kill("SIGCONT")
  const { code: status, stdout, stderr } = await third.ended
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stdout, /"link.lost"|replaced/)
  assert.deepEqual(fs.readFileSync(join(into, "file")), fs.readFileSync(path))
  assert.deepEqual(
    fs.readdirSync(join(data, "state")).filter((name) => name.endsWith(".receiving")),
    [],
  )
})

test("Ctrl+C ends a share whose standard input stands still", async () => {
  const data = folder("sender")
  const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
  const sender = spawn(process.execPath, [main, "share", "-", "--name", "x", "--relay", places.address], {
    stdio: ["pipe", "ignore", "inherit"],
    env: { ...process.env, RDV_DATA: data },
  })
  sender.stdin.on("error", () => undefined)
  sender.stdin.write("begin")
  const found = () => fs.readdirSync(data, { recursive: true, encoding: "utf8" })
  await until(() => found().some((name) => name.endsWith(".sock")), "it runs", 30_000)
  const closed = once(sender, "close")
  sender.kill("SIGINT")
  const timer = setTimeout(() => sender.kill("SIGKILL"), 10_000)
  assert.deepEqual(await closed, [0, null])
  clearTimeout(timer)
})

test("what may not be read is named before anything is read, and left out when that is asked for", async () => {
  const source = folder("source")
  fs.mkdirSync(join(source, "tree/locked"), { recursive: true })
  for (const name of ["open", "shut", "locked/x"]) fs.writeFileSync(join(source, "tree", name), name)
  fs.chmodSync(join(source, "tree/shut"), 0)
  fs.chmodSync(join(source, "tree/locked"), 0)
  const data = folder("sender")
  // Only root reads everything.
  const isRoot = process.getuid?.() === 0
  const nobody = 65_534
  if (isRoot) {
    fs.chmodSync(places.path, 0o711)
    fs.chownSync(data, nobody, nobody)
  }
  const through = isRoot ? ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : []
  const options = { data, through, env: { HOME: data } }
  const refused = await runCommand(["share", join(source, "tree"), "--relay", places.address], options)
  assertOneLine(refused, 1, /No permission to read .*tree\/(shut|locked): .*--skip-unreadable/)
  const args = ["share", join(source, "tree"), "--skip-unreadable", "--relay", places.address, "--json"]
  await using sender = new RunningCommand(args, options)
  const left = [await sender.event("share.remark"), await sender.event("share.remark")].map(({ text }) => text)
  assert.deepEqual(
    left.map(String).toSorted(),
    ["locked", "shut"].map((name) => `${name}: no permission to read it; left out`),
  )
  const { code } = (await sender.event("share.published")) as { code?: string }
  const into = folder("into")
  assert.equal((await getting(code ?? "", `${into}/`).ended).code, 0)
  assert.deepEqual(fs.readdirSync(join(into, "tree")), ["open"])
})

test("a password is in no argument, no log, no status and no error", async () => {
  const path = join(folder("source"), "file")
  fs.writeFileSync(path, "guarded")
  const data = folder("sender")
  const sender = new RunningCommand(["share", path, "--relay", places.address, "--json", "--log-level", "debug"], {
    data,
    env: { RDV_SHARE_PASSWORD: "correct horse" },
  })
  await using _ = sender
  const { code } = (await sender.event("share.published")) as { code?: string }
  const wrong = await runCommand(["get", code ?? "", "--relay", places.address, "--log-level", "debug"], {
    data: folder("receiver"),
    env: { RDV_SHARE_PASSWORD: "battery staple" },
  })
  assert.equal(wrong.code, 5)
  const status = await runCommand(["share", "status", "--json"], { data })
  for (const text of [sender.stdout, sender.stderr, wrong.stdout, wrong.stderr, status.stdout]) {
    assert.doesNotMatch(text, /correct horse|battery staple/)
  }
  const words = (code ?? "").slice(7)
  for (const text of [sender.stderr, wrong.stdout, wrong.stderr, status.stdout]) assert.ok(!text.includes(words))
})
