import assert from "node:assert/strict"
import { test } from "node:test"
import { localChannels } from "../../../channels.ts"
import type { Message } from "../../../channels.ts"
import { SeededRandom } from "../../../base/random.ts"
import { MessageMemory } from "./message-memory.ts"

const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

test("memory is used again when a sole receiver has proven its message, and only then", () => {
  const memory = new MessageMemory()
  const source = filled(9_000, 1)
  const first = memory.copy(source, 0, 3_000)
  memory.settled(first)
  const second = memory.copy(source, 0, 3_000)
  assert.notEqual(second.buffer, first.buffer, "nobody has proven it")
  memory.proving = first
  memory.settled(second)
  memory.settled(first)
  memory.settled(first)
  const [third, fourth] = [memory.copy(source, 100, 4_100), memory.copy(source, 0, 4_000)]
  assert.equal(third.buffer, first.buffer)
  assert.notEqual(fourth.buffer, first.buffer, "given out once")
  assert.equal(memory.copy(source, 0, 8_192).length, 8_192)
})

test("memory that is not its own is left alone", () => {
  const memory = new MessageMemory()
  for (const bytes of [filled(4_096, 1).subarray(0, 100), filled(3_000, 1), filled(8_192, 1).subarray(0, 2_000)]) {
    memory.proving = bytes
    memory.settled(bytes)
    assert.notEqual(memory.copy(bytes, 0, bytes.length).buffer, bytes.buffer)
  }
})

test("what is kept for later is bounded", () => {
  const memory = new MessageMemory()
  const taken = Array.from({ length: 1_000 }, () => memory.copy(filled(4_096, 0), 0, 4_096))
  for (const bytes of taken) {
    memory.proving = bytes
    memory.settled(bytes)
  }
  const again = Array.from({ length: 1_000 }, () => memory.copy(filled(4_096, 0), 0, 4_096).buffer)
  assert.equal(again.filter((buffer) => taken.some((bytes) => bytes.buffer === buffer)).length, 256)
})

test("every receiver sees what was sent, whoever has proven what in between", async () => {
  await using space = localChannels({ seed: 3 })
  const random = new SeededRandom(3)
  const jobs = await space.create("/jobs", { attempts: 4, deadLetter: "/failed" })
  const failed = await space.create("/failed", { size: 1_000 })
  const wrong: string[] = []
  const check = (message: Message) => {
    const value = message.bytes[0]
    if (!message.bytes.every((byte) => byte === value)) wrong.push(`${message.id}: ${message.bytes.length} bytes`)
  }
  const hear = (message: Message) => {
    check(message)
    if (random.fraction() < 0.3) message.fail()
    else message.done()
  }
  await using _one = jobs.subscribe(hear, { window: 8, ack: true })
  await using _other = jobs.subscribe(hear, { window: 3, ack: true })
  const kept: Message[] = []
  await using _grave = failed.subscribe((message) => void kept.push(message), { window: 4 })
  const messages = Array.from({ length: 600 }, (_, at) => filled(1 + (random.u32() % 9_000), at & 255))
  for (const part of [messages.slice(0, 300), messages.slice(300)]) {
    await Promise.all([
      ...part.map((message) => jobs.send(message)),
      (async () => {
        for (let at = 0; at < 20; at++) {
          const head = await jobs.peek()
          if (head?.every((byte) => byte === head[0]) === false) wrong.push("peek")
        }
      })(),
    ])
  }
  for (const message of kept) check(message)
  assert.ok(kept.length > 0)
  assert.deepEqual(wrong, [])
})
