import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { concat } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import { silentLog } from "../base/log.ts"
import type { Link } from "../mux/link.ts"
import { startAgent, startRelay } from "../node.ts"
import type { RunningRelay } from "../node.ts"
import { parseAddress, printAddress } from "../transport/address.ts"
import { dial } from "../transport/dial.ts"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { memoryPair } from "../transport/memory.ts"
import { defaultRelayLimits } from "./limits.ts"
import { Newcomers } from "./newcomers.ts"

const secrets = makeCertificate()
const byte = 0xb7

/** Says back what it hears, the first byte and all. */
function echo(link: Link, head: Uint8Array): void {
  link.send([new Uint8Array(head)])
  link.attach({
    data(bytes) {
      link.send([new Uint8Array(bytes)])
      return false
    },
    drain: () => undefined,
    closed: () => undefined,
  })
  link.resume()
}

/** What comes back for these bytes, which go out in two pieces; or how the link ended. */
async function said(link: Link, bytes: Uint8Array): Promise<Uint8Array | RdvError | undefined> {
  return new Promise((resolve) => {
    let heard: Uint8Array = new Uint8Array(0)
    link.attach({
      data(more) {
        heard = concat([heard, more])
        if (heard.length === bytes.length) resolve(heard)
        return false
      },
      drain: () => undefined,
      closed: resolve,
    })
    link.send([bytes.subarray(0, 1)])
    setImmediate(() => link.send([bytes.subarray(1)]))
  })
}

async function relayAt(t: TestContext, address: string): Promise<RunningRelay> {
  const running = await startRelay({
    listen: [address],
    tls: secrets,
    store: ":memory:",
    open: true,
    log: silentLog,
  })
  t.after(() => running.stop())
  return running
}

for (const scheme of ["tcp", "tls", "unix", "http", "https", "ws", "wss"]) {
  test(`a connection over ${scheme} that begins with a guest's byte is the guest's, one of nobody's ends, a session is a session`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "rdv-guest-"))
    t.after(() => rmSync(folder, { recursive: true }))
    const isTls = scheme === "tls" || scheme === "https" || scheme === "wss"
    const at = scheme === "unix" ? `unix:${folder}/relay` : `${isTls ? "tls" : "tcp"}://127.0.0.1:0`
    const { relay, addresses } = await relayAt(t, at)
    relay.takeGuests(byte, echo)
    const [bound] = addresses
    assert.ok(bound !== undefined)
    const address = scheme === "unix" ? bound : parseAddress(printAddress(bound).replace(/^\w+:/, `${scheme}:`))
    const limits = { timeoutMs: 5_000, ...(isTls && { ca: secrets.ca, servername: "localhost" }) }
    const link = await dial(address, limits)
    t.after(() => link.abort(new RdvError("closed")))
    const bytes = new Uint8Array(300_000).map((_, index) => (index * 7) % 251)
    bytes[0] = byte
    assert.deepEqual(await said(link, bytes), bytes)
    // Nobody's byte: it ends.
    const other = await dial(address, limits)
    const end = await said(other, Uint8Array.of(0xfe, ...new Uint8Array(64)))
    assert.ok(end instanceof RdvError || (end !== undefined && end[0] !== 0xfe))
    other.abort(new RdvError("closed"))
    const up = Promise.withResolvers<void>()
    const agent = startAgent({
      relay: printAddress(address),
      log: silentLog,
      ...(isTls && { dial: { ca: secrets.ca, servername: "localhost" } }),
      onEvent: (event) => {
        if (event.kind === "up") up.resolve()
        else if (event.kind === "failed" || event.kind === "retry") up.reject(event.error)
      },
    })
    t.after(() => agent.stop())
    await up.promise
  })
}

test("a byte is one guest's, and none that could begin something else", () => {
  const newcomers = new Newcomers(new FakeClock(), defaultRelayLimits)
  newcomers.add(byte, echo)
  assert.throws(() => newcomers.add(byte, echo), { code: "usage" })
  assert.throws(() => newcomers.add(0x47, echo), { code: "usage" })
  assert.throws(() => newcomers.add(256, echo), { code: "usage" })
})

test("links that say nothing are bounded, and over after a while", async () => {
  const clock = new FakeClock()
  const newcomers = new Newcomers(clock, { ...defaultRelayLimits, silent: 2 })
  newcomers.add(byte, echo)
  const ends: string[] = []
  const pairs = [0, 1, 2].map((at) => {
    const pair = memoryPair(clock)
    pair.a.attach({ data: () => false, drain: () => undefined, closed: () => ends.push(String(at)) })
    newcomers.greet(pair.b, () => assert.fail("nothing was said"))
    return pair
  })
  assert.equal(newcomers.pending, 2)
  await settle()
  assert.deepEqual(ends, ["0"])
  await clock.pass(defaultRelayLimits.headMs)
  assert.equal(newcomers.pending, 0)
  assert.equal(pairs.length, 3)
  assert.deepEqual(ends, ["0", "1", "2"])
  assert.equal(clock.pending, 0)
})
