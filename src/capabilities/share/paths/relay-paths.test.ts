/** Paths of chunks through the relay's doors: every link that a relay takes carries them. */

import { test } from "node:test"
import assert from "node:assert/strict"
import { makeCertificate } from "../../../../test/kit/certificates.ts"
import { chunkPathSuite } from "../../../../test/suites/chunk-path-suite.ts"
import { base64url, randomBytes } from "../../../base/bytes.ts"
import { silentLog } from "../../../base/log.ts"
import { startRelay } from "../../../node.ts"
import type { RunningRelay } from "../../../node.ts"
import { parseAddress, printAddress } from "../../../transport/address.ts"
import { dial } from "../../../transport/dial.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { greetRelay, readGreeting, relayGreetingByte, ticketBytes } from "./relay-greeting.ts"
import { streamPath } from "./stream-path.ts"

const secrets = makeCertificate()
const tickets = new Map<string, (pipe: Pipe) => void>()
const ticketOf = (bytes: Uint8Array) => base64url(bytes)

const running: Record<string, Promise<RunningRelay>> = {}

function relayOf(scheme: "tcp" | "tls"): Promise<RunningRelay> {
  return (running[scheme] ??= startRelay({
    listen: [`${scheme}://127.0.0.1:0`],
    tls: secrets,
    store: ":memory:",
    open: true,
    log: silentLog,
  }).then((relay) => {
    relay.relay.takeGuests(relayGreetingByte, (link, head) => {
      void readGreeting(link, head, (ticket) => tickets.get(ticketOf(ticket))).then(({ owner, pipe }) => owner(pipe))
    })
    return relay
  }))
}

for (const [scheme, door] of [
  ["tcp", "tcp"],
  ["tls", "tls"],
  ["http", "tcp"],
  ["wss", "tls"],
] as const) {
  chunkPathSuite(
    `the relay's door, ${scheme}`,
    async () => {
      const { addresses } = await relayOf(door)
      const [bound] = addresses
      assert.ok(bound !== undefined)
      const address = parseAddress(printAddress(bound).replace(/^\w+:/, `${scheme}:`))
      const link = await dial(address, { timeoutMs: 5_000, ca: secrets.ca, servername: "localhost" })
      const ticket = randomBytes(ticketBytes)
      const come = Promise.withResolvers<Pipe>()
      tickets.set(ticketOf(ticket), come.resolve)
      const near = await greetRelay(link, base64url(ticket))
      const far = await come.promise
      return {
        near: streamPath(near),
        far: streamPath(far),
        stall: () => far.pause(),
        flow: () => far.resume(),
        garbage: (bytes) => void near.send([bytes]),
      }
    },
    { ordered: true, bulkBytes: 8 * 1_048_576 },
  )
}

test("the relays of this file stop", async () => {
  for (const relay of Object.values(running)) await (await relay).stop()
})
