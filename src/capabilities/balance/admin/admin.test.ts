import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, request } from "node:http"
import type { IncomingMessage } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { after, test } from "node:test"
import type { TestContext } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { SampleControl } from "../../../../test/kit/balance-samples.ts"
import { AdminClient } from "./admin-client.ts"
import { AdminServer } from "./admin-server.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-admin-"))
after(() => rmSync(folder, { recursive: true, force: true }))
const token = "0123456789abcdef0123456789abcdef"
const tokenFile = join(folder, "token")
writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
const anywhere = { host: "127.0.0.1", port: 0 }
const nowhere = { socket: false, listen: undefined, tokenFile: undefined, metrics: undefined }

async function served(t: TestContext) {
  const control = new SampleControl()
  const server = new AdminServer({ control, log: silentLog })
  await server.apply({ ...nowhere, listen: anywhere, tokenFile })
  t.after(() => server.stop())
  const url = new URL(`http://${server.addresses[0]}`)
  const client = new AdminClient({ kind: "url", url, token })
  return { control, server, url, client }
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

function ask(
  url: URL,
  path: string,
  method = "GET",
  bearer: string | undefined = token,
  body = "",
  host = url.host,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { Host: host, ...(bearer !== undefined && { Authorization: `Bearer ${bearer}` }) }
    const asking = request(new URL(path, url), { method, headers, agent: false }, (answer) => {
      text(answer).then((read) => resolve({ status: answer.statusCode, headers: answer.headers, body: read }), reject)
    })
    asking.on("error", reject)
    asking.end(body)
  })
}

test("a client does through HTTP all that a control does", async (t) => {
  const { control, client } = await served(t)
  const connection = { id: 7, app: "web", client: "192.0.2.9:4", target: "a:1", ageMs: 5, bytesUp: 1, bytesDown: 2 }
  control.live = [1, 2, 3].map((id) => ({ ...connection, id, state: "open", waitsFor: "client" }))
  // What is undefined is not there in JSON.
  assert.deepEqual(await client.snapshot(), JSON.parse(JSON.stringify(control.state)))
  assert.deepEqual(await client.connections(2), control.live.slice(0, 2))
  assert.equal(await client.configuration(), control.configuration())
  assert.deepEqual(await client.reload(), { changed: ["app web: target 10.0.0.3:80 added"] })
  await client.target("web", "unix:/run/a b.sock", { orders: "drain" })
  await client.target("web", "[::1]:80", { weight: 0.5 })
  await client.addTarget("web", "rdv:shop")
  await client.removeTarget("web", "[::1]:80")
  assert.deepEqual([await client.cut(7), await client.cut(8)], [true, false])
  assert.deepEqual(control.calls, [
    "reload",
    'target web unix:/run/a b.sock {"orders":"drain"}',
    'target web [::1]:80 {"weight":0.5}',
    "add web rdv:shop",
    "remove web [::1]:80",
    "cut 7",
    "cut 8",
  ])
})

test("what the balancer says is wrong arrives with its mend", async (t) => {
  const { control, client } = await served(t)
  await assert.rejects(client.addTarget("shop", "a:1"), {
    code: "usage",
    origin: "remote",
    message: "There is no app shop",
    mend: "the apps are: web",
  })
  control.failure = new RdvError("usage", "config.yaml:3:5: unknown key")
  await assert.rejects(client.reload(), { code: "usage", message: "config.yaml:3:5: unknown key" })
})

test("without the token nothing is told and nothing done", async (t) => {
  const { control, url } = await served(t)
  for (const wrong of ["", "wrong", `${token}0`, token.toUpperCase()]) {
    for (const [method, path] of [
      ["GET", "/metrics"],
      ["GET", "/v1/state"],
      ["POST", "/v1/reload"],
      ["GET", "/nothing"],
    ] as const) {
      const answer = await ask(url, path, method, wrong)
      assert.deepEqual([answer.status, answer.headers["www-authenticate"]], [401, "Bearer"])
      assert.ok(!answer.body.includes("web"))
    }
  }
  assert.deepEqual(control.calls, [])
})

test("wrong requests are told what is wrong with them", async (t) => {
  const { control, url } = await served(t)
  const target = "/v1/apps/web/targets/a%3A1"
  for (const [method, path, body, status, said] of [
    ["GET", "/v2/state", "", 404, /nothing at/],
    ["POST", "/v1/state", "", 405, /Only GET/],
    ["GET", "/v1/reload", "", 405, /Only POST/],
    ["GET", "/v1/connections?most=x", "", 400, /not a number/],
    ["DELETE", "/v1/connections/x", "", 404, /no connection/],
    ["POST", target, "", 400, /no JSON object/],
    ["POST", target, "[]", 400, /no JSON object/],
    ["POST", target, "{}", 400, /nothing to change/],
    ["POST", target, '{"orders":"stop"}', 400, /serve, drain or disable/],
    ["POST", target, '{"weight":-1}', 400, /from 0 to 65535/],
    ["POST", target, '{"weight":65536}', 400, /from 0 to 65535/],
    ["POST", target, '{"order":"drain"}', 400, /\\"order\\" is not known/],
    ["POST", "/v1/apps/web/targets", '{"target":1}', 400, /no text/],
    ["POST", "/v1/apps/%zz/targets", "{}", 400, /percent/],
    ["POST", target, `{"orders":"${"x".repeat(70_000)}"}`, 413, /longer than/],
  ] as const) {
    const answer = await ask(url, path, method, token, body)
    assert.equal(answer.status, status, `${method} ${path} ${body.slice(0, 40)}: ${answer.body}`)
    assert.match(answer.body, said)
  }
  assert.deepEqual(control.calls, [])
})

test("metrics have a door of their own, without a token and without anything else", async (t) => {
  const server = new AdminServer({ control: new SampleControl(), log: silentLog })
  t.after(() => server.stop())
  await server.apply({ ...nowhere, metrics: anywhere })
  const url = new URL(`http://${server.addresses[0]}`)
  const metrics = await ask(url, "/metrics", "GET", undefined)
  assert.equal(metrics.status, 200)
  assert.equal(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
  assert.match(metrics.body, /^# HELP rdv_balance_/)
  for (const path of ["/v1/state", "/v1/configuration", "/", "/metrics/.."]) {
    assert.ok([400, 404].includes((await ask(url, path, "GET", token)).status ?? 0), path)
  }
  assert.equal((await ask(url, "/v1/reload", "POST", token)).status, 404)
})

test("metrics on loopback are not for pages whose name was made to lead there", async (t) => {
  const server = new AdminServer({ control: new SampleControl(), log: silentLog })
  t.after(() => server.stop())
  await server.apply({ ...nowhere, metrics: anywhere })
  const url = new URL(`http://${server.addresses[0]}`)
  const statusFor = async (host: string) => (await ask(url, "/metrics", "GET", undefined, "", host)).status
  for (const host of ["127.0.0.1", "[::1]:9100", "localhost:9100", "LOCALHOST.", "rdv.localhost", "thisbox:80"]) {
    assert.equal(await statusFor(host), 200, host)
  }
  for (const host of ["evil.test", "evil.test:9100", "localhost.evil.test", "127.0.0.1.evil.test", "evil.test.:80"]) {
    const answer = await ask(url, "/metrics", "GET", undefined, "", host)
    assert.equal(answer.status, 403, host)
    assert.ok(!answer.body.includes("rdv_balance_"))
  }
})

test("a reload opens, keeps and closes doors, and changes the token", async (t) => {
  const { server, url } = await served(t)
  const other = join(folder, "other-token")
  writeFileSync(other, "another token of some length".replaceAll(" ", "-"), { mode: 0o600 })
  await server.apply({ ...nowhere, listen: anywhere, tokenFile: other, metrics: { host: "127.0.0.2", port: 0 } })
  assert.equal(server.addresses.length, 2)
  assert.equal(`http://${server.addresses[0]}/`, url.href)
  assert.equal((await ask(url, "/v1/state")).status, 401)
  assert.equal((await ask(url, "/v1/state", "GET", "another-token-of-some-length")).status, 200)
  await server.apply(nowhere)
  assert.deepEqual(server.addresses, [])
  await assert.rejects(ask(url, "/v1/state"), { code: "ECONNREFUSED" })
})

test("a door that cannot be opened leaves the others as they are", async (t) => {
  const { server, url } = await served(t)
  const taken = createServer().listen(0, "127.0.0.1")
  t.after(() => taken.close())
  await new Promise((resolve) => taken.once("listening", resolve))
  const { port } = taken.address() as { port: number }
  const wanted = { ...nowhere, listen: { host: "127.0.0.2", port: 0 }, tokenFile }
  await assert.rejects(server.apply({ ...wanted, metrics: { host: "127.0.0.1", port } }), { code: "in_use" })
  assert.deepEqual(server.addresses, [url.host])
  assert.equal((await ask(url, "/v1/state")).status, 200)
})

test("a port without a token, or with a short one, is not opened; one that others may read is warned of", async (t) => {
  const warned: (LogFields | undefined)[] = []
  const log: Log = { ...silentLog, warn: (event, fields) => void warned.push({ event, ...fields }) }
  const server = new AdminServer({ control: new SampleControl(), log })
  t.after(() => server.stop())
  const file = join(folder, "poor-token")
  await assert.rejects(server.apply({ ...nowhere, listen: anywhere }), { code: "usage" })
  await assert.rejects(server.apply({ ...nowhere, listen: anywhere, tokenFile: file }), /cannot be read/)
  writeFileSync(file, "short")
  await assert.rejects(server.apply({ ...nowhere, listen: anywhere, tokenFile: file }), /shorter than/)
  writeFileSync(file, token)
  if (process.platform === "win32") return
  chmodSync(file, 0o644)
  await server.apply({ ...nowhere, listen: anywhere, tokenFile: file })
  assert.equal(warned[0]?.["event"], "admin.token_readable")
})

test("what answers and is no balancer is told as such, and so is nobody", async (t) => {
  const other = createServer((_, answer) => answer.end("<html>")).listen(0, "127.0.0.1")
  t.after(() => other.close())
  await new Promise((resolve) => other.once("listening", resolve))
  const { port } = other.address() as { port: number }
  const client = (at: number) =>
    new AdminClient({ kind: "url", url: new URL(`http://127.0.0.1:${at}`), token: undefined })
  await assert.rejects(client(port).snapshot(), { code: "bad_response" })
  await assert.rejects(client(1).snapshot(), { code: "unreachable" })
})

test("bytes that are no HTTP close the connection and nothing else", async (t) => {
  const { url } = await served(t)
  const socket = connect(Number(url.port), url.hostname)
  socket.end("\u0016\u0003\u0001\0\0\r\n\r\n")
  assert.match(await text(socket), /^HTTP\/1\.1 400/)
  assert.equal((await ask(url, "/v1/state")).status, 200)
})
