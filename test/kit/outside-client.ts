/** Visitors of a public URL as curl is one: requests over connections that stay open, and none is sent a second time. */

import { once } from "node:events"
import * as http from "node:http"

export interface Answered {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  readonly ms: number
}

export interface Asking {
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

export class OutsideClient {
  readonly #port: number
  readonly #host: string
  readonly #agent: http.Agent

  /** `url` as the relay gave it: its host is a name below the relay's domain. */
  constructor(url: string, sockets = 64) {
    const { host, port } = new URL(url)
    this.#host = host
    this.#port = Number(port)
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: sockets })
  }

  async ask(path: string, asking: Asking = {}): Promise<Answered> {
    const started = performance.now()
    const response = await this.open(path, asking)
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    const { statusCode: status = 0, headers } = response
    return { status, headers, body: Buffer.concat(parts), ms: performance.now() - started }
  }

  /** Resolves with the head. */
  open(path: string, { method = "GET", headers = {}, body }: Asking = {}): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          host: "127.0.0.1",
          port: this.#port,
          agent: this.#agent,
          path,
          method,
          headers: { host: this.#host, ...headers },
        },
        resolve,
      )
      request.on("error", reject)
      if (body === undefined || body instanceof Uint8Array) request.end(body)
      else void send(request, body).catch((error: unknown) => request.destroy(error as Error))
    })
  }

  /** A request of somebody who will not wait for the answer. */
  leave(path: string): { readonly sent: Promise<unknown>; abort(): void } {
    const request = http.request({ host: "127.0.0.1", port: this.#port, path, headers: { host: this.#host } })
    request.on("error", () => undefined)
    request.end()
    return { sent: once(request, "finish"), abort: () => request.destroy() }
  }

  close(): void {
    this.#agent.destroy()
  }
}

async function send(request: http.ClientRequest, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of body) {
    if (!request.write(part)) await new Promise((resolve) => request.once("drain", resolve))
  }
  request.end()
}
