/**
 * The commands of `rdv tab` as their users have them: a build behind a plain host of files, a published application that goes
 * public, an application under development; each in a real browser.
 */

import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join } from "node:path"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import { Browser, chromium } from "../kit/chromium.ts"
import { newToken, runCommand, RunningCommand, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { writeApp, writeTitle } from "../kit/tab-app-text.ts"
import { fetchAt } from "../kit/tab-relay.ts"

const skip = chromium === undefined ? "no Chromium here" : false
const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
}

/** A host that knows nothing but files. */
async function fileHost(t: TestContext, folder: string): Promise<{ url: string; stop: () => void }> {
  const server = createServer(({ url = "/" }, response) => {
    const path = join(folder, new URL(url, "http://x").pathname.replace(/\/$/, "/index.html"))
    if (!existsSync(path)) response.writeHead(404).end()
    else response.setHeader("content-type", types[extname(path)] ?? "text/plain").end(readFileSync(path))
  }).listen(0, "127.0.0.1")
  await new Promise((done) => server.once("listening", done))
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  t.after(stop)
  return { url: `http://localhost:${(server.address() as AddressInfo).port}/`, stop }
}

describe("rdv tab in a browser", { skip, timeout: 120_000 }, () => {
  let browser: Browser
  before(() => {
    bundleTabRuntime()
    browser = new Browser(chromium as string)
  })
  after(() => browser.close())

  test("a build runs behind any host of files, and without it when it was there once", async (t) => {
    using folder = temporaryFolder()
    writeApp(join(folder.path, "app"), "Notes")
    const built = await runCommand(["tab", "build", "app/app.ts", "-o", "site", "--json"], { data: folder.path })
    assert.equal(built.code, 0, built.stderr)
    const { version, files } = JSON.parse(built.stdout) as { version: string; files: number }
    const site = join(folder.path, "site")
    const runtime = JSON.parse(readFileSync(join(site, ".rdv", "runtime.json"), "utf8")) as Record<string, unknown>
    assert.equal(runtime["version"], version)
    for (const path of runtime["files"] as string[]) assert.ok(existsSync(join(site, path)), path)
    assert.equal(
      readdirSync(site, { recursive: true, withFileTypes: true }).filter((each) => each.isFile()).length,
      files,
    )
    assert.deepEqual(JSON.parse(readFileSync(join(site, ".rdv", "tab.json"), "utf8")), {
      app: null,
      relay: null,
      domain: null,
    })

    const host = await fileHost(t, site)
    const page = await browser.open(host.url, { width: 900 })
    t.after(() => page.close())
    await page.until("the application", `document.title === "Notes" && window.rdv`)
    const status = await page.evaluate(`fetch("/notes", { method: "POST", body: "kept" }).then(({ status }) => status)`)
    assert.equal(status, 201)
    assert.deepEqual(await page.evaluate(`fetch("/who").then((answer) => answer.json())`), { kind: "own" })
    host.stop()
    const offline = await browser.open(`${host.url}notes`, { width: 900 })
    t.after(() => offline.close())
    await offline.until("the notes without a host", `document.body.innerText.includes("kept")`)
  })

  test("published with a token it is a site of the relay; its server goes public in a tab and answers curl", async (t) => {
    using folder = temporaryFolder()
    using at = temporaryFolder()
    const data = folder.path
    writeApp(data, "Chat")
    const token = await newToken("laptop", at.path)
    const { relay, address, port } = await startRelayCommand([], { data: at.path })
    await using _ = relay
    const publish = ["tab", "publish", "app.ts", "--name", "chat", "--relay", address, "--json"]
    const stranger = await runCommand(publish, { data })
    assert.equal(stranger.code, 1)
    assert.match(stranger.stderr, /^rdv: .*\n$/)
    const published = await runCommand(publish, { data, env: { RDV_TOKEN: token } })
    assert.equal(published.code, 0, published.stderr)
    const { url } = JSON.parse(published.stdout) as { url: string }
    assert.equal(url, `http://app.chat.localhost:${port}/`)

    const page = await browser.open(url, { width: 900 })
    t.after(() => page.close())
    await page.until("the application", `document.title === "Chat" && window.rdv`)
    await page.evaluate(`(() => {
      const button = document.createElement("button")
      button.onclick = () => rdv.goPublic({ name: "alice" }).then(({ url }) => (window.went = url), (error) => (window.went = String(error)))
      document.body.append(button)
    })()`)
    await page.click("button")
    await page.until("it is public", "window.went")
    assert.equal(await page.evaluate("window.went"), `http://alice.localhost:${port}`)
    const host = `alice.localhost:${port}`
    assert.equal((await fetchAt(port, host, "/notes", { method: "POST", body: "from curl" })).status, 201)
    assert.deepEqual(await page.evaluate(`fetch("/notes").then((answer) => answer.json())`), ["from curl"])
    assert.equal((JSON.parse((await fetchAt(port, host, "/who")).text) as { kind: string }).kind, "public")

    const listed = await runCommand(["tab", "ls"], { data: at.path })
    assert.match(listed.stdout, /chat +\d+ +1\.\d MiB/)
    const unpublish = ["tab", "unpublish", "chat", "--relay", address]
    const taken = await runCommand(unpublish, { data, env: { RDV_TOKEN: token } })
    assert.equal(taken.code, 0, taken.stderr)
    assert.notEqual((await fetchAt(port, `app.chat.localhost:${port}`)).status, 200)
    const again = await runCommand(unpublish, { data, env: { RDV_TOKEN: token } })
    assert.match(again.stderr, /^rdv: No application "chat" is published.*\n$/)
  })

  test("under development the page follows each change; a mistake is shown, and the last good one goes on", async (t) => {
    using folder = temporaryFolder()
    const { path } = folder
    writeApp(path, "One")
    await using dev = new RunningCommand(["tab", "dev", "app.ts", "--name", "try", "--json"], { data: path })
    const { url } = (await dev.event("serving")) as { url: string }
    assert.match(url, /^http:\/\/app\.try\.localhost:\d+\/$/)
    await dev.event("built")
    const page = await browser.open(url, { width: 900 })
    t.after(() => page.close())
    await page.until("the application", `document.title === "One" && window.rdv`)
    await page.evaluate(`fetch("/notes", { method: "POST", body: "stays" }).then(({ status }) => status)`)

    writeTitle(path, "Two")
    const { ms } = (await dev.event("built")) as { ms: number }
    assert.ok(ms < 300, `it took ${ms} ms to build again`)
    await page.until("the new text", `document.title === "Two"`)
    assert.deepEqual(await page.evaluate(`fetch("/notes").then((answer) => answer.json())`), ["stays"])

    writeFileSync(join(path, "title.ts"), "export const title = \n")
    const { problems } = (await dev.event("trouble")) as { problems: string[] }
    assert.match(problems[0] ?? "", /^title\.ts:2:1: unexpected end of file/)
    await page.until(
      "the mistake",
      `document.querySelector("[data-rdv=trouble]")?.innerText.startsWith("title.ts:2:1")`,
    )
    assert.equal(await page.evaluate(`document.querySelector("h1").innerText`), "Two")
    assert.equal(await page.evaluate(`fetch("/").then(({ status }) => status)`), 200)

    writeTitle(path, "Three")
    await page.until("the mended text", `document.title === "Three" && !document.querySelector("[data-rdv=trouble]")`)
    // A page that is imported and no module.
    writeFileSync(join(path, "page.html"), "<!doctype html><title>TITLE!</title>\n")
    await page.until("the new page", `document.title === "Three!"`)
    dev.kill("SIGINT")
    assert.equal((await dev.ended).code, 0)
  })

  test("a page of another origin cannot reach the application under development", async () => {
    using folder = temporaryFolder()
    writeApp(folder.path, "One")
    await using dev = new RunningCommand(["tab", "dev", "app.ts", "--json"], { data: folder.path })
    const { url } = (await dev.event("serving")) as { url: string }
    await dev.event("built")
    const { port, host } = new URL(url)
    const answers = await Promise.all(
      ["/", "/.rdv/runtime.json", "/app.js", "/nothing.js", "/../secret"].map((path) =>
        fetchAt(Number(port), host, path),
      ),
    )
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 404, 404],
    )
    for (const { headers } of answers) {
      assert.match(String(headers["content-security-policy"]), /default-src 'self';.*frame-ancestors 'none'/)
      assert.equal(headers["access-control-allow-origin"], undefined)
    }
    const tag = String(answers[2]?.headers["etag"])
    const same = await fetchAt(Number(port), host, "/app.js", { headers: { "if-none-match": tag } })
    assert.equal(same.status, 304)
  })
})
