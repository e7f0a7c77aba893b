/** A page of TypeScript's own at `/`, and a program in Go below `/notes`: both are one application. */

import "./wasm_exec.js"
import program from "./notes.wasm"
import { goApp } from "rdv/tab/go"
import type { TabApp } from "rdv/tab"

const notes = goApp(program, { name: "notes" })

const page = `<!doctype html><meta charset="utf-8"><title>Go in a tab</title>
<h1>Go in a tab</h1>
<p><a href="/notes">Notes</a> are a program in Go: an <code>http.Handler</code> and <code>database/sql</code>.</p>`

const app: TabApp = {
  start: (env) => notes.start(env),
  fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === "/") return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } })
    if (pathname === "/notes" || pathname.startsWith("/notes/")) return notes.fetch(request, env)
    return new Response("There is no such page\n", { status: 404 })
  },
}

export default app
