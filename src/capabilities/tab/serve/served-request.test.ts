import assert from "node:assert/strict"
import { test } from "node:test"
import { Hono } from "hono"
import { keepingCookies } from "./kept-cookies.ts"
import { ServedRequest } from "./served-request.ts"

function made(
  body: string | null,
  headers: Record<string, string> = {},
  signal = new AbortController().signal,
): Request {
  const parts = {
    url: "http://app.test/place?q=1",
    method: body === null ? "GET" : "POST",
    headers: new Headers({ cookie: "a=b", host: "app.test", ...headers }),
    body: body === null ? null : new Response(body).body,
    signal,
  }
  return new ServedRequest(parts) as unknown as Request
}

test("a request with fields and a body of its own reads like one of the platform", async () => {
  const request = made('{"a":1}')
  assert.ok(request instanceof Request)
  assert.equal(request.headers.get("cookie"), "a=b")
  assert.deepEqual([request.url, request.method, request.bodyUsed], ["http://app.test/place?q=1", "POST", false])
  const copy = request.clone()
  assert.deepEqual(await request.json(), { a: 1 })
  assert.equal(request.bodyUsed, true)
  assert.equal(await copy.text(), '{"a":1}')
  assert.equal(copy.headers.get("cookie"), "a=b")
  assert.throws(() => request.clone())
  assert.equal(made(null).body, null)
  assert.equal(Buffer.from(await made("x").bytes()).toString(), "x")
  assert.equal((await made("xyz").arrayBuffer()).byteLength, 3)
  assert.equal((await made("xyz", { "content-type": "a/b" }).blob()).type, "a/b")
  // oxlint-disable-next-line typescript/no-deprecated -- applications use it
  const form = await made("a=1&b=2", { "content-type": "application/x-www-form-urlencoded" }).formData()
  assert.equal(form.get("b"), "2")
})

test("its signal is the visitor's", () => {
  const controller = new AbortController()
  const request = made(null, {}, controller.signal)
  controller.abort()
  assert.equal(request.signal.aborted, true)
})

test("a Hono application finds all in it", async () => {
  const app = new Hono()
  app.post("/place", async (c) => c.json([c.req.header("cookie"), c.req.query("q"), await c.req.json()]))
  assert.deepEqual(await (await app.fetch(made('{"a":1}'))).json(), ["a=b", "1", { a: 1 }])
})

test("responses keep their cookies where the platform drops them", async () => {
  /** As browsers do it. */
  class Dropping extends Response {
    constructor(body?: ConstructorParameters<typeof Response>[0], init?: ResponseInit) {
      const headers = new Headers(init?.headers)
      headers.delete("set-cookie")
      super(body, { ...init, headers })
    }
  }
  const Keeping = keepingCookies(Dropping)
  const headers = new Headers([
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ])
  assert.deepEqual(new Dropping(null, { headers }).headers.getSetCookie(), [])
  const response = new Keeping("text", { status: 201, headers })
  assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"])
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/)
  const copy = response.clone()
  assert.deepEqual([copy.status, copy.headers.getSetCookie().length, await copy.text()], [201, 2, "text"])
  assert.equal(await response.text(), "text")
  const json = Keeping.json({ a: 1 }, { headers: { "set-cookie": "c=3" } })
  assert.deepEqual([json.headers.get("set-cookie"), json.headers.get("content-type")], ["c=3", "application/json"])
  assert.deepEqual(await json.json(), { a: 1 })
  assert.ok(response instanceof Keeping && json instanceof Keeping && new Dropping() instanceof Keeping)
  assert.equal(Keeping.redirect("http://app.test/").status, 302)
})
