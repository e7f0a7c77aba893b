/** Requests that may be sent a second time when nobody knows what became of the first. */

export interface RepeatableRequest {
  readonly first: Request
  /** The same once more; undefined: it may have run already, and running twice may do harm. */
  readonly again: (() => Request) | undefined
}

/**
 * Those with a safe method (RFC 9110, section 9.2.1), and those with an Idempotency-Key whose body is small enough to be
 * kept: the server runs them once.
 */
export async function repeatable(request: Request): Promise<RepeatableRequest> {
  const isSafe = request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS"
  if (isSafe && !hasBody(request)) {
    const again = request.clone()
    return { first: request, again: () => again }
  }
  if (!request.headers.has("idempotency-key")) return { first: request, again: undefined }
  const { url, method, headers, signal } = request
  const made = (body: NonNullable<ConstructorParameters<typeof Response>[0]> | null): Request =>
    new Request(url, streaming({ method, headers, signal, body }))
  // Firefox gives no stream of a request's body.
  const stream = request.body as ReadableStream<Uint8Array<ArrayBuffer>> | null | undefined
  if (stream === undefined) {
    const bytes = await request.arrayBuffer()
    return { first: made(bytes), again: bytes.byteLength <= mostKeptBytes ? () => made(bytes) : undefined }
  }
  if (stream === null) return { first: made(null), again: () => made(null) }
  const reader = stream.getReader()
  const kept: Uint8Array<ArrayBuffer>[] = []
  for (let bytes = 0; bytes <= mostKeptBytes;) {
    const { done, value } = await reader.read()
    if (done) {
      const whole = new Blob(kept)
      return { first: made(whole), again: () => made(whole) }
    }
    kept.push(value)
    bytes += value.length
  }
  const rest = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const next = kept.shift()
        const { done, value } = next === undefined ? await reader.read() : { done: false, value: next }
        if (done || value === undefined) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return { first: made(rest), again: undefined }
}

function hasBody({ body }: Request): boolean {
  return body !== null && (body as unknown) !== undefined
}

/** Streams as bodies must be said to go one way after the other. */
function streaming(init: RequestInit): RequestInit {
  return { ...init, duplex: "half" } as RequestInit
}

/** What servers keep of an answer is no more either. */
const mostKeptBytes = 262_144
