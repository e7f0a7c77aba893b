/** What the service worker does with a request of this origin: to the server worker with it, and an answer from there. */

import { answerResponse, notKept, plainResponse } from "./answer-response.ts"
import { askLeader, safe } from "./ask-leader.ts"
import type { Answered, Leaders } from "./ask-leader.ts"
import { keptBootPage, underPolicy } from "./kept-files.ts"
import type { RequestHead } from "./messages.ts"
import type { Outcome } from "./port-client.ts"

export async function routeRequest(request: Request, leaders: Leaders): Promise<Response> {
  const response = await route(request, leaders)
  // What runs scripts of its own has a policy of its own.
  const { mode, destination } = request
  return mode === "navigate" || destination.endsWith("worker") ? underPolicy(response) : response
}

async function route(request: Request, leaders: Leaders): Promise<Response> {
  const isNavigation = request.mode === "navigate"
  const isSafe = safe.includes(request.method)
  const origin = new URL(request.url).origin
  // The server takes us for the user: no other site's form may speak for it.
  if (isNavigation && !isSafe && !request.referrer.startsWith(`${origin}/`)) {
    return plainResponse(403, "Not from another site")
  }
  const head: RequestHead = {
    method: request.method,
    url: request.url.replace(/#.*/s, ""),
    headers: [...request.headers],
    isNavigation,
    referrer: request.referrer.startsWith("http") ? request.referrer : "",
  }
  // Firefox has no streams here.
  const body: Uint8Array | ReadableStream<Uint8Array> | undefined = isSafe
    ? undefined
    : request.body === undefined
      ? new Uint8Array(await request.arrayBuffer())
      : (request.body ?? undefined)
  const patienceMs = isNavigation && isSafe ? pagePatienceMs : requestPatienceMs
  const { signal } = request
  const answered = await askLeader({
    leaders,
    head,
    body,
    opensPage: isNavigation && isSafe,
    patienceMs,
    signal,
    complete: isNavigation ? wholePage : undefined,
  })
  if (answered.kind !== "none" || !isNavigation || !isSafe) return answerResponse(answered)
  return new Response(await keptBootPage(), {
    status: 503,
    headers: { ...notKept, "content-type": "text/html; charset=utf-8" },
  })
}

/**
 * The page that asks gives way to the answer, and with it the server worker, if it is that page's: so the answer has to be
 * here before, up to a bound. One that takes its time, or has no end, is a stream, and may break off in that case.
 */
async function wholePage(outcome: Outcome & { readonly kind: "response" }): Promise<Answered | undefined> {
  const { head, body } = outcome
  const header = (name: string) => head.headers.find(([each]) => each === name)?.[1] ?? ""
  const isPage =
    header("content-type").startsWith("text/html") && !header("content-disposition").startsWith("attachment")
  if (!isPage || !(body instanceof ReadableStream)) return outcome
  // What is read ahead here waits in the other half.
  const [kept, ahead] = body.tee()
  const reader = ahead.getReader()
  const late = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => late.resolve(undefined), pageMs)
  try {
    for (let bytes = 0; bytes < pageBytes;) {
      const read = await Promise.race([reader.read(), late.promise])
      if (read === undefined || read.done) break
      bytes += read.value.length
    }
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
  void reader.cancel()
  return { ...outcome, body: kept }
}

const requestPatienceMs = 5000
/** Shorter: the boot page helps, by starting a server. */
const pagePatienceMs = 1500
const pageBytes = 4_194_304
const pageMs = 5000
