/** `rdv share` and `rdv get` as people type them: codes, folders, interruptions, refusals, hooks. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join, resolve } from "node:path"
import { test } from "node:test"
import { newCode, printCode } from "../../src/share.ts"
import type { Ended } from "../kit/command.ts"
import { assertOneLine, newToken, RunningCommand, runCommand, startRelayCommand } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { sharePlaces } from "../kit/share-places.ts"

const places = sharePlaces()
const { folder } = places

function file(bytes: number | Uint8Array | string, name = "big.bin"): string {
  const path = join(folder("source"), name)
  writeFileSync(path, typeof bytes === "number" ? randomBytes(bytes) : bytes)
  return path
}

/** A sender whose code works. */
async function sharing(...args: readonly string[]): Promise<{ sender: RunningCommand; code: string; link: string }> {
  const sender = new RunningCommand(["share", "--relay", places.address, "--json", ...args], { data: folder("sender") })
  const { code, link } = (await sender.event("share.published")) as { code?: string; link?: string }
  return { sender, code: code ?? "", link: link ?? "" }
}

/** Its end, within patience. */
async function ended(command: RunningCommand, patienceMs = 60_000): Promise<Ended> {
  const timer = setTimeout(() => command.kill("SIGKILL"), patienceMs)
  const result = await command.ended
  clearTimeout(timer)
  return result
}

function getting(code: string, into: string, ...args: readonly string[]): RunningCommand {
  return new RunningCommand(["get", code, "-o", `${into}/`, "--relay", places.address, "--no-serve", ...args], {
    data: folder("receiver"),
  })
}

/** What lies there, by name. */
function contents(root: string, below = ""): Record<string, string> {
  const all: Record<string, string> = {}
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) Object.assign(all, { [`${path}/`]: "" }, contents(root, path))
    else all[path] = readFileSync(join(root, path)).toString("base64")
  }
  return all
}

test("a file goes to two machines, which hear where it is", async () => {
  const path = file(3_000_000)
  const { sender, code } = await sharing(path)
  await using _ = sender
  const [one, two] = [folder("one"), folder("two")]
  const both = await Promise.all([ended(getting(code, one)), ended(getting(code, two))])
  for (const [at, into] of [one, two].entries()) {
    assert.equal(both[at]?.code, 0, both[at]?.stderr)
    assert.equal(both[at]?.stdout.trim(), join(into, "big.bin"))
    assert.deepEqual(readFileSync(join(into, "big.bin")), readFileSync(path))
    assert.deepEqual(readdirSync(into), ["big.bin"])
  }
  await sender.event("share.client-done")
  await sender.event("share.client-done")
})

test("a link is all that is needed", async () => {
  const path = file("by link")
  const { sender, link } = await sharing(path)
  await using _ = sender
  const into = folder("link")
  const { code, stderr } = await runCommand(["get", link, "-o", join(into, "renamed")], { data: folder("receiver") })
  assert.equal(code, 0, stderr)
  assert.equal(readFileSync(join(into, "renamed"), "utf8"), "by link")
})

test("a folder arrives as it was: empty files, modes, times, links that stay inside", async () => {
  const tree = join(folder("source"), "tree")
  mkdirSync(join(tree, "deep/er"), { recursive: true })
  writeFileSync(join(tree, "empty"), "")
  writeFileSync(join(tree, "run.sh"), "#!/bin/sh\n", { mode: 0o755 })
  writeFileSync(join(tree, 'deep/er/Ünï "code"\n'), randomBytes(200_000))
  symlinkSync("../run.sh", join(tree, "deep/link"))
  utimesSync(join(tree, "run.sh"), 1_000_000, 1_000_000)
  const { sender, code } = await sharing(tree)
  await using _ = sender
  const into = folder("tree")
  const { code: status, stderr } = await ended(getting(code, into))
  assert.equal(status, 0, stderr)
  assert.deepEqual(contents(join(into, "tree")), contents(tree))
  const { mode, mtimeMs } = statSync(join(into, "tree/run.sh"))
  assert.equal(mode & 0o777, 0o755)
  assert.ok(Math.abs(mtimeMs - 1_000_000_000) < 1)
})

test("standard input has the name that was given, and --once ends both sides", async () => {
  const input = randomBytes(700_000)
  const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
  const args = [main, "share", "-", "--name", "piped.bin", "--once", "--relay", places.address, "--json"]
  const sender = spawn(process.execPath, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, RDV_DATA: folder("sender") },
  })
  sender.stdin.on("error", () => undefined)
  sender.stdin.end(input)
  let said = ""
  sender.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
  await until(() => said.includes("share.published"), "a code")
  const { code } = JSON.parse(said.split("\n").find((line) => line.includes("share.published")) as string) as {
    code: string
  }
  const into = folder("piped")
  const closed = once(sender, "close")
  assert.equal((await ended(getting(code, into))).code, 0)
  assert.deepEqual(readFileSync(join(into, "piped.bin")), input)
  const [status] = (await closed) as [number]
  assert.equal(status, 0)
  assertOneLine(await ended(getting(code, folder("late"))), 5, /is over/)
})

test("Ctrl+C keeps what came, and the same command goes on from there", async () => {
  const path = file(6_000_000)
  const { sender, code } = await sharing(path, "--limit", "2MB/s")
  await using _ = sender
  const into = folder("resumed")
  const first = getting(code, into, "--json")
  await until(async () => /"haveBytes":[1-9]\d{5}/.test(first.stdout), "a part")
  first.kill("SIGINT")
  const stopped = await ended(first)
  assert.equal(stopped.code, 130, stopped.stderr)
  assert.equal(existsSync(join(into, "big.bin")), false)
  const second = getting(code, into, "--json")
  const { foundBytes } = (await second.event("share.manifest")) as { foundBytes?: number }
  assert.ok((foundBytes ?? 0) > 0)
  assert.equal((await ended(second)).code, 0)
  assert.deepEqual(readFileSync(join(into, "big.bin")), readFileSync(path))
  assert.deepEqual(readdirSync(into), ["big.bin"])
})

test("who kills a receiver loses nothing either", async () => {
  const path = file(6_000_000)
  const { sender, code } = await sharing(path, "--limit", "3MB/s")
  await using _ = sender
  const into = folder("killed")
  const first = getting(code, into, "--json")
  await until(async () => /"haveBytes":[1-9]\d{5}/.test(first.stdout), "a part")
  first.kill("SIGKILL")
  await ended(first)
  const { code: status, stderr } = await ended(getting(code, into))
  assert.equal(status, 0, stderr)
  assert.deepEqual(readFileSync(join(into, "big.bin")), readFileSync(path))
})

test("another file of the name is not touched without --overwrite; the same one is no fault", async () => {
  const path = file("new content")
  const { sender, code } = await sharing(path)
  await using _ = sender
  const into = folder("taken")
  writeFileSync(join(into, "big.bin"), "old content")
  assertOneLine(await ended(getting(code, into)), 1, /big\.bin.*--overwrite/)
  assert.equal(readFileSync(join(into, "big.bin"), "utf8"), "old content")
  assert.equal((await ended(getting(code, into, "--overwrite"))).code, 0)
  assert.equal(readFileSync(join(into, "big.bin"), "utf8"), "new content")
  assert.equal((await ended(getting(code, into))).code, 0)
})

test("a code that is wrong is told: by its letters, by the relay, without one", async () => {
  const { sender, code } = await sharing(file("secret"))
  await using _ = sender
  const typo = code.replace(/.$/, (letter) => (letter === "b" ? "d" : "b"))
  assertOneLine(await ended(getting(typo, folder("typo"))), 2, /typo/)
  const other = printCode({ ...newCode(), swarm: code.slice(0, 6) })
  assertOneLine(await ended(getting(other, folder("other"))), 5, /does not fit the share/)
  assertOneLine(await ended(getting(printCode(newCode()), folder("none"))), 4, /knows no share/)
  const away = await runCommand(["get", code, "--relay", "127.0.0.1:1", "--wait", "300ms"], {
    data: folder("receiver"),
  })
  assert.equal(away.code, 3)
  assert.match(away.stderr.trimEnd().split("\n").at(-1) as string, /^rdv: /)
})

test("a password is asked for on both sides", async () => {
  const data = folder("sender")
  const sender = new RunningCommand(["share", file("guarded"), "--relay", places.address, "--json"], {
    data,
    env: { RDV_SHARE_PASSWORD: "öpen" },
  })
  await using _ = sender
  const { code } = (await sender.event("share.published")) as { code?: string }
  assertOneLine(await ended(getting(code ?? "", folder("without"))), 5, /password/)
  const word = file("öpen\n", "word")
  const into = folder("with")
  assert.equal((await ended(getting(code ?? "", into, "--password-file", word))).code, 0)
  assert.equal(readFileSync(join(into, "big.bin"), "utf8"), "guarded")
  assertOneLine(await ended(getting(code ?? "", into, "--password")), 2, /no terminal/)
})

test("a share that has expired is over", async () => {
  const { sender, code } = await sharing(file("soon gone"), "--expires", "1s")
  const { code: status } = await ended(sender)
  assert.ok(status === 5 || status === 0)
  const late = await ended(getting(code, folder("late")))
  assert.ok(late.code === 5 || late.code === 4, late.stderr)
})

test("hooks hear who is through, and that all are", async (t) => {
  const heard: Record<string, unknown>[] = []
  const server = createServer((request, answer) => {
    let body = ""
    request.setEncoding("utf8").on("data", (text: string) => (body += text))
    request.on("end", () => {
      heard.push(JSON.parse(body) as Record<string, unknown>)
      answer.end()
    })
  }).listen(0, "127.0.0.1")
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const note = join(folder("hook"), "note")
  const { sender, code } = await sharing(
    file("hooked"),
    "--on-client-done",
    url,
    "--on-all-done",
    `echo "$RDV_SHARE_EVENT $RDV_SHARE_NAME $RDV_SHARE_BYTES" > '${note}'`,
  )
  await using _ = sender
  const done = join(folder("hook"), "done")
  const receiver = getting(
    code,
    folder("hooked"),
    "--label",
    "lab-7",
    "--on-done",
    `echo "$RDV_SHARE_PATH" > '${done}'`,
  )
  assert.equal((await ended(receiver)).code, 0)
  assert.match(readFileSync(done, "utf8"), /big\.bin\n$/)
  await until(async () => heard.length === 1 && existsSync(note) && statSync(note).size > 0, "hooks")
  assert.equal(heard[0]?.["client"], "lab-7")
  assert.equal(readFileSync(note, "utf8"), "all-done big.bin 6\n")
})

test("--watch shares new versions, and --follow gets what is new of them", async () => {
  const path = file(2_000_000)
  const { sender, code } = await sharing(path, "--watch")
  await using _ = sender
  const into = folder("followed")
  await using receiver = getting(code, into, "--follow", "--json")
  await receiver.event("share.done")
  const bytes = readFileSync(path)
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 1_000_000), Buffer.from("new"), bytes.subarray(1_000_000)]))
  const done = await receiver.event("share.done")
  assert.deepEqual(readFileSync(join(into, "big.bin")), readFileSync(path))
  const via = done["via"] as { relay: number; direct: number; cast: number }
  assert.ok(via.relay + via.direct + via.cast < 1_000_000, JSON.stringify(done))
})

test("--timeout waits for a share that begins later, and no longer than it says", async () => {
  const code = printCode(newCode())
  const into = folder("early")
  const early = getting(code, into, "--timeout", "40s")
  const sender = new RunningCommand(["share", file("late"), "--code", code, "--relay", places.address, "--json"], {
    data: folder("sender"),
  })
  await using _ = sender
  const { code: status, stderr } = await ended(early)
  assert.equal(status, 0, stderr)
  assert.equal(readFileSync(join(into, "big.bin"), "utf8"), "late")
  assertOneLine(await ended(getting(printCode(newCode()), folder("never"), "--timeout", "1s")), 4, /Nobody shares/)
})

test("a sender that was killed goes on with its code, and its receivers with it", async () => {
  const path = file(5_000_000)
  const data = folder("sender")
  const code = printCode(newCode())
  const share = () =>
    new RunningCommand(["share", path, "--code", code, "--limit", "2MB/s", "--relay", places.address, "--json"], {
      data,
    })
  const first = share()
  await first.event("share.published")
  const into = folder("patient")
  const receiver = getting(code, into, "--json")
  await until(async () => /"haveBytes":[1-9]\d{5}/.test(receiver.stdout), "a part")
  first.kill("SIGKILL")
  await ended(first)
  await using _ = share()
  const { code: status, stderr } = await ended(receiver)
  assert.equal(status, 0, stderr)
  assert.deepEqual(readFileSync(join(into, "big.bin")), readFileSync(path))
})

test("at a relay that wants tokens the sender shows one, and receivers have the code", async () => {
  const data = folder("guarded")
  const token = await newToken("sender", data)
  const { relay: guarded, address: place } = await startRelayCommand([], { data })
  await using _ = guarded
  const path = file("with a token")
  const refused = await runCommand(["share", path, "--relay", place], { data: folder("stranger") })
  assert.notEqual(refused.code, 0)
  assert.match(refused.stderr.trimEnd().split("\n").at(-1) as string, /^rdv: .*token/)
  await using sender = new RunningCommand(["share", path, "--relay", place, "--json"], {
    data: folder("sender"),
    env: { RDV_TOKEN: token },
  })
  const { code, link } = (await sender.event("share.published")) as { code?: string; link?: string }
  const into = folder("guest")
  const got = await runCommand(["get", link ?? "", "-o", `${into}/`, "--no-serve"], { data: folder("receiver") })
  assert.equal(got.code, 0, got.stderr)
  assert.equal(readFileSync(join(into, "big.bin"), "utf8"), "with a token")
  const tunnel = ["tcp", "9", "--once", "--relay", place]
  assert.notEqual(
    (await runCommand(tunnel, { data: folder("guest"), env: { RDV_TOKEN: `guest:share/${code}` } })).code,
    0,
  )
})

test("without a relay there is one in the process, and the sender leaves when it is not needed", async () => {
  const data = folder("sender")
  const sender = new RunningCommand(
    ["share", file(300_000), "--listen", "127.0.0.1:0", "--seed-until", "complete", "--wait-for", "1", "--json"],
    { data },
  )
  const { link } = (await sender.event("share.published")) as { link?: string }
  const into = folder("own")
  const { code, stderr } = await runCommand(["get", link ?? "", "-o", `${into}/`], { data: folder("receiver") })
  assert.equal(code, 0, stderr)
  assert.equal((await ended(sender)).code, 0)
})

test("people see code, link and what to type; others find it with rdv share status", async () => {
  const data = folder("sender")
  const sender = new RunningCommand(["share", file("shown"), "--relay", places.address], { data })
  await using _ = sender
  await sender.says(/\nrdv get \d{6}(-[a-z]{5}){5} --relay 127\.0\.0\.1:\d+\n/)
  const code = /^\d{6}(-[a-z]{5}){5}$/m.exec(sender.stdout)?.[0] as string
  assert.match(sender.stdout, /^big\.bin, 5 B$/m)
  assert.match(sender.stdout, /^https?:\/\/\S+\/share\/\d{6}#/m)
  const picture = await runCommand(["share", "status", code, "--relay", places.address], { data: folder("watcher") })
  assert.equal(picture.code, 0, picture.stderr)
  assert.match(picture.stdout, /^swarm \d{6}, .* 1 member$/m)
  const here = await runCommand(["share", "status"], { data })
  assert.equal(here.code, 0, here.stderr)
  assert.match(here.stdout, /sender .* big\.bin/)
  assert.doesNotMatch(here.stdout, /[a-z]{5}-[a-z]{5}-[a-z]{5}/)
})

test("what is typed wrong is one line with the mend", async () => {
  const data = folder("wrong")
  const cases: [string[], RegExp][] = [
    [["share", "no-such-file"], /no file or folder "no-such-file"/],
    [["share", "482713-lusab-babad-gutih-tugad-mudof"], /to receive, write rdv get/],
    [["share", "-"], /--name/],
    [["share", ".", "--chunk", "5GB"], /--chunk/],
    [["share", ".", "--limit", "fast"], /--limit "fast".*10MB\/s/],
    [["share", ".", "--seed-until", "monday"], /complete, copies=/],
    [["share", ".", "--password=secret"], /--password-file/],
    [["share", ".", "--once", "--max-peers", "3"], /--once and --max-peers exclude each other.*leave one out/],
    [["get", "hello"], /begins with six digits/],
    [["get", printCode(newCode()), "-o", "-"], /standard output/],
    [["share", "status", "--watch"], /about one share/],
  ]
  for (const [args, pattern] of cases) assertOneLine(await runCommand(args, { data }), 2, pattern)
})
