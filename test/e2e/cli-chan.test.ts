/** `rdv chan` as a user types it: pipes, deadlines, selects, acknowledgements by exit status, one line for what is wrong. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { after, before, test } from "node:test"
import { channels } from "../../src/channels.ts"
import type { Channels } from "../../src/channels.ts"
import { RunningCommand, runCommand } from "../kit/command.ts"
import type { Ended } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { RunningChannels } from "../kit/running-channels.ts"

let server: RunningChannels
let client: Channels

before(async () => {
  server = await RunningChannels.start()
  client = await channels({ relay: `127.0.0.1:${server.port}` })
})

after(async () => {
  await client.close()
  await server[Symbol.asyncDispose]()
})

function args(...words: readonly string[]): string[] {
  return ["chan", ...words, "--server", `127.0.0.1:${server.port}`]
}

function rdv(...words: readonly string[]): Promise<Ended> {
  return runCommand(args(...words), { data: server.data })
}

/** With something on standard input. */
async function piped(input: string | Uint8Array, ...words: readonly string[]): Promise<number | null> {
  const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
  const child = spawn(process.execPath, [main, ...args(...words)], {
    stdio: ["pipe", "ignore", "inherit"],
    env: { ...process.env, RDV_DATA: server.data },
  })
  child.stdin.on("error", () => undefined)
  child.stdin.end(input)
  const [code] = (await once(child, "close")) as [number | null]
  return code
}

async function waitingAt(path: string): Promise<number> {
  const entry = await client.stat(path)
  assert.equal(entry.kind, "channel")
  return entry.counts.waitingSenders + entry.counts.waitingReceivers
}

test("a send blocks until somebody receives; both end with 0", async () => {
  await client.create("/plain")
  const sender = new RunningCommand(args("send", "/plain", "hello"), { data: server.data })
  await until(async () => (await waitingAt("/plain")) === 1, "a sender that waits")
  const received = await rdv("recv", "/plain")
  assert.deepEqual([received.code, received.stdout], [0, "hello"])
  assert.equal((await sender.ended).code, 0)
})

test("lines go in, lines come out in order, and a close ends who follows", async () => {
  const lines = Array.from({ length: 500 }, (_, at) => `line ${at}`)
  const follower = new RunningCommand(args("recv", "/lines", "--follow", "--create"), { data: server.data })
  assert.equal(await piped(`${lines.join("\n")}\n`, "send", "/lines", "--lines", "--create", "--close"), 0)
  const { code, stdout } = await follower.ended
  assert.equal(code, 0)
  assert.deepEqual(stdout.trimEnd().split("\n"), lines)
})

test("any bytes pass as one message, and between NULs", async () => {
  const bytes = new Uint8Array(70_000).map((_, at) => at % 251)
  await client.create("/bytes", { size: 10 })
  assert.equal(await piped(bytes, "send", "/bytes"), 0)
  assert.equal(await piped("a\nb\0c", "send", "/bytes", "--null"), 0)
  await using channel = client.channel("/bytes")
  assert.deepEqual((await channel.receive())?.bytes, bytes)
  assert.deepEqual([(await channel.receive())?.text(), (await channel.receive())?.text()], ["a\nb", "c"])
})

test("--ack: a message whose command fails comes again, and after its attempts it is a dead letter", async () => {
  await client.create("/dead", { size: 10 })
  await client.create("/work", { size: 10, deliver: "done", attempts: 3, deadLetter: "/dead" })
  await using work = client.channel("/work")
  await work.send("good")
  await work.send("bad")
  const log = join(server.data, "work.log")
  const command = `read -r text; echo "$RDV_ATTEMPT $text" >> ${log}; [ "$text" = good ]`
  const ended = await rdv("recv", "/work", "--count", "4", "--ack", "--exec", command)
  assert.equal(ended.code, 1, "one of the commands has failed")
  assert.match(ended.stderr, /attempt 3: the command ended with 1/)
  assert.deepEqual(readFileSync(log, "utf8").trim().split("\n"), ["1 good", "1 bad", "2 bad", "3 bad"])
  await using dead = client.channel("/dead")
  assert.equal((await dead.receive({ timeoutMs: 5_000 }))?.text(), "bad")
})

test("a worker that is killed gives its message to another one", async () => {
  await client.create("/killed", { deliver: "done" })
  await using channel = client.channel("/killed")
  const mark = join(server.data, "started")
  const sent = channel.send("precious")
  const first = new RunningCommand(args("recv", "/killed", "--ack", "--exec", `touch ${mark}; exec sleep 60`), {
    data: server.data,
  })
  await until(() => existsSync(mark), "the worker")
  first.kill("SIGTERM")
  await first.ended
  assert.equal((await channel.receive({ timeoutMs: 5_000 }))?.text(), "precious")
  await sent
})

test("Ctrl+C ends a send that waits for input, and one that waits for a receiver", async () => {
  await client.create("/stopped")
  const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
  const typing = spawn(process.execPath, [main, ...args("send", "/stopped", "--lines")], {
    stdio: ["pipe", "ignore", "ignore"],
  })
  typing.stdin.write("one\n")
  await until(async () => (await waitingAt("/stopped")) === 1, "its first line")
  typing.kill("SIGINT")
  const [code] = (await once(typing, "close")) as [number | null]
  assert.equal(code, 130)
  await until(async () => (await waitingAt("/stopped")) === 0, "the withdrawal")
})

test("a send whose receiver was killed ends with its deadline", async () => {
  await using own = await RunningChannels.start({ flags: ["--grace", "2s", "--channel", "/k"] })
  await using watcher = await channels({ relay: `127.0.0.1:${own.port}` })
  const at = ["--server", `127.0.0.1:${own.port}`]
  const counts = async () => {
    const entry = await watcher.stat("/k")
    assert.equal(entry.kind, "channel")
    return entry.counts
  }
  const receiver = new RunningCommand(["chan", "recv", "/k", "--follow", ...at], { data: own.data })
  await until(async () => (await counts()).waitingReceivers === 1, "a receiver that waits")
  receiver.kill("SIGKILL")
  await receiver.ended
  const sender = new RunningCommand(["chan", "send", "/k", "late", "--timeout", "300ms", ...at], { data: own.data })
  await until(async () => (await counts()).underWay === 1, "a message in the dead receiver's hands")
  const { code, stderr } = await sender.ended
  assert.equal(code, 4, stderr)
  assert.match(stderr, /in time/)
  assert.equal((await counts()).waitingSenders + (await counts()).buffered, 0)
})

test("a select does one thing and says which", async () => {
  await client.create("/a")
  await client.create("/b")
  const selecting = new RunningCommand(args("select", "/a?", "/b!payload", "--timeout", "20s"), { data: server.data })
  await until(async () => (await waitingAt("/b")) === 1, "the select")
  await using b = client.channel("/b")
  assert.equal((await b.receive())?.text(), "payload")
  assert.equal((await selecting.ended).stdout, "/b!\n")
  assert.equal(await waitingAt("/a"), 0)
  const [late, now] = await Promise.all([rdv("select", "/a?", "--timeout", "50ms"), rdv("select", "/a?", "--default")])
  assert.deepEqual([late.code, late.stdout], [4, "timeout\n"])
  assert.deepEqual([now.code, now.stdout], [0, "default\n"])
})

test("deadlines, tries, what is missing, removed or closed: one line and an exit code", async () => {
  await client.create("/quiet")
  await client.create("/going")
  await client.create("/ended")
  await client.end("/ended")
  const removed = rdv("recv", "/going")
  await until(async () => (await waitingAt("/going")) === 1, "a receiver that waits")
  const cases: [string[] | Promise<Ended>, number, RegExp][] = [
    [["recv", "/quiet", "--timeout", "50ms"], 4, /Nothing came from \/quiet within 50 ms/],
    [["recv", "/quiet", "--try"], 4, /\/quiet/],
    [["send", "/quiet", "x", "--timeout", "50ms"], 4, /\/quiet/],
    [["send", "/quiet", "x", "--try"], 4, /\/quiet/],
    [["recv", "/nowhere"], 5, /\/nowhere/],
    [["recv", "nowhere"], 2, /"nowhere" is no channel/],
    [["send", "/ended", "x"], 5, /\/ended is closed/],
    [["recv", "/ended"], 5, /\/ended is closed/],
    [["rm", "/going"], 0, /^$/],
    [removed, 5, /\/going was removed/],
    [["new", "/quiet"], 1, /\/quiet exists/],
    [["new", "/x", "size=much"], 2, /size/],
    [["set", "/quiet", "colour=red"], 2, /no setting "colour"/],
    [["select", "/quiet"], 2, /"\/quiet" is no case/],
    [["recv", "/quiet", "--ack"], 2, /--ack is about commands/],
    [["recv", "/quiet", "--lines", "--raw"], 2, /exclude each other/],
  ]
  for (const [what, code, pattern] of cases) {
    const ended = await (Array.isArray(what) ? rdv(...what) : what)
    assert.equal(ended.code, code, ended.stderr)
    assert.match(ended.stderr, pattern)
    assert.ok(ended.stderr.split("\n").length <= 2, ended.stderr)
  }
})

test("nobody there: which address, and how to start one", async () => {
  const [named, usual] = await Promise.all([
    runCommand(["chan", "ls", "--server", "127.0.0.1:1"], { data: server.data }),
    runCommand(["chan", "ls"], { data: server.data, env: { RDV_CHANNELS: "127.0.0.1:1" } }),
  ])
  for (const ended of [named, usual]) {
    assert.equal(ended.code, 3)
    assert.match(ended.stderr, /127\.0\.0\.1:1/)
  }
})

test("what is there, as a table and as JSON", async () => {
  await client.createFolder("/shelf")
  await client.create("/shelf/books", { size: 3 })
  await using books = client.channel("/shelf/books")
  await books.send("one")
  const [table, json, stat, peek, top] = await Promise.all([
    rdv("ls", "/shelf"),
    rdv("ls", "/shelf", "--json"),
    rdv("stat", "/shelf/books"),
    rdv("peek", "/shelf/books"),
    rdv("top", "--once"),
  ])
  assert.match(table.stdout, /\/shelf\/books +1\/3 +0 +0 +1/)
  assert.equal((JSON.parse(json.stdout) as { counts: { buffered: number } }).counts.buffered, 1)
  assert.match(stat.stdout, /size +3\n/)
  assert.equal(peek.stdout, "one")
  assert.match(top.stdout, /\/shelf\/books +1\/3/)
})

test("rdv status shows the channels of a server", async () => {
  await client.create("/shown", { size: 2 })
  await using shown = client.channel("/shown")
  await shown.send("one")
  const { stdout } = await runCommand(["status"], { data: server.data })
  assert.match(stdout, new RegExp(`channels  tcp://127.0.0.1:${server.port}`))
  assert.match(stdout, /[0-9]+ channels?, [0-9]+ 9P conversations?, /)
})
