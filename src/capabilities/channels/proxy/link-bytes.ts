/** A link of the transports as what a 9P conversation runs over. */

import { RdvError } from "../../../base/error.ts"
import type { UpstreamLink } from "./upstream.ts"

/** What is needed of a link; its contract is that of the session's links. */
export interface TransportLink {
  readonly peer: string
  attach(sink: { data(bytes: Uint8Array): boolean; drain(): void; closed(error: RdvError | undefined): void }): void
  send(parts: readonly Uint8Array[]): boolean
  pause(): void
  resume(): void
  close(): void
  abort(error: RdvError): void
}

/** Takes a fresh link over; it is paused until `resume`. */
export function linkBytes(link: TransportLink): UpstreamLink {
  return new LinkBytes(link)
}

class LinkBytes implements UpstreamLink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  readonly #link: TransportLink

  constructor(link: TransportLink) {
    this.#link = link
    link.pause()
    link.attach({
      data: (bytes) => {
        this.onData?.(bytes)
        return false
      },
      drain: () => this.onDrain?.(),
      closed: (error) => this.onClose?.(error),
    })
  }

  write(bytes: Uint8Array): boolean {
    // A link sends by reference and does not tell when it is done with what it did not call full.
    return this.#link.send([bytes.slice()])
  }

  pause(): void {
    this.#link.pause()
  }

  resume(): void {
    this.#link.resume()
  }

  close(): void {
    this.#link.close()
  }

  abort(): void {
    this.#link.abort(new RdvError("cancelled"))
  }
}
