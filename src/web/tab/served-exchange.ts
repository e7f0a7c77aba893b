/** One request at the server worker, from its head to the last byte of its answer. */

import { RdvError } from "../../base/error.ts"
import { servedRequest } from "../../capabilities/tab/serve/served-request.ts"
import { BodyReceiver } from "./body-receiver.ts"
import { BodySender } from "./body-sender.ts"
import type { RequestHead, ResponseHead, ToClient } from "./messages.ts"
import { inlineBytes } from "./messages.ts"
import type { PortApp } from "./port-server.ts"
import { troubleOf } from "./trouble.ts"

export interface ServedExchangeOptions {
  readonly id: number
  readonly head: RequestHead
  readonly body: Uint8Array | true | undefined
  readonly server: PortApp
  readonly post: (message: ToClient, ...transfer: Transferable[]) => void
  /** Called once. */
  readonly onOver: () => void
}

export class ServedExchange {
  readonly #options: ServedExchangeOptions
  readonly #abort = new AbortController()
  readonly #request: BodyReceiver | undefined
  #response: BodySender | undefined
  #isOver = false

  constructor(options: ServedExchangeOptions) {
    this.#options = options
    const { id, body, post } = options
    if (body !== true) return
    this.#request = new BodyReceiver({
      onCredit: (bytes) => post({ kind: "credit", id, bytes }),
      onCancel: () => post({ kind: "enough", id }),
    })
  }

  start(): void {
    void this.#run()
  }

  chunk(bytes: Uint8Array): void {
    this.#request?.chunk(bytes)
  }

  end(totalBytes: number): void {
    this.#request?.end(totalBytes)
  }

  credit(bytes: number): void {
    this.#response?.credit(bytes)
  }

  /** The client has left. */
  cancel(): void {
    if (this.#isOver) return
    const reason = new RdvError("cancelled", "The visitor left")
    this.#abort.abort(reason)
    this.#request?.fail(reason)
    this.#response?.cancel(reason)
    this.#finish()
  }

  /** Breaks the answer off, if it has begun. */
  endStream(): void {
    if (this.#response === undefined) return
    this.#fail(new RdvError("draining", "A new version takes over: ask again"))
    this.#response.cancel()
    this.#abort.abort()
  }

  async #run(): Promise<void> {
    const { id, head, body, server, post } = this.#options
    const release = server.hold()
    try {
      const content = body instanceof Uint8Array ? new Response(body as BodyInit).body : (this.#request?.stream ?? null)
      const response = await server.fetch(requestOf(head, content, this.#abort.signal), { kind: "own" })
      await this.#answer(response)
    } catch (error) {
      this.#fail(error)
    } finally {
      release()
    }
    if (this.#isOver || this.#request === undefined) return this.#finish()
    // What the application did not read is of no use any more.
    post({ kind: "enough", id })
    this.#finish()
  }

  async #answer(response: Response): Promise<void> {
    const { id, head, post } = this.#options
    const { status, statusText } = response
    const answer: ResponseHead = { status, statusText, headers: [...response.headers] }
    const source = response.body?.getReader()
    if (source === undefined || this.#isOver || head.method === "HEAD" || bare.includes(status)) {
      source?.cancel().catch(() => undefined)
      if (!this.#isOver) post({ kind: "response", id, head: answer, body: undefined })
      return
    }
    const { first, isWhole, next } = await begin(source)
    if (this.#isOver) {
      source.cancel().catch(() => undefined)
      return
    }
    if (isWhole) {
      // The application may use its own bytes again.
      const bytes = first === undefined ? undefined : first.slice()
      post(
        { kind: "response", id, head: answer, body: bytes },
        ...(bytes === undefined ? [] : [bytes.buffer as ArrayBuffer]),
      )
      return
    }
    post({ kind: "response", id, head: answer, body: true })
    await new Promise<void>((resolve) => {
      this.#response = new BodySender({
        id,
        source: { read: async () => bytesOnly(await source.read()), cancel: (reason) => source.cancel(reason) },
        post,
        isOwned: false,
        onEnd: resolve,
        onFailure: (error) => {
          this.#fail(error)
          resolve()
        },
        onCancel: resolve,
      })
      this.#response.start(first, next)
    })
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#options.post({ kind: "failed", id: this.#options.id, trouble: troubleOf(error) })
    this.#finish()
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.onOver()
  }
}

/** The request as the application sees it: with the fields that browsers keep from scripts. */
export function requestOf(head: RequestHead, body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Request {
  const { method, url, isNavigation, referrer } = head
  const headers = new Headers(head.headers.map(([name, value]): [string, string] => [name, value]))
  headers.set("sec-fetch-site", "same-origin")
  headers.set("sec-fetch-mode", isNavigation ? "navigate" : "same-origin")
  if (referrer !== "") headers.set("referer", referrer)
  if (method !== "GET" && method !== "HEAD") headers.set("origin", new URL(url).origin)
  return servedRequest({ method, url, headers, body: method === "GET" || method === "HEAD" ? null : body, signal })
}

interface Beginning {
  readonly first: Uint8Array | undefined
  readonly isWhole: boolean
  /** A read that is under way. */
  readonly next: Promise<ReadableStreamReadResult<Uint8Array>> | undefined
}

/** What is there at once: a small answer then leaves with its head, in one message. */
async function begin(source: ReadableStreamDefaultReader<Uint8Array>): Promise<Beginning> {
  const reading = source.read()
  const result = await atHand(reading)
  if (result === undefined) return { first: undefined, isWhole: false, next: reading }
  if (result.done) return { first: undefined, isWhole: true, next: undefined }
  const first = result.value
  bytesOnly(result)
  if (first.length > inlineBytes) return { first, isWhole: false, next: undefined }
  const next = source.read()
  const isWhole = (await atHand(next))?.done === true
  const checked = next.then(bytesOnly)
  // It is awaited later, if at all.
  checked.catch(() => undefined)
  return { first, isWhole, next: checked }
}

/** Applications make streams of anything. */
function bytesOnly(result: ReadableStreamReadResult<Uint8Array>): ReadableStreamReadResult<Uint8Array> {
  if (result.done || result.value instanceof Uint8Array) return result
  throw new TypeError("The body of an answer consists of Uint8Arrays")
}

/** The value if it comes within a few turns of the microtask queue. */
async function atHand<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  let value: Value | undefined
  promise.then(
    (got) => (value = got),
    () => undefined,
  )
  for (let turn = 0; turn < 12 && value === undefined; turn++) await Promise.resolve()
  return value
}

/** Without a body, whatever the application says (RFC 9110 section 6.4.1). */
const bare: readonly number[] = [101, 204, 205, 304]
