/**
 * Clients by protocol. A factory resolves its target once (see `Addresses`) and keeps one TLS context for all of its
 * connections; each connection does a full handshake.
 */

import type { Expectation, Framing, MessagePlan, Pace, Target } from "../scenario/scenario.ts"
import type { AddressesOptions } from "./addresses.ts"
import type { ClientFactory } from "./client.ts"
import { Dialer } from "./dialer.ts"
import { FramedAnswer } from "./framed-answer.ts"
import { HttpAnswer } from "./http-answer.ts"
import { SocketClient } from "./socket-client.ts"
import type { ThrottleLimits } from "./throttle.ts"
import { WsClient, webSocketUrl } from "./ws-client.ts"

/** What clients need of a scenario: a `Scenario` fits. */
export interface ClientScenario {
  readonly messages: MessagePlan
  readonly framing: Framing
  readonly expect: Expectation
  readonly pace: Pick<Pace, "readBytesPerSecond" | "writeBytesPerSecond">
  readonly ending: { readonly connectTimeoutMs: number }
}

export interface FactoryOptions {
  /** How the target's name is resolved; by default once. */
  readonly addresses?: AddressesOptions
}

/** Throws `usage` when the target cannot be used at all: its certificates, its host, its path. */
export function createFactory(target: Target, scenario: ClientScenario, options: FactoryOptions = {}): ClientFactory {
  const { messages, framing, expect, pace, ending } = scenario
  const dialer = new Dialer(target, { connectTimeoutMs: ending.connectTimeoutMs, ...options })
  const limits = throttled(pace)
  switch (target.protocol) {
    case "tcp":
    case "tls":
    case "unix":
      return {
        create: (events) =>
          new SocketClient({ dialer, limits, reader: new FramedAnswer(framing, expect, dialer.where) }, events),
      }
    case "http":
    case "https":
      return { create: (events) => new SocketClient({ dialer, limits, reader: new HttpAnswer(dialer.where) }, events) }
    case "ws":
    case "wss": {
      webSocketUrl(dialer)
      const text = messages.kind === "text" || messages.kind === "sequence"
      return { create: (events) => new WsClient({ dialer, limits, text, expect }, events) }
    }
  }
}

function throttled({ readBytesPerSecond, writeBytesPerSecond }: ClientScenario["pace"]): ThrottleLimits | undefined {
  if (readBytesPerSecond === undefined && writeBytesPerSecond === undefined) return undefined
  return {
    ...(readBytesPerSecond === undefined ? {} : { readBytesPerSecond }),
    ...(writeBytesPerSecond === undefined ? {} : { writeBytesPerSecond }),
  }
}
