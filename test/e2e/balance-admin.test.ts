/** The commands that speak to a running balancer, as processes of their own; the balancer is a stand-in. */

import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import { AdminServer } from "../../src/capabilities/balance/admin/admin-server.ts"
import { tellStatus } from "../../src/cli/process-status.ts"
import { SampleControl, sampleApp, sampleSnapshot, sampleTarget } from "../kit/balance-samples.ts"
import { RunningCommand, assertOneLine, runCommand, temporaryFolder } from "../kit/command.ts"

const token = "0123456789abcdef0123456789abcdef"

async function balancer(t: TestContext) {
  const folder = temporaryFolder()
  const control = new SampleControl()
  const server = new AdminServer({ control, log: silentLog })
  const balance = { control, handle: server.handle }
  const untell = await tellStatus({ RDV_DATA: folder.path }, { command: "rdv balance", balance }, silentLog)
  t.after(async () => {
    await untell()
    await server.stop()
    folder[Symbol.dispose]()
  })
  const rdv = (...args: string[]) => runCommand(args, { data: folder.path })
  return { control, server, data: folder.path, rdv }
}

test("reload says what changed, or what is wrong", async (t) => {
  const { control, rdv } = await balancer(t)
  assert.deepEqual(await rdv("balance", "reload"), {
    code: 0,
    stdout: "app web: target 10.0.0.3:80 added\n",
    stderr: "",
  })
  control.failure = new RdvError("usage", "config.yaml:3:5: no such key", { mend: "did you mean ports?" })
  assertOneLine(await rdv("balance", "reload"), 1, /config\.yaml:3:5: no such key: did you mean ports\?$/)
})

test("targets are listed and changed from the command line", async (t) => {
  const { control, rdv } = await balancer(t)
  const targets = [sampleTarget("10.0.0.1:80"), sampleTarget("rdv:shop", { obstacle: "draining", weight: 0.5 })]
  control.state = sampleSnapshot({ apps: [sampleApp("web", { targets })] })
  const [listed, drained, weighed, added, removed] = await Promise.all([
    rdv("balance", "target", "ls"),
    rdv("balance", "target", "drain", "web", "10.0.0.1:80"),
    rdv("balance", "target", "weight", "web", "10.0.0.1:80", "0.25", "--json"),
    rdv("balance", "target", "add", "web", "unix:/run/app.sock"),
    rdv("balance", "target", "rm", "web", "[::1]:80"),
  ])
  assert.match(
    listed.stdout,
    /^APP +TARGET +STATE +WEIGHT .*\nweb +10\.0\.0\.1:80 +up +1 .*\nweb +rdv:shop +draining +0\.5 /,
  )
  assert.equal(drained.stdout, "web: drain 10.0.0.1:80\n")
  assert.deepEqual(JSON.parse(weighed.stdout), { app: "web", target: "10.0.0.1:80", done: "weight", weight: 0.25 })
  assert.deepEqual([added.code, removed.code], [0, 0])
  assert.deepEqual(control.calls.toSorted(), [
    "add web unix:/run/app.sock",
    "remove web [::1]:80",
    'target web 10.0.0.1:80 {"orders":"drain"}',
    'target web 10.0.0.1:80 {"weight":0.25}',
  ])
})

test("what is wrong with a command about targets is one line with the mend", async (t) => {
  const { rdv } = await balancer(t)
  const [verb, words, weight, negative, app] = await Promise.all([
    rdv("balance", "target", "drai", "web", "a:1"),
    rdv("balance", "target", "drain", "web"),
    rdv("balance", "target", "weight", "web", "a:1", "much"),
    rdv("balance", "target", "weight", "web", "a:1", "-1"),
    rdv("balance", "target", "drain", "shop", "a:1"),
  ])
  assertOneLine(verb, 2, /"drai": did you mean drain\?$/)
  assertOneLine(words, 2, /wants APP TARGET/)
  assertOneLine(weight, 2, /"much" is no number/)
  assertOneLine(negative, 2, /The weight "-1" is no number from 0 to 65535: write 0\.5 or 2/)
  assertOneLine(app, 1, /There is no app shop: the apps are: web$/)
})

test("status shows the balancer among this user's processes", async (t) => {
  const { rdv } = await balancer(t)
  const [text, json] = await Promise.all([rdv("status"), rdv("status", "--json")])
  assert.match(text.stdout, /^rdv balance\n {2}process +pid \d+/)
  assert.match(text.stdout, /^ {2}10\.0\.0\.1:80 +up /m)
  const { processes } = JSON.parse(json.stdout) as { processes: { role: string; balance: { connections: number } }[] }
  assert.deepEqual([processes[0]?.role, processes[0]?.balance.connections], ["balance", 5])
})

test("top looks once for scripts, and says when nothing runs", async (t) => {
  const { rdv } = await balancer(t)
  using empty = temporaryFolder()
  const [text, json, nothing] = await Promise.all([
    rdv("top", "--once", "--every", "100ms"),
    rdv("top", "--once", "--every", "100ms", "--json"),
    runCommand(["top"], { data: empty.path }),
  ])
  assert.match(text.stdout, /^web +listening +5 /m)
  const { balancers } = JSON.parse(json.stdout) as { balancers: { label: string; state: { apps: unknown[] } }[] }
  assert.equal(balancers[0]?.label, `pid ${process.pid}`)
  assert.equal(balancers[0]?.state.apps.length, 1)
  assertOneLine(nothing, 3, /No balancer of this user is running: start one/)
})

test("top writes on, without a terminal, until it is stopped", async (t) => {
  const { data } = await balancer(t)
  await using top = new RunningCommand(["top", "--every", "100ms"], { data })
  await top.says(/(web +listening[^]*){3}/)
  top.kill("SIGTERM")
  assert.equal((await top.ended).code, 0)
  assert.ok(!top.stdout.includes("\u001b"))
})

const script = spawnSync("script", ["--version"]).status === 0

test("top on a terminal has the screen for itself until q", { skip: !script }, async (t) => {
  const { data } = await balancer(t)
  const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
  const line = `stty cols 100 rows 20; ${process.execPath} ${main} top --every 100ms; echo ended $?; stty -a`
  const child = spawn("script", ["-qec", line, "/dev/null"], {
    env: { ...process.env, RDV_DATA: data, TERM: "xterm", NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  })
  t.after(() => child.kill("SIGKILL"))
  let shown = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text
    // The third frame: it is alive.
    if (shown.split("APP / TARGET").length === 4 && child.stdin.writable) child.stdin.end("q")
  })
  await once(child, "close", { signal: AbortSignal.timeout(15_000) })
  assert.ok(shown.startsWith("\u001b[?1049h\u001b[?25l\u001b[Hrdv top  "), shown.slice(0, 200))
  assert.match(shown, /\u001b\[\?25h\u001b\[\?1049lended 0\r\n/)
  assert.match(shown, /[^-]icanon/)
})

test("a balancer elsewhere is reached by its address and a token", async (t) => {
  const { server, data, rdv } = await balancer(t)
  const tokenFile = join(data, "token")
  writeFileSync(tokenFile, token, { mode: 0o600 })
  chmodSync(tokenFile, 0o600)
  const listen = { host: "127.0.0.1", port: 0 }
  await server.apply({ socket: true, listen, tokenFile, metrics: undefined })
  const admin = server.addresses[0] as string
  using elsewhere = temporaryFolder()
  const there = (...args: string[]) => runCommand([...args, "--admin", admin], { data: elsewhere.path })
  const [listed, refused, wrong] = await Promise.all([
    there("balance", "target", "ls", "--admin-token-file", tokenFile),
    there("balance", "target", "ls"),
    rdv("balance", "target", "ls", "--admin", "ftp://x"),
  ])
  assert.match(listed.stdout, /10\.0\.0\.2:80/)
  assertOneLine(refused, 1, /The token is missing or wrong/)
  assertOneLine(wrong, 2, /--admin is not an HTTP address/)
})
