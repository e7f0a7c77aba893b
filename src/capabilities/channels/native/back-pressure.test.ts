import assert from "node:assert/strict"
import { test } from "node:test"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { systemClock } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { Stream } from "../../../base/stream.ts"
import { Space } from "../core/space.ts"
import { identifyAnyone } from "../files/identity.ts"
import type { Identity } from "../files/identity.ts"
import { channelHandler } from "./channel-service.ts"
import { loopStreams } from "./loop-stream.ts"
import { channelService, frameKind } from "./protocol.ts"

/** A client that asks and asks, and takes no answer before it is told to. */
class Deaf {
  readonly stream: Stream
  unread = 0
  isBlocked = false
  readonly #question: Uint8Array

  constructor(header: JsonObject, question: Uint8Array) {
    const space = new Space({ clock: systemClock, random: new SeededRandom(1) })
    space.create("/jobs")
    const identity = identifyAnyone({ user: { name: "v", uid: 1 }, aname: "" }) as Identity
    const [near, far] = loopStreams(channelService, header)
    channelHandler(space, { clock: systemClock, identify: () => identity })({
      stream: far,
      header,
      caller: { peer: "deaf", owner: undefined },
    })
    this.stream = near
    this.#question = question
    near.attach({
      data: (chunk) => (this.unread += chunk.length),
      meta: () => undefined,
      end: () => undefined,
      drain: () => (this.isBlocked = false),
      closed: () => undefined,
    })
  }

  async ask(rounds: number): Promise<void> {
    for (let round = 0; round < rounds && !this.isBlocked; round++) {
      this.isBlocked = !this.stream.write(this.#question)
      await settle()
    }
  }

  async hear(): Promise<void> {
    while (this.unread > 0) {
      const bytes = this.unread
      this.unread = 0
      this.stream.consumed(bytes)
      await settle()
    }
  }
}

function frames(count: number, kind: number, body: readonly number[] = []): Uint8Array {
  const one = [0, 0, 0, body.length + 1, kind, ...body]
  return Uint8Array.from(Array.from({ length: count }, () => one).flat())
}

const questions: readonly (readonly [string, JsonObject, Uint8Array])[] = [
  ["send", { do: "send", path: "/jobs" }, frames(1_000, frameKind.timed, [0, 0, 0, 0])],
  ["select", { do: "select" }, frames(1_000, frameKind.go, [0, 0, 0, 0])],
  ["receive", { do: "receive", path: "/jobs" }, frames(1_000, frameKind.recall)],
]

for (const [name, header, question] of questions) {
  test(`who does not take the answers of a ${name} stream cannot ask on, and goes on when he does`, async () => {
    const deaf = new Deaf(header, question)
    await deaf.ask(1_000)
    assert.ok(deaf.isBlocked)
    assert.ok(deaf.unread < 8 * 2 ** 20, `${deaf.unread} bytes of answers wait`)
    await deaf.hear()
    assert.ok(!deaf.isBlocked)
  })
}
