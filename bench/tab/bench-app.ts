/**
 * The application that is measured: the one of the tests, and a page that measures the way through the service worker with
 * nobody looking on. It leaves its figures with the server.
 */

import law from "../../test/browser/apps/law-app.ts"
import type { TabApp } from "../../src/tab.ts"

let figures: unknown = null

const app: TabApp = {
  ...law,
  async fetch(request, env) {
    const url = new URL(request.url)
    switch (`${request.method} ${url.pathname}`) {
      case "GET /measure":
        return new Response(
          `<!doctype html><title>measures</title><script>(${measure.toString()})(${Number(url.searchParams.get("seconds"))})</script>`,
          {
            headers: { "content-type": "text/html; charset=utf-8" },
          },
        )
      case "POST /figures":
        figures = await request.json()
        return new Response("kept")
      case "GET /figures":
        return Response.json(figures)
      default:
        return law.fetch(request, env)
    }
  },
}

export default app

/** Runs in the page. */
async function measure(seconds: number): Promise<void> {
  const { rdv } = globalThis as unknown as { rdv: { readonly ready: Promise<void>; readonly fetch: typeof fetch } }
  const post = (path: string, body?: string) => fetch(path, { method: "POST", ...(body !== undefined && { body }) })
  const parallel = async (clients: number, ask: () => Promise<Response>) => {
    const started = performance.now()
    let answers = 0
    const lane = async () => {
      while (performance.now() - started < seconds * 1000) {
        await (await ask()).text()
        answers++
      }
    }
    await Promise.all(Array.from({ length: clients }, lane))
    return (answers * 1000) / (performance.now() - started)
  }
  try {
    await parallel(4, () => fetch("/small"))
    const times: number[] = []
    for (let n = 0; n < 500; n++) {
      const started = performance.now()
      await (await fetch("/small")).text()
      times.push(performance.now() - started)
    }
    times.sort((a, b) => a - b)
    const requests = await parallel(32, () => fetch("/small"))
    const inserts = await parallel(64, () => post("/rows?mark=p"))
    await rdv.ready
    const direct = await parallel(32, () => rdv.fetch("/small"))
    const directInserts = await parallel(64, () => rdv.fetch("/rows?mark=d", { method: "POST" }))
    await post(
      "/figures",
      JSON.stringify({ p50: times[250], p99: times[495], requests, inserts, direct, directInserts }),
    )
  } catch (error) {
    await post("/figures", JSON.stringify({ error: String(error) }))
  }
}
