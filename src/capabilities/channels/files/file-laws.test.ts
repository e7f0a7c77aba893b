/**
 * Random programs of descriptors that write, read, are killed, closed and cut off, against what files promise: a message
 * arrives at most once where it was proven; a writer that was told of success has its proof; what was withdrawn never
 * arrives; what the channel took over, or was given back, arrives with whoever reads next.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { settle } from "../../../../test/kit/fake-clock.ts"
import type { Asked, OpenFile } from "../../../../test/kit/open-file.ts"
import { utf8Decode } from "../../../base/text.ts"

const acts = ["write", "read", "flush-write", "flush-read", "close-reader", "lose-reader", "lose-writer"] as const

interface Step {
  readonly act: (typeof acts)[number]
  readonly who: number
}

const programs = fc.array(fc.record({ act: fc.constantFrom(...acts), who: fc.nat({ max: 2 }) }), {
  maxLength: 80,
  size: "max",
})
const readerFiles = fc.constantFrom("recv", "next", "recv@try")

test("no message of a file is lost, doubled, or delivered behind its withdrawal", async () => {
  await fc.assert(
    fc.asyncProperty(programs, readerFiles, fc.nat({ max: 2 }), async (steps, role, size) => {
      const world = await World.make(role, size)
      for (const step of steps) await world.step(step)
      await world.end()
    }),
    { numRuns: 400 },
  )
})

interface Letter {
  readonly text: string
  readonly asked: Asked<string>
  readonly writer: Descriptor
  fate: "open" | "withdrawn"
}

interface Descriptor {
  file: OpenFile
  asked: Asked<Uint8Array | string> | undefined
  /** Answered and not proven. */
  held: string | undefined
}

class World {
  readonly #files: ChannelFiles
  readonly #role: string
  readonly #size: number
  readonly #writers: Descriptor[] = []
  readonly #readers: Descriptor[] = []
  readonly #letters: Letter[] = []
  readonly #proven: Set<string> = new Set()

  private constructor(files: ChannelFiles, role: string, size: number) {
    this.#files = files
    this.#role = role
    this.#size = size
  }

  static async make(role: string, size: number): Promise<World> {
    const files = await ChannelFiles.make({ defaults: { size } })
    files.space.create("/c")
    const world = new World(files, role, size)
    for (let count = 0; count < 3; count++) {
      world.#writers.push(await world.#open("/c.d/send", "w"))
      world.#readers.push(await world.#open(`/c.d/${role}`, "r"))
    }
    return world
  }

  async step({ act, who }: Step): Promise<void> {
    const writer = this.#writers[who] as Descriptor
    const reader = this.#readers[who] as Descriptor
    const waiting = this.#letters.find((letter) => letter.writer === writer && letter.asked.state === "waiting")
    switch (act) {
      case "write": {
        const text = `message ${this.#letters.length}`
        this.#letters.push({ text, asked: writer.file.twrite(text), writer, fate: "open" })
        break
      }
      case "read":
        this.#read(reader)
        break
      case "flush-write":
        if (waiting?.fate === "open" && !waiting.asked.flush()) waiting.fate = "withdrawn"
        break
      case "flush-read":
        if (reader.asked?.state !== "waiting") break
        assert.equal(reader.asked.flush(), false)
        reader.asked = undefined
        break
      case "close-reader":
        await this.#leave(reader, false)
        Object.assign(reader, await this.#open(`/c.d/${this.#role}`, "r"))
        break
      case "lose-reader":
        await this.#leave(reader, true)
        Object.assign(reader, await this.#open(`/c.d/${this.#role}`, "r"))
        break
      case "lose-writer":
        await this.#loseWriter(writer)
        Object.assign(writer, await this.#open("/c.d/send", "w"))
    }
    await settle(1)
    this.#look()
  }

  /** Everything that is still there goes to one last reader. */
  async end(): Promise<void> {
    for (const reader of this.#readers) await this.#leave(reader, true)
    const last = await this.#files.open("/c.d/recv@try")
    for (;;) {
      const text = await last.read().catch((error: Error) => error.message)
      if (text === "EAGAIN") break
      this.#prove(text)
    }
    await last.close()
    for (const { text, asked, fate } of this.#letters) {
      assert.equal(asked.state === "waiting", fate !== "open", `${text} is ${String(asked.state)}, ${fate}`)
      if (fate === "open") assert.ok(this.#proven.has(text), `${text} was lost`)
      if (fate === "withdrawn") assert.ok(!this.#proven.has(text), `${text} arrived behind its withdrawal`)
    }
    for (const writer of this.#writers) await writer.file.close()
    const { readers, writers, underWay, buffered, waitingSenders } = this.#files.space.channel("/c").stats()
    assert.deepEqual([readers, writers, underWay, buffered, waitingSenders], [0, 0, 0, 0, 0])
    assert.equal(this.#files.space.messageBytes, 0)
  }

  async #open(path: string, how: "r" | "w"): Promise<Descriptor> {
    return { file: await this.#files.open(path, how), asked: undefined, held: undefined }
  }

  #read(reader: Descriptor): void {
    if (reader.asked !== undefined) return
    // Whatever the client asks for next proves what it has.
    if (reader.held !== undefined) this.#prove(reader.held)
    reader.held = undefined
    reader.asked = reader.file.tread(reader.file.position, 4096)
  }

  async #leave(reader: Descriptor, gone: boolean): Promise<void> {
    if (reader.asked?.state === "waiting") reader.asked.flush()
    if (!gone && reader.held !== undefined) this.#prove(reader.held)
    await reader.file.close(gone)
  }

  async #loseWriter(writer: Descriptor): Promise<void> {
    for (const letter of this.#letters) {
      if (letter.writer !== writer || letter.asked.state !== "waiting" || letter.fate !== "open") continue
      if (!letter.asked.flush()) letter.fate = "withdrawn"
    }
    await writer.file.close(true)
  }

  /** What was answered meanwhile. */
  #look(): void {
    for (const reader of this.#readers) {
      const state = reader.asked?.state
      if (state === undefined || state === "waiting") continue
      reader.asked = undefined
      if (!(state instanceof Uint8Array)) assert.equal(state, "EAGAIN")
      else if (state.length > 0) {
        reader.held = utf8Decode(state)
        reader.file.position += state.length
      }
    }
    if (this.#size > 0) return
    for (const { text, asked, fate } of this.#letters) {
      // Answered by its flush: the channel has taken it over.
      if (asked.state !== "ok" || fate !== "open" || asked.isFlushed) continue
      assert.ok(this.#proven.has(text), `${text} was said to have arrived, without proof`)
    }
  }

  #prove(text: string): void {
    assert.ok(!this.#proven.has(text), `${text} came twice`)
    this.#proven.add(text)
  }
}
