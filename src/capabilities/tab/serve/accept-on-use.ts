/**
 * When a socket counts as accepted: an application refuses by throwing before it has touched the socket, however long it
 * thinks; by sending, reading or closing, or by returning, it accepts. So both a handler that only registers something and
 * one that loops over all messages are written as they read best.
 */

import type { TabSocket } from "../app/socket.ts"

/** What was thrown in refusal. A response that was thrown is the refusal itself. */
export interface Refusal {
  readonly thrown: unknown
}

/** Resolves as soon as it is decided; undefined is accepted. `failed` hears what an accepted one's handler throws later. */
export function acceptOnUse(
  socket: TabSocket,
  handle: (socket: TabSocket) => Promise<void>,
  events: { failed(thrown: unknown): void },
): Promise<Response | Refusal | undefined> {
  return new Promise((resolve) => {
    let isAccepted = false
    const accept = () => {
      if (isAccepted) return
      isAccepted = true
      resolve(undefined)
    }
    const messages: AsyncIterable<string | Uint8Array> = {
      [Symbol.asyncIterator]() {
        accept()
        return socket.messages[Symbol.asyncIterator]()
      },
    }
    const used: TabSocket = {
      messages,
      closed: socket.closed,
      send(message) {
        accept()
        return socket.send(message)
      },
      close(code, reason) {
        accept()
        socket.close(code, reason)
      },
    }
    handle(used).then(accept, (thrown: unknown) => {
      if (!isAccepted) {
        isAccepted = true
        resolve(thrown instanceof Response ? thrown : { thrown })
        return
      }
      events.failed(thrown)
      socket.close(1011, "the application failed")
    })
  })
}
