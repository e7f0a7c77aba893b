/** A relay with the page of shares, on loopback, and members in this process that meet pages there. */

import type { TestContext } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { newCode, printLink } from "../../src/capabilities/share/code/code.ts"
import type { Code } from "../../src/capabilities/share/code/code.ts"
import { deriveKeys } from "../../src/capabilities/share/code/derive-keys.ts"
import { nodeCrypto } from "../../src/capabilities/share/node/node-crypto.ts"
import { startReceiver } from "../../src/capabilities/share/peer/receiver.ts"
import type { Receiver } from "../../src/capabilities/share/peer/receiver.ts"
import { startSender } from "../../src/capabilities/share/peer/sender.ts"
import type { SeedUntil, Sender } from "../../src/capabilities/share/peer/sender.ts"
import { startRelay } from "../../src/node.ts"
import type { RunningRelay, StartRelayOptions } from "../../src/node.ts"
import { guestToken, openShareAccess } from "../../src/share-access.ts"
import { startShareRelay } from "../../src/start-share-relay.ts"
import type { StartShareRelayOptions } from "../../src/start-share-relay.ts"
import { memoryDrawer } from "../../src/web/share/drawer.ts"
import { pageContent } from "../../src/web/share/page-content.ts"
import type { SharedFile } from "../../src/web/share/page-content.ts"
import { PageTarget } from "../../src/web/share/page-target.ts"
import { bundlePages } from "../../scripts/web.mjs"

export interface SharePlace {
  readonly relay: RunningRelay
  readonly port: number
  readonly url: string
}

/** What a member in this process has received. */
export interface Received {
  readonly receiver: Receiver
  /** By path. */
  files(): Promise<{ [path: string]: Uint8Array }>
}

export interface Sent {
  readonly sender: Sender
  readonly code: Code
  readonly link: string
  /** Leaves the swarm to those who are there. */
  leave(): Promise<void>
}

export async function sharePlace(
  t: TestContext,
  options: Partial<StartRelayOptions> = {},
  share: Partial<StartShareRelayOptions> = {},
): Promise<SharePlace> {
  bundlePages()
  const relay = await startRelay({
    listen: ["127.0.0.1:0"],
    store: ":memory:",
    open: true,
    log: silentLog,
    ...options,
  })
  t.after(() => relay.stop())
  const [address] = relay.addresses
  if (address === undefined || !("port" in address)) throw new Error("The relay has no port")
  const url = `http://127.0.0.1:${address.port}`
  startShareRelay(relay, { url, log: silentLog, ...share })
  return { relay, port: address.port, url }
}

/** Shares from this process. */
export async function send(
  t: TestContext,
  place: SharePlace,
  name: string,
  files: readonly SharedFile[],
  options: { readonly password?: string; readonly bytesPerSecond?: number; readonly seedUntil?: SeedUntil } = {},
): Promise<Sent> {
  const code = newCode()
  const keys = await deriveKeys(code, options.password)
  const crypto = nodeCrypto(keys, "blake3")
  const content = await pageContent({ name, files, crypto, signal: new AbortController().signal })
  const way = openShareAccess({ relay: `127.0.0.1:${place.port}`, log: silentLog })
  const published = Promise.withResolvers<void>()
  const sender = startSender({
    swarm: code.swarm,
    keys,
    access: way.access,
    content,
    clock: systemClock,
    log: silentLog,
    bytesPerSecond: options.bytesPerSecond,
    ...(options.seedUntil !== undefined && { seedUntil: options.seedUntil }),
    events: {
      published: () => published.resolve(),
      ended: (error) => error !== undefined && published.reject(error),
    },
  })
  let isOver = false
  const leave = async () => {
    if (isOver) return
    isOver = true
    await sender.stop("leave")
    await way.stop()
  }
  t.after(leave)
  await published.promise
  return { sender, code, link: printLink(place.url, code), leave }
}

/** Receives in this process, into memory. */
export async function receive(t: TestContext, place: SharePlace, code: Code, password?: string): Promise<Received> {
  const keys = await deriveKeys(code, password)
  const way = openShareAccess({ relay: `127.0.0.1:${place.port}`, token: guestToken(code.swarm, keys), log: silentLog })
  const target = new PageTarget({
    clock: systemClock,
    agree: async () => undefined,
    open: async (_name, bytes) => memoryDrawer(bytes),
  })
  const receiver = startReceiver({
    swarm: code.swarm,
    keys,
    access: way.access,
    target,
    crypto: (hash) => nodeCrypto(keys, hash),
    label: "node",
    stayMs: Infinity,
    clock: systemClock,
    log: silentLog,
  })
  t.after(async () => {
    await receiver.stop()
    await way.stop()
  })
  return {
    receiver,
    async files() {
      await receiver.done
      const { holdings } = target
      if (holdings === undefined) throw new Error("Nothing was received")
      const whole = await holdings.whole()
      const files: { [path: string]: Uint8Array } = {}
      for (const { path, from, bytes } of holdings.files) files[path] = await whole.slice(from, from + bytes).bytes()
      return files
    },
  }
}
