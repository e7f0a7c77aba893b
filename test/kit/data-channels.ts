/** Two ends of a data channel in one process, as strict as real ones: too much at once, or after the end, throws. */

import type { DataChannel } from "../../src/transport/data-channel.ts"

export interface FakeChannelOptions {
  /** A longer message throws. Default 256 KiB. */
  readonly messageBytes?: number
  /** Bytes that the network takes in one turn. Default 256 KiB. */
  readonly turnBytes?: number
  /** It is not open before `open` is called. */
  readonly isConnecting?: boolean
}

export interface FakeChannelPair {
  readonly a: FakeChannel
  readonly b: FakeChannel
  /** Both ends are gone; what is under way is lost. */
  cut(): void
  /** From now on nothing arrives any more, and nobody is told. */
  silence(): void
}

export function fakeChannelPair(options: FakeChannelOptions = {}): FakeChannelPair {
  const a = new FakeChannel(options)
  const b = new FakeChannel(options)
  a.other = b
  b.other = a
  return {
    a,
    b,
    cut() {
      a.end()
      b.end()
    },
    silence() {
      a.isSilent = true
      b.isSilent = true
    },
  }
}

type Listener = (event: never) => void

export class FakeChannel implements DataChannel {
  binaryType = "blob"
  bufferedAmountLowThreshold = 0
  isSilent = false
  other: FakeChannel | undefined
  /** Of each message that was sent, bytes. */
  readonly sizes: number[] = []
  mostBuffered = 0
  readonly #messageBytes: number
  readonly #turnBytes: number
  readonly #listeners: { readonly [type: string]: Listener[] } = Object.fromEntries(
    ["open", "bufferedamountlow", "closing", "close", "error", "message"].map((type) => [type, []]),
  )
  readonly #queue: Uint8Array<ArrayBuffer>[] = []
  #buffered = 0
  #state: "connecting" | "open" | "closing" | "closed" = "open"
  #isMoving = false

  constructor({ messageBytes = 262_144, turnBytes = 262_144, isConnecting = false }: FakeChannelOptions) {
    if (isConnecting) this.#state = "connecting"
    this.#messageBytes = messageBytes
    this.#turnBytes = turnBytes
  }

  get readyState(): string {
    return this.#state
  }

  get bufferedAmount(): number {
    return this.#buffered
  }

  open(): void {
    if (this.#state !== "connecting") return
    this.#state = "open"
    this.#tell("open", {})
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners[type]?.push(listener)
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state !== "open") throw new Error("RTCDataChannel.readyState is not 'open'")
    if (bytes.length > this.#messageBytes) throw new Error("the message is too large")
    if (this.#buffered + bytes.length > 16 * 1024 * 1024) throw new Error("RTCDataChannel send queue is full")
    this.sizes.push(bytes.length)
    this.#queue.push(bytes.slice())
    this.#buffered += bytes.length
    this.mostBuffered = Math.max(this.mostBuffered, this.#buffered)
    this.#move()
  }

  close(): void {
    if (this.#state === "connecting") this.end()
    if (this.#state !== "open") return
    this.#state = "closing"
    this.#move()
  }

  /** At once, as when the connection is lost. */
  end(): void {
    if (this.#state === "closed") return
    this.#state = "closed"
    this.#queue.length = 0
    this.#buffered = 0
    this.#tell("close", {})
  }

  #move(): void {
    if (this.#isMoving) return
    this.#isMoving = true
    setImmediate(() => {
      this.#isMoving = false
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#state === "closed") return
    let left = this.#turnBytes
    while (left > 0 && this.#queue.length > 0) {
      const bytes = this.#queue.shift() as Uint8Array<ArrayBuffer>
      left -= bytes.length
      const before = this.#buffered
      this.#buffered -= bytes.length
      if (!this.isSilent) this.other?.arrive(bytes)
      const low = this.bufferedAmountLowThreshold
      if (before > low && this.#buffered <= low) this.#tell("bufferedamountlow", {})
      // What it says may have ended it.
      if ((this.#state as string) === "closed") return
    }
    if (this.#queue.length > 0) this.#move()
    else if (this.#state === "closing") {
      this.end()
      if (!this.isSilent) this.other?.end()
    }
  }

  arrive(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state === "closed") return
    const data = this.binaryType === "arraybuffer" ? bytes.buffer : new Blob([bytes])
    this.#tell("message", { data })
  }

  #tell(type: string, event: object): void {
    for (const listener of this.#listeners[type] ?? []) listener(event as never)
  }
}
