/** Tabs at a relay: who may come in, what is published, who calls whom. It knows the relay by what it asks of it. */

import type { Clock } from "../../../base/clock.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Caller, CallHandler } from "../../../host/host.ts"
import { AppShelf } from "./app-shelf.ts"
import type { PublishedApp } from "./app-shelf.ts"
import { answerFromApp } from "./app-site.ts"
import { callService, PeerCalls } from "./peer-calls.ts"
import type { PeerCallsOptions } from "./peer-calls.ts"
import { PublishService, publishService, unpublishService } from "./publish-service.ts"
import type { PublishServiceOptions } from "./publish-service.ts"
import { openStun } from "./stun-server.ts"
import type { StunServer } from "./stun-server.ts"
import { TabGuests } from "./tab-guests.ts"
import type { TabGrant, TabGuestsOptions } from "./tab-guests.ts"
import { defaultTabLimits } from "./tab-limits.ts"
import type { TabLimits } from "./tab-limits.ts"

/** Of the relay, what this needs. */
export interface TabRelayHost {
  readonly clock: Clock
  readonly log: Log
  accept(service: string, handle: CallHandler): void
  report(name: string, read: () => Json): void
  /** Serves a host name below the domain: `app.chat`. Returns a function that takes it back. */
  serveHost(name: string, service: string, open: (head: JsonObject) => Stream): () => void
  urlOf(name: string): string
}

export interface TabServiceOptions
  extends
    Pick<TabGuestsOptions, "domain" | "isOpenTo" | "isLocal" | "countNames" | "countGuestNames">,
    Pick<PublishServiceOptions, "claim" | "checkOwner">,
    Pick<PeerCallsOptions, "nameOf" | "reach" | "couple"> {
  /** Where published applications are kept. */
  readonly folder: string
  /** Whether an application still belongs to somebody. */
  readonly isClaimed: (app: string) => boolean
  /** Throws unless this caller may publish. */
  readonly mayPublish: (caller: Caller) => void
  /** Where sessions come in: `wss://relay.example`. */
  readonly relayUrl: string
  /** Answers STUN there; `publicHost` is what others call this machine. */
  readonly stun?: { readonly host: string; readonly port: number; readonly publicHost: string } | undefined
  readonly limits?: Partial<TabLimits>
}

export interface TabService {
  /** For the relay's admission. */
  readonly guests: TabGuests
  /** `stun:relay.example:443`; undefined where none is answered. */
  readonly stun: string | undefined
  admit(what: string, proof: string, address: string): TabGrant
  /** Names may have been released or moved by somebody else: applications without an owner are taken back. */
  lookAtClaims(): void
  close(): Promise<void>
}

/** Rejects when a port cannot be had, or the folder cannot be read. */
export async function startTabs(host: TabRelayHost, options: TabServiceOptions): Promise<TabService> {
  const { clock, log } = host
  const { folder, domain, relayUrl, isClaimed, mayPublish } = options
  const limits = { ...defaultTabLimits, ...options.limits }
  const stun = await startStun(clock, options, limits)
  const stunUrl = stun && `stun:${bracketed(options.stun?.publicHost ?? stun.host)}:${stun.port}`
  const shelf = await AppShelf.open(folder, () => clock.wall(), log)
  const served = new Map<string, () => void>()
  const show = (app: string, published: PublishedApp | undefined) => {
    if (published === undefined) {
      served.get(app)?.()
      served.delete(app)
      log.info("tab.unpublished", { app })
      return
    }
    const { files, bytes, revision } = published
    log.info("tab.published", { app, revision, files: files.size, bytes })
    if (served.has(app)) return
    const place = { app, relay: relayUrl, domain, ...(stunUrl !== undefined && { stun: stunUrl }) }
    const open = (head: JsonObject) => answerFromApp(shelf.get(app), place, head)
    served.set(app, host.serveHost(appHost(app), "tab/app", open))
  }
  const guests = new TabGuests({ ...options, clock, limits, isPublished: (app) => shelf.get(app) !== undefined })
  const urlOf = (app: string) => `${host.urlOf(appHost(app))}/`
  const publishing = new PublishService({ ...options, clock, shelf, limits, onChange: show, urlOf })
  const calls = new PeerCalls({ ...options, callsPerTab: limits.callsPerTab })
  const lookAtClaims = () => {
    for (const { app } of shelf.list()) {
      if (isClaimed(app)) continue
      show(app, undefined)
      shelf.remove(app).catch((error: unknown) => log.warn("tab.unpublish_failed", { app, reason: String(error) }))
    }
  }
  for (const app of shelf.list()) show(app.app, app)
  lookAtClaims()
  host.accept(publishService, (call) => {
    mayPublish(call.caller)
    publishing.publish(call)
  })
  host.accept(unpublishService, (call) => {
    mayPublish(call.caller)
    publishing.unpublish(call)
  })
  host.accept(callService, (call) => calls.serve(call))
  host.report("tabs", () => ({
    apps: shelf.list().map(({ app, revision, files, bytes, publishedAt }) => {
      return {
        app,
        url: urlOf(app),
        revision,
        files: files.size,
        bytes,
        publishedAt: new Date(publishedAt).toISOString(),
      }
    }),
    guests: guests.status(),
    peers: calls.status(),
    stun: stun === undefined ? null : { url: stunUrl ?? null, ...stun.status() },
    limits: { ...limits },
  }))
  return {
    guests,
    stun: stunUrl,
    admit: (what, proof, address) => guests.check(what, proof, address),
    lookAtClaims,
    async close() {
      await Promise.all([publishing.close(), stun?.close()])
    },
  }
}

function startStun(clock: Clock, { stun }: TabServiceOptions, limits: TabLimits): Promise<StunServer | undefined> {
  return stun === undefined ? Promise.resolve(undefined) : openStun({ clock, ...stun, limits })
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host
}

/** One origin for each application, below the name that it belongs to. */
function appHost(app: string): string {
  return `app.${app}`
}
