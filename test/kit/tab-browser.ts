/**
 * A tab's server as users have it: an application that was built, a host of its folder, a relay, and a real browser whose
 * tab serves it, publicly too after a click. The same for Chromium and Firefox.
 */

import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import type { TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import { AppBundler } from "../../src/capabilities/tab/build/app-bundler.ts"
import type { AppBundle } from "../../src/capabilities/tab/build/app-bundler.ts"
import { buildFiles } from "../../src/capabilities/tab/build/build-folder.ts"
import type { BuildFiles, BuildPlace } from "../../src/capabilities/tab/build/build-folder.ts"
import { readTabRuntime } from "../../src/capabilities/tab/build/runtime-folder.ts"
import type { TabRuntime } from "../../src/capabilities/tab/build/runtime-folder.ts"
import { Browser, chromium } from "./chromium.ts"
import type { Page } from "./chromium.ts"
import { Firefox, firefox } from "./firefox.ts"

/** What both browsers' pages can do. */
export interface TabPage {
  readonly complaints: readonly string[]
  /** The value of a script; promises are awaited. Rejects when the page gives way to another meanwhile. */
  evaluate<Value>(script: string): Promise<Value>
  click(selector: string): Promise<void>
  close(): Promise<void>
}

export interface TabBrowser {
  /** Resolves when the page is there; who serves it is another question, see `opened`. */
  open(url: string): Promise<TabPage>
  /** A page that nobody looks into: what a debugger hears of makes pages and workers slower. */
  openAlone(url: string): Promise<void>
  /** Kills all of it at once; a profile that was given stays. */
  close(): Promise<void>
}

export interface BrowserStart {
  /** Default: a new one, which goes with the browser. */
  readonly profile?: string
  /** What sites may store, bytes; Chromium's is set per page (`Page.limitStorage`). */
  readonly quotaBytes?: number
}

export interface BrowserKind {
  readonly name: "Chromium" | "Firefox"
  readonly skip: string | false
  start(options?: BrowserStart): Promise<TabBrowser>
}

export const browserKinds: readonly BrowserKind[] = [
  {
    name: "Chromium",
    skip: chromium === undefined && "no Chromium here",
    async start({ profile } = {}) {
      const browser = new Browser(chromium as string, { ...(profile !== undefined && { profile }) })
      return {
        open: (url) => browser.open(url, { width: 800 }),
        openAlone: async (url) => void (await browser.send("Target.createTarget", { url })),
        close: () => browser.close(),
      }
    },
  },
  {
    name: "Firefox",
    skip: firefox === undefined && "no Firefox here",
    async start({ profile, quotaBytes } = {}) {
      const kilobytes = Math.floor((quotaBytes ?? 0) / 1024)
      const browser = await Firefox.start(firefox as string, {
        ...(profile !== undefined && { profile }),
        // One site has a fifth of what all have together, and no less than 10 MiB.
        prefs: { "dom.quotaManager.temporaryStorage.fixedLimit": quotaBytes === undefined ? -1 : kilobytes },
      })
      return {
        open: (url) => browser.open(url, { width: 800 }),
        async openAlone(url) {
          for (const event of ["log.entryAdded", "network.beforeRequestSent"]) {
            await browser.send("session.unsubscribe", { events: [event] }).catch(() => undefined)
          }
          const { context } = await browser.send("browsingContext.create", { type: "tab" })
          await browser.send("browsingContext.navigate", { context, url, wait: "none" })
        },
        close: () => browser.close(),
      }
    },
  },
]

/** What only Chromium's pages can do. */
export function asChromium(page: TabPage): Page {
  return page as Page
}

/** The value of an `async` function's body. */
export function run<Value>(page: TabPage, body: string): Promise<Value> {
  return page.evaluate<Value>(`(async () => { ${body} })()`)
}

/** Resolves when the script gives something true, however many pages it takes; `what` names it for the failure. */
export async function untilTrue(page: TabPage, what: string, script: string, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  for (;;) {
    let seen: unknown
    try {
      if (await page.evaluate<boolean>(`Promise.resolve(${script}).then(Boolean)`)) return
    } catch (error) {
      // A page that gives way to another; what goes on is told in the end.
      seen = error
    }
    if (Date.now() > end) {
      const shown = await page.evaluate<string>("document.body.innerText").catch(String)
      throw new Error(
        `Not within ${ms} ms: ${what}. ${String(seen ?? "")} It shows: ${shown}. ${page.complaints.join()}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Resolves when the test, which may ask the server, gives true; `what` names it for the failure. */
export async function comesTrue(what: string, test: () => Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`Not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A page that the application has answered. */
export async function opened(browser: TabBrowser, url: string): Promise<TabPage> {
  const page = await browser.open(url)
  await untilTrue(
    page,
    "the application's page",
    "document.querySelector('#born') !== null && window.rdv !== undefined",
  )
  await untilTrue(page, "it has a server", "(rdv.ready.then(() => (window.isReady = true)), window.isReady)")
  return page
}

/** The user clicks. Resolves with the public address. */
export async function goPublic(page: TabPage, name: string): Promise<string> {
  await page.evaluate(`(() => {
    document.querySelector("#public")?.remove()
    window.wentPublic = undefined
    const button = document.createElement("button")
    button.id = "public"
    button.onclick = () => rdv.goPublic({ name: ${JSON.stringify(name)} }).then(({ url }) => window.wentPublic = { url }, (error) => window.wentPublic = { error: error.code + ": " + error.message })
    document.body.append(button)
  })()`)
  await page.click("#public")
  await untilTrue(page, "an answer of the relay", "window.wentPublic !== undefined")
  const { url, error } = await page.evaluate<{ url?: string; error?: string }>("window.wentPublic")
  if (url === undefined) throw new Error(`It did not become public: ${error}`)
  return url
}

export interface BuildSite {
  readonly origin: string
  /** What it serves; to be published too. */
  readonly files: BuildFiles
  /** Serves another version from now on; the application's code ends in `more`. */
  change(more: string): void
  /** Nothing is reachable there any more. */
  stop(): Promise<void>
}

/** A host of a built application on loopback; without `file` the one of tests. */
export async function buildSite(
  t: Pick<TestContext, "after">,
  place: Partial<BuildPlace> = {},
  file?: string,
): Promise<BuildSite> {
  const { runtime, bundle } = await (file === undefined ? built() : make(file))
  const made = (code: Uint8Array) =>
    buildFiles({
      runtime,
      bundle: { ...bundle, code },
      place: { app: null, relay: null, domain: null, ...place },
    }).files
  let files = made(bundle.code)
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://x")
    const path = pathname === "/" ? "index.html" : pathname.slice(1)
    const content = files.get(path)
    response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream")
    response.writeHead(content === undefined ? 404 : 200).end(content ?? "no such file")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  t.after(stop)
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get files() {
      return files
    },
    change: (more) => {
      files = made(Buffer.concat([bundle.code, Buffer.from(more)]))
    },
    stop,
  }
}

/** A folder for a browser that is to come back. */
export function profileFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-profile-"))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))
  return folder
}

let making: Promise<{ readonly runtime: TabRuntime; readonly bundle: AppBundle }> | undefined

/** Once for all tests of a file. */
function built(): Promise<{ readonly runtime: TabRuntime; readonly bundle: AppBundle }> {
  return (making ??= make())
}

async function make(file: string = testApp): Promise<{ readonly runtime: TabRuntime; readonly bundle: AppBundle }> {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tab-runtime-"))
  try {
    bundleTabRuntime({ target: folder })
    const runtime = readTabRuntime(folder)
    const bundler = await AppBundler.open({ file, platform: "browser", minify: true })
    const bundle = await bundler.bundle()
    await bundler.close()
    return { runtime, bundle }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const testApp = fileURLToPath(new URL("../browser/apps/law-app.ts", import.meta.url))
const types: { readonly [end: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
}
