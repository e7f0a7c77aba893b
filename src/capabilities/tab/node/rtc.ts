/**
 * Direct ways of servers in Node, by the package `node-datachannel` (libdatachannel) where it is installed: it is optional,
 * and without it the relay is the only way. It is loaded when the first peer is wanted.
 */

import type * as Library from "node-datachannel"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { DataChannel } from "../../../transport/data-channel.ts"
import { channelLabel } from "../peers/rtc.ts"
import type { RtcCandidate, RtcConnection, RtcFactory, RtcHeard } from "../peers/rtc.ts"

export interface NodeRtcOptions {
  /** `stun:host:port`; undefined: only within one network. */
  readonly stun: string | undefined
  readonly log: Log
}

export function nodeRtc(options: NodeRtcOptions): RtcFactory {
  let library: Promise<typeof Library> | undefined
  return {
    connect: (heard) => new NodeConnection((library ??= load(options.log)), options.stun, heard),
  }
}

type NativeChannel = Library.DataChannel
type NativeConnection = Library.PeerConnection

async function load(log: Log): Promise<typeof Library> {
  try {
    return await import("node-datachannel")
  } catch (cause) {
    const reason = (cause as { code?: string }).code ?? String(cause)
    log.debug("tab.no_direct_ways", { package: "node-datachannel", reason })
    throw new RdvError("no_service", "The package node-datachannel, which makes direct ways, is not installed", {
      cause,
    })
  }
}

class NodeConnection implements RtcConnection {
  readonly channel: Promise<DataChannel>
  readonly #heard: RtcHeard
  readonly #connection: Promise<NativeConnection>
  readonly #own = Promise.withResolvers<string>()
  #isClosed = false

  constructor(library: Promise<typeof Library>, stun: string | undefined, heard: RtcHeard) {
    this.#heard = heard
    this.#connection = library.then((loaded) => this.#connect(loaded, stun))
    this.channel = this.#connection.then(
      (connection) => new NodeChannel(connection.createDataChannel(channelLabel, { negotiated: true, id: 0 })),
    )
    this.#own.promise.catch(() => undefined)
    // Whoever waits for one of them hears of it.
    this.channel.catch(() => undefined)
  }

  async offer(): Promise<string> {
    const connection = await this.#ready()
    connection.setLocalDescription("offer")
    return this.#own.promise
  }

  async answer(offer: string): Promise<string> {
    const connection = await this.#ready()
    connection.setRemoteDescription(offer, "offer")
    connection.setLocalDescription("answer")
    return this.#own.promise
  }

  async accept(answer: string): Promise<void> {
    const connection = await this.#ready()
    connection.setRemoteDescription(answer, "answer")
  }

  add({ candidate, mid }: RtcCandidate): void {
    void this.#connection
      .then((connection) => {
        if (!this.#isClosed) connection.addRemoteCandidate(candidate, mid)
      })
      // Of several addresses one may be none for us: a name of the other one's network.
      .catch(() => undefined)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#own.reject(new RdvError("closed"))
    this.#connection.then(
      (connection) => connection.close(),
      () => undefined,
    )
  }

  async #ready(): Promise<NativeConnection> {
    await this.channel
    if (this.#isClosed) throw new RdvError("closed")
    return this.#connection
  }

  #connect({ PeerConnection }: typeof Library, stun: string | undefined): NativeConnection {
    const connection = new PeerConnection("rdv", {
      iceServers: stun === undefined ? [] : [stun],
      disableAutoNegotiation: true,
    })
    connection.onLocalDescription((sdp) => this.#own.resolve(sdp))
    connection.onLocalCandidate((candidate, mid) => {
      if (!this.#isClosed) this.#heard.candidate({ candidate: candidate.replace(/^a=/, ""), mid })
    })
    connection.onStateChange((state) => {
      if (state === "failed" && !this.#isClosed) {
        this.#heard.failed(new RdvError("link_lost", "The connection failed"))
      }
    })
    return connection
  }
}

type Listener = (event: never) => void

/** The native channel in the web's words. */
class NodeChannel implements DataChannel {
  binaryType = "arraybuffer"
  readonly #native: NativeChannel
  readonly #listeners = new Map<string, Listener[]>()
  #state: "connecting" | "open" | "closed" = "connecting"
  #lowThreshold = 0

  constructor(native: NativeChannel) {
    this.#native = native
    native.onOpen(() => {
      this.#state = "open"
      this.#tell("open", {})
    })
    native.onMessage((data) => this.#tell("message", { data: bytesOf(data) }))
    native.onBufferedAmountLow(() => this.#tell("bufferedamountlow", {}))
    native.onError((text) => this.#tell("error", { text }))
    native.onClosed(() => {
      if (this.#state === "closed") return
      this.#state = "closed"
      this.#tell("close", {})
    })
  }

  get readyState(): string {
    return this.#state
  }

  get bufferedAmount(): number {
    return this.#state === "open" ? this.#native.bufferedAmount() : 0
  }

  get bufferedAmountLowThreshold(): number {
    return this.#lowThreshold
  }

  set bufferedAmountLowThreshold(bytes: number) {
    this.#lowThreshold = bytes
    this.#native.setBufferedAmountLowThreshold(bytes)
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    // False only says that it waits.
    this.#native.sendMessageBinary(bytes)
  }

  close(): void {
    if (this.#state !== "closed") this.#native.close()
  }

  addEventListener(type: string, listener: Listener): void {
    const listeners = this.#listeners.get(type)
    if (listeners === undefined) this.#listeners.set(type, [listener])
    else listeners.push(listener)
  }

  #tell(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never)
  }
}

function bytesOf(data: string | Buffer | ArrayBuffer): string | Uint8Array {
  if (typeof data === "string") return data
  return data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.length)
}
