/**
 * A request as the application gets it. Browsers take fields away from requests that scripts make (`Cookie`, `Origin`,
 * `Host`, every `Sec-*`: "forbidden request-headers" of the Fetch standard), and Firefox knows no streams as bodies; a
 * server needs all of them. So where the platform does that, the request is one with fields and a body of its own.
 */

export interface RequestParts {
  readonly url: string
  /** Any but `CONNECT`, `TRACE` and `TRACK`: the platform makes no requests of these. */
  readonly method: string
  readonly headers: Headers
  /** Null for GET and HEAD. */
  readonly body: ReadableStream<Uint8Array> | null
  /** Fires when nobody wants the answer any more. */
  readonly signal: AbortSignal
}

/** Throws `TypeError` for a method or an address that is none. */
export function servedRequest(parts: RequestParts): Request {
  return takesEverything() ? new Request(parts.url, init(parts)) : (new ServedRequest(parts) as unknown as Request)
}

let complete: boolean | undefined

/** Whether requests can be made as they came: in Node. */
function takesEverything(): boolean {
  complete ??= new Request("http://localhost", { headers: { cookie: "a=b" } }).headers.has("cookie")
  return complete
}

function init({ method, headers, body, signal }: RequestParts): RequestInit {
  // `duplex` is what the platform asks for where a body is a stream.
  return { method, headers, body, signal, ...(body !== null && { duplex: "half" }) } as RequestInit
}

/** What the compiler takes for a class with fields has accessors: they are replaced. */
const PlainRequest: new (url: string, init: RequestInit) => object = Request

/** For tests where it is not needed; others use `servedRequest`. */
export class ServedRequest extends PlainRequest {
  readonly #parts: RequestParts
  /** Reads the body, with the type that forms need. */
  readonly #content: Response

  constructor(parts: RequestParts) {
    super(parts.url, init({ ...parts, body: null }))
    this.#parts = parts
    const type = parts.headers.get("content-type")
    this.#content = new Response(parts.body, type === null ? {} : { headers: { "content-type": type } })
  }

  get headers(): Headers {
    return this.#parts.headers
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#content.body
  }

  get bodyUsed(): boolean {
    return this.#content.bodyUsed
  }

  text(): Promise<string> {
    return this.#content.text()
  }

  json(): ReturnType<Request["json"]> {
    return this.#content.json()
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#content.arrayBuffer()
  }

  bytes(): Promise<Uint8Array> {
    return this.#content.bytes()
  }

  blob(): ReturnType<Request["blob"]> {
    return this.#content.blob()
  }

  formData(): ReturnType<Request["formData"]> {
    // oxlint-disable-next-line typescript/no-deprecated -- whether to read forms whole is the application's choice
    return this.#content.formData()
  }

  clone(): ServedRequest {
    const copy = this.#content.clone()
    return new ServedRequest({ ...this.#parts, headers: new Headers(this.#parts.headers), body: copy.body })
  }
}
