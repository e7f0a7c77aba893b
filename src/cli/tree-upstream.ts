/**
 * Reaching a 9P server somewhere: over a session to one of ours, whose links may break without anybody noticing, or
 * directly. An address says which of the two, or the server is asked once.
 *
 *     rdv://host:port  https:// wss:// http:// ws://   a session
 *     tcp://host:port                                  9P at once
 *     host:port  unix:/path  tls://host:port           a session, where the other side knows sessions; else 9P
 */

import type { Agent } from "../agent/agent.ts"
import type { UplinkEvent } from "../agent/uplink.ts"
import { randomBytes, base64url } from "../base/bytes.ts"
import { systemClock } from "../base/clock.ts"
import { asRdvError, RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { silentLog } from "../base/log.ts"
import { ninepService } from "../capabilities/channels/capability.ts"
import { streamBytes } from "../capabilities/channels/conversation/stream-bytes.ts"
import { finalCodes } from "../capabilities/channels/proxy/redial.ts"
import type { Upstream, UpstreamLink } from "../capabilities/channels/proxy/upstream.ts"
import { dialResume } from "../mux/handshake.ts"
import { handshakeMs } from "../mux/limits.ts"
import type { Link } from "../mux/link.ts"
import { startAgent } from "../node.ts"
import type { RunningAgent, StartAgentOptions } from "../node.ts"
import { nodeRuntime } from "../runtime.ts"
import { parseAddress, printAddress, printHostPort } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { dial } from "../transport/dial.ts"
import { nameLookup } from "../transport/name-lookup.ts"
import { socketLink } from "../transport/socket.ts"
import { connectTls, sessionAlpn } from "../transport/tls.ts"
import { linkBytes } from "./link-bytes.ts"

export interface TreeUpstreamOptions extends Omit<StartAgentOptions, "relay" | "connect" | "onEvent"> {
  /** As above. */
  readonly address: string
  /** There is an agent that keeps a session; heard once, and never within the call that makes the upstream. */
  readonly onAgent?: (agent: RunningAgent) => void
}

export interface TreeUpstream extends Upstream {
  /** Undefined while nobody has answered yet. */
  readonly kind: "session" | "direct" | undefined
  /** The session, once there is one. */
  readonly agent: RunningAgent | undefined
  status(): JsonObject
  stop(): Promise<void>
}

/** Throws `usage` for a bad address, or a token that would travel in clear. Connects to nobody yet. */
export function treeUpstream(options: TreeUpstreamOptions): TreeUpstream {
  const isSession = /^rdv:\/\//i.test(options.address)
  const address = parseAddress(options.address.replace(/^rdv:\/\//i, "tcp://"), "tcp")
  const isDirect = /^tcp:\/\//i.test(options.address)
  if (address.scheme === "memory") throw new RdvError("usage", "A memory: address cannot be reached from here")
  const isAsked = !isSession && !isDirect && ["tcp", "unix", "tls"].includes(address.scheme)
  return new Reached(options, address, isAsked ? undefined : isDirect ? "direct" : "session")
}

class Reached implements TreeUpstream {
  readonly name: string
  readonly #options: TreeUpstreamOptions
  readonly #address: Address
  readonly #lookup = nameLookup()
  #kind: "session" | "direct" | undefined
  #agent: RunningAgent | undefined
  /** Settled anew with every session. */
  #up: PromiseWithResolvers<void> = Promise.withResolvers()
  #refused: RdvError | undefined

  constructor(options: TreeUpstreamOptions, address: Address, kind: "session" | "direct" | undefined) {
    this.#options = options
    this.#address = address
    this.#kind = kind
    this.name = printAddress(address)
    if (kind === "session") this.#start()
  }

  get kind(): "session" | "direct" | undefined {
    return this.#kind
  }

  get agent(): RunningAgent | undefined {
    return this.#agent
  }

  /** Sessions find out by pings, unix sockets at once. */
  get mayGoSilent(): boolean {
    return this.#kind !== "session" && this.#address.scheme !== "unix"
  }

  async connect(signal: AbortSignal): Promise<UpstreamLink> {
    if (this.#kind === undefined) {
      const found = await this.#find(signal)
      if (found !== undefined) return found
    }
    if (this.#kind === "direct") return abortable(await this.#dial(signal))
    return this.#call(this.#start(), signal)
  }

  status(): JsonObject {
    return { address: this.name, over: this.#kind ?? "unknown" }
  }

  async stop(): Promise<void> {
    await this.#agent?.stop()
  }

  /** A link to a 9P server that has turned out to be one, where the asking did not spoil it. */
  async #find(signal: AbortSignal): Promise<UpstreamLink | undefined> {
    if (this.#address.scheme === "tls") {
      const { link, isSession } = await this.#dialTls(this.#address, signal)
      this.#decide(isSession ? "session" : "direct")
      if (!isSession) return abortable(link)
      link.abort(new RdvError("cancelled"))
      return undefined
    }
    this.#decide((await knowsSessions(await this.#dial(signal), signal)) ? "session" : "direct")
    return undefined
  }

  #decide(kind: "session" | "direct"): void {
    this.#kind = kind
    this.#options.log.info("upstream.found", { upstream: this.name, over: kind })
  }

  #start(): Agent {
    if (this.#agent === undefined) {
      const { address: _, onAgent, ...options } = this.#options
      const agent = startAgent({ ...options, relay: this.name, onEvent: (event) => this.#hear(event) })
      this.#agent = agent
      queueMicrotask(() => onAgent?.(agent))
    }
    return this.#agent.agent
  }

  #hear(event: UplinkEvent): void {
    if (event.kind === "failed") this.#refused = event.error
    if (event.kind !== "up" && event.kind !== "failed") return
    // The session stands when this round of events is over.
    setImmediate(() => {
      this.#up.resolve()
      this.#up = Promise.withResolvers()
    })
  }

  async #call(agent: Agent, signal: AbortSignal): Promise<UpstreamLink> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#refused !== undefined) throw this.#refused
      try {
        const stream = agent.dial(ninepService)
        return Object.assign(streamBytes(stream), { abort: () => stream.reset("cancelled") })
      } catch (thrown) {
        const error = asRdvError(thrown)
        if (error.code !== "unreachable" || finalCodes.has(error.code)) throw error
      }
      const aborted = Promise.withResolvers<void>()
      const abort = () => aborted.resolve()
      signal.addEventListener("abort", abort, { once: true })
      await Promise.race([this.#up.promise, aborted.promise])
      signal.removeEventListener("abort", abort)
    }
  }

  async #dial(signal: AbortSignal): Promise<Link> {
    if (this.#address.scheme === "tls") return (await this.#dialTls(this.#address, signal)).link
    return dial(this.#address, { timeoutMs: dialMs, lookup: this.#lookup, ...this.#options.dial, signal })
  }

  /** Whoever knows sessions says so in the handshake (RFC 7301). */
  async #dialTls(
    address: Extract<Address, { scheme: "tcp" | "tls" }>,
    signal: AbortSignal,
  ): Promise<{ link: Link; isSession: boolean }> {
    const limits = { timeoutMs: dialMs, lookup: this.#lookup, ...this.#options.dial, signal }
    const socket = await connectTls(address, sessionAlpn, limits)
    const peer = `tls://${printHostPort(address.host, address.port)}`
    const link = socketLink(socket, { kind: "tls", peer, protected: true })
    return { link, isSession: socket.alpnProtocol === sessionAlpn }
  }
}

/** A server that does not answer is tried again after this, ms. */
const dialMs = 10_000
/** Foreign servers wait for the rest of what looks like a long message to them; ours answers a session at once, ms. */
const askMs = Math.min(3_000, handshakeMs)

/** Offers a session that there never was: who knows sessions refuses it by name, anybody else cannot make sense of it. */
async function knowsSessions(link: Link, signal: AbortSignal): Promise<boolean> {
  const { checksum } = nodeRuntime(silentLog)
  const cut = () => link.abort(new RdvError("cancelled"))
  signal.addEventListener("abort", cut, { once: true })
  try {
    const session = { id: base64url(randomBytes(16)), secret: randomBytes(32), freeze: () => 0 }
    await dialResume(link, { clock: systemClock, checksum, handshakeMs: askMs }, session)
    return true
  } catch (thrown) {
    signal.throwIfAborted()
    return asRdvError(thrown).origin === "remote"
  } finally {
    signal.removeEventListener("abort", cut)
    cut()
  }
}

function abortable(link: Link): UpstreamLink {
  return Object.assign(linkBytes(link), { abort: () => link.abort(new RdvError("cancelled")) })
}
