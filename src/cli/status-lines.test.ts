import assert from "node:assert/strict"
import { test } from "node:test"
import type { JsonObject } from "../base/json.ts"
import { Output } from "./output.ts"
import { processLines } from "./status-lines.ts"

const sink = { write: () => true }
const output = new Output({ stdout: sink, stderr: sink, json: false, env: {} })
const process = { command: "rdv", uptimeMs: 1_000, memoryBytes: 2 ** 20, version: "1.0.0" }

/** What `rdv status` shows of a process; no line is wider than a terminal. */
function shown(role: "relay" | "agent", status: JsonObject): string {
  const lines = processLines({ role, pid: 1, path: "", status: { ...process, [role]: status } }, output)
  for (const line of lines) assert.ok(line.length <= 80, line)
  return lines.join("\n")
}

const reason = "127.0.0.1:2222 is in use by another process: stop that process or choose another port"

test("a relay shows what agents wait for, and why", () => {
  const delayed = { kind: "tcp", name: "2222", session: "8khku6ujAopqZX4S", code: "in_use", reason, sinceMs: 12_300 }
  const text = shown("relay", { delayed: [delayed, { ...delayed, kind: "http", name: null, sinceMs: 900 }] })
  assert.match(
    text,
    /DELAYED +SESSION +SINCE +WHY\n {2}tcp\/2222 +8khku6uj +12\.3 s +127\.0\.0\.1:2222 is in use .*…\n {2}http +/,
  )
  assert.ok(!shown("relay", { delayed: [] }).includes("DELAYED"))
  // One of another version tells nothing of it.
  assert.ok(!shown("relay", {}).includes("DELAYED"))
})

test("an agent shows what waits, for what and until when, and the whole reason of a refusal", () => {
  const service = { service: "tcp/2222", url: null, refused: null, delayed: { code: "in_use", reason, retryMs: 4_200 } }
  const text = shown("agent", { relay: "tls://example.test:443", services: [service], session: null })
  assert.match(
    text.replaceAll(/\s+/g, " "),
    /tcp delayed: 127\.0\.0\.1:2222 is in use by .* port; asked again in 4\.2 s →/,
  )
  const refused = shown("agent", { services: [{ ...service, delayed: null, refused: reason }] })
  assert.match(refused.replaceAll(/\s+/g, " "), /refused: 127\.0\.0\.1:2222 .* another port →/)
})

test("a relay shows what its tokens use of what they may", () => {
  const limits = { sessions: 5, visitors: 100, requestsPerSecond: 50, bytesPerSecond: 10_000_000 }
  const token = { id: "12345678", name: "a-token-with-a-long-name", sessions: 2, visitors: 7, refused: 3, limits }
  const any = { sessions: 1_000, visitors: 10_000, requestsPerSecond: null, bytesPerSecond: null }
  const text = shown("relay", { tokens: [token, { ...token, name: "laptop", limits: any }] })
  assert.match(text, /^ {2}a-token-with-a-l +2 of 5 +7 of 100 +3 +50 +10 MB$/m)
  assert.match(text, /^ {2}laptop +2 of 1000 +7 of 10000 +3 +any +any$/m)
})
