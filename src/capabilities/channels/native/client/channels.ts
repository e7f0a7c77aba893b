/**
 * A server's channels as an application holds them: handles of channels, selects over several, and what is there. One
 * object stands for one session to one server.
 */

import { RdvError } from "../../../../base/error.ts"
import type { JsonObject } from "../../../../base/json.ts"
import { concat } from "../../../../base/bytes.ts"
import { utf8Encode } from "../../../../base/text.ts"
import type { ChannelSettings } from "../../core/settings.ts"
import { forever, maxCases } from "../protocol.ts"
import { ClientChannel } from "./client-channel.ts"
import type { ChannelDesk, ChannelOptions } from "./client-channel.ts"
import type { Connection } from "./connection.ts"
import { Controller } from "./controller.ts"
import { readEntry } from "./entry.ts"
import type { ChannelEntry, Entry } from "./entry.ts"
import type { Message } from "./message.ts"
import { Selector } from "./selector.ts"

/** One of the things that a select may do. */
export type Case =
  | { readonly receive: ClientChannel }
  | { readonly send: ClientChannel; readonly message: string | Uint8Array }

export interface SelectOptions {
  /** Ends the select when no case could happen by then, ms: its outcome is `timeout`. */
  readonly timeoutMs?: number
  /** True: only what can happen at once; else the outcome is `default`. */
  readonly default?: boolean
  /** Ends it when it fires, unless a case has happened. */
  readonly signal?: AbortSignal
  /** As in `ReceiveOptions`. Default: a received message is done when it is handed over. */
  readonly ack?: boolean
}

/** What a select did. */
export type Selected<Options extends SelectOptions = SelectOptions> =
  | { readonly kind: "received"; readonly index: number; readonly channel: ClientChannel; readonly message: Message }
  | { readonly kind: "sent"; readonly index: number; readonly channel: ClientChannel }
  /** The channel of a receive is closed, and nothing is left in it. */
  | { readonly kind: "closed"; readonly index: number; readonly channel: ClientChannel }
  | (Options["timeoutMs"] extends number ? { readonly kind: "timeout" } : never)
  | (Options["default"] extends true ? { readonly kind: "default" } : never)

export interface ListOptions {
  /** Also what is in folders below. */
  readonly deep?: boolean
}

export interface CreateOptions {
  /** Makes the folders above as well. */
  readonly folders?: boolean
}

/** Everything rejects with `RdvError`; `link_lost` where the session was lost and nobody knows whether it was done. */
export class Channels implements ChannelDesk, AsyncDisposable {
  readonly connection: Connection
  readonly #end: () => Promise<void>
  readonly #controller: Controller
  readonly #handles: Set<ClientChannel> = new Set()
  readonly #idle: Selector[] = []
  readonly #selectors: Set<Selector> = new Set()
  #isClosed = false

  /** `end` ends the connection, behind everything else. */
  constructor(connection: Connection, end: () => Promise<void>) {
    this.connection = connection
    this.#end = end
    this.#controller = new Controller(connection)
  }

  /** A handle of a channel; nothing is asked of the server before it is used. Throws `usage` for a path that is none. */
  channel(path: string, options: ChannelOptions = {}): ClientChannel {
    if (!path.startsWith("/") || path.length < 2) {
      throw new RdvError("usage", `${JSON.stringify(path)} is no channel`, { mend: "begin it with /" })
    }
    if (this.#isClosed) throw new RdvError("closed", "The connection to the channels is closed")
    const handle = new ClientChannel(this, path, options)
    this.#handles.add(handle)
    return handle
  }

  /**
   * Exactly one of the cases happens: one of those that can happen now, chosen at random, else the first one that can.
   * Rejects with `not_found`, `forbidden`, `removed`, with `closed` for a send, `too_large`, `usage`, with the signal's
   * reason, and with `link_lost` when a send may have happened.
   */
  select<const Options extends SelectOptions>(cases: readonly Case[], options?: Options): Promise<Selected<Options>> {
    const { signal, timeoutMs, ack = false } = options ?? ({} as SelectOptions)
    const isDefault = options?.default === true
    const ms = isDefault ? 0 : timeoutMs === undefined ? forever : Math.max(1, timeoutMs)
    return new Promise<Selected>((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      if (cases.length === 0 || cases.length > maxCases)
        throw new RdvError("usage", `A select has 1 to ${maxCases} cases, not ${cases.length}`)
      const wire = cases.map((each) => {
        const channel = "receive" in each ? each.receive : each.send
        if (!channel.isOf(this)) {
          throw new RdvError("usage", `${channel.path} is a channel of another server`, {
            mend: "select among channels of one",
          })
        }
        if ("receive" in each) return { path: channel.path, bytes: undefined }
        return { path: channel.path, bytes: typeof each.message === "string" ? utf8Encode(each.message) : each.message }
      })
      const selector = this.#selector()
      const onAbort = () => selector.cancel(new RdvError("cancelled"))
      selector.select(wire, ms, (chosen, error) => {
        signal?.removeEventListener("abort", onAbort)
        const each = chosen === undefined ? undefined : cases[chosen.index]
        if (chosen !== undefined && each !== undefined) {
          const { index, message } = chosen
          const channel = "receive" in each ? each.receive : each.send
          if (message !== undefined) {
            if (!ack) message.done()
            resolve({ kind: "received", index, channel, message })
          } else if (error === undefined) resolve({ kind: "sent", index, channel })
          else if (error.code === "closed" && "receive" in each) resolve({ kind: "closed", index, channel })
          else reject(error)
        } else if (error?.code === "would_block" && isDefault) {
          resolve({ kind: "default" } as never)
        } else if (error?.code === "timeout" && timeoutMs !== undefined) {
          resolve({ kind: "timeout" } as never)
        } else if (error?.code === "cancelled" && signal?.aborted === true) reject(signal.reason as Error)
        else reject(error ?? new RdvError("protocol", "The server chose a case that was not given"))
      })
      if (selector.isBusy) signal?.addEventListener("abort", onAbort)
    }) as Promise<Selected<Options>>
  }

  /** Channels and folders in a folder. Rejects with `not_found`. */
  async list(path: string = "/", options: ListOptions = {}): Promise<Entry[]> {
    const { parts } = await this.#controller.ask({ do: "list", path, deep: options.deep === true })
    return parts.map(readEntry)
  }

  /** One channel or folder. Rejects with `not_found`. */
  async stat(path: string): Promise<Entry> {
    return readEntry((await this.#controller.ask({ do: "stat", path })).done)
  }

  /** Makes a channel. Rejects with `exists`, `not_found` for its folder, `usage` for a setting that cannot be, `forbidden`. */
  async create(
    path: string,
    settings: Partial<ChannelSettings> = {},
    options: CreateOptions = {},
  ): Promise<ClientChannel> {
    const folders = options.folders === true
    await this.#controller.ask({ do: "create", path, settings: { ...settings } as JsonObject, folders })
    return this.channel(path)
  }

  /** Makes a folder. Rejects as `create`. */
  async createFolder(path: string, options: CreateOptions = {}): Promise<void> {
    await this.#controller.ask({ do: "folder", path, folders: options.folders === true })
  }

  /** Removes a channel with all that is in it, whose parties hear `removed`, or an empty folder. */
  async remove(path: string): Promise<void> {
    await this.#controller.ask({ do: "remove", path })
  }

  /** Changes settings of a channel, for those who wait as well; answers with all of them. */
  async set(path: string, settings: Partial<ChannelSettings>): Promise<ChannelEntry> {
    const { done } = await this.#controller.ask({ do: "set", path, settings: { ...settings } as JsonObject })
    return readEntry(done) as ChannelEntry
  }

  /** Closes a channel for everybody: nobody sends any more, receivers get what is left and then the end. */
  async end(path: string): Promise<void> {
    await this.#controller.ask({ do: "close", path })
  }

  /** A snapshot of every channel now and then each second, while somebody asks for the next one; older ones are dropped. */
  async *watch(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ChannelEntry[], void> {
    const { signal } = options
    let latest: ChannelEntry[] | undefined
    let failure: unknown
    let wake: (() => void) | undefined
    const fail = (error: unknown) => {
      failure = error
      wake?.()
    }
    const onAbort = () => fail(signal?.reason)
    const stop = this.#controller.watch((entries) => {
      latest = entries.map(readEntry) as ChannelEntry[]
      wake?.()
    }, fail)
    signal?.addEventListener("abort", onAbort)
    if (signal?.aborted === true) onAbort()
    try {
      for (;;) {
        if (failure !== undefined) throw failure as Error
        if (latest === undefined) {
          await new Promise<void>((resolve) => (wake = resolve))
          continue
        }
        const entries = latest
        latest = undefined
        yield entries
      }
    } finally {
      signal?.removeEventListener("abort", onAbort)
      stop()
    }
  }

  /** `ChannelDesk`. */
  async peek(path: string): Promise<Uint8Array | undefined> {
    const stream = await this.connection.open({ do: "peek", path })
    return new Promise((resolve, reject) => {
      const pieces: Uint8Array[] = []
      let found = false
      stream.attach({
        data(chunk) {
          pieces.push(new Uint8Array(chunk))
          stream.consumed(chunk.length)
        },
        meta(block) {
          found = block["found"] === true
        },
        end: () => stream.end(),
        drain: () => undefined,
        closed(error) {
          if (error === undefined) resolve(found ? concat(pieces) : undefined)
          else reject(error)
        },
      })
    })
  }

  /** `ChannelDesk`. */
  left(channel: ClientChannel): void {
    this.#handles.delete(channel)
  }

  /** Closes every handle, as `ClientChannel.close` does, then the session. */
  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.allSettled([...this.#handles].map((handle) => handle.close(options)))
    // What they wait for is the server's last word, and the end of the session says the same.
    for (const selector of this.#selectors) void selector.close()
    void this.#controller.close()
    await this.#end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #selector(): Selector {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#isClosed) throw new RdvError("closed", "The connection to the channels is closed")
    const selector = new Selector(this.connection, (free) => this.#idle.push(free))
    this.#selectors.add(selector)
    return selector
  }
}
