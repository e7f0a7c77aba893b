/** Who serves the application: a tab of a browser, `rdv tab run` in Node behind the same relay, and a plain server. */

import { join } from "node:path"
import { OutsideClient } from "../../test/kit/outside-client.ts"
import { browserKinds, buildSite, goPublic, opened } from "../../test/kit/tab-browser.ts"
import type { BrowserKind, BuildSite } from "../../test/kit/tab-browser.ts"
import type { Children } from "../children.ts"
import type { Place } from "../origin.ts"
import type { RunningRelay } from "../rdv.ts"
import type { Running } from "../system.ts"

export interface RunningTab extends Running {
  /** The page that measures the service worker; undefined: it has none. */
  measurePage(seconds: number): Promise<void>
}

export interface TabSystem {
  readonly name: string
  readonly missing: string | false
  readonly hasPage: boolean
  start(children: Children, relay: RunningRelay): Promise<RunningTab>
}

export const benchApp: string = join(import.meta.dirname, "bench-app.ts")
const commandLine = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts")

export const plain = "plain Node server"

export const tabSystems: readonly TabSystem[] = [
  ...browserKinds.map(inBrowser),
  {
    name: "rdv tab run",
    missing: false,
    hasPage: false,
    async start(children, relay) {
      const folder = children.folder()
      const env = {
        ...process.env,
        HOME: folder,
        XDG_DATA_HOME: folder,
        XDG_CONFIG_HOME: folder,
        XDG_STATE_HOME: folder,
      }
      const flags = ["--data", join(folder, "data"), "--name", "node", "--relay", relay.address]
      const child = children.node("tab run", [commandLine, "tab", "run", benchApp, ...flags], { env })
      await child.until(/http:\/\/node\.localhost:\d+/)
      return running(relay.place, "node", () => child.stop())
    },
  },
  {
    name: plain,
    missing: false,
    hasPage: false,
    async start(children) {
      const child = children.node(plain, [join(import.meta.dirname, "programs", "plain-server.ts")])
      const port = Number((await child.until(/http:\/\/127\.0\.0\.1:(\d+)/))[1])
      return running({ host: "127.0.0.1", port }, "plain", () => child.stop())
    },
  },
]

function inBrowser({ name, skip, start }: BrowserKind): TabSystem {
  return {
    name: `tab in ${name}`,
    missing: skip,
    hasPage: true,
    async start(_children, relay) {
      const ends: (() => unknown)[] = []
      const site = await buildSite({ after: (end) => ends.push(end as () => unknown) }, placeAt(relay), benchApp)
      const browser = await start()
      ends.push(() => browser.close())
      const stop = async () => {
        for (const end of ends.toReversed()) await end()
      }
      try {
        const visible = name.toLowerCase()
        const page = await opened(browser, `${site.origin}/`)
        await goPublic(page, visible)
        // The server goes on in a tab that nobody looks into.
        await browser.openAlone(`${site.origin}/`)
        await page.close()
        await isServed(relay.place, visible)
        return {
          ...running(relay.place, visible, stop),
          measurePage: (seconds) => browser.openAlone(`${site.origin}/measure?seconds=${seconds}`),
        }
      } catch (error) {
        await stop()
        throw error
      }
    },
  }
}

/** What a build holds, for who counts what a visitor loads. */
export async function builtSite(): Promise<BuildSite> {
  const ends: (() => unknown)[] = []
  const site = await buildSite({ after: (end) => ends.push(end as () => unknown) }, {}, benchApp)
  for (const end of ends) await end()
  return site
}

function placeAt(relay: RunningRelay): { relay: string; domain: string } {
  return { relay: `ws://${relay.place.host}:${relay.place.port}`, domain: "localhost" }
}

function running(place: Place, name: string, stop: () => Promise<void>): RunningTab {
  return {
    ...place,
    hostHeader: `${name}.localhost:${place.port}`,
    processes: [],
    stop,
    measurePage: () => Promise.reject(new Error(`${name} has no page`)),
  }
}

/** The relay holds the request until the next server is there. */
async function isServed(place: Place, name: string): Promise<void> {
  const client = new OutsideClient(`http://${name}.localhost:${place.port}`)
  try {
    const { status } = await client.ask("/small")
    if (status !== 200) throw new Error(`${name} is not served any more: ${status}`)
  } finally {
    client.close()
  }
}
