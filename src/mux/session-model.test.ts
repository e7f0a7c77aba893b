import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { sessionPair } from "../../test/kit/session-pair.ts"
import type { RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"

/** Bytes that tell their position: two places of it are alike for no longer than a few bytes. */
const pattern = Uint8Array.from({ length: 3 * 2 ** 20 }, (_, at) => (at * 31 + (at >> 8) * 17 + (at >> 16) * 101) & 255)

/** One end of a stream, with the rules that it must see kept. */
class End {
  readonly stream: Stream
  /** Where in the pattern each direction begins. */
  readonly #outFrom: number
  readonly #inFrom: number
  other: End | undefined
  sent = 0
  sentMetas: number[] = []
  hasEnded = false
  received = 0
  receivedMetas = 0
  unread = 0
  isReading = true
  gotEnd = false
  /** Undefined while open. */
  closed: { readonly error: RdvError | undefined } | undefined

  constructor(stream: Stream, number: number, opened: boolean) {
    this.stream = stream
    const [first, second] = [(number * 997) % 50_000, (number * 1993 + 25_000) % 50_000]
    this.#outFrom = opened ? first : second
    this.#inFrom = opened ? second : first
    stream.attach({
      data: (chunk) => {
        this.#alive()
        const at = this.#inFrom + this.received
        assert.ok(Buffer.from(pattern.buffer, at, chunk.length).equals(chunk), `bytes at ${this.received} are others`)
        this.received += chunk.length
        if (this.isReading) stream.consumed(chunk.length)
        else this.unread += chunk.length
      },
      meta: (block) => {
        this.#alive()
        assert.deepEqual(block, { at: this.received, n: this.receivedMetas++, text: "ü" }, "a block at its place")
      },
      end: () => {
        this.#alive()
        this.gotEnd = true
      },
      drain: () => assert.equal(this.closed, undefined),
      closed: (error) => {
        assert.equal(this.closed, undefined, "closed once")
        this.closed = { error }
        if (error === undefined) assert.ok(this.gotEnd && this.hasEnded)
      },
    })
  }

  #alive(): void {
    assert.equal(this.closed, undefined, "nothing comes after closed")
    assert.equal(this.gotEnd, false, "nothing comes after the end")
  }

  write(bytes: number): void {
    const at = this.#outFrom + this.sent
    if (this.hasEnded || this.closed !== undefined || at + bytes > pattern.length) return
    this.stream.write(pattern.subarray(at, at + bytes))
    this.sent += bytes
  }

  meta(): void {
    if (this.hasEnded || this.closed !== undefined) return
    this.stream.meta({ at: this.sent, n: this.sentMetas.length, text: "ü" })
    this.sentMetas.push(this.sent)
  }

  end(): void {
    if (this.closed === undefined) this.hasEnded = true
    this.stream.end()
  }

  read(on: boolean): void {
    this.isReading = on
    if (!on || this.unread === 0) return
    this.stream.consumed(this.unread)
    this.unread = 0
  }
}

type Step =
  | { readonly do: "open"; readonly side: 0 | 1 }
  | { readonly do: "write"; readonly who: number; readonly bytes: number }
  | { readonly do: "meta" | "end" | "reset" | "stall" | "read"; readonly who: number }
  | { readonly do: "cut" | "relink" | "block" | "unblock" }
  | { readonly do: "corrupt"; readonly at: number }
  | { readonly do: "wait"; readonly ms: number }

const who = fc.nat(1000)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("open" as const), side: fc.constantFrom(0 as const, 1 as const) }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constant("write" as const),
        who,
        bytes: fc.oneof(
          fc.integer({ min: 1, max: 50 }),
          fc.integer({ min: 1, max: 5000 }),
          fc.integer({ min: 1, max: 200_000 }),
        ),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("meta" as const), who }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom("end" as const, "reset" as const, "stall" as const, "read" as const),
        who,
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constantFrom("cut" as const, "relink" as const, "block" as const, "unblock" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("corrupt" as const), at: fc.nat(100_000) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(800) }) },
  ),
  { maxLength: 70, size: "max" },
)

async function play(script: readonly Step[], checked: boolean, splitBytes: number): Promise<void> {
  const clock = new FakeClock()
  const ends: End[] = []
  const openers = new Map<number, End>()
  const accept = (stream: Stream) => {
    const number = stream.header["n"] as number
    const end = new End(stream, number, false)
    const opener = openers.get(number) as End
    end.other = opener
    opener.other = end
    ends.push(end)
  }
  const pair = sessionPair({
    clock,
    checked,
    memory: { poison: true, splitBytes, bufferBytes: 20_000 },
    limits: { deadAfterMs: 2000, logBytes: 300_000, sessionWindowBytes: 2 ** 20, streams: 8 },
    onAccepted: accept,
    onDialled: accept,
  })
  const sessions = [pair.dialer, pair.acceptor]
  for (const step of script) {
    const end = "who" in step ? ends[step.who % Math.max(1, ends.length)] : undefined
    switch (step.do) {
      case "open": {
        const number = openers.size
        const session = sessions[step.side] as (typeof sessions)[number]
        const opened = new End(session.open("x", { n: number }), number, true)
        openers.set(number, opened)
        ends.push(opened)
        break
      }
      case "write":
        end?.write(step.bytes)
        break
      case "meta":
      case "end":
        end?.[step.do]()
        break
      case "reset":
        end?.stream.reset("cancelled")
        break
      case "stall":
      case "read":
        end?.read(step.do === "read")
        break
      case "cut":
        pair.cut()
        break
      case "relink":
        pair.relink()
        break
      case "block":
      case "unblock":
        pair.link[step.do]()
        break
      case "corrupt":
        if (checked) pair.link.corruptNext(step.at, step.at % 2 === 0 ? "a" : "b")
        break
      case "wait":
        await clock.pass(step.ms)
        break
    }
    await settle(1)
  }
  // The network heals, everybody reads and ends.
  for (
    let round = 0;
    round < 100 && sessions.some((session) => session.streamCount > 0 || session.status().unacknowledgedBytes > 0);
    round++
  ) {
    if (round === 0 || sessions.some(({ state }) => state === "suspended")) pair.relink()
    for (const end of ends) {
      end.read(true)
      end.end()
    }
    await clock.pass(100)
  }
  // What a sink throws ends its session with that message.
  assert.deepEqual(pair.closed, { dialer: "open", acceptor: "open" })
  for (const end of ends) {
    assert.ok(end.closed !== undefined, "closed in the end")
    if (end.closed.error !== undefined) continue
    assert.equal(end.received, end.other?.sent)
    assert.equal(end.receivedMetas, end.other?.sentMetas.length)
  }
  for (const session of sessions) {
    const { streams, windowGrantedBytes, unacknowledgedBytes } = session.status()
    assert.deepEqual(
      { streams, windowGrantedBytes, unacknowledgedBytes },
      { streams: 0, windowGrantedBytes: 0, unacknowledgedBytes: 0 },
    )
  }
  pair.close()
  await clock.pass(60_000)
  assert.equal(clock.pending, 0)
}

for (const checked of [false, true]) {
  test(`whatever the network and both sides do, every byte and block arrives once and in place, checked: ${checked}`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(Infinity, 1000, 7777), (script, splitBytes) =>
        play(script, checked, splitBytes),
      ),
      { numRuns: 120 },
    )
  })
}
