/** rdv's channels by its own client, over a session: each message confirmed, as many under way as the benchmark says. */

import { channels } from "../../../src/channels.ts"
import type { Channels } from "../../../src/channels.ts"
import type { Adapter, Meeting } from "./adapter.ts"
import { fail } from "./adapter.ts"

export const native: Adapter = {
  async produce(meeting) {
    const channel = (await connect(meeting)).channel(`/${meeting.name}`)
    return {
      send(bytes, confirmed) {
        channel.push(bytes, (error) => (error === undefined ? confirmed() : fail(error)))
      },
      async pour(bytes, going) {
        let [sent, confirmed] = [0, 0]
        const settled = (error: Error | undefined): void => {
          if (error === undefined) confirmed++
          else fail(error)
        }
        while (going()) {
          for (let at = 0; at < each; at++) {
            sent++
            if (!channel.push(bytes, settled)) await new Promise<void>((resolve) => channel.onRoom(resolve))
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        while (confirmed < sent) await new Promise((resolve) => setTimeout(resolve, 1))
        return sent
      },
    }
  },
  async consume(meeting, hear) {
    const server = await connect(meeting)
    const path = `/${meeting.name}`
    const channel = meeting.index === 0 ? await server.create(path) : server.channel(path)
    const stuck = new Promise<void>(() => undefined)
    // Without an answer the handler is at work for ever.
    const handle = (message: { readonly bytes: Uint8Array }): void | Promise<void> =>
      hear(message.bytes.length) ? undefined : stuck
    for (let at = 0; at < meeting.receivers; at++) channel.subscribe(handle, { window: meeting.window })
    // They have asked for messages when this is answered.
    await server.stat(path)
  },
}

const each = 64

function connect({ place }: Meeting): Promise<Channels> {
  return channels({ relay: "path" in place ? `unix:${place.path}` : `tcp://${place.host}:${place.port}` })
}
