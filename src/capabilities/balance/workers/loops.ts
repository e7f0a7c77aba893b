/**
 * A balancer on several event loops: threads that share the ports, each a balancer of its own, and this thread, which has
 * the control. It reads and checks files, asks targets about their health and starts them, merges what the loops tell, and
 * starts a loop again that has died. It serves no connections but those of ports whose targets are behind agents.
 *
 *     main thread (keeper) ──words, settings, questions──▶ loop 1 … loop N
 *                          ◀──words, answers, log lines──
 *     shared memory: counts with limits, clients, ids
 */

import { randomBytes } from "node:crypto"
import { Backoff } from "../../../base/backoff.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log, LogLevel } from "../../../base/log.ts"
import type { LiveConnection } from "../admin/control.ts"
import type { Settings } from "../config/settings.ts"
import { Balancer } from "../engine/balancer.ts"
import type { BalancerOptions } from "../engine/balancer.ts"
import { doorAddress } from "../engine/door.ts"
import type { Engine } from "../engine/engine.ts"
import type { Word } from "../engine/team.ts"
import { ClientCells } from "../limit/client-cells.ts"
import { Tally } from "../limit/tally.ts"
import type { AppSnapshot } from "../observe/snapshot.ts"
import type { Target } from "../target/target.ts"
import { Termination } from "../tls/termination.ts"
import { CapDesk } from "./cap-desk.ts"
import { LoopTeam } from "./loop-team.ts"
import { LoopThread } from "./loop-thread.ts"
import { departed, mergeSnapshots } from "./merge-snapshots.ts"
import type { FromLoop, LoopTask, ToLoop } from "./messages.ts"
import { PortClaims } from "./port-claims.ts"
import { allPorts, mainPart, threadPart } from "./settings-parts.ts"
import { CounterPlan, shareMemory } from "./shared-memory.ts"
import type { SharedMemory } from "./shared-memory.ts"
import { WakeDesk } from "./wake-desk.ts"

export interface LoopsOptions extends Omit<BalancerOptions, "shared" | "team"> {
  /** Threads. */
  readonly loops: number
  readonly logLevel: LogLevel | "silent"
  /** Ours, as spans tell it. */
  readonly version: string
}

/** One of the threads: while it is gone, what is known of it and when it comes back. */
interface Place {
  readonly loop: number
  readonly desk: WakeDesk
  readonly backoff: Backoff
  thread: LoopThread | undefined
  restart: Timer | undefined
  startedAt: number
  /** What it last told. */
  seen: readonly AppSnapshot[]
  /** What those before it have left behind. */
  past: readonly AppSnapshot[]
}

export class Loops implements Engine {
  readonly #options: LoopsOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #memory: SharedMemory
  readonly #tally: Tally
  readonly #cells: ClientCells
  readonly #plan: CounterPlan
  readonly #team: LoopTeam
  readonly #main: Balancer
  readonly #claims: PortClaims
  readonly #places: readonly Place[]
  readonly #caps: CapDesk
  readonly #ready: Promise<void>
  #settings: Settings
  /** Updates and starts of loops, one after the other. */
  #work: Promise<unknown> = Promise.resolve()
  #ticketTimer: Timer | undefined
  #isStopping = false

  /** Throws `usage` when a file that the settings name cannot be used. */
  constructor(options: LoopsOptions) {
    const { settings, clock, log, loops } = options
    this.#options = options
    this.#clock = clock
    this.#log = log
    this.#settings = settings
    this.#memory = shareMemory(loops + 1, settings)
    this.#tally = new Tally(this.#memory.cells, this.#memory.tally, 0)
    this.#cells = new ClientCells(this.#memory.clients, loops + 1, 0)
    this.#plan = new CounterPlan(this.#tally, this.#memory.tally.counters)
    checkCertificates(settings, clock)
    this.#team = new LoopTeam({
      loop: 0,
      memory: this.#memory,
      counters: this.#plan.follow(settings, settings),
      ticketSecret: randomBytes(32),
      tell: (word) => this.#spread(word, undefined),
      wakes: undefined,
    })
    this.#main = new Balancer({ ...options, settings: mainPart(settings, new Set()), shared: true, team: this.#team })
    this.#claims = new PortClaims({ clock, log, onLate: () => this.#openLate() })
    this.#places = Array.from({ length: loops }, (_, at) => this.#newPlace(at + 1))
    this.#caps = new CapDesk({
      clock,
      loops: loops + 1,
      tell: (loop, parts) => this.#places[loop - 1]?.thread?.tell({ kind: "parts", parts }),
      keeper: this.#main,
    })
    this.#ready = this.#inTurn(() => this.#startAll())
    // Whoever waits for it in `listening` hears of it.
    this.#ready.catch(() => undefined)
    this.#changeTicketsDaily()
  }

  get settings(): Settings {
    return this.#settings
  }

  get connections(): number {
    return this.#team.seats("all").taken
  }

  async listening(): Promise<readonly { readonly address: string; readonly ok: boolean }[]> {
    await this.#ready
    await this.#main.listening()
    await Promise.all(this.#threads.map((thread) => thread.ask({ about: "listening" }).catch(() => undefined)))
    const { ours } = this.#claims
    return [...allPorts(this.#settings).keys()].map((address) => ({ address, ok: ours.has(address) }))
  }

  targets(app: string): readonly Target[] {
    return this.#main.targets(app)
  }

  retarget(app: string, target: Target): void {
    this.#main.retarget(app)
    this.#spread(this.#main.app(app).wordOf(target, this.#main.waker(app, target.name)), undefined)
  }

  update(settings: Settings): Promise<void> {
    return this.#inTurn(() => this.#update(settings))
  }

  reloadFiles(): readonly string[] {
    this.#tellAll({ kind: "reload-files" })
    return this.#main.reloadFiles()
  }

  async snapshots(): Promise<AppSnapshot[]> {
    await Promise.all(
      this.#places.map(async (place) => {
        try {
          place.seen = (await place.thread?.ask({ about: "snapshots" })) ?? place.seen
        } catch (error) {
          // What it told last is better than nothing.
          this.#log.debug("loop.silent", { loop: place.loop, reason: asRdvError(error).message })
        }
      }),
    )
    const merged = mergeSnapshots(this.#main.snapshots(), [
      ...this.#places.map(({ seen }) => seen),
      ...this.#places.map(({ past }) => past),
    ])
    const waiting = this.#claims.waiting
    return merged.map((app, at) => {
      const addresses = new Set(this.#settings.apps[at]?.listeners.map(doorAddress))
      return { ...app, listeners: [...app.listeners, ...waiting.filter(({ address }) => addresses.has(address))] }
    })
  }

  async liveConnections(most: number): Promise<LiveConnection[]> {
    const lists = await Promise.all(
      this.#threads.map((thread) => thread.ask({ about: "connections", most }).catch(() => [])),
    )
    const all = [...this.#main.liveConnections(most), ...lists.flat()]
    return all.toSorted((a, b) => b.ageMs - a.ageMs).slice(0, most)
  }

  async cut(id: number): Promise<boolean> {
    if (this.#main.cut(id)) return true
    const found = await Promise.all(this.#threads.map((thread) => thread.ask({ about: "cut", id }).catch(() => false)))
    return found.includes(true)
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    this.#ticketTimer?.cancel()
    this.#claims.stop()
    this.#caps.stop()
    for (const { restart } of this.#places) restart?.cancel()
    // Whatever is under way may start a thread.
    await this.#work.catch(() => undefined)
    await Promise.all([this.#main.drain(graceMs), ...this.#threads.map((thread) => thread.stop(graceMs))])
    // What it has started is needed until the last loop is through.
    await this.#main.stop(0)
  }

  get #threads(): LoopThread[] {
    return this.#places.flatMap(({ thread }) => (thread === undefined ? [] : [thread]))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#work.then(work)
    this.#work = next.catch(() => undefined)
    return next
  }

  async #startAll(): Promise<void> {
    await this.#claims.follow(allPorts(this.#settings))
    if (this.#isStopping) return
    this.#main.update(mainPart(this.#settings, this.#claims.ours))
    for (const place of this.#places) this.#start(place)
  }

  async #update(settings: Settings): Promise<void> {
    if (this.#isStopping) throw new RdvError("closed", "The balancer is being stopped")
    const before = this.#settings
    checkCertificates(settings, this.#clock)
    this.#team.counters = this.#plan.follow(settings, before)
    this.#main.update(mainPart(settings, this.#claims.ours))
    try {
      // What is claimed stays ours until no loop needs it: while one has a port open, it could not be claimed again.
      await this.#claims.follow(new Map([...allPorts(before), ...allPorts(settings)]))
      await this.#applyAll(settings)
    } catch (error) {
      await this.#applyAll(before).catch((thrown: unknown) =>
        this.#log.error("loop.astray", { reason: asRdvError(thrown).message }),
      )
      await this.#claims.follow(allPorts(before))
      throw error
    }
    await this.#claims.follow(allPorts(settings))
    this.#settings = settings
    // What a reload changes by itself, such as the health of what is no longer checked.
    for (const word of this.#main.words()) if (word.kind === "target") this.#spread(word, undefined)
    if (settings.workers !== before.workers) {
      this.#log.warn("config.later", { reason: "another number of workers holds from the next start on" })
    }
  }

  /** Fails when one of them refuses. One that died meanwhile will begin with what holds by then. */
  async #applyAll(settings: Settings): Promise<void> {
    this.#main.update(mainPart(settings, this.#claims.ours))
    const part = threadPart(settings, this.#places.length, this.#claims.ours)
    const { counters } = this.#team
    const answers = await Promise.allSettled(
      this.#threads.map((thread) => thread.ask({ about: "apply", settings: part, counters })),
    )
    for (const answer of answers) {
      if (answer.status === "rejected" && asRdvError(answer.reason).code !== "closed") throw answer.reason
    }
  }

  /** A port that somebody else had is ours now. */
  #openLate(): void {
    void this.#inTurn(() => this.#applyAll(this.#settings)).catch((error: unknown) =>
      this.#log.error("loop.astray", { reason: asRdvError(error).message }),
    )
  }

  #newPlace(loop: number): Place {
    return {
      loop,
      desk: new WakeDesk((app, target) => this.#main.waker(app, target)),
      backoff: new Backoff(restartMs),
      thread: undefined,
      restart: undefined,
      startedAt: 0,
      seen: [],
      past: [],
    }
  }

  #start(place: Place): void {
    const { loop } = place
    const { logLevel, version } = this.#options
    const task: LoopTask = {
      loop,
      settings: threadPart(this.#settings, this.#places.length, this.#claims.ours),
      memory: this.#memory,
      counters: this.#team.counters,
      words: this.#main.words(),
      ticketSecret: this.#team.ticketSecret,
      logLevel,
      version,
    }
    place.startedAt = this.#clock.now()
    try {
      const thread: LoopThread = new LoopThread(task, this.#clock, {
        onMessage: (message) => this.#take(place, thread, message),
        onDied: (reason) => this.#died(place, reason),
      })
      place.thread = thread
    } catch (error) {
      // The system has no thread for it now.
      this.#died(place, asRdvError(error).message)
    }
  }

  #died(place: Place, reason: string): void {
    const { loop } = place
    place.thread = undefined
    // One that died before it was asked has left nothing.
    if (place.seen.length > 0) place.past = mergeSnapshots(departed(place.seen), [place.past])
    place.seen = []
    place.desk.clear()
    this.#tally.release(loop)
    this.#cells.release(loop)
    this.#caps.gone(loop)
    // What it held is free now.
    for (const { name } of this.#settings.apps) this.#spread({ kind: "freed", app: name }, undefined)
    if (this.#isStopping) return
    if (this.#clock.now() - place.startedAt >= steadyMs) place.backoff.reset()
    const waitMs = place.backoff.next()
    this.#log.error("loop.died", { loop, reason, restartMs: Math.round(waitMs) })
    place.restart = this.#clock.after(waitMs, () => {
      void this.#inTurn(async () => {
        await Promise.resolve()
        if (!this.#isStopping) this.#start(place)
      })
    })
  }

  #take(place: Place, thread: LoopThread, message: FromLoop): void {
    switch (message.kind) {
      case "word":
        this.#spread(message.word, thread)
        return
      case "log":
        this.#log[message.level](message.event, { ...message.fields, loop: place.loop })
        return
      case "wake":
        place.desk.wake(message, (failure) => thread.tell({ kind: "woken", ask: message.ask, failure }))
        return
      case "unwake":
        place.desk.unwake(message.ask)
        return
      case "use":
        place.desk.use(message)
        return
      case "demands":
        this.#caps.take(place.loop, message.demands)
        return
      case "answer":
      case "failed":
      case "stopped":
      // The thread has taken them.
    }
  }

  /** To all loops but the one that says it; that there is a place, to that one too. */
  #spread(word: Word, from: LoopThread | undefined): void {
    if (from !== undefined || word.kind === "freed") this.#main.hear(word)
    for (const thread of this.#threads) {
      if (thread !== from || word.kind === "freed") thread.tell({ kind: "word", word })
    }
  }

  #tellAll(message: ToLoop): void {
    for (const thread of this.#threads) thread.tell(message)
  }

  #changeTicketsDaily(): void {
    this.#ticketTimer = this.#clock.after(dayMs, () => {
      const secret = randomBytes(32)
      this.#team.ticketSecret = secret
      this.#main.hear({ kind: "tickets" })
      this.#tellAll({ kind: "tickets", secret })
      this.#changeTicketsDaily()
    })
  }
}

/** Of ports that the main thread does not serve itself. Throws `usage`. */
function checkCertificates({ apps }: Settings, clock: Clock): void {
  for (const { listeners } of apps) {
    for (const { tls } of listeners) {
      if (tls !== undefined) new Termination({ settings: tls, clock, log: silentLog }).stop()
    }
  }
}

const restartMs = { firstMs: 100, maxMs: 10_000 }
/** A loop that lived so long did not die of its start, ms. */
const steadyMs = 10_000
const dayMs = 86_400_000
