/** Holds `rdv relay` with agents in other processes: tokens, claimed names, encryption, status, doctor, secrets. */

import assert from "node:assert/strict"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { after, before, test } from "node:test"
import {
  assertOneLine,
  newToken,
  runCommand,
  RunningCommand,
  startRelayCommand,
  temporaryFolder,
  visit,
} from "../kit/command.ts"

const windows = process.platform === "win32"
const folder = temporaryFolder()
/** The relay's machine and the agent's: two data folders. */
const data = join(folder.path, "relay")
const other = join(folder.path, "agent")
const site = join(folder.path, "site")
let relay: RunningCommand
let address = ""
let port = 0

before(async () => {
  for (const each of [data, other, site]) mkdirSync(each)
  writeFileSync(join(site, "index.html"), "hello")
  ;({ relay, address, port } = await startRelayCommand(["--log-level", "debug"], { data }))
})
after(async () => {
  await relay[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** A tunnel to the site through the relay. */
function agent(token: string | undefined, ...flags: readonly string[]): RunningCommand {
  const env = token === undefined ? {} : { RDV_TOKEN: token }
  return new RunningCommand(["http", site, "--relay", address, "--json", ...flags], { data: other, env })
}

test("a relay without tokens says how to make one, and lets nobody in without", async () => {
  await relay.says(/rdv: no agent can come in yet; make a token: rdv token new NAME/)
  const refused = agent(undefined)
  assertOneLine(await refused.ended, 1, /This relay wants a token/)
})

test("a token made while the relay runs opens it, and the name answers", async () => {
  await using tunnel = agent(await newToken("first", data), "--name", "blog")
  const { url } = await tunnel.event("exposed")
  assert.equal(url, `http://blog.localhost:${port}`)
  assert.equal((await visit(String(url))).body, "hello")
  const missing = await visit(`http://nobody.localhost:${port}`)
  assert.equal(missing.status, 404)
})

test("a revoked token's session ends within 2 s, with one line and code 1", async () => {
  await using tunnel = agent(await newToken("brief", data))
  await tunnel.event("exposed")
  const revoked = await runCommand(["token", "rm", "brief", "--json"], { data })
  assert.equal((JSON.parse(revoked.stdout) as { state: string }).state, "revoked")
  const started = performance.now()
  const { code, stderr } = await tunnel.ended
  assert.ok(performance.now() - started < 2_000)
  assert.equal(code, 1)
  assert.match(stderr, /^rdv: .*token was revoked.*\n$/)
  assertOneLine(await runCommand(["token", "rm", "brief"], { data }), 1, /There is no living token "brief"/)
})

test("tokens are listed without their text", async () => {
  const scopes = ["--names", "a,b-*", "--ports", "2000-3000", "--limit", "sessions=5,bytes=1.5MB/s"]
  const token = await newToken("listed", data, ...scopes, "--expires", "30d")
  const { stdout } = await runCommand(["token", "ls"], { data })
  assert.match(
    stdout,
    /listed +until \d{4}-\d\d-\d\d +never +names a,b-\*; ports 2000-3000; at most 5 sessions, 1\.5 MB\/s/,
  )
  const json = await runCommand(["token", "ls", "--json"], { data })
  const first = JSON.parse(json.stdout.split("\n")[0] as string) as { name: string; scopes: unknown }
  assert.equal(first.name, "listed")
  const limits = { sessions: 5, bytesPerSecond: 1_500_000 }
  assert.deepEqual(first.scopes, { names: ["a", "b-*"], ports: [[2000, 3000]], limits })
  for (const text of [stdout, json.stdout]) assert.ok(!text.includes(token.slice(4, 20)))
})

test("a name that one token has claimed is refused to another, also when nobody serves it", async () => {
  {
    await using owner = agent(await newToken("owner", data), "--name", "mine")
    await owner.event("exposed")
  }
  const thief = agent(await newToken("thief", data), "--name", "mine")
  assertOneLine(await thief.ended, 1, /"mine" belongs to another token: choose another name/)
})

test("a token gives what its scopes say", async () => {
  const token = await newToken("narrow", data, "--names", "only-*", "--services", "http")
  {
    await using allowed = agent(token, "--name", "only-this")
    await allowed.event("exposed")
  }
  assertOneLine(await agent(token, "--name", "that").ended, 1, /The token does not allow the name "that"/)
  const env = { RDV_TOKEN: token }
  const tcp = await runCommand(["tcp", "22", "--relay", address], { data: other, env })
  assertOneLine(tcp, 1, /The token does not allow tcp services/)
})

test("a newer process of the same owner takes the name over, and the older one ends with one line", async () => {
  const token = await newToken("moving", data)
  const older = agent(token, "--name", "moved")
  await older.event("exposed")
  await using newer = agent(token, "--name", "moved")
  const { url } = await newer.event("exposed")
  assertOneLine(await older.ended, 1, /newer session of the same owner serves "moved"/)
  assert.equal((await visit(String(url))).status, 200)
})

test("the picked name stays with the agent and the target over a restart", async () => {
  const token = await newToken("steady", data)
  const names = []
  for (let round = 0; round < 2; round++) {
    await using tunnel = agent(token)
    names.push((await tunnel.event("exposed"))["name"])
  }
  assert.equal(names[0], names[1])
})

test("a token in a file works, and appears neither in the list of processes nor in what anybody says", async () => {
  const token = await newToken("quiet", data)
  const secret = token.slice(4, 30)
  const file = join(other, "token")
  writeFileSync(file, `${token}\n`)
  const debug = ["--log-level", "debug"]
  await using fromFile = agent(undefined, "--token-file", file, "--name", "quiet-a", ...debug)
  await using fromFlag = agent(undefined, "--token", token, "--name", "quiet-b", ...debug)
  await fromFile.event("exposed")
  await fromFlag.event("exposed")
  await fromFlag.says(/rdv: warning: a token on the command line can be seen by others/)
  const status = await runCommand(["status", "--json"], { data: other })
  for (const text of [fromFile.stderr, fromFlag.stderr, fromFlag.stdout, relay.stderr, status.stdout]) {
    assert.ok(!text.includes(secret))
  }
  if (process.platform === "linux") {
    assert.ok(!readFileSync(`/proc/${fromFlag.pid}/cmdline`, "latin1").includes(secret))
  }
  const wrong = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`
  const damaged = await runCommand(["http", site, "--relay", address], { data: other, env: { RDV_TOKEN: wrong } })
  assertOneLine(damaged, 2, /What RDV_TOKEN holds is no complete token/)
  assert.ok(!damaged.stderr.includes(secret))
})

test("a token does not travel in clear to another machine unless that is asked for", async () => {
  const args = ["http", site, "--relay", "relay.invalid:8080"]
  const options = { data: other, env: { RDV_TOKEN: await newToken("careful", data) } }
  assertOneLine(await runCommand(args, options), 2, /would travel in clear: use tls:\/\//)
  const allowed = await runCommand([...args, "--token-in-clear", "--once"], options)
  assertOneLine(allowed, 3, /Cannot reach relay\.invalid:8080: no such name/)
})

test("SIGTERM at the relay lets a running exchange finish", async () => {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const origin = createServer((_request, response) => {
    response.write("slow but ")
    arrived.resolve()
    void released.promise.then(() => response.end("whole"))
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  const target = String((origin.address() as AddressInfo).port)
  const leaving = await startRelayCommand(["--open"], { data: join(folder.path, "leaving"), cwd: data })
  {
    await using tunnel = new RunningCommand(["http", target, "--relay", leaving.address, "--json"], { data: other })
    const { url } = await tunnel.event("exposed")
    const slow = visit(String(url))
    await arrived.promise
    leaving.relay.kill("SIGTERM")
    await tunnel.event("relay.draining")
    released.resolve()
    assert.equal((await slow).body, "slow but whole")
    assert.equal((await leaving.relay.ended).code, 0)
  }
  origin.close()
})

test("an open relay needs no token, binds to loopback, and warns when it is told otherwise", async () => {
  const options = { data: join(folder.path, "open"), cwd: data }
  await using open = new RunningCommand(["relay", "--open", "--listen", "0.0.0.0:0", "--json"], options)
  const { addresses } = (await open.event("listening")) as { addresses?: string[] }
  await open.says(/rdv: warning: everybody who reaches tcp:\/\/0\.0\.0\.0:\d+ can expose services here/)
  const openPort = String(addresses?.[0]).split(":").at(-1)
  await using tunnel = new RunningCommand(["http", site, "--relay", `127.0.0.1:${openPort}`, "--json"], { data: other })
  assert.equal((await visit(String((await tunnel.event("exposed"))["url"]))).body, "hello")
})

test("--tls dev makes an authority that agents trust by file or by fingerprint", async () => {
  const there = join(folder.path, "secure")
  const flags = ["--tls", "dev", "--domain", "dev.localhost"]
  const secure = await startRelayCommand(flags, { data: there, cwd: data })
  await using _relay = secure.relay
  const ca = join(there, "tls", "dev.localhost", "ca.pem")
  assert.match(secure.address, /^tls:\/\/127\.0\.0\.1:/)
  if (!windows) assert.equal(statSync(join(there, "tls", "dev.localhost", "ca.key")).mode & 0o777, 0o600)
  const env = { RDV_TOKEN: await newToken("secure", there) }
  const args = ["http", site, "--relay", secure.address, "--json"]
  const stranger = await runCommand([...args, "--once"], { data: other, env })
  assertOneLine(stranger, 3, /certificate of 127\.0\.0\.1:\d+ is not accepted/i)
  await using tunnel = new RunningCommand([...args, "--ca", ca], { data: other, env })
  assert.match(String((await tunnel.event("exposed"))["url"]), /^https:\/\/[a-z-]+\.dev\.localhost:\d+$/)
  const { pin } = JSON.parse(secure.relay.stdout.split("\n")[0] as string) as { pin: string }
  await using pinned = new RunningCommand([...args, "--pin", pin], { data: other, env })
  await pinned.event("exposed")
  const doctor = await runCommand(["doctor", "--relay", secure.address, "--ca", ca, "--json"], { data: other, env })
  assert.equal(doctor.code, 0, doctor.stdout)
  assert.match(
    doctor.stdout,
    /"check":"certificate","verdict":"ok","text":"TLSv1\.3, trusted, valid for 39\d more days"/,
  )
})

test("rdv status finds relay and agents, with figures that add up", async () => {
  const token = await newToken("counted", data, "--limit", "requests=50/s", "--limit", "bytes=1GB/s")
  await using tunnel = agent(token, "--name", "counted")
  const { url } = await tunnel.event("exposed")
  await visit(String(url))
  const atRelay = JSON.parse((await runCommand(["status", "--json"], { data })).stdout) as Status
  const found = atRelay.processes.find(({ pid }) => pid === relay.pid)
  const route = found?.relay?.routes.find(({ name }) => name === "counted")
  assert.equal(route?.url, url)
  const session = found?.relay?.sessions.find(({ id }) => id === route?.session)
  assert.deepEqual(
    { state: session?.state, link: session?.link, resumes: session?.resumes, resent: session?.retransmittedBytes },
    { state: "live", link: "tcp", resumes: 0, resent: 0 },
  )
  assert.ok(session !== undefined && session.bytesIn > 0 && session.bytesOut > 0 && session.rttMs >= 0)
  assert.equal(found?.relay?.limits["graceMs"], 60_000)
  const atAgent = JSON.parse((await runCommand(["status", "--json"], { data: other })).stdout) as Status
  assert.equal(atAgent.processes.find(({ pid }) => pid === tunnel.pid)?.agent?.session.id, session.id)
  for (const where of [data, other]) {
    const { stdout, code } = await runCommand(["status"], { data: where })
    assert.equal(code, 0)
    assert.ok(stdout.includes(String(url)))
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line)
    assert.equal(/counted +1 of 1000 +0 of 10000 +0 +50 +1 GB$/m.test(stdout), where === data)
  }
})

test("rdv status removes what a killed process left, and says when nothing runs", { skip: windows }, async () => {
  const alone = join(folder.path, "alone")
  const tunnel = new RunningCommand(["http", site, "--listen", "127.0.0.1:0", "--json"], { data: alone, cwd: data })
  await tunnel.event("exposed")
  const run = join(alone, "state", "run")
  await tunnel.says(/exposed/)
  assert.equal((await runCommand(["status"], { data: alone, cwd: data })).code, 0)
  assert.equal(statSync(run).mode & 0o777, 0o700)
  assert.equal(statSync(join(run, `local-${tunnel.pid}.sock`)).mode & 0o777, 0o600)
  tunnel.kill("SIGKILL")
  await tunnel.ended
  const nothing = await runCommand(["status"], { data: alone, cwd: data })
  assertOneLine(nothing, 1, /no relay, agent or balancer of this user is running/)
  assert.equal(statSync(join(run, `local-${tunnel.pid}.sock`), { throwIfNoEntry: false }), undefined)
})

test("rdv doctor judges each step to a tunnel, and fails when one does", async () => {
  const verdicts = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { code, stdout } = await runCommand(["doctor", ...args, "--json"], { data: other, env })
    const findings = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { check: string; verdict: string; mend?: string })
    for (const { verdict, mend } of findings) assert.equal(verdict === "ok", mend === undefined)
    return { code, ...Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict])) }
  }
  const env = { RDV_TOKEN: await newToken("healthy", data), HTTPS_PROXY: "http://user:pass@proxy.invalid:1" }
  assert.deepEqual(await verdicts([site, "--relay", address], env), {
    code: 0,
    node: "ok",
    data: "ok",
    proxy: "ok",
    relay: "ok",
    clock: "ok",
    protocol: "ok",
    token: "ok",
    target: "ok",
  })
  const alone = await verdicts(["1"])
  assert.equal(alone.code, 1)
  assert.deepEqual(
    { ...alone, localhost: "any" },
    { code: 1, node: "ok", data: "ok", localhost: "any", target: "fail" },
  )
  const unknown = await verdicts(["--relay", address], { RDV_TOKEN: await newToken("stranger", other) })
  assert.deepEqual([unknown.code, unknown["token" as never]], [1, "fail"])
  const away = await verdicts(["--relay", "127.0.0.1:1"])
  assert.deepEqual([away.code, away["relay" as never], away["token" as never]], [1, "fail", undefined])
})

interface Status {
  readonly processes: readonly {
    readonly pid: number
    readonly relay?: {
      readonly sessions: readonly SessionFigures[]
      readonly routes: readonly { readonly name: string; readonly url: string; readonly session: string }[]
      readonly limits: { readonly [name: string]: number }
    }
    readonly agent?: { readonly session: SessionFigures }
  }[]
}

interface SessionFigures {
  readonly id: string
  readonly state: string
  readonly link: string
  readonly rttMs: number
  readonly resumes: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly retransmittedBytes: number
}
