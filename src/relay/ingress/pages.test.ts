import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { preferredFormat } from "./accept.ts"
import { type ErrorAnswer, type ErrorAnswerOptions, type ErrorReason, errorAnswer, errorReasons } from "./pages.ts"

function header(answer: ErrorAnswer, name: string): string | undefined {
  const at = answer.headers.findIndex((value, index) => index % 2 === 0 && value === name)
  return at < 0 ? undefined : answer.headers[at + 1]
}

function bodyOf(options: ErrorAnswerOptions): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(errorAnswer(options).body)
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

test("the form of an answer follows the weights of Accept", () => {
  const cases: [string | undefined, string][] = [
    [undefined, "text"],
    ["", "text"],
    ["*/*", "text"],
    [browser, "html"],
    ["text/html", "html"],
    ["TEXT/HTML ; Q=0.9", "html"],
    ["application/json", "json"],
    ["application/problem+json, text/html;q=0.9", "json"],
    ["application/json, text/plain, */*", "json"],
    ["text/plain, application/json, */*", "text"],
    ["application/*", "json"],
    ["text/*", "text"],
    ["text/*, text/plain;q=0.1", "html"],
    ["text/html;q=0.2, application/json;q=0.3", "json"],
    ["*/*, text/plain;q=0", "html"],
    ["text/html;q=0, */*;q=0.1", "text"],
    ["image/png", "text"],
    ["text/html;q=0", "text"],
    ["text/html;q=abc", "html"],
    ["text/html;level=1;q=0.1, application/json;q=0.5", "json"],
    [",,;;=,", "text"],
    ["text/event-stream", "text"],
  ]
  for (const [accept, format] of cases) assert.equal(preferredFormat(accept), format, accept)
})

test("every reason gives a whole answer in each form, a page under 4 KB", () => {
  for (const reason of Object.keys(errorReasons) as ErrorReason[]) {
    for (const [accept, type] of [
      [browser, "text/html; charset=utf-8"],
      ["application/json", "application/problem+json"],
      ["*/*", "text/plain; charset=utf-8"],
    ] as const) {
      const answer = errorAnswer({
        reason,
        accept,
        host: `${"x".repeat(63)}.`.repeat(3) + "y".repeat(61),
        detail: "d".repeat(240),
        retryAfterSeconds: 4.2,
      })
      assert.ok(answer.status >= 400 && answer.status < 600 && answer.reasonPhrase !== "Error", reason)
      assert.equal(header(answer, "Content-Type"), type)
      assert.equal(header(answer, "Content-Length"), String(answer.body.length))
      assert.equal(header(answer, "Cache-Control"), "no-store")
      assert.equal(header(answer, "Rdv-Error"), reason)
      assert.equal(header(answer, "Retry-After"), "5")
      assert.ok(answer.body.length < 4_096, `${reason}: ${answer.body.length}`)
      for (const part of answer.headers) assert.match(part, /^[\x20-\x7e]+$/)
    }
  }
})

test("the words say what does not answer, and what its owner can do", () => {
  const text = bodyOf({ reason: "unreachable", detail: "nothing listens on localhost:3000" })
  assert.match(
    text,
    /^502 Bad Gateway\n\nThe service behind this address does not answer: nothing listens on localhost:3000.\n/,
  )
  assert.match(text, /If it is yours: start the service/)
  assert.match(
    bodyOf({ reason: "no_route", host: "blog.example.test" }),
    /No agent serves blog.example.test right now\./,
  )
  assert.match(bodyOf({ reason: "header_too_large" }), /What helps: delete the cookies/)
})

test("problem JSON carries status, reason and the delay", () => {
  const problem: unknown = JSON.parse(
    bodyOf({ reason: "suspended", accept: "application/json", host: "a.test", retryAfterSeconds: 5 }),
  )
  assert.deepEqual(problem, {
    type: "about:blank",
    title: "Service Unavailable",
    status: 503,
    detail: "The machine behind this address lost its connection and is not back yet.",
    reason: "suspended",
    host: "a.test",
    mend: "If it is yours: the agent reconnects by itself when its network is back; rdv status shows its state.",
    retryAfterSeconds: 5,
  })
})

test("a page reloads itself only where waiting helps and nothing is sent twice", () => {
  const page = (options: Partial<ErrorAnswerOptions>) =>
    bodyOf({ reason: "suspended", accept: "text/html", ...options })
  assert.match(page({ retryAfterSeconds: 5 }), /<meta http-equiv="refresh" content="5">/)
  assert.doesNotMatch(page({ retryAfterSeconds: 5, method: "POST" }), /http-equiv/)
  assert.doesNotMatch(page({}), /http-equiv/)
})

test("a page loads nothing and is forbidden to", () => {
  const answer = errorAnswer({ reason: "no_route", accept: "text/html", host: "a.test" })
  assert.equal(header(answer, "Content-Security-Policy"), "default-src 'none'; style-src 'unsafe-inline'")
  assert.doesNotMatch(new TextDecoder().decode(answer.body), /<script|src=|href=|url\(|https?:/)
})

test("a status may differ from the reason's own", () => {
  assert.equal(errorAnswer({ reason: "limit", status: 429 }).reasonPhrase, "Too Many Requests")
})

test("nothing that a stranger sends comes back unescaped", () => {
  const evil = `<script>alert("1")</script>'&\u0000\u001b[31m\r\nSet-Cookie: a=b\u202e`
  const page = bodyOf({ reason: "no_route", accept: "text/html", host: evil, detail: evil })
  assert.doesNotMatch(page, /<script|\u0000|\u001b|\r|\u202e|'&[^#a-z]/)
  assert.match(page, /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&#39;&amp;/)
  const text = bodyOf({ reason: "no_route", host: evil, detail: evil })
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  assert.equal(text.split("\n").length, bodyOf({ reason: "no_route" }).split("\n").length)
})

test("any host and detail give valid UTF-8, bounded, with no tag of theirs", () => {
  const anything = fc.string({ unit: "binary", maxLength: 600 })
  const tags = (reason: ErrorReason) => bodyOf({ reason, accept: "text/html" }).split("<").length
  const expected = tags("no_route")
  fc.assert(
    fc.property(anything, anything, (host, detail) => {
      const page = bodyOf({ reason: "no_route", accept: "text/html", host, detail })
      assert.equal(page.split("<").length, expected)
      assert.ok(page.length < 8_192)
    }),
  )
})
