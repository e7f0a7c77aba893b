import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { MessageWindow } from "./message-window.ts"

test("a short message is followed by one empty answer, and then by the wait for the next", () => {
  const window = new MessageWindow()
  assert.equal(window.read(0, 4096, false), undefined)
  window.begin(0, bytes(6))
  assert.equal(window.read(0, 4096, false)?.length, 6)
  assert.equal(window.read(6, 4090, false)?.length, 0)
  assert.equal(window.read(6, 4096, false), undefined)
})

test("a message that fills the program's buffer needs no empty answer", () => {
  const window = new MessageWindow()
  window.begin(0, bytes(6))
  assert.equal(window.read(0, 6, false)?.length, 6)
  assert.equal(window.read(6, 6, false), undefined)
})

test("a message never fills a request that may be a part of a larger read", () => {
  const window = new MessageWindow()
  window.begin(0, bytes(100))
  assert.equal(window.read(0, 100, true)?.length, 99)
  assert.equal(window.read(99, 100, true)?.length, 1)
  assert.equal(window.read(100, 99, false)?.length, 0)
})

test("a position far away asks for the next message, and a message begins where it was asked for", () => {
  const window = new MessageWindow()
  window.begin(0, bytes(6))
  assert.equal(window.read(1000, 10, false), undefined)
  window.begin(1000, bytes(4))
  assert.equal(window.read(1002, 10, false)?.length, 2)
  assert.equal(window.read(0, 10, false), undefined)
})

test("of a proven message only the last part stays, at its place", () => {
  const window = new MessageWindow()
  const message = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251)
  window.begin(7, message)
  window.shrink()
  assert.deepEqual(window.read(200_000, 7, false), message.subarray(199_993))
  assert.equal(window.read(7, 10, false), undefined)
})

/** What a program does: read so much, and seek back so much of what it got. */
interface Call {
  readonly count: number
  readonly back: number
}

const calls = fc.array(fc.record({ count: fc.integer({ min: 1, max: 400 }), back: fc.nat({ max: 40 }) }), {
  minLength: 1,
  maxLength: 40,
})
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })

test("whatever the sizes of messages, buffers and 9P messages: each read gives bytes of one message, in order", () => {
  fc.assert(
    fc.property(sizes, calls, fc.integer({ min: 2, max: 120 }), (messageSizes, programs, most) => {
      const kernel = new Kernel(messageSizes, most)
      for (const call of programs) if (!kernel.run(call)) return
    }),
    { numRuns: 2_000 },
  )
})

/** Linux's loop of Treads over a window, held against the messages as they were sent. */
class Kernel {
  readonly #window = new MessageWindow()
  readonly #messages: readonly Uint8Array[]
  readonly #most: number
  #taken = 0
  #position = 0
  /** Of the message that is being read: where it begins in the file, and how much the program has had of it. */
  #start = 0
  #had = 0

  constructor(messageSizes: readonly number[], most: number) {
    let next = 0
    this.#messages = messageSizes.map((size) => Uint8Array.from({ length: size }, () => next++ % 256))
    this.#most = most
  }

  /** False: no message is left. */
  run({ count, back }: Call): boolean {
    const isNew = this.#current === undefined || this.#had === this.#current.length
    if (isNew && this.#taken === this.#messages.length) return false
    const got = this.#read(count)
    if (isNew) {
      this.#start = this.#position - got.length
      this.#had = 0
    }
    const current = this.#current as Uint8Array
    assert.deepEqual(got, current.slice(this.#had, this.#had + count), "not the next bytes of the message")
    this.#had += got.length
    const seek = Math.min(back, got.length - 1)
    this.#position -= seek
    this.#had -= seek
    assert.equal(this.#position, this.#start + this.#had)
    return true
  }

  get #current(): Uint8Array | undefined {
    return this.#messages[this.#taken - 1]
  }

  #read(count: number): Uint8Array {
    const whole: number[] = []
    while (whole.length < count) {
      const asked = Math.min(count - whole.length, this.#most)
      const part = this.#tread(this.#position + whole.length, asked, asked === this.#most)
      assert.ok(part.length <= asked)
      if (part.length === 0) break
      whole.push(...part)
    }
    this.#position += whole.length
    return Uint8Array.from(whole)
  }

  #tread(offset: number, count: number, full: boolean): Uint8Array {
    const part = this.#window.read(offset, count, full)
    if (part !== undefined) return part
    const message = this.#messages[this.#taken++]
    assert.ok(message !== undefined, "it asks for more than was sent")
    this.#window.begin(offset, message)
    return this.#window.read(offset, count, full) as Uint8Array
  }
}

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at % 256)
}
