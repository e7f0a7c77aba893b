/**
 * `fetch` that is not put off by the end of the service worker: browsers stop it, and lose it with the page beside it, and
 * what it was about to answer then fails. To the own origin, what is safe to repeat is asked once more.
 */

export function fetchAgain(native: typeof fetch): typeof fetch {
  return async (input, init) => {
    // A stream, and the body of a request that was made before, are there once.
    const isRepeatable = !(init?.body instanceof ReadableStream) && !(input instanceof Request && input.body !== null)
    const asked = new Request(input, init === undefined ? init : { ...init, body: null })
    for (let left = isRepeatable && mayRepeat(asked) ? times : 0; ; left--) {
      try {
        return await native.call(globalThis, input, init)
      } catch (error) {
        if (left <= 0 || asked.signal.aborted || !navigator.serviceWorker.controller) throw error
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }
}

function mayRepeat({ url, method, headers }: Request): boolean {
  if (!url.startsWith(`${location.origin}/`)) return false
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || headers.has("idempotency-key")
}

const times = 3
const pauseMs = 50
