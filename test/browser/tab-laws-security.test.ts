/** What nobody can do to a tab's server: pages of other origins, scripts that were not published, other profiles. */

import assert from "node:assert/strict"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { OutsideClient } from "../kit/outside-client.ts"
import { browserKinds, buildSite, goPublic, opened, run, untilTrue } from "../kit/tab-browser.ts"
import type { TabBrowser, TabPage } from "../kit/tab-browser.ts"
import { plainAgent, publish, tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"

for (const { name: kind, skip, start } of browserKinds) {
  describe(`a tab's server in ${kind}`, { skip, timeout: 120_000 }, () => {
    let browser: TabBrowser
    before(async () => {
      browser = await start()
    })
    after(() => browser?.close())

    test("nothing is public without a user's click", async (t) => {
      const { relay, page } = await served(t)
      assert.equal(
        await run(page, `return rdv.goPublic({ name: "alice" }).then(() => "public", (error) => error.code)`),
        "forbidden",
      )
      assert.equal(await run(page, "return (await rdv.status()).url"), null)
      const outside = new OutsideClient(`http://alice.localhost:${relay.port}`)
      t.after(() => outside.close())
      assert.equal((await outside.ask("/small")).status, 404)
    })

    test("a page of another origin gets no port, no message and no answer, and changes nothing", async (t) => {
      const { page, origin } = await served(t)
      const before = await run<number>(page, "return (await rdv.status()).epoch")
      const other = await stranger(t, browser)
      const told = await run<{ [what: string]: unknown }>(
        other,
        `const site = ${JSON.stringify(origin)}
        const told = { heard: [] }
        const outcome = (promise) => promise.then((answer) => "status" in answer ? answer.status : "done", (error) => error.name)
        const hear = ({ data, ports }) => told.heard.push(data, ports.length)
        const channel = new BroadcastChannel("rdv tab")
        channel.onmessage = hear
        addEventListener("message", hear)
        const frame = document.createElement("iframe")
        frame.src = site + "/"
        document.body.append(frame)
        await new Promise((done) => frame.onload = done)
        for (const message of [{ kind: "who-leads" }, { kind: "connect", protocol: 1 }, { kind: "leading", epoch: 1e9, protocol: 1, isDurable: true }, { kind: "new-version", version: "x" }, { kind: "stop", graceMs: 0 }]) {
          frame.contentWindow.postMessage(message, "*", [new MessageChannel().port1])
          channel.postMessage(message)
        }
        told.read = await outcome(fetch(site + "/rows"))
        told.write = await outcome(fetch(site + "/rows?mark=evil", { method: "POST", mode: "no-cors" }))
        told.register = await outcome(navigator.serviceWorker.register(site + "/rdv-sw.js"))
        try { new Worker(site + "/.rdv/worker.js"); told.worker = "made" } catch (error) { told.worker = error.name }
        told.socket = await new Promise((done) => { const socket = new WebSocket(site.replace("http", "ws")); socket.onopen = () => done("open"); socket.onerror = () => done("error") })
        const form = document.createElement("form")
        Object.assign(form, { method: "post", action: site + "/rows?mark=evil", target: "sent" })
        const target = document.createElement("iframe")
        target.name = "sent"
        document.body.append(form, target)
        const sent = new Promise((done) => target.addEventListener("load", done))
        form.submit()
        await sent
        return told`,
      )
      assert.deepEqual(
        { ...told, worker: undefined },
        { heard: [], read: "TypeError", write: 0, register: "SecurityError", worker: undefined, socket: "error" },
      )
      assert.equal(await run(page, "return (await rdv.status()).epoch"), before)
      assert.deepEqual(await run(page, `return (await fetch("/rows")).json()`), [])
    })

    test("a name stays with the key that has it", async (t) => {
      const { relay, page, origin } = await served(t)
      const outside = new OutsideClient(await goPublic(page, "alice"))
      t.after(() => outside.close())
      const key = await run<string>(page, "return (await rdv.status()).key")
      const thief = await start()
      t.after(() => thief.close())
      const other = await opened(thief, `${origin}/`)
      await assert.rejects(goPublic(other, "alice"), /claimed|taken|forbidden/i)
      assert.equal(await run(other, "return (await rdv.status()).url"), null)
      assert.equal((JSON.parse((await outside.ask("/facts")).body.toString()) as { key: string }).key, key)
      // It may have another one.
      assert.equal(await goPublic(other, "bob"), `http://bob.localhost:${relay.port}`)
    })

    test("a published application loads and calls only what its policy allows, and is framed by nobody", async (t) => {
      const relay = await tabRelay(t)
      const { files } = await buildSite(t)
      const agent = plainAgent(t, relay.at)
      await publish(
        agent,
        "law",
        [...files].map(([path, content]) => ({ path, content })).filter(({ path }) => path !== ".rdv/tab.json"),
      )
      const site = `http://app.law.localhost:${relay.port}`
      const page = await opened(browser, `${site}/`)
      t.after(() => page.close())
      // It works, publicly too.
      const outside = new OutsideClient(await goPublic(page, "carol"))
      t.after(() => outside.close())
      assert.equal((await outside.ask("/small")).body.toString(), "small\n")
      const elsewhere = `http://127.0.0.1:${relay.port}/`
      assert.deepEqual(
        await run(
          page,
          `const violations = []
          addEventListener("securitypolicyviolation", ({ effectiveDirective }) => violations.push(effectiveDirective))
          const script = document.createElement("script")
          script.textContent = "window.isInline = true"
          document.head.append(script)
          const called = await fetch(${JSON.stringify(elsewhere)}).then(() => "called", (error) => error.name)
          await new Promise((done) => setTimeout(done))
          return { isInline: window.isInline === true, called, violations: violations.toSorted() }`,
        ),
        { isInline: false, called: "TypeError", violations: ["connect-src", "script-src-elem"] },
      )
      assert.equal(
        await run(page, `return (await fetch("/fetch?url=${encodeURIComponent(elsewhere)}")).json()`),
        "TypeError",
        "the application's server calls elsewhere",
      )
      const other = await stranger(t, browser)
      const framed = (path: string) =>
        run<number>(
          other,
          `const frame = document.createElement("iframe")
          frame.src = ${JSON.stringify(site + path)}
          document.body.append(frame)
          await Promise.race([new Promise((done) => frame.onload = done), new Promise((done) => setTimeout(done, 3000))])
          return frame.contentWindow.length`,
        )
      // The page has a frame itself, which tells whether it is there.
      assert.equal(await framed("/frames"), 0)
    })

    async function served(t: TestContext): Promise<{ relay: TabRelay; page: TabPage; origin: string }> {
      const relay = await tabRelay(t)
      const site = await buildSite(t, { relay: `ws://${relay.at}`, domain: "localhost" })
      const page = await opened(browser, `${site.origin}/`)
      t.after(() => page.close())
      await untilTrue(page, "its server", "rdv.status()")
      return { relay, page, origin: site.origin }
    }
  })
}

/** A page of somebody else on this machine: of the same site, so that nothing but the origin differs. */
async function stranger(t: TestContext, browser: TabBrowser): Promise<TabPage> {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8")
    response.end("<!doctype html><title>other</title><body></body>")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const page = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.after(() => page.close())
  return page
}
