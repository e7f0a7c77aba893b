import assert from "node:assert/strict"
import { request } from "node:http"
import type { IncomingMessage } from "node:http"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { gunzipSync } from "node:zlib"
import { silentLog } from "../base/log.ts"
import { startRelay } from "../node.ts"
import type { OwnPage } from "./own-pages.ts"

const text = "<!doctype html><p>own page</p>".repeat(100)
const page: OwnPage = { type: "text/html; charset=utf-8", bytes: Buffer.from(text), forever: false }
const script: OwnPage = { type: "text/javascript; charset=utf-8", bytes: Buffer.from("go()"), forever: true }

interface Got {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly body: Buffer
}

async function relayWithPages(t: TestContext) {
  const running = await startRelay({ listen: ["127.0.0.1:0"], domain: "relay.test", store: ":memory:", log: silentLog })
  t.after(() => running.stop())
  running.relay.serve("/page", () => page)
  running.relay.serve("/page/", (rest) => (/^\d+$/.test(rest) ? page : undefined))
  running.relay.serve("/assets/", (rest) => (rest === "a.js" ? script : undefined))
  const [address] = running.addresses
  assert.ok(address !== undefined && "port" in address)
  const { port } = address
  return (path: string, options: { method?: string; headers?: { [name: string]: string }; body?: string } = {}) =>
    new Promise<Got>((resolve, reject) => {
      const { method = "GET", headers = {} } = options
      const call = request({ host: "127.0.0.1", port, path, method, headers }, (answer) => {
        const parts: Buffer[] = []
        answer.on("data", (part: Buffer) => parts.push(part))
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
        )
      })
      call.on("error", reject)
      call.end(options.body)
    })
}

test("a page is served under its path, with what keeps it safe", async (t) => {
  const get = await relayWithPages(t)
  for (const path of ["/page", "/page?from=mail", "/page/12"]) {
    const { status, headers, body } = await get(path)
    assert.deepEqual([status, body.toString()], [200, text], path)
    assert.equal(headers["content-type"], "text/html; charset=utf-8")
    assert.equal(headers["cache-control"], "no-store")
    assert.equal(headers["x-content-type-options"], "nosniff")
    assert.equal(headers["referrer-policy"], "no-referrer")
    assert.match(String(headers["content-security-policy"]), /^default-src 'none'; script-src 'self';.*frame-ancestors/)
  }
})

test("what changes its path with its bytes is kept for good", async (t) => {
  const get = await relayWithPages(t)
  const { headers, body } = await get("/assets/a.js")
  assert.equal(headers["cache-control"], "public, max-age=31536000, immutable")
  assert.equal(body.toString(), "go()")
})

test("it is packed for those who take that, and HEAD tells the same without the bytes", async (t) => {
  const get = await relayWithPages(t)
  const packed = await get("/page", { headers: { "Accept-Encoding": "br, gzip" } })
  assert.equal(packed.headers["content-encoding"], "gzip")
  assert.equal(gunzipSync(packed.body).toString(), text)
  const head = await get("/page", { method: "HEAD" })
  assert.deepEqual([head.status, head.body.length, head.headers["content-length"]], [200, 0, String(text.length)])
})

test("other methods are refused, other paths and the hosts of routes are not found", async (t) => {
  const get = await relayWithPages(t)
  const posted = await get("/page", { method: "POST", body: "x" })
  assert.deepEqual([posted.status, posted.headers["allow"]], [405, "GET, HEAD"])
  for (const path of ["/", "/page/", "/page/12/3", "/page/x", "/assets/b.js", "/pages"]) {
    assert.equal((await get(path)).status, 404, path)
  }
  const routes = await get("/page", { headers: { Host: "Blog.relay.test:80" } })
  assert.deepEqual([routes.status, routes.headers["rdv-error"]], [404, "no_route"])
  assert.equal((await get("/page", { headers: { Host: "relay.test" } })).status, 200)
})
