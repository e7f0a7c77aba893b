/** Members of the product around a relay in memory, on a clock that the test moves. */

import assert from "node:assert/strict"
import { base64url } from "../../src/base/bytes.ts"
import { silentLog } from "../../src/base/log.ts"
import { SeededRandom } from "../../src/base/random.ts"
import type { ChunkCrypto } from "../../src/capabilities/share/content/chunk-crypto.ts"
import type { ChunkTable } from "../../src/capabilities/share/content/chunk-table.ts"
import type { SwarmKeys } from "../../src/capabilities/share/code/swarm-keys.ts"
import { nodeCrypto } from "../../src/capabilities/share/node/node-crypto.ts"
import type { DirectNet } from "../../src/capabilities/share/paths/direct-net.ts"
import type { Holdings } from "../../src/capabilities/share/peer/holdings.ts"
import { Member } from "../../src/capabilities/share/peer/member.ts"
import { startReceiver } from "../../src/capabilities/share/peer/receiver.ts"
import type { Receiver, ReceiverOptions } from "../../src/capabilities/share/peer/receiver.ts"
import { startSender } from "../../src/capabilities/share/peer/sender.ts"
import type { Sender, SenderOptions } from "../../src/capabilities/share/peer/sender.ts"
import { FakeClock, settle } from "./fake-clock.ts"
import { FakeShareRelay } from "./fake-share-relay.ts"
import { MemoryNet } from "./memory-net.ts"
import { memoryContent } from "./share-content.ts"
import type { MemoryContent, MemoryTarget } from "./share-content.ts"
import { someKeys } from "./swarm-keys.ts"

const keys: SwarmKeys = someKeys(3)
const crypto: ChunkCrypto = nodeCrypto(keys, "sha256")

export class ShareRig {
  readonly clock: FakeClock = new FakeClock()
  readonly relay: FakeShareRelay
  readonly net: MemoryNet
  readonly #running: (Sender | Receiver)[] = []

  /** `bytesPerSecond` is that of each connection, each way. */
  constructor(bytesPerSecond?: number) {
    this.relay = new FakeShareRelay(this.clock, bytesPerSecond)
    this.net = new MemoryNet(this.clock, bytesPerSecond === undefined ? {} : { bytesPerSecond })
  }

  async content(bytes: Uint8Array, version = 1, chunkBytes = 4096): Promise<MemoryContent> {
    return memoryContent({ bytes, crypto, version, chunkBytes })
  }

  sender(content: MemoryContent, options: Partial<SenderOptions> = {}): Sender {
    const sender = startSender({
      swarm: "123456",
      keys,
      member: "sender",
      access: this.relay.access(),
      content,
      clock: this.clock,
      log: silentLog,
      random: () => 0.5,
      ...options,
    })
    this.#running.push(sender)
    return sender
  }

  receiver(member: string, target: MemoryTarget, options: Partial<ReceiverOptions> = {}): Receiver {
    const receiver = startReceiver({
      swarm: "123456",
      keys,
      member,
      access: this.relay.access(),
      target,
      crypto: () => crypto,
      clock: this.clock,
      log: silentLog,
      random: () => 0.5,
      ...options,
    })
    this.#running.push(receiver)
    return receiver
  }

  /** A member that receives nothing and gives what it likes. */
  liar(content: Holdings & { readonly table: ChunkTable }, direct: DirectNet): Member {
    const member = new Member({
      access: this.relay.access(),
      swarm: "123456",
      keys,
      direct,
      clock: this.clock,
      log: silentLog,
      opening: () => ({ header: { do: "join", swarm: "123456", member: "liar", access: base64url(keys.access) } }),
      events: {
        message: () => undefined,
        table: () => member.work({ number: 1, table: content.table, holdings: content, accepts: () => false }),
        stored: () => undefined,
        corrupt: () => undefined,
        unstored: () => undefined,
        lost: () => undefined,
        down: () => undefined,
        ended: () => undefined,
      },
    })
    member.start()
    return member
  }

  /** Moves time until it holds. */
  async until(holds: () => boolean, what: string, mostMs = 60_000): Promise<void> {
    const end = this.clock.now() + mostMs
    while (!holds()) {
      assert.ok(this.clock.now() < end, `${what} within ${mostMs} ms`)
      await this.clock.pass(5)
    }
  }

  async close(): Promise<void> {
    let isOver = false
    const over = Promise.all(this.#running.map((each) => each.stop())).then(() => (isOver = true))
    await this.until(() => isOver, "an end")
    await over
    this.relay.close()
    await settle()
  }
}

export function someBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  new SeededRandom(seed).fill(bytes)
  return bytes
}
