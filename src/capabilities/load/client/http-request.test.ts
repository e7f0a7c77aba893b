import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { loadTarget } from "../../../../test/kit/load-client.ts"
import type { HttpPlan } from "../scenario/scenario.ts"
import { buildHttpRequest } from "./http-request.ts"

const get: HttpPlan = { kind: "http", method: "GET", headers: [["User-Agent", "x"]] }

function text(...build: Parameters<typeof buildHttpRequest>): string {
  return Buffer.from(buildHttpRequest(...build)).toString("latin1")
}

test("a request says its host, with the port unless it is the usual one", () => {
  const line = (target: Parameters<typeof buildHttpRequest>[0]) => text(target, get).split("\r\n")[1]
  assert.equal(line(loadTarget("http", 80, { host: "a.test" })), "Host: a.test")
  assert.equal(line(loadTarget("https", 443, { host: "a.test" })), "Host: a.test")
  assert.equal(line(loadTarget("https", 80, { host: "a.test" })), "Host: a.test:80")
  assert.equal(line(loadTarget("http", 8080, { host: "::1" })), "Host: [::1]:8080")
})

test("a request has its body's length, its own agent, and nothing else that was not asked for", () => {
  const target = loadTarget("http", 80, { host: "a.test", path: "/p?q=1" })
  assert.equal(text(target, get), "GET /p?q=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: x\r\n\r\n")
  assert.match(text(target, { ...get, headers: [] }), /\r\nUser-Agent: rdv-load\r\n\r\n$/)
  assert.match(
    text(target, { ...get, headers: [] }, { version: "1.2.3" }),
    /\r\nUser-Agent: rdv-load\/1\.2\.3\r\n\r\n$/,
  )
  const post: HttpPlan = { ...get, method: "POST", bodyBase64: Buffer.from("bödy").toString("base64") }
  assert.ok(text(target, post).endsWith(`\r\nContent-Length: 5\r\n\r\n${Buffer.from("bödy").toString("latin1")}`))
  assert.match(text(target, { ...get, method: "PUT" }), /Content-Length: 0\r\n\r\n$/)
  assert.match(text(target, get, { close: true }), /Connection: close\r\n\r\n$/)
  assert.match(
    text(target, { ...get, headers: [["host", "b.test"]] }),
    /HTTP\/1\.1\r\nUser-Agent: [^\r]+\r\nhost: b\.test\r\n\r\n$/,
  )
  assert.match(text({ ...target, path: "ä b".slice(0, 1) }, get), /^GET \/%C3%A4 HTTP/)
  assert.match(text({ ...target, path: "" }, get), /^GET \/ HTTP/)
})

test("what would end a line early, or hide where the request ends, is refused in one line", () => {
  const target = loadTarget("http", 80, { host: "a.test", path: "/" })
  const plans: readonly HttpPlan[] = [
    { ...get, method: "GET / HTTP/1.1\r\nA: b" },
    { ...get, method: "" },
    { ...get, method: "CONNECT" },
    { ...get, headers: [["A\r\nB", "c"]] },
    { ...get, headers: [["A", "b\r\nC: d"]] },
    { ...get, headers: [["A", "b\0"]] },
    { ...get, headers: [["A", "☃"]] },
    { ...get, headers: [["A:", "b"]] },
    { ...get, headers: [["Content-Length", "5"]] },
    { ...get, headers: [["transfer-encoding", "chunked"]] },
    { ...get, headers: [["Upgrade", "h2c"]] },
    {
      ...get,
      headers: [
        ["Host", "a"],
        ["host", "b"],
      ],
    },
  ]
  const refused = (error: unknown) =>
    error instanceof RdvError && error.code === "usage" && !/[\r\n]/.test(error.message)
  for (const plan of plans) assert.throws(() => buildHttpRequest(target, plan), refused, JSON.stringify(plan))
  for (const path of ["/a b", "/a\r\nB: c", "/#x", "/\0"]) {
    assert.throws(() => buildHttpRequest({ ...target, path }, get), refused, path)
  }
  for (const host of ["a\r\nb", "a b", ""])
    assert.throws(() => buildHttpRequest({ ...target, host }, get), refused, host)
})
