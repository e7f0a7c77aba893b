import assert from "node:assert/strict"
import { test } from "node:test"
import { DatagramNet, Road } from "../../../../test/kit/datagram-net.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import { SeededRandom } from "../../../base/random.ts"
import { udpMac } from "../node/udp-mac.ts"
import type { ChunkName } from "../paths/chunk-path.ts"
import { DatagramEndpoint } from "../paths/datagram-endpoint.ts"
import { parseAddress } from "../paths/datagram-socket.ts"
import type { DatagramAddress } from "../paths/datagram-socket.ts"
import type { DatagramNet as Datagrams, DirectNet } from "../paths/direct-net.ts"
import { Direct } from "./direct.ts"

const key = new Uint8Array(32).fill(8)

/** A member of which no connection comes to anybody. */
class Party {
  readonly direct: Direct
  readonly ups: string[] = []
  readonly downs: string[] = []
  readonly chunks: ChunkName[] = []
  readonly asked: ChunkName[] = []
  readonly endpoint: DatagramEndpoint
  readonly #name: string

  constructor(name: string, address: string, net: DatagramNet, clock: FakeClock) {
    this.#name = name
    this.endpoint = new DatagramEndpoint({ socket: net.socket(address, 7000), clock, macFor: udpMac })
    const datagrams: Datagrams = {
      port: 7000,
      sit: ({ key: secret, member, onPath }) => {
        const seat = this.endpoint.sit({ key: secret, name: member, onPath })
        return {
          dial: (texts, other, signal) =>
            seat.dial(
              texts.flatMap((text) => parseAddress(text) ?? []),
              other,
              signal,
            ),
          close: () => seat.close(),
        }
      },
      close: () => this.endpoint.close(),
    }
    const nowhere: DirectNet = {
      addresses: [`${address}:7000`],
      onPipe: undefined,
      dial: () => Promise.reject(new RdvError("unreachable", "Refused")),
      datagrams,
      close: async () => datagrams.close(),
    }
    this.direct = new Direct({
      net: nowhere,
      swarm: "123456",
      key,
      clock,
      log: silentLog,
      random: () => 0.5,
      events: {
        sink: () => ({
          room: (_name, length) => new Uint8Array(length),
          chunk: (chunk) => void this.chunks.push(chunk),
          asked: (chunk) => void this.asked.push(chunk),
          cancelled: () => undefined,
          refused: () => undefined,
          ready: () => undefined,
        }),
        up: ({ member, path }) => void this.ups.push(`${member} over ${path.kind}`),
        down: ({ member }) => void this.downs.push(member),
        late: () => undefined,
      },
    })
    this.direct.begin(this.#name)
  }

  async close(clock: FakeClock): Promise<void> {
    const over = this.direct.close()
    await clock.pass(100)
    await over
    this.endpoint.close()
  }
}

function network(isOpen: (from: DatagramAddress, to: DatagramAddress) => boolean) {
  const clock = new FakeClock()
  const road = new Road({ delayMs: 10 })
  const random = new SeededRandom(5)
  const net = new DatagramNet({ clock, random, road: (from, to) => (isOpen(from, to) ? road : undefined) })
  return { clock, road, one: new Party("1", "10.0.0.1", net, clock), two: new Party("2", "10.0.0.2", net, clock) }
}

test("where no connection comes through, members reach each other by datagrams", async () => {
  const { clock, road, one, two } = network(() => true)
  one.direct.meet([{ member: "2", addresses: ["10.0.0.2:7000"], dial: true }])
  two.direct.meet([{ member: "1", addresses: ["10.0.0.1:7000"], dial: false }])
  await clock.pass(3_000)
  assert.deepEqual(one.ups, ["2 over datagram"])
  assert.deepEqual(two.ups, ["1 over datagram"])
  one.direct.peer("2")?.path.ask({ version: 1, chunk: 4 })
  await clock.pass(100)
  assert.deepEqual(two.asked, [{ version: 1, chunk: 4 }])
  two.direct.peer("1")?.path.send({ version: 1, chunk: 4 }, new Uint8Array(1000))
  await clock.pass(100)
  assert.deepEqual(one.chunks, [{ version: 1, chunk: 4 }])

  // The way breaks for long, and is found again.
  road.facts.cut = true
  await clock.pass(20_000)
  assert.deepEqual([one.downs, two.downs], [["2"], ["1"]])
  road.facts.cut = false
  await clock.pass(60_000)
  assert.equal(one.ups.length, 2)
  await one.close(clock)
  await two.close(clock)
  assert.equal(clock.pending, 0)
})

test("two address translators are passed, since both sides begin", async () => {
  const opened = new Set<string>()
  const { clock, one, two } = network((from, to) => {
    opened.add(`${from.address} ${to.address}`)
    return opened.has(`${to.address} ${from.address}`)
  })
  one.direct.meet([{ member: "2", addresses: ["10.0.0.2:7000"], dial: true }])
  two.direct.meet([{ member: "1", addresses: ["10.0.0.1:7000"], dial: false }])
  await clock.pass(5_000)
  assert.deepEqual(one.ups, ["2 over datagram"])
  assert.deepEqual(two.ups, ["1 over datagram"])
  await one.close(clock)
  await two.close(clock)
})

test("who has given something false is not reached by datagrams either", async () => {
  const { clock, one, two } = network(() => true)
  one.direct.meet([{ member: "2", addresses: ["10.0.0.2:7000"], dial: true }])
  two.direct.meet([{ member: "1", addresses: ["10.0.0.1:7000"], dial: false }])
  await clock.pass(3_000)
  const liar = one.direct.peer("2")
  assert.ok(liar !== undefined)
  one.direct.ban(liar)
  two.direct.meet([{ member: "1", addresses: ["10.0.0.1:7000"], dial: true }])
  await clock.pass(10_000)
  assert.equal(one.ups.length, 1)
  assert.equal(one.direct.count, 0)
  await one.close(clock)
  await two.close(clock)
})
