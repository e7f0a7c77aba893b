/**
 * The files of the build folder as this browser keeps them, so that the application opens without a network: one cache per
 * version, whole or not at all. What is kept is what is used, until the next version is here as a whole.
 */

import type { RuntimeFiles } from "./runtime-files.ts"
import { runtimePath } from "./runtime-files.ts"

const prefix = "rdv "
/** The boot page, whatever its name in this version. */
const bootKey = "/.rdv/boot"

/** Fetches what changed. Resolves with the version. Rejects with one line when a file is missing; then the old ones stay. */
export async function fillCache(): Promise<string> {
  const answer = await load(runtimePath)
  const runtime = (await answer.clone().json()) as RuntimeFiles
  const name = prefix + runtime.version
  const cache = await caches.open(name)
  if ((await cache.match(runtimePath)) === undefined) {
    await Promise.all(runtime.files.map(async (path) => cache.put(path, await load(path))))
    await cache.put(bootKey, await load(runtime.boot))
    // Last: this is the mark of a whole one.
    await cache.put(runtimePath, answer)
  }
  for (const other of await caches.keys()) {
    if (other.startsWith(prefix) && other !== name) await caches.delete(other)
  }
  return runtime.version
}

/** The file as it is kept, or from the network. Who says `no-store` wants the network's, if there is one. */
export async function keptFile(request: Request): Promise<Response> {
  // The control page has a short address.
  const kept = () => caches.match(request.url.replace(/\/\.rdv\/control$/, "$&.html"))
  if (request.cache !== "no-store") return (await kept()) ?? fetch(request)
  return fetch(request).catch(async (error: unknown) => (await kept()) ?? Promise.reject(error as Error))
}

/** What was kept when the service worker was installed. */
export async function keptBootPage(): Promise<BodyInit> {
  return (await caches.match(bootKey))?.blob() ?? "Reload the page"
}

/**
 * What the host says of its pages (what they load, whom they call, who frames them) holds for the application's answers as
 * well, beside what the application says: a browser keeps both policies.
 */
export async function underPolicy(response: Response): Promise<Response> {
  const boot = await caches.match(bootKey)
  for (const name of policyFields) {
    const value = boot?.headers.get(name)
    if (typeof value !== "string") continue
    if (name === "content-security-policy") response.headers.append(name, value)
    else if (!response.headers.has(name)) response.headers.set(name, value)
  }
  return response
}

const policyFields = [
  "content-security-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "permissions-policy",
  "referrer-policy",
  "x-content-type-options",
  "x-frame-options",
]

/** A response of its own: one that came by a redirect cannot be a page's. */
async function load(path: string): Promise<Response> {
  const answer = await fetch(path, { cache: "no-cache" })
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`)
  return new Response(await answer.blob(), { headers: answer.headers })
}
