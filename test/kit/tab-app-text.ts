/** An application as its author writes it, for tests that build, publish and run it: a text, since it is a program of its own. */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** `title` is what its page shows. */
export function appText(title: string): string {
  return `
import { visitorOf } from "rdv/tab"
import type { TabApp } from "rdv/tab"
import page from "./page.html"
import { title } from "./title.ts"

interface Note { readonly [column: string]: string }

const app: TabApp = {
  async start(env) {
    await env.sql.script("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    env.log.info("started", { note: ${JSON.stringify(title)} })
  },
  async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === "/notes" && request.method === "POST") {
      await env.sql.run("INSERT INTO notes (text) VALUES (?)", await request.text())
      return new Response(null, { status: 201 })
    }
    if (pathname === "/notes") return Response.json((await env.sql.all<Note>("SELECT text FROM notes ORDER BY id")).map(({ text }) => text))
    if (pathname === "/who") return Response.json(visitorOf(request))
    if (pathname === "/me") return Response.json({ key: env.identity.key, name: env.identity.name ?? null, url: env.identity.url ?? null })
    if (pathname === "/echo") return new Response(request.body)
    if (pathname === "/fail") throw new Error("the app's own fault")
    if (pathname === "/slow") {
      await new Promise((done) => setTimeout(done, 400))
      return new Response("slow, but whole")
    }
    if (pathname === "/ticks") {
      let n = 0
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (n > 0) await new Promise((done) => setTimeout(done, 100))
          controller.enqueue(new TextEncoder().encode(\`data: \${n++}\\n\\n\`))
        },
      })
      return new Response(body, { headers: { "content-type": "text/event-stream" } })
    }
    return new Response(page.replaceAll("TITLE", title), { headers: { "content-type": "text/html; charset=utf-8" } })
  },
  async socket(socket, request) {
    for await (const message of socket.messages) await socket.send(\`\${visitorOf(request).kind}: \${String(message)}\`)
  },
}
export default app
`
}

/** `app.ts` with what it imports. Returns its path. */
export function writeApp(folder: string, title: string): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "page.html"), "<!doctype html><title>TITLE</title><h1>TITLE</h1>\n")
  writeTitle(folder, title)
  writeFileSync(join(folder, "app.ts"), appText("notes"))
  return join(folder, "app.ts")
}

export function writeTitle(folder: string, title: string): void {
  writeFileSync(join(folder, "title.ts"), `export const title: string = ${JSON.stringify(title)}\n`)
}
