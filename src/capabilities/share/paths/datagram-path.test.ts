import type { TestContext } from "node:test"
import { chunkPathSuite } from "../../../../test/suites/chunk-path-suite.ts"
import { DatagramNet, Road } from "../../../../test/kit/datagram-net.ts"
import type { RoadFacts } from "../../../../test/kit/datagram-net.ts"
import { systemClock } from "../../../base/clock.ts"
import { SeededRandom } from "../../../base/random.ts"
import { openUdp } from "../node/udp-socket.ts"
import { udpMac } from "../node/udp-mac.ts"
import { DatagramEndpoint } from "./datagram-endpoint.ts"
import type { DatagramPath } from "./datagram-path.ts"
import type { DatagramSocket } from "./datagram-socket.ts"

const key = new Uint8Array(32).fill(7)

async function pair(t: TestContext, sockets: readonly [DatagramSocket, DatagramSocket]) {
  let stalled = false
  const stalling: DatagramSocket = Object.create(sockets[0], {
    kind: { value: sockets[0].kind },
    local: { value: sockets[0].local },
    attach: { value: (sink: Parameters<DatagramSocket["attach"]>[0]) => sockets[0].attach(sink) },
    send: { value: (...args: Parameters<DatagramSocket["send"]>) => !stalled && sockets[0].send(...args) },
    close: { value: () => sockets[0].close() },
  }) as DatagramSocket
  const options = { clock: systemClock, macFor: udpMac }
  const one = new DatagramEndpoint({ ...options, socket: stalling })
  const other = new DatagramEndpoint({ ...options, socket: sockets[1] })
  t.after(() => {
    one.close()
    other.close()
  })
  const taken = new Promise<DatagramPath>((resolve) => other.sit({ key, name: "far", onPath: resolve }))
  const seat = one.sit({ key, name: "near" })
  const near = await seat.dial([other.local], "far", AbortSignal.timeout(5_000))
  return { near, far: await taken, stall: () => void (stalled = true), flow: () => void (stalled = false) }
}

function memory(t: TestContext, facts: RoadFacts) {
  const roads = [new Road(facts), new Road(facts)] as const
  const net = new DatagramNet({
    clock: systemClock,
    random: new SeededRandom(4),
    road: (from) => (from.address === "near" ? roads[0] : roads[1]),
  })
  return pair(t, [net.socket("near", 1), net.socket("far", 1)])
}

chunkPathSuite("datagrams in memory", (t) => memory(t, {}), { ordered: false, bulkBytes: 8 * 1_048_576 })

chunkPathSuite(
  "datagrams that are lost, doubled and out of order",
  (t) => memory(t, { delayMs: 1, jitterMs: 2, loss: 0.02, doubled: 0.02 }),
  { ordered: false, bulkBytes: 4 * 1_048_576 },
)

chunkPathSuite(
  "UDP",
  async (t) => pair(t, [await openUdp({ host: "127.0.0.1" }), await openUdp({ host: "127.0.0.1" })]),
  { ordered: false, bulkBytes: 8 * 1_048_576 },
)
