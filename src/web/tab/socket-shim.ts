/**
 * `WebSocket` for pages: service workers do not see WebSockets, so those to the own origin go over a direct port. All others
 * are the browser's own.
 */

import type { DirectLink } from "./direct-link.ts"
import type { RequestHead } from "./messages.ts"
import type { PortSocket } from "./port-socket.ts"

/** A class that stands in for the browser's: `instanceof`, constants and foreign addresses are as ever. */
export function shimmedWebSocket(native: typeof WebSocket, link: DirectLink): typeof WebSocket {
  // Attributes and methods that pages look for are there, and so is `instanceof`.
  Object.setPrototypeOf(TabWebSocket.prototype, native.prototype as object)
  return new Proxy(native, {
    construct(target, parameters: [url: string | URL, protocols?: string | string[]], caller) {
      const url = new URL(parameters[0], location.href)
      if (url.protocol === "http:" || url.protocol === "https:") url.protocol = url.protocol.replace("http", "ws")
      const isOwn = /^wss?:$/.test(url.protocol) && url.host === location.host
      if (!isOwn) return Reflect.construct(target, parameters, caller) as object
      if (url.hash !== "") throw new DOMException("The address of a WebSocket has no fragment", "SyntaxError")
      return new TabWebSocket(url, [parameters[1] ?? []].flat(), link)
    },
  })
}

type Data = string | ArrayBufferLike | ArrayBufferView | Blob

class TabWebSocket extends EventTarget {
  readonly url: string
  readonly extensions = ""
  binaryType: BinaryType = "blob"
  protocol = ""
  readyState: number = WebSocket.CONNECTING
  onopen: ((event: Event) => void) | null = null
  onmessage: ((event: MessageEvent) => void) | null = null
  onerror: ((event: Event) => void) | null = null
  onclose: ((event: CloseEvent) => void) | null = null
  #pipe: PortSocket | undefined
  /** Blobs that are read before they, and what was sent after them, can leave. */
  #behind: Promise<void> | undefined
  #behindBytes = 0

  constructor(url: URL, protocols: readonly string[], link: DirectLink) {
    super()
    this.url = url.href
    void this.#open(protocols, link)
  }

  get bufferedAmount(): number {
    return this.#behindBytes + (this.#pipe?.waitingBytes ?? 0)
  }

  send(data: Data): void {
    if (this.readyState === WebSocket.CONNECTING) throw new DOMException("Not open yet", "InvalidStateError")
    if (this.readyState !== WebSocket.OPEN) return
    if (!(data instanceof Blob) && this.#behind === undefined) {
      this.#pipe?.send(owned(data))
      return
    }
    const size = data instanceof Blob ? data.size : typeof data === "string" ? data.length : data.byteLength
    this.#behindBytes += size
    const content = data instanceof Blob ? data.arrayBuffer().then((bytes) => new Uint8Array(bytes)) : owned(data)
    this.#behind = this.#sendBehind(this.#behind, content, size)
  }

  close(code?: number, reason = ""): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`A WebSocket is closed with 1000 or 3000 to 4999, not ${code}`, "InvalidAccessError")
    }
    if (new TextEncoder().encode(reason).length > 123) throw new DOMException("Over 123 bytes of reason", "SyntaxError")
    if (this.readyState >= WebSocket.CLOSING) return
    const wasOpen = this.readyState === WebSocket.OPEN
    this.readyState = WebSocket.CLOSING
    if (!wasOpen) this.#pipe?.over(1006, "")
    else if (this.#behind === undefined) this.#pipe?.close(code ?? 1005, reason)
    else void this.#behind.then(() => this.#pipe?.close(code ?? 1005, reason))
  }

  async #sendBehind(
    before: Promise<void> | undefined,
    content: string | Uint8Array | Promise<Uint8Array>,
    size: number,
  ): Promise<void> {
    const bytes = await content
    await before
    this.#pipe?.send(bytes)
    this.#behindBytes -= size
    if (this.#behindBytes === 0) this.#behind = undefined
  }

  async #open(protocols: readonly string[], link: DirectLink): Promise<void> {
    const port = await link.get(connectMs)
    if (port === undefined || this.readyState !== WebSocket.CONNECTING) {
      this.#over(1006, "")
      return
    }
    const head: RequestHead = {
      method: "GET",
      url: this.url.replace(/^ws/, "http"),
      headers: [],
      isNavigation: false,
      referrer: location.href.replace(/#.*/s, ""),
    }
    const pipe: PortSocket = port.socket(head, protocols, {
      onOpen: (protocol) => {
        if (this.readyState !== WebSocket.CONNECTING) return
        this.readyState = WebSocket.OPEN
        this.protocol = protocol
        this.#tell(new Event("open"))
      },
      onMessage: (data, size) => {
        if (this.readyState === WebSocket.OPEN)
          this.#tell(new MessageEvent("message", { data: this.#seen(data), origin: new URL(this.url).origin }))
        pipe.taken(size)
      },
      onRoom: () => undefined,
      onClose: (code, reason) => this.#over(code, reason),
    })
    this.#pipe = pipe
  }

  #seen(data: string | Uint8Array): string | Blob | ArrayBuffer {
    if (typeof data === "string") return data
    const bytes = data as Uint8Array<ArrayBuffer>
    return this.binaryType === "blob" ? new Blob([bytes]) : bytes.slice().buffer
  }

  #over(code: number, reason: string): void {
    if (this.readyState === WebSocket.CLOSED) return
    const wasClean = code !== 1006 && this.readyState !== WebSocket.CONNECTING
    this.readyState = WebSocket.CLOSED
    if (!wasClean) this.#tell(new Event("error"))
    this.#tell(new CloseEvent("close", { code: wasClean ? code : 1006, reason: wasClean ? reason : "", wasClean }))
  }

  #tell(event: Event): void {
    const handler = this[`on${event.type}` as "onopen"]
    if (handler !== null) this.addEventListener(event.type, handler, { once: true })
    this.dispatchEvent(event)
    if (handler !== null) this.removeEventListener(event.type, handler)
  }
}

/** A copy: the page may use its memory again. */
function owned(data: Exclude<Data, Blob>): string | Uint8Array {
  if (typeof data === "string") return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  return new Uint8Array(data).slice()
}

const connectMs = 20_000
