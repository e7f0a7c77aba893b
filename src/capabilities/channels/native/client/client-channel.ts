/**
 * A channel as an application holds it: `await send`, `await receive`, `for await`. Promises are made here, one for each
 * message where the application asks for one; below, everything calls back.
 */

import { RdvError } from "../../../../base/error.ts"
import type { JsonObject } from "../../../../base/json.ts"
import { utf8Encode } from "../../../../base/text.ts"
import type { ChannelSettings } from "../../core/settings.ts"
import { forever } from "../protocol.ts"
import type { Case, Selected, SelectOptions } from "./channels.ts"
import type { Connection } from "./connection.ts"
import type { Message } from "./message.ts"
import { Receiver } from "./receiver.ts"
import { Sender } from "./sender.ts"
import type { Settled } from "./sender.ts"
import { Subscription } from "./subscription.ts"

export interface ChannelOptions {
  /** Makes the channel when it is missing, with its folders; an object: with these settings. Default: it must be there. */
  readonly create?: boolean | Partial<ChannelSettings>
}

export interface SendOptions {
  /** Not longer than this for a receiver (or room in the channel's buffer) to be found, ms. Then `timeout`. */
  readonly timeoutMs?: number
  /** Only when a receiver waits or the buffer has room now; else `would_block`. */
  readonly try?: boolean
  /** Takes the message back when it fires, unless it was matched: then the outcome is what became of it. */
  readonly signal?: AbortSignal
}

export interface ReceiveOptions {
  /** Not longer than this, ms. Then `timeout`. */
  readonly timeoutMs?: number
  /** Only what is there now; else `would_block`. */
  readonly try?: boolean
  readonly signal?: AbortSignal
  /**
   * True: the message is the channel's until `message.done()` or `message.fail()`, and its sender waits so long where the
   * channel has no buffer. Default: it is done when it is handed over.
   */
  readonly ack?: boolean
}

export interface FollowOptions {
  /** Messages that may be here without having been dealt with. Default 1: nothing is fetched ahead of its turn. */
  readonly window?: number
  /** As in `ReceiveOptions`. Default: a message is done when the next one is asked for, or the handler has returned. */
  readonly ack?: boolean
  readonly signal?: AbortSignal
}

export interface BatchOptions {
  /** Messages at most. Default 256. So many may be fetched ahead between calls. */
  readonly most?: number
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** As in `ReceiveOptions`. Default: a batch is done when the next one is asked for. */
  readonly ack?: boolean
}

/** What a client can say of a channel to its server. */
export interface ChannelDesk {
  readonly connection: Connection
  select<const Options extends SelectOptions>(cases: readonly Case[], options?: Options): Promise<Selected<Options>>
  peek(path: string): Promise<Uint8Array | undefined>
  end(path: string): Promise<void>
  left(channel: ClientChannel): void
}

/**
 * One channel at a server. It opens streams when it is first used, one to send and one for each way to receive, and keeps
 * them until `close`. Everything rejects with `RdvError`: `not_found`, `forbidden`, `removed`, `closed`, `limit`, and what
 * the methods name.
 */
export class ClientChannel implements AsyncIterable<Message>, AsyncDisposable {
  readonly path: string
  readonly #desk: ChannelDesk
  readonly #create: JsonObject | undefined
  #sender: Sender | undefined
  #receiver: Receiver | undefined
  readonly #followers: Set<Receiver> = new Set()
  /** Of `receiveBatch`, done when the next one is asked for. */
  #batch: readonly Message[] = []
  #isClosed = false

  /** Made by `Channels.channel`. */
  constructor(desk: ChannelDesk, path: string, options: ChannelOptions) {
    this.#desk = desk
    this.path = path
    const { create } = options
    if (create !== undefined && create !== false) this.#create = create === true ? {} : { ...create }
  }

  /** As `Channels.select`, at the server of this channel. */
  select<const Options extends SelectOptions>(cases: readonly Case[], options?: Options): Promise<Selected<Options>> {
    return this.#desk.select(cases, options)
  }

  /** True when it belongs to this server: a select is made by one. */
  isOf(desk: ChannelDesk): boolean {
    return this.#desk === desk
  }

  /**
   * Sends one message; resolves when it has arrived as the channel's grade of delivery says (`seen`: its receiver has it),
   * or stands in its buffer. A `Uint8Array` must not change before that. Rejects with `timeout`, `would_block`, `too_large`,
   * `cancelled`, and `link_lost` when the session was lost before the outcome was known.
   */
  send(message: string | Uint8Array, options?: SendOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal
      if (signal === undefined) {
        this.#send(message, (error) => (error === undefined ? resolve() : reject(error)), options)
        return
      }
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      const onAbort = () => this.#sender?.withdraw(ticket, new RdvError("cancelled"))
      const ticket = this.#send(
        message,
        (error) => {
          signal.removeEventListener("abort", onAbort)
          if (error === undefined) resolve()
          else reject(error.code === "cancelled" && signal.aborted ? (signal.reason as Error) : error)
        },
        options,
      )
      if (ticket.line !== undefined) signal.addEventListener("abort", onAbort)
    })
  }

  /**
   * The same without a promise, for the hot path: `settled` hears once what became of the message, maybe before this
   * returns. False asks the caller to wait for `onRoom`: messages wait here because the server's window is full.
   */
  push(message: string | Uint8Array, settled: Settled): boolean {
    this.#send(message, settled)
    return (this.#sender as Sender).hasRoom
  }

  /** Calls back once, when `push` has room again. */
  onRoom(callback: () => void): void {
    this.#senderNow().whenRoom(callback)
  }

  /**
   * Sends all of them in order, many at once; resolves with their count when all have arrived. Rejects with the first
   * error: those behind it that were under way may have arrived.
   */
  async sendAll(messages: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>): Promise<number> {
    let sent = 0
    let pending = 0
    let failure: RdvError | undefined
    let wake: (() => void) | undefined
    const settled = (error: RdvError | undefined) => {
      pending--
      failure ??= error
      if (pending === 0 || error !== undefined) wake?.()
    }
    const until = (isDone: () => boolean) =>
      new Promise<void>((resolve) => {
        wake = () => {
          if (isDone() || failure !== undefined) resolve()
        }
        wake()
      })
    const offer = (message: string | Uint8Array) => {
      sent++
      pending++
      return this.push(message, settled)
    }
    const room = async () => {
      let hasRoom = false
      this.onRoom(() => {
        hasRoom = true
        wake?.()
      })
      await until(() => hasRoom)
    }
    if (Symbol.asyncIterator in messages) {
      for await (const message of messages) {
        if (!offer(message)) await room()
        if (failure !== undefined) break
      }
    } else {
      for (const message of messages) {
        if (!offer(message)) await room()
        if (failure !== undefined) break
      }
    }
    await until(() => pending === 0)
    if (failure !== undefined) throw failure
    return sent
  }

  /**
   * Receives one message; `undefined` when the channel is closed and nothing is left in it. Rejects with `timeout`,
   * `would_block`, or the signal's reason; the message is another receiver's then.
   */
  async receive(options: ReceiveOptions = {}): Promise<Message | undefined> {
    this.#finishBatch()
    return this.#receive(this.#receiverNow(), options, options.ack !== true)
  }

  /**
   * Receives what is there, at least one message; none when the channel is closed and nothing is left in it. Between calls
   * messages are fetched ahead: for one reader that shall be fast, not for many that take turns.
   */
  async receiveBatch(options: BatchOptions = {}): Promise<Message[]> {
    const { most = 256 } = options
    this.#finishBatch()
    const receiver = this.#receiverNow()
    receiver.hold(most)
    let messages = receiver.takeHeld(most)
    if (messages.length === 0) {
      const first = await this.#receive(receiver, options, false)
      if (first === undefined) return []
      messages = [first, ...receiver.takeHeld(most - 1)]
    }
    if (options.ack !== true) this.#batch = messages
    return messages
  }

  /**
   * Messages one after another until the channel is closed; each is done when the next one is asked for, and when the loop
   * is left. What was fetched ahead goes back then.
   */
  messages(options: FollowOptions = {}): AsyncIterableIterator<Message> & AsyncDisposable {
    const receiver = this.#follow()
    const { window = 1, ack = false, signal } = options
    let last: Message | undefined
    let isOver = false
    const leave = async () => {
      isOver = true
      last?.done()
      last = undefined
      await this.#unfollow(receiver)
    }
    const next = async (): Promise<IteratorResult<Message>> => {
      last?.done()
      last = undefined
      if (isOver) return { done: true, value: undefined }
      if (window > 1) receiver.hold(window)
      try {
        const message = await this.#receive(receiver, { ...(signal !== undefined && { signal }) }, false)
        if (message !== undefined) {
          if (!ack) last = message
          return { done: false, value: message }
        }
      } catch (error) {
        await leave()
        throw error
      }
      await leave()
      return { done: true, value: undefined }
    }
    return {
      next,
      async return() {
        await leave()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]() {
        return this
      },
      [Symbol.asyncDispose]: leave,
    }
  }

  /** As `messages()`, with its defaults. */
  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.messages()
  }

  /**
   * Hands every message to the handler, without a promise for each. It is done when the handler has returned, or its promise
   * is resolved; what the handler throws gives it back. With `ack` the handler says so itself.
   */
  subscribe(handler: (message: Message) => void | Promise<void>, options: FollowOptions = {}): Subscription {
    const receiver = this.#follow()
    return new Subscription(receiver, handler, options, () => this.#unfollow(receiver))
  }

  /** A copy of the message that a receiver would get next; undefined when none is there. */
  peek(): Promise<Uint8Array | undefined> {
    return this.#desk.peek(this.path)
  }

  /** Closes the channel for everybody: nobody sends any more, receivers get what is left and then the end. */
  end(): Promise<void> {
    return this.#desk.end(this.path)
  }

  /**
   * Lets go of the channel, which stays: gives back what was received and not done, and waits up to `graceMs` for what was
   * sent to be settled. What has found no receiver by then is withdrawn and fails with `closed`. Default 5000.
   */
  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#isClosed = true
    this.#desk.left(this)
    this.#finishBatch()
    const { graceMs = 5_000 } = options
    const timer = this.#desk.connection.clock.after(graceMs, () => {
      this.#sender?.abort(new RdvError("closed", `${this.path} was closed before the message had arrived`))
      this.#receiver?.abort()
      for (const receiver of this.#followers) receiver.abort()
    })
    try {
      await Promise.all([
        this.#sender?.close(),
        this.#receiver?.close(),
        ...[...this.#followers].map((receiver) => receiver.close()),
      ])
    } finally {
      timer.cancel()
      this.#followers.clear()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #send(message: string | Uint8Array, settled: Settled, options?: SendOptions): ReturnType<Sender["send"]> {
    const bytes = typeof message === "string" ? utf8Encode(message) : message
    const ms = options === undefined ? forever : options.try === true ? 0 : (options.timeoutMs ?? forever)
    return this.#senderNow().send(bytes, settled, ms)
  }

  #receive(receiver: Receiver, options: ReceiveOptions, isDone: boolean): Promise<Message | undefined> {
    const { signal, timeoutMs } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      const onAbort = () => receiver.forget(wish, new RdvError("cancelled"))
      const wish = receiver.receive(
        (message, error) => {
          signal?.removeEventListener("abort", onAbort)
          if (message !== undefined) {
            if (isDone) message.done()
            resolve(message)
          } else if (error === undefined) resolve(undefined)
          else reject(error.code === "cancelled" && signal?.aborted === true ? (signal.reason as Error) : error)
        },
        options.try === true ? 0 : timeoutMs,
      )
      if (wish.line !== undefined) signal?.addEventListener("abort", onAbort)
    })
  }

  #senderNow(): Sender {
    this.#checkOpen()
    return (this.#sender ??= new Sender(this.#desk.connection, this.path, this.#header("send")))
  }

  #receiverNow(): Receiver {
    this.#checkOpen()
    // The channel may be there by now.
    if (this.#receiver?.hasFailed === true) this.#receiver = undefined
    return (this.#receiver ??= this.#newReceiver())
  }

  #newReceiver(): Receiver {
    return new Receiver(this.#desk.connection, this.path, this.#header("receive"))
  }

  #follow(): Receiver {
    this.#checkOpen()
    const receiver = this.#newReceiver()
    this.#followers.add(receiver)
    return receiver
  }

  #unfollow(receiver: Receiver): Promise<void> {
    this.#followers.delete(receiver)
    return receiver.close()
  }

  #header(verb: "send" | "receive"): JsonObject {
    return { do: verb, path: this.path, ...(this.#create !== undefined && { create: this.#create }) }
  }

  #finishBatch(): void {
    for (const message of this.#batch) message.done()
    this.#batch = []
  }

  #checkOpen(): void {
    if (!this.#isClosed) return
    throw new RdvError("closed", `This handle of ${this.path} is closed`, { mend: "get a new one" })
  }
}
