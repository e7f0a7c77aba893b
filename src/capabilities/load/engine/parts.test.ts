import assert from "node:assert/strict"
import { test } from "node:test"
import { loadTarget } from "../../../../test/kit/load-client.ts"
import type { MessageEntry, Scenario } from "../scenario/scenario.ts"
import { partsOf } from "./parts.ts"

function requests(entries: readonly MessageEntry[], keepAlive = true) {
  const scenario = {
    targets: [loadTarget("http", 8080, { host: "a.test", path: "/top" })],
    messages: { kind: "sequence", entries },
    framing: { kind: "none" },
    expect: { kind: "status", codes: [] },
    pace: { keepAlive },
    ending: { connectTimeoutMs: 1000 },
    seed: 1,
  } as unknown as Scenario
  const [part] = partsOf(scenario, 0, "1")
  return () => {
    const { bytes, content, expect } = (part as NonNullable<typeof part>).source.next()
    return { text: Buffer.from(bytes).toString(), content: Buffer.from(content).toString(), expect }
  }
}

test("a sequence of HTTP requests has its places filled in, and each body its length", () => {
  const next = requests([{ weight: 1, text: "PUT /items/{{counter}}?a=b\nX-Id: n{{counter}}\n\n<{{counter}}>\n\n" }])
  for (const [first, second, third] of [
    [1, 2, 3],
    [4, 5, 6],
  ]) {
    const { text, content } = next()
    const body = `<${third}>\n\n`
    assert.equal(content, body)
    assert.equal(
      text,
      `PUT /items/${first}?a=b HTTP/1.1\r\nHost: a.test:8080\r\nUser-Agent: rdv-load/1\r\nX-Id: n${second}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    )
  }
})

test("a request without a path has the target's, and the same one is made once", () => {
  const next = requests([{ weight: 1, text: "GET ", expect: { kind: "status", codes: [404] } }], false)
  const { text, expect } = next()
  assert.match(text, /^GET \/top HTTP\/1\.1\r\n(?!Content)/)
  assert.match(text, /\r\nConnection: close\r\n\r\n$/)
  assert.deepEqual(expect, { kind: "status", codes: [404] })
})

test("a request that cannot be sent is told before the run", () => {
  assert.throws(() => requests([{ weight: 1, text: "GET /{{uuid}}\nContent-Length: 5" }]), /Content-Length cannot/)
  assert.throws(() => requests([{ weight: 1, text: "GET /\nno header" }]), /is not the name of a header/)
})
