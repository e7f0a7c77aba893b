/** Pages that look on: each has a stream of events (server-sent events) about one room, or about all. */

export interface LiveFilter {
  /** The room that the page shows. */
  readonly room?: number | undefined
  /** A stranger's page. */
  readonly isPublic: boolean
}

interface Listener {
  readonly filter: LiveFilter
  send(text: string): void
}

export class Live {
  readonly #listeners = new Set<Listener>()

  /** Whether it is worth making an event for them. */
  has(audience: LiveFilter): boolean {
    return [...this.#listeners].some(({ filter }) => fits(filter, audience))
  }

  /** Without a room, to all pages of that kind. */
  publish(event: string, data: unknown, audience: LiveFilter): void {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    for (const listener of this.#listeners) if (fits(listener.filter, audience)) listener.send(text)
  }

  /** The answer to a page that listens. `stamp`: what it may have missed before can be told by that. */
  subscribe(filter: LiveFilter, stamp: string): Response | undefined {
    if (this.#listeners.size >= mostListeners) return undefined
    const encoder = new TextEncoder()
    let listener: Listener | undefined
    let beat: ReturnType<typeof setInterval> | undefined
    const leave = () => {
      clearInterval(beat)
      if (listener !== undefined) this.#listeners.delete(listener)
    }
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          const send = (text: string) => {
            try {
              // Who does not keep up asks again, and gets everything.
              if ((controller.desiredSize ?? 0) < 0) {
                leave()
                controller.close()
              } else controller.enqueue(encoder.encode(text))
            } catch {
              leave()
            }
          }
          listener = { filter, send }
          this.#listeners.add(listener)
          beat = setInterval(() => send(": still here\n\n"), beatMs)
          ;(beat as { unref?: () => void }).unref?.()
          send(`retry: 1000\nevent: hello\ndata: ${JSON.stringify({ stamp })}\n\n`)
        },
        cancel: leave,
      },
      { highWaterMark: mostBehind },
    )
    return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } })
  }
}

function fits(filter: LiveFilter, { room, isPublic }: LiveFilter): boolean {
  return filter.isPublic === isPublic && (room === undefined || filter.room === room)
}

const mostListeners = 200
/** Events. */
const mostBehind = 256
const beatMs = 25_000
