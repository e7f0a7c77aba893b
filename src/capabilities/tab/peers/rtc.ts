/**
 * Connections between two machines as WebRTC makes them (W3C WebRTC 1.0): a page's, from a worker through its page, or
 * Node's. Each has one data channel, agreed beforehand (`negotiated`, id 0), so that it is there before anything is said.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { DataChannel } from "../../../transport/data-channel.ts"

export interface RtcFactory {
  /** Rejections of the connection say why there can be none. */
  connect(heard: RtcHeard): RtcConnection
}

export interface RtcHeard {
  /** An own address to try. */
  candidate(candidate: RtcCandidate): void
  /** It will not come about, or is over. */
  failed(error: RdvError): void
}

export interface RtcCandidate {
  /** As in SDP, without `a=`. */
  readonly candidate: string
  /** Of the part of the description that it belongs to. */
  readonly mid: string
}

export interface RtcConnection {
  /** Session descriptions (SDP, RFC 8866): exactly one of the two ways is taken. */
  offer(): Promise<string>
  accept(answer: string): Promise<void>
  answer(offer: string): Promise<string>
  /** After the other side's description. */
  add(candidate: RtcCandidate): void
  /** Resolves when it is made, which is before it is open. */
  readonly channel: Promise<DataChannel>
  close(): void
}

/** The label of the channel. */
export const channelLabel = "rdv"

/** Resolves when the channel is open. Rejects `link_lost` or `timeout`. */
export function opened(channel: DataChannel, clock: Clock, timeoutMs: number): Promise<DataChannel> {
  return new Promise((resolve, reject) => {
    const late = clock.after(timeoutMs, () => {
      reject(new RdvError("timeout", `No direct way was found within ${timeoutMs / 1000} s`))
    })
    const open = () => {
      late.cancel()
      resolve(channel)
    }
    channel.addEventListener("open", open)
    channel.addEventListener("close", () => {
      late.cancel()
      reject(new RdvError("link_lost", "The channel was closed before it was open"))
    })
    if (channel.readyState === "open") open()
  })
}
