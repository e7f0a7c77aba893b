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
  const kept = () => caches.match(request.url)
  if (request.cache !== "no-store") return (await kept()) ?? fetch(request)
  return fetch(request).catch(async (error: unknown) => (await kept()) ?? Promise.reject(error as Error))
}

/** What was kept when the service worker was installed. */
export async function keptBootPage(): Promise<BodyInit> {
  return (await caches.match(bootKey))?.blob() ?? "Reload the page"
}

/** A response of its own: one that came by a redirect cannot be a page's. */
async function load(path: string): Promise<Response> {
  const answer = await fetch(path, { cache: "no-cache" })
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`)
  return new Response(await answer.blob(), { headers: answer.headers })
}
