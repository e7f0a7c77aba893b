/** Applications that are published at a real relay: what browsers get, who may publish, and what is refused whole. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { systemClock } from "../../src/base/clock.ts"
import type { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import { openSqliteStore } from "../../src/store/sqlite-store.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import { ask, fetchAt, newKey, plainAgent, publish, tabRelay, TestServer } from "../kit/tab-relay.ts"
import type { PublishedPart, TabRelay } from "../kit/tab-relay.ts"

const script = "export const answer = 42;\n".repeat(200)
const files: PublishedPart[] = [
  { path: "index.html", content: "<!doctype html><title>chat</title>" },
  { path: "app.js", content: script },
  { path: ".rdv/page-3fa9c1b2.js", content: script },
  { path: ".rdv/sqlite-ABCD2345.wasm", content: new Uint8Array(5_000) },
  { path: "pictures/a b ü.png", content: randomBytes(3_000) },
  { path: "empty.txt", content: "" },
]

const host = "app.chat.localhost"

function appFolders({ folder }: TabRelay): string[] {
  const own = join(folder, "tab-apps", "chat")
  return existsSync(own) ? readdirSync(own).toSorted() : []
}

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => "ok",
    (error: unknown) => (error as RdvError).code,
  )
}

test("what was published is served at an origin of its own, packed, tagged, and kept by browsers as its names allow", async (t) => {
  const relay = await tabRelay(t)
  const answer = await publish(plainAgent(t, relay.at), "chat", files)
  const { url, files: count } = answer["published"] as { url: string; files: number }
  assert.deepEqual([url, count], [`http://app.chat.localhost:${relay.port}/`, files.length])

  const index = await fetchAt(relay.port, host)
  assert.deepEqual(
    [index.status, index.text, index.headers["content-type"]],
    [200, files[0]?.content, "text/html; charset=utf-8"],
  )
  assert.equal(index.headers["cache-control"], "no-cache")
  const policy = String(index.headers["content-security-policy"])
  assert.match(policy, /default-src 'self';.*script-src 'self' 'wasm-unsafe-eval';.*frame-ancestors 'none'/)
  assert.ok(policy.includes(`connect-src 'self' ws://127.0.0.1:${relay.port};`), policy)
  assert.equal(index.headers["x-content-type-options"], "nosniff")

  const wasm = await fetchAt(relay.port, host, "/.rdv/sqlite-ABCD2345.wasm")
  assert.equal(wasm.headers["content-type"], "application/wasm")
  assert.equal(wasm.headers["cache-control"], "public, max-age=31536000, immutable")
  assert.equal(wasm.body.length, 5_000)
  const picture = await fetchAt(relay.port, host, "/pictures/a%20b%20%C3%BC.png?v=1")
  assert.deepEqual(picture.body, Buffer.from(files[4]?.content as Uint8Array))
  assert.equal((await fetchAt(relay.port, host, "/empty.txt")).body.length, 0)

  for (const [accepted, coding, unpack] of [
    ["gzip, deflate, br", "br", brotliDecompressSync],
    ["gzip;q=0.5, br;q=0", "gzip", gunzipSync],
  ] as const) {
    const packed = await fetchAt(relay.port, host, "/app.js", { headers: { "accept-encoding": accepted } })
    assert.equal(packed.headers["content-encoding"], coding)
    assert.ok(packed.body.length < script.length / 5)
    assert.equal(unpack(packed.body).toString(), script)
    const again = await fetchAt(relay.port, host, "/app.js", {
      headers: { "accept-encoding": accepted, "if-none-match": `"x", W/${packed.headers.etag}` },
    })
    assert.deepEqual([again.status, again.body.length, again.headers.etag], [304, 0, packed.headers.etag])
  }
  const plain = await fetchAt(relay.port, host, "/app.js")
  assert.deepEqual([plain.headers["content-encoding"], plain.text], [undefined, script])

  const head = await fetchAt(relay.port, host, "/app.js", { method: "HEAD" })
  assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, String(script.length), 0])
})

test("the relay says where the servers of an application go public, whatever was published there", async (t) => {
  const relay = await tabRelay(t, { tabs: { stun: { host: "127.0.0.1", port: 0 } } })
  await publish(plainAgent(t, relay.at), "chat", [
    ...files,
    { path: ".rdv/tab.json", content: '{"relay":"wss://evil.test"}' },
  ])
  const { text, headers } = await fetchAt(relay.port, host, "/.rdv/tab.json")
  const { stun, ...place } = JSON.parse(text) as { stun: string }
  assert.deepEqual(place, { app: "chat", relay: `ws://127.0.0.1:${relay.port}`, domain: "localhost" })
  assert.match(stun, /^stun:127\.0\.0\.1:\d+$/)
  assert.deepEqual([headers["content-type"], headers["cache-control"]], ["application/json", "no-cache"])
})

test("a page that is asked for by its address is the first page; a script or picture that is not there is not found", async (t) => {
  const relay = await tabRelay(t)
  await publish(plainAgent(t, relay.at), "chat", files)
  const page = await fetchAt(relay.port, host, "/rooms/5", { headers: { accept: "text/html,*/*" } })
  assert.deepEqual([page.status, page.text], [200, files[0]?.content])
  assert.equal((await fetchAt(relay.port, host, "/rooms/5.js")).status, 404)
  for (const path of [
    "/.rdv/none.js",
    "/.rdv/",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%00",
    "/%zz",
    "//",
  ]) {
    const { status } = await fetchAt(relay.port, host, path, { headers: { "sec-fetch-mode": "cors" } })
    assert.equal(status, 404, path)
  }
  const posted = await fetchAt(relay.port, host, "/", { method: "POST", body: "x".repeat(200_000) })
  assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"])
  assert.equal((await fetchAt(relay.port, "app.none.localhost")).headers["rdv-error"], "no_route")
})

test("another revision takes the place of the first one at once, and whoever was being sent the old one gets the rest of it", async (t) => {
  const relay = await tabRelay(t)
  const agent = plainAgent(t, relay.at)
  const large = Buffer.alloc(12 * 1024 * 1024, 7)
  await publish(agent, "chat", [
    { path: "index.html", content: "one" },
    { path: "large.bin", content: large },
  ])
  const slow = await rawClient(relay.port)
  slow.socket.pause()
  await slow.send(`GET /large.bin HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  await eventually(
    "it is being sent",
    () => (relay.running.relay.status()["visitors"] as { requests: number }).requests === 1,
  )
  await publish(agent, "chat", [{ path: "index.html", content: "two" }])
  assert.equal((await fetchAt(relay.port, host)).text, "two")
  assert.equal((await fetchAt(relay.port, host, "/large.bin")).status, 404)
  slow.socket.resume()
  const { body } = await slow.answer()
  assert.equal(createHash("sha256").update(body).digest("hex"), createHash("sha256").update(large).digest("hex"))
  assert.equal(appFolders(relay).length, 2, "the old revision is gone")
})

test("a publish that fails at any point leaves what was there, and nothing else", async (t) => {
  const relay = await tabRelay(t, { tabs: { limits: { appBytes: 20_000, appFiles: 10 } } })
  const agent = plainAgent(t, relay.at)
  await publish(agent, "chat", [{ path: "index.html", content: "one" }])
  const before = appFolders(relay)
  const index = { path: "index.html", content: "two" }
  const attempts: [string, string, () => Promise<unknown>][] = [
    ["a hash that is wrong", "corrupt", () => publish(agent, "chat", [{ ...index, lie: { sha256: "0".repeat(64) } }])],
    ["a hash that is none", "protocol", () => publish(agent, "chat", [{ ...index, lie: { sha256: "x" } }])],
    [
      "fewer bytes than said",
      "protocol",
      () => publish(agent, "chat", [{ ...index, lie: { bytes: 5 } }], { bytes: 5 }),
    ],
    ["more bytes than said", "protocol", () => publish(agent, "chat", [{ ...index, lie: { bytes: 2 } }])],
    ["fewer files than said", "protocol", () => publish(agent, "chat", [index], { files: 2 })],
    [
      "more files than said",
      "too_large",
      () => publish(agent, "chat", [index, { path: "b", content: "" }], { files: 1 }),
    ],
    ["more bytes than all", "too_large", () => publish(agent, "chat", [index], { bytes: 1 })],
    ["the same path twice", "usage", () => publish(agent, "chat", [index, index])],
    ["no first page", "usage", () => publish(agent, "chat", [{ path: "a.html", content: "x" }])],
    ["too many files", "too_large", () => publish(agent, "chat", [index], { files: 11 })],
    ["too many bytes", "too_large", () => publish(agent, "chat", [index], { bytes: 20_001 })],
    ["no name", "protocol", () => ask(agent, "tab/publish", { files: 1, bytes: 1 })],
    ["a name that is none", "usage", () => publish(agent, "../chat", [index])],
    ["a reserved name", "usage", () => publish(agent, "www", [index])],
    ["a strange type", "protocol", () => publish(agent, "chat", [{ ...index, lie: { type: "text/html\r\nx: y" } }])],
    ["half of it", "protocol", () => ask(agent, "tab/publish", { app: "chat", files: 1, bytes: 3 })],
    [
      "bytes of nothing",
      "protocol",
      () => ask(agent, "tab/publish", { app: "chat", files: 1, bytes: 3 }, (s) => s.write(new Uint8Array(3))),
    ],
  ]
  for (const [what, code, attempt] of attempts) assert.equal(await codeOf(attempt()), code, what)
  for (const path of [
    "",
    "/x",
    "a//b",
    "../x",
    "a/../b",
    ".",
    "a/.",
    ".env",
    "a/.git/x",
    "a\\b",
    "a\nb",
    "x".repeat(513),
    "\u202e.js",
    "e\u0301",
  ]) {
    assert.equal(await codeOf(publish(agent, "chat", [index, { path, content: "x" }])), "usage", JSON.stringify(path))
  }
  assert.equal((await fetchAt(relay.port, host)).text, "one")
  await eventually("drafts are gone", () => appFolders(relay).join() === before.join())
  const status = relay.running.relay.status()["tabs"] as { apps: { app: string; bytes: number }[] }
  assert.deepEqual(
    status.apps.map(({ app, bytes }) => [app, bytes]),
    [["chat", 3]],
  )
})

test("a publisher who leaves in the middle, or says nothing more, leaves nothing behind", async (t) => {
  const relay = await tabRelay(t, { tabs: { limits: { publishIdleMs: 150, publishing: 1 } } })
  const leaver = plainAgent(t, relay.at)
  const partly = (agent: typeof leaver) =>
    ask(agent, "tab/publish", { app: "chat", files: 1, bytes: 100 }, (stream) => {
      stream.meta({ path: "index.html", bytes: 100, sha256: "0".repeat(64) })
      stream.write(new Uint8Array(50))
      // Without its end.
      stream.end = () => undefined
    })
  assert.equal(await codeOf(partly(leaver)), "timeout")
  const gone = plainAgent(t, relay.at)
  const attempt = codeOf(partly(gone))
  await eventually("it has begun", () => appFolders(relay).length === 1)
  assert.equal(await codeOf(publish(leaver, "other", [{ path: "index.html", content: "x" }])), "limit")
  await gone.stop()
  assert.notEqual(await attempt, "ok")
  await eventually("nothing is left", () => appFolders(relay).length === 0)
  assert.equal(await codeOf(publish(leaver, "chat", [{ path: "index.html", content: "x" }])), "ok")
})

test("an application is its publisher's: nobody else replaces or removes it, and no tab takes its name", async (t) => {
  const relay = await tabRelay(t, { open: true })
  const { store } = relay.running
  const token = (name: string, names?: string[]) =>
    store.createToken({ name, scopes: names === undefined ? {} : { names } }).token
  const owner = plainAgent(t, relay.at, { token: token("owner") })
  await publish(owner, "chat", files)
  const others = [
    plainAgent(t, relay.at, { token: token("other") }),
    plainAgent(t, relay.at, { instance: "anonymous" }),
  ]
  for (const other of others) {
    assert.equal(await codeOf(publish(other, "chat", files)), "claimed")
    assert.equal(await codeOf(ask(other, "tab/unpublish", { app: "chat" })), "forbidden")
  }
  const narrow = plainAgent(t, relay.at, { token: token("narrow", ["blog-*"]) })
  assert.equal(await codeOf(publish(narrow, "shop", files)), "forbidden")
  assert.equal(await codeOf(publish(narrow, "blog-1", files)), "ok")
  const tab = new TestServer(t, relay.at, { pair: await newKey(), name: "chat", epoch: 1 })
  assert.equal((await tab.refusal()).code, "claimed")
  const renewed = plainAgent(t, relay.at, { token: token("second") })
  assert.equal(await codeOf(ask(owner, "tab/unpublish", { app: "none" })), "forbidden")
  assert.deepEqual(await ask(owner, "tab/unpublish", { app: "chat" }), { unpublished: "chat" })
  assert.equal((await fetchAt(relay.port, host)).headers["rdv-error"], "no_route")
  assert.equal(await codeOf(ask(owner, "tab/unpublish", { app: "chat" })), "not_found")
  assert.equal(await codeOf(publish(renewed, "chat", files)), "claimed", "the name stays its owner's")
})

test("who may publish is the operator's choice", async (t) => {
  const index = [{ path: "index.html", content: "x" }]
  for (const [publishers, anonymous, withToken] of [
    ["anybody", "ok", "ok"],
    ["tokens", "forbidden", "ok"],
    ["nobody", "forbidden", "forbidden"],
  ] as const) {
    const relay = await tabRelay(t, { tabs: { publishers } })
    const { token } = relay.running.store.createToken({ name: "a" })
    assert.equal(await codeOf(publish(plainAgent(t, relay.at), "one", index)), anonymous)
    assert.equal(await codeOf(publish(plainAgent(t, relay.at, { token }), "two", index)), withToken)
  }
})

test("applications outlive the relay; a damaged one is left out, one whose name was released is removed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-apps-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const store = join(folder, "relay.db")
  const first = await tabRelay(t, { folder, store })
  const agent = plainAgent(t, first.at)
  for (const app of ["chat", "blog", "shop"]) await publish(agent, app, files)
  await first.running.stop()
  writeFileSync(join(folder, "tab-apps", "blog", "current"), "0123456789abcdef\n")
  writeFileSync(join(folder, "tab-apps", "stray"), "x")
  const second = await tabRelay(t, { folder, store })
  assert.equal((await fetchAt(second.port, host)).text, files[0]?.content)
  assert.equal((await fetchAt(second.port, "app.blog.localhost")).headers["rdv-error"], "no_route")
  const operator = openSqliteStore({ path: store, clock: systemClock, log: silentLog })
  operator.releaseClaim("http", "shop")
  operator.close()
  const gone = async () => (await fetchAt(second.port, "app.shop.localhost")).status === 404
  const until = Date.now() + 5_000
  while (!(await gone()) && Date.now() < until) await new Promise((resolve) => void setTimeout(resolve, 50))
  assert.ok(await gone())
  await eventually("its files are gone", () => !existsSync(join(folder, "tab-apps", "shop")))
})
