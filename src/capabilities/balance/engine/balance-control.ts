/**
 * The balancer as its operators have it: the file, read again when it changes or when somebody asks, and their own words
 * about targets, which hold until a restart or until the file says something else about the same.
 */

import { isDeepStrictEqual } from "node:util"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { fileStateNow } from "../../../config/file-state.ts"
import type { Control, LiveConnection, ReloadResult, TargetChange } from "../admin/control.ts"
import { defaultTarget } from "../config/defaults.ts"
import { readTargetAddress } from "../config/address-forms.ts"
import { fileChanges, fileMarks } from "../config/named-files.ts"
import type { FileMarks } from "../config/named-files.ts"
import { settingsChanges } from "../config/settings-changes.ts"
import type { AppSettings, Settings, TargetSettings } from "../config/settings.ts"
import { writeSettings } from "../config/write-settings.ts"
import type { Snapshot } from "../observe/snapshot.ts"
import { addressText } from "../target/target.ts"
import type { Target } from "../target/target.ts"
import type { Engine } from "./engine.ts"
import { FileWatch } from "./file-watch.ts"

export interface BalanceControlOptions {
  readonly balancer: Engine
  readonly clock: Clock
  readonly log: Log
  readonly file: string
  /** What the file says now. Throws `usage`. */
  readonly read: () => Settings
  /** As it was read at the start, and the file's state then (`fileStateNow`). */
  readonly settings: Settings
  readonly fileState?: string
  /** With what the file leaves to the machine. */
  readonly complete: (settings: Settings) => Settings
  /** What is outside of the balancer: admin doors, tracing. Rejects with `usage` or `in_use`, and then all is as before. */
  readonly follow: (settings: Settings) => Promise<void>
}

/** What operators said of one app since the file was read. */
interface Overlay {
  readonly added: Map<string, TargetSettings>
  readonly removed: Set<string>
  /** Of those in the file and of those that were added. */
  readonly weights: Map<string, number>
}

export class BalanceControl implements Control {
  readonly #options: BalanceControlOptions
  readonly #startedAt: number
  readonly #watch: FileWatch
  /** Without what operators said. */
  #file: Settings
  /** By app; replaced as a whole, by what the balancer has taken over. */
  #overlays: ReadonlyMap<string, Overlay> = new Map()
  readonly #reloads: { good: number; bad: number; lastError: string | undefined } = {
    good: 0,
    bad: 0,
    lastError: undefined,
  }
  /** Of the files that it names, at the last reload. */
  #marks: FileMarks
  #reloading: Promise<unknown> = Promise.resolve()
  /** What the balancer takes over, one after the other: each stands on what the one before has come to. */
  #applying: Promise<unknown> = Promise.resolve()

  constructor(options: BalanceControlOptions) {
    const { clock, file, settings, fileState } = options
    this.#options = options
    this.#file = settings
    this.#marks = fileMarks(settings)
    this.#startedAt = clock.wall()
    const onChange = () => this.reloadAndTell("it has changed")
    this.#watch = new FileWatch({ clock, file, onChange, ...(fileState !== undefined && { read: fileState }) })
  }

  async snapshot(): Promise<Snapshot> {
    const { balancer, clock, file } = this.#options
    return {
      at: clock.wall(),
      startedAt: this.#startedAt,
      configFile: file,
      reloads: { ...this.#reloads },
      connections: balancer.connections,
      maxConnections: balancer.settings.maxConnections,
      apps: await balancer.snapshots(),
    }
  }

  async connections(most: number): Promise<readonly LiveConnection[]> {
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

  async target(app: string, name: string, { orders, weight }: TargetChange): Promise<void> {
    const { balancer } = this.#options
    const target = this.#find(app, name)
    // First what may be refused.
    if (weight !== undefined) await this.#change(app, ({ weights }) => weights.set(target.name, weight))
    if (orders === undefined) return
    target.orders = orders
    balancer.retarget(app, target)
  }

  async addTarget(app: string, text: string): Promise<void> {
    const settings: TargetSettings = { ...defaultTarget, address: readTargetAddress(text) }
    const name = addressText(settings.address)
    if (this.#options.balancer.targets(app).some((target) => target.name === name)) {
      throw new RdvError("usage", `The app ${JSON.stringify(app)} has the target ${name} already`)
    }
    await this.#change(app, ({ added, removed }) => {
      if (!removed.delete(name)) added.set(name, settings)
    })
  }

  async removeTarget(app: string, name: string): Promise<void> {
    const target = this.#find(app, name)
    await this.#change(app, ({ added, removed, weights }) => {
      if (added.delete(target.name)) weights.delete(target.name)
      else removed.add(target.name)
    })
  }

  async cut(connectionId: number): Promise<boolean> {
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
    // Asked before it is read: what changes in between is seen as a change.
    this.#watch.wasRead(fileStateNow(file))
    try {
      const settings = this.#options.read()
      const before = this.#file
      const [overlays, kept] = await this.#inTurn(async () => {
        const present = this.#overlays
        const after = keptOverlays(present, before, settings)
        await this.#apply(settings, after)
        return [present, after]
      })
      // From now on operators speak of the new one, while its doors are still being opened.
      try {
        await follow(settings)
      } catch (error) {
        await this.#inTurn(() => this.#apply(before, this.#overlays === kept ? overlays : this.#overlays))
        throw error
      }
      const bad = new Set(balancer.reloadFiles())
      const marks = fileMarks(settings)
      const changed = [
        ...settingsChanges(before, settings),
        ...fileChanges(this.#marks, marks),
        ...[...bad].map((reason) => `what a list said before holds: ${reason}`),
      ]
      this.#marks = marks
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

  /** Fails with what the balancer says to it, and nothing has changed then. */
  async #apply(settings: Settings, overlays: ReadonlyMap<string, Overlay>): Promise<void> {
    const { balancer, complete } = this.#options
    await balancer.update(complete(withOverlays(settings, overlays)))
    this.#file = settings
    this.#overlays = overlays
  }

  /** Fails as `#apply` does. */
  #change(app: string, change: (overlay: Overlay) => void): Promise<void> {
    return this.#inTurn(() => {
      const overlay = copyOf(this.#overlays.get(app))
      change(overlay)
      return this.#apply(this.#file, new Map(this.#overlays).set(app, overlay))
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#applying.then(work)
    this.#applying = next.catch(() => undefined)
    return next
  }

  #find(app: string, name: string): Target {
    const targets = this.#options.balancer.targets(app)
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

function copyOf(overlay: Overlay | undefined): Overlay {
  return {
    added: new Map(overlay?.added),
    removed: new Set(overlay?.removed),
    weights: new Map(overlay?.weights),
  }
}

function withOverlays(settings: Settings, overlays: ReadonlyMap<string, Overlay>): Settings {
  if (overlays.size === 0) return settings
  return { ...settings, apps: settings.apps.map((app) => withOverlay(app, overlays.get(app.name))) }
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

/** Where the file itself says something else of a target now, that counts. */
function keptOverlays(
  overlays: ReadonlyMap<string, Overlay>,
  before: Settings,
  now: Settings,
): ReadonlyMap<string, Overlay> {
  const kept = new Map<string, Overlay>()
  for (const app of now.apps) {
    const overlay = overlays.get(app.name)
    if (overlay !== undefined) kept.set(app.name, keptOverlay(overlay, appOf(before, app.name), app))
  }
  return kept
}

function keptOverlay(overlay: Overlay, before: AppSettings | undefined, now: AppSettings): Overlay {
  const kept = copyOf(overlay)
  const settingsOf = (app: AppSettings | undefined, name: string) =>
    app?.targets.find(({ address }) => addressText(address) === name)
  for (const name of new Set([...overlay.added.keys(), ...overlay.removed, ...overlay.weights.keys()])) {
    const after = settingsOf(now, name)
    if (isDeepStrictEqual(settingsOf(before, name), after)) continue
    kept.removed.delete(name)
    kept.weights.delete(name)
    if (after !== undefined) kept.added.delete(name)
  }
  return kept
}
