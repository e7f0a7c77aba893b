/** An application that is served by a tab, in a real browser: everything a page can ask its server for. */

import assert from "node:assert/strict"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { Browser, chromium } from "../kit/chromium.ts"
import type { Page } from "../kit/chromium.ts"
import { tabSite } from "../kit/tab-site.ts"
import type { TabSite } from "../kit/tab-site.ts"

const skip = chromium === undefined ? "no Chromium here" : false
const isServed = `document.querySelector("#born") && window.rdv`

describe("a tab's server and its pages", { skip, timeout: 120_000 }, () => {
  let browser: Browser
  before(() => {
    browser = new Browser(chromium as string)
  })
  after(() => browser.close())

  async function opened(t: TestContext): Promise<{ site: TabSite; page: Page }> {
    const site = await tabSite(t)
    const page = await browser.open(`${site.origin}/`, { width: 900 })
    t.after(() => page.close())
    await page.until("the application", isServed)
    return { site, page }
  }

  /** What a script gives; it may await. */
  function run<Value>(page: Page, script: string): Promise<Value> {
    return page.evaluate<Value>(`(async () => { ${script} })()`)
  }

  test("the first visit shows the boot page, which gives way to the application's own", async (t) => {
    const { site, page } = await opened(t)
    assert.equal(await page.evaluate("document.querySelector('h1').textContent"), "Served by the tab")
    // The page agent is in it, its picture came from the tab, and the host has never heard of either.
    await page.until("the picture", "document.querySelector('img').naturalWidth === 7")
    assert.match(await page.evaluate("document.head.innerHTML"), /^<script src="\/\.rdv\/page-\w+\.js"><\/script>/)
    assert.ok(!site.asked.includes("GET /picture.svg"))
    assert.equal(site.asked.filter((path) => path === "GET /").length, 1)
    assert.deepEqual(page.complaints, [])
  })

  test("navigations are answered by the tab: links, forms, redirects, pages above what is buffered", async (t) => {
    const { page } = await opened(t)
    await run(page, `document.querySelector("[name=word]").value = "Grüße"; document.forms[0].submit()`)
    await page.until("the form's answer", `document.querySelector("h1")?.textContent === "Grüße"`)
    await go(page, `location.href = "/redirect"`)
    await page.until("where it leads", `location.search === "?redirected" && ${isServed}`)
    await go(page, `location.href = "/large?bytes=3000000"`)
    await page.until("a large page", `document.querySelector("p")?.textContent.length === 3000000`)
    await go(page, `location.reload()`)
    await page.until("the same again", `document.querySelector("p")?.textContent.length === 3000000 && window.rdv`)
    await go(page, `history.back()`)
    await page.until("a page before", `document.querySelector("h1") && window.rdv`)
    assert.equal(await run(page, `return (await fetch("/facts")).status`), 200)
    assert.equal(await run(page, `return (await rdv.fetch("/facts")).status`), 200)
  })

  /** The page goes elsewhere. */
  async function go(page: Page, script: string): Promise<void> {
    await page.evaluate(`setTimeout(() => { ${script} }), 0`)
  }

  test("fields that browsers keep from scripts are there, and others as they were sent", async (t) => {
    const { site, page } = await opened(t)
    const { headers } = await run<{ headers: { [name: string]: string } }>(
      page,
      `return (await fetch("/facts", { method: "PUT", headers: { "x-own": "as it is", a: "1" }, body: "x" })).json()`,
    )
    assert.equal(headers["x-own"], "as it is")
    assert.equal(headers["origin"], site.origin)
    assert.equal(headers["referer"], `${site.origin}/`)
  })

  for (const how of ["fetch", "rdv.fetch"]) {
    // An attached debugger makes what goes to a service worker slow.
    test(`${how}: bodies go both ways, whole`, async (t) => {
      const { page } = await opened(t)
      const sum = `const sum = async (body) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", body))].join()
        const noise = new Uint8Array(${how === "fetch" ? 300_001 : 5_000_001}); for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536))`
      assert.equal(
        await run(
          page,
          `const answer = await ${how}("/bytes?bytes=20000000"); return (await answer.arrayBuffer()).byteLength`,
        ),
        20_000_000,
      )
      assert.equal(
        await run(
          page,
          `${sum}; const answer = await ${how}("/echo", { method: "POST", body: noise, headers: { "content-type": "a/b" } })
          return answer.headers.get("content-type") === "a/b" && (await sum(noise)) === (await sum(await answer.arrayBuffer()))`,
        ),
        true,
      )
      assert.deepEqual(
        await run(
          page,
          `const source = new ReadableStream({ n: 0, async pull(controller) { if (this.n++ < 100) controller.enqueue(new Uint8Array(30000)); else controller.close() } })
        return (await ${how}("/count", { method: "POST", duplex: "half", body: source })).json()`,
        ),
        { bytes: 3_000_000 },
      )
      assert.equal(
        await run(
          page,
          `return (await ${how}("/never-reads", { method: "POST", body: new Uint8Array(${how === "fetch" ? 3e5 : 3e6}) })).text()`,
        ),
        "enough",
      )
      assert.equal(
        await run(
          page,
          `const form = new FormData(); form.set("word", "w"); return (await ${how}("/form", { method: "POST", body: form })).text()`,
        ).then((text) => /<h1>w<\/h1>/.test(text as string)),
        true,
      )
      assert.equal(await run(page, `return (await ${how}("/facts", { method: "HEAD" })).status`), 200)
      assert.equal(await run(page, `return (await ${how}("/nowhere")).status`), 404)
      assert.match(
        await run(page, `const answer = await ${how}("/redirect"); return answer.redirected + answer.url`),
        /^truehttp.*\/\?redirected$/,
      )
    })

    test(`${how}: a request that was made before keeps its body`, async (t) => {
      const { page } = await opened(t)
      const told = await run<unknown[]>(
        page,
        `const made = () => new Request("/echo", { method: "POST", body: "made before" })
        const whole = await ${how}(made())
        const changed = await ${how}(made(), { method: "PUT", body: "put" })
        return [whole.status, await whole.text(), changed.status, await changed.text()]`,
      )
      assert.deepEqual(told, [200, "made before", 200, "put"])
    })

    test(`${how}: an answer that breaks off inside is an error, not an end`, async (t) => {
      const { page } = await opened(t)
      assert.match(
        await run(
          page,
          `const answer = await ${how}("/fails"); return answer.arrayBuffer().then(() => "whole", (error) => error.name)`,
        ),
        /Error$/,
      )
    })

    test(`${how}: who stops waiting stops the handler`, async (t) => {
      const { page } = await opened(t)
      // Chromium tells a service worker of it only once there is a head.
      if (how === "rdv.fetch") {
        await run(
          page,
          `const stop = new AbortController(); const asked = rdv.fetch("/never?1", { signal: stop.signal }); setTimeout(() => stop.abort(), 100); await asked.catch(() => 0)`,
        )
        await page.until("it knows", cancelled("?1"))
      }
      await run(
        page,
        `const stop = new AbortController(); await ${how}("/events", { signal: stop.signal }); stop.abort()`,
      )
      await page.until("it knows", cancelled("events"))
      await run(
        page,
        `const answer = await ${how}("/bytes?bytes=1e12"); const reader = answer.body.getReader(); await reader.read(); await reader.cancel()`,
      )
      await page.until("it knows", cancelled("bytes"))
    })
  }

  test("a reader that stops stops the producer, directly within the window", async (t) => {
    const { page } = await opened(t)
    const produced = await run<number>(
      page,
      `const answer = await rdv.fetch("/bytes?bytes=1e9"); window.kept = answer.body.getReader(); await kept.read()
      let last = -1
      for (;;) {
        await new Promise((done) => setTimeout(done, 100))
        const { produced } = await (await fetch("/facts")).json()
        if (produced === last) return produced
        last = produced
      }`,
    )
    assert.ok(produced <= 3_000_000, `${produced} bytes were produced`)
    await run(page, "await kept.cancel()")
  })

  test("events arrive without delay, and their end stops the producer", async (t) => {
    const { page } = await opened(t)
    const delays = await run<number[]>(
      page,
      `const source = new EventSource("/events"); const delays = []
      await new Promise((done) => source.onmessage = ({ data }) => { delays.push(Date.now() - Number(data.split(" ")[1])); if (delays.length === 20) done() })
      source.close(); return delays.sort((a, b) => a - b)`,
    )
    assert.ok((delays[10] as number) < 50, `${delays.join()} ms`)
    await page.until("it knows", cancelled("events"))
  })

  test("WebSockets to the own origin reach the tab; others are the browser's own", async (t) => {
    const { page } = await opened(t)
    const told = await run<unknown[]>(
      page,
      `const told = []; const socket = new WebSocket("ws://" + location.host + "/socket")
      socket.binaryType = "arraybuffer"
      const next = () => new Promise((done) => socket.addEventListener("message", ({ data }) => done(data), { once: true }))
      told.push(socket instanceof WebSocket, socket.readyState, WebSocket.OPEN)
      await new Promise((done) => socket.onopen = done)
      let answer = next(); socket.send("Grüße"); told.push(await answer)
      answer = next(); socket.send(new Uint8Array([1, 2, 3]).subarray(1)); told.push([...new Uint8Array(await answer)].join())
      answer = next(); socket.send(new Blob(["blob"])); told.push(new TextDecoder().decode(await answer))
      answer = next(); socket.send("x".repeat(3_000_000)); told.push((await answer).length)
      const closed = new Promise((done) => socket.onclose = done); socket.send("bye")
      const { code, reason, wasClean } = await closed; told.push(code, reason, wasClean, socket.readyState)
      return told`,
    )
    assert.deepEqual(told, [true, 0, 1, "Grüße", "2,3", "blob", 3_000_000, 4000, "as you like", true, 3])
    assert.equal(
      await run(
        page,
        `const socket = new rdv.WebSocket("/refused"); return new Promise((done) => socket.onclose = ({ code }) => done(code))`,
      ),
      1006,
    )
    assert.equal(
      await run(
        page,
        `const socket = new WebSocket("ws://127.0.0.1:1/"); return Object.getPrototypeOf(socket) === Object.getPrototypeOf(Reflect.construct(WebSocket, ["ws://127.0.0.1:1/"]))`,
      ),
      true,
    )
  })

  test("the control answers, and what makes public needs a user's act", async (t) => {
    const { page } = await opened(t)
    assert.equal(await run(page, "return (await rdv.status()).isDurable"), false)
    assert.equal(await run(page, "return (await rdv.exportDatabase()).text()"), "rows")
    assert.equal(
      await run(page, `return rdv.goPublic({ name: "me" }).then(() => "public", (error) => error.code)`),
      "forbidden",
    )
    assert.equal(
      await run(page, `return rdv.importDatabase(new Blob([""])).then(() => "taken", (error) => error.code)`),
      "forbidden",
    )
    await run(
      page,
      `const button = document.createElement("button"); button.id = "go"; document.body.append(button)
      button.onclick = () => { rdv.goPublic({ name: "me" }).then(({ url }) => document.title = url); rdv.importDatabase(new Blob([""])).catch((error) => window.refusal = error.code) }`,
    )
    await page.click("#go")
    await page.until("it is public", `document.title === "https://me.example/" && window.refusal === "corrupt"`)
  })

  test("a second tab is served by the first one's server", async (t) => {
    const { site, page } = await opened(t)
    const born = await run(page, `return (await (await fetch("/facts")).json()).born`)
    const second = await browser.open(`${site.origin}/`, { width: 900 })
    t.after(() => second.close())
    await second.until("the application", isServed)
    assert.equal(await run(second, `return (await (await fetch("/facts")).json()).born`), born)
    assert.equal(await run(second, `return (await (await rdv.fetch("/facts")).json()).born`), born)
    assert.equal(await run(second, "return (await rdv.status()).epoch === (await rdv.status()).epoch"), true)
  })

  test("a page of another origin reaches nothing: no port, no form, no answer", async (t) => {
    const { site, page } = await opened(t)
    const stranger = createServer((_request, response) => {
      response.setHeader("content-type", "text/html")
      response.end(`<form method="post" action="${site.origin}/form"><input name="word" value="forged"></form>`)
    })
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve))
    t.after(() => {
      stranger.close()
      stranger.closeAllConnections()
    })
    const { port } = stranger.address() as AddressInfo
    const other = await browser.open(`http://127.0.0.1:${port}/`, { width: 900 })
    t.after(() => other.close())
    const reached = await run<string[]>(
      other,
      `const told = []
      const channel = new BroadcastChannel("rdv tab"); channel.onmessage = () => told.push("announcement")
      const opened = open("${site.origin}/"); await new Promise((done) => setTimeout(done, 1500))
      for (const kind of ["connect", "leading", "who-leads", "rtc"]) {
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = () => told.push("port"); opened?.postMessage({ kind, protocol: 1, epoch: 1e15, from: "page" }, "*", [port2])
      }
      await fetch("${site.origin}/facts").then(() => told.push("read"), () => 0)
      await new Promise((done) => setTimeout(done, 300)); opened?.close(); return told`,
    )
    assert.deepEqual(reached, [])
    await go(other, "document.forms[0].submit()")
    await other.until("the refusal", `location.origin === "${site.origin}" && document.body.innerText.length > 0`)
    assert.match(await other.evaluate("document.body.innerText"), /another site/)
    assert.equal(await run(page, `return (await fetch("/facts")).status`), 200)
  })

  test("without its host it opens as before", async (t) => {
    const { site } = await opened(t)
    await site.stop()
    const again = await browser.open(`${site.origin}/`, { width: 900 })
    t.after(() => again.close())
    await again.until("the application", isServed)
  })
})

function cancelled(what: string): string {
  return `(fetch("/facts").then((answer) => answer.json()).then((facts) => window.facts = facts), window.facts?.lastCancelled === "${what}")`
}
