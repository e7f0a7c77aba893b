/**
 * The balancer as its operators have it: the file, read again when it changes or when somebody asks, and their own words
 * about targets, which hold until a restart or until the file says something else about the same.
 */

import { isDeepStrictEqual } from "node:util"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { Control, LiveConnection, ReloadResult, TargetChange } from "../admin/control.ts"
import { defaultTarget } from "../config/defaults.ts"
import { readTargetAddress } from "../config/address-forms.ts"
import { settingsChanges } from "../config/settings-changes.ts"
import type { AppSettings, Settings, TargetSettings } from "../config/settings.ts"
import { writeSettings } from "../config/write-settings.ts"
import type { Snapshot } from "../observe/snapshot.ts"
import { addressText } from "../target/target.ts"
import type { Target } from "../target/target.ts"
import type { Balancer } from "./balancer.ts"
import { FileWatch } from "./file-watch.ts"

export interface BalanceControlOptions {
  readonly balancer: Balancer
  readonly clock: Clock
  readonly log: Log
  readonly file: string
  /** What the file says now. Throws `usage`. */
  readonly read: () => Settings
  /** As it was read at the start. */
  readonly settings: Settings
  /** With what the file leaves to the machine. */
  readonly complete: (settings: Settings) => Settings
  /** What is outside of the balancer: admin doors, tracing. Rejects with `usage` or `in_use`, and then all is as before. */
  readonly follow: (settings: Settings) => Promise<void>
}

/** What operators said of one app since the file was read. */
interface Overlay {
  readonly added: Map<string, TargetSettings>
  readonly removed: Set<string>
  readonly weights: Map<string, number>
}

export class BalanceControl implements Control {
  readonly #options: BalanceControlOptions
  readonly #startedAt: number
  readonly #watch: FileWatch
  /** Without what operators said. */
  #file: Settings
  readonly #overlays: Map<string, Overlay> = new Map()
  readonly #reloads: { good: number; bad: number; lastError: string | undefined } = {
    good: 0,
    bad: 0,
    lastError: undefined,
  }
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(options: BalanceControlOptions) {
    const { clock, file, settings } = options
    this.#options = options
    this.#file = settings
    this.#startedAt = clock.wall()
    this.#watch = new FileWatch({ clock, file, onChange: () => this.reloadAndTell("it has changed") })
  }

  snapshot(): Snapshot {
    const { balancer, clock, file } = this.#options
    return {
      at: clock.wall(),
      startedAt: this.#startedAt,
      configFile: file,
      reloads: { ...this.#reloads },
      connections: balancer.connections,
      maxConnections: balancer.settings.maxConnections,
      apps: balancer.snapshots(),
    }
  }

  connections(most: number): readonly LiveConnection[] {
    return this.#options.balancer.liveConnections(most)
  }

  /** One at a time: a second one reads the file when the first is through. */
  reload(): Promise<ReloadResult> {
    const next = this.#reloading.then(() => this.#reload())
    this.#reloading = next.catch(() => undefined)
    return next
  }

  /** For those that nobody waits for: what came of it is in the log. Never rejects. */
  reloadAndTell(why: string): void {
    void this.reload().catch(() => undefined)
    this.#options.log.debug("config.reload", { why })
  }

  target(app: string, name: string, { orders, weight }: TargetChange): void {
    const { balancer } = this.#options
    const target = this.#find(app, name)
    if (orders !== undefined) {
      target.orders = orders
      balancer.app(app).retarget()
    }
    if (weight === undefined) return
    this.#overlay(app).weights.set(target.name, weight)
    this.#apply()
  }

  addTarget(app: string, text: string): void {
    const settings: TargetSettings = { ...defaultTarget, address: readTargetAddress(text) }
    const name = addressText(settings.address)
    if (this.#options.balancer.app(app).pool.targets.some((target) => target.name === name)) {
      throw new RdvError("usage", `The app ${JSON.stringify(app)} has the target ${name} already`)
    }
    const overlay = this.#overlay(app)
    const wasRemoved = overlay.removed.delete(name)
    if (!wasRemoved) overlay.added.set(name, settings)
    try {
      this.#apply()
    } catch (error) {
      if (wasRemoved) overlay.removed.add(name)
      overlay.added.delete(name)
      throw error
    }
  }

  removeTarget(app: string, name: string): void {
    const target = this.#find(app, name)
    const overlay = this.#overlay(app)
    if (!overlay.added.delete(target.name)) overlay.removed.add(target.name)
    this.#apply()
  }

  cut(connectionId: number): boolean {
    return this.#options.balancer.cut(connectionId)
  }

  configuration(): string {
    return writeSettings(this.#options.balancer.settings)
  }

  stop(): void {
    this.#watch.stop()
  }

  async #reload(): Promise<ReloadResult> {
    const { balancer, log, file, follow } = this.#options
    try {
      const settings = this.#options.read()
      const before = this.#file
      const overlays = this.#overlays
      // Where the file itself says something else of a target now, that counts.
      for (const app of settings.apps) forgetChanged(overlays.get(app.name), appOf(before, app.name), app)
      const effective = this.#withOverlays(settings)
      const old = balancer.settings
      balancer.update(effective)
      try {
        await follow(settings)
      } catch (error) {
        balancer.update(old)
        throw error
      }
      balancer.reloadFiles()
      this.#file = settings
      for (const name of overlays.keys()) if (appOf(settings, name) === undefined) overlays.delete(name)
      const changed = settingsChanges(before, settings)
      this.#reloads.good++
      this.#reloads.lastError = undefined
      log.info("config.reloaded", { file, changes: changed.length, ...(changed.length > 0 && { changed }) })
      return { changed }
    } catch (thrown) {
      const error = asRdvError(thrown)
      const text = error.mend === undefined ? error.message : `${error.message}: ${error.mend}`
      this.#reloads.bad++
      this.#reloads.lastError = text
      log.error("config.refused", { file, reason: text })
      throw error
    }
  }

  #apply(): void {
    this.#options.balancer.update(this.#withOverlays(this.#file))
  }

  #withOverlays(settings: Settings): Settings {
    const { complete } = this.#options
    if (this.#overlays.size === 0) return complete(settings)
    return complete({ ...settings, apps: settings.apps.map((app) => withOverlay(app, this.#overlays.get(app.name))) })
  }

  #overlay(app: string): Overlay {
    let overlay = this.#overlays.get(app)
    if (overlay === undefined) {
      overlay = { added: new Map(), removed: new Set(), weights: new Map() }
      this.#overlays.set(app, overlay)
    }
    return overlay
  }

  #find(app: string, name: string): Target {
    const { targets } = this.#options.balancer.app(app).pool
    const target = targets.find((each) => each.name === name)
    if (target !== undefined) return target
    throw new RdvError("usage", `The app ${JSON.stringify(app)} has no target ${JSON.stringify(name)}`, {
      mend: targets.length === 0 ? "it has none" : `its targets are ${targets.map((each) => each.name).join(", ")}`,
    })
  }
}

function appOf(settings: Settings, name: string): AppSettings | undefined {
  return settings.apps.find((app) => app.name === name)
}

function withOverlay(app: AppSettings, overlay: Overlay | undefined): AppSettings {
  if (overlay === undefined) return app
  const { added, removed, weights } = overlay
  const targets = [...app.targets.filter(({ address }) => !removed.has(addressText(address))), ...added.values()]
  return {
    ...app,
    targets: targets.map((target) => {
      const weight = weights.get(addressText(target.address))
      return weight === undefined ? target : { ...target, weight }
    }),
  }
}

function forgetChanged(overlay: Overlay | undefined, before: AppSettings | undefined, now: AppSettings): void {
  if (overlay === undefined) return
  const settingsOf = (app: AppSettings | undefined, name: string) =>
    app?.targets.find(({ address }) => addressText(address) === name)
  for (const name of new Set([...overlay.added.keys(), ...overlay.removed, ...overlay.weights.keys()])) {
    const after = settingsOf(now, name)
    if (isDeepStrictEqual(settingsOf(before, name), after)) continue
    overlay.removed.delete(name)
    overlay.weights.delete(name)
    if (after !== undefined) overlay.added.delete(name)
  }
}
