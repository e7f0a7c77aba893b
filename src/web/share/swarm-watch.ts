/** Hears how the whole swarm does, for as long as the page is open. */

import { base64url } from "../../base/bytes.ts"
import { delay, systemClock } from "../../base/clock.ts"
import type { Stream } from "../../base/stream.ts"
import type { RelayAccess } from "../../capabilities/share/peer/relay-access.ts"
import { shareService } from "../../capabilities/share/protocol/control.ts"
import type { SwarmPicture } from "../../capabilities/share/protocol/control.ts"
import { readRelayMessage } from "../../capabilities/share/protocol/read-control.ts"

export interface SwarmWatchOptions {
  readonly access: RelayAccess
  readonly swarm: string
  readonly proof: Uint8Array
  readonly signal: AbortSignal
  readonly onPicture: (picture: SwarmPicture) => void
}

/** Resolves when the signal fires; a stream that ends is opened again. */
export async function watchSwarm(options: SwarmWatchOptions): Promise<void> {
  const { access, swarm, proof, signal } = options
  const header = { do: "watch", swarm, access: base64url(proof) }
  while (!signal.aborted) {
    try {
      await listen(await access.open(shareService, header, signal), options)
    } catch {
      // Who takes part in the swarm is told what went wrong; a picture is missed by nobody.
    }
    await delay(systemClock, againMs, signal).catch(() => undefined)
  }
}

/** Resolves when the stream is over. */
function listen(stream: Stream, { signal, onPicture }: SwarmWatchOptions): Promise<void> {
  return new Promise((resolve) => {
    const leave = () => stream.reset("cancelled")
    signal.addEventListener("abort", leave, { once: true })
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta(block) {
        const message = readRelayMessage(block)
        if (message.do === "swarm") onPicture(message.picture)
      },
      end: () => stream.end(),
      drain: () => undefined,
      closed() {
        signal.removeEventListener("abort", leave)
        resolve()
      },
    })
  })
}

const againMs = 3_000
