/**
 * `fetch` that is not put off by the end of the service worker: browsers stop it, and lose it with the page beside it, and
 * what it was about to answer then fails. To the own origin, what is safe to repeat is asked once more.
 */

export function fetchAgain(native: typeof fetch): typeof fetch {
  return async (input, init) => {
    for (let left = mayRepeat(input, init) ? times : 0; ; left--) {
      try {
        return await native.call(globalThis, input, init)
      } catch (error) {
        const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
        if (left <= 0 || signal?.aborted === true || !navigator.serviceWorker.controller) throw error
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }
}

/** Nothing is made of a `Request` here: that would take its body away. */
function mayRepeat(input: RequestInfo | URL, init: RequestInit | undefined): boolean {
  const made = input instanceof Request ? input : undefined
  // A stream, and the body of a request that was made before, are there once. Firefox does not say whether there is one.
  if (init?.body instanceof ReadableStream || (made !== undefined && !isBodyless(made.method))) return false
  const url = input instanceof Request ? input.url : input instanceof URL ? input.href : input
  if (!URL.canParse(url, location.href) || new URL(url, location.href).origin !== location.origin) return false
  return isBodyless(init?.method ?? made?.method ?? "GET") || new Headers(init?.headers).has("idempotency-key")
}

function isBodyless(method: string): boolean {
  return /^(?:get|head|options)$/i.test(method)
}

const times = 3
const pauseMs = 50
