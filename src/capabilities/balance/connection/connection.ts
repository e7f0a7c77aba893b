/**
 * One client's connection from its arrival to its end: admitted, joined to a target, watched over, told of.
 *
 *     preface ──▶ queued ⇄ dialling ──▶ open ──▶ over
 *
 * The client's bytes stay in its kernel until there is a target, but for one buffer when it has to wait, and a failed dial
 * is repeated elsewhere as long as none of them was sent. Deadlines are looked at from outside (`look`), all connections in
 * one sweep, so that none has a timer.
 */

import { cutEnd, Joint } from "../../../sockets/joint.ts"
import type { Breach, JointEnd, JointWatcher, Side } from "../../../sockets/joint.ts"
import type { LiveConnection } from "../admin/control.ts"
import type { Flow } from "../bandwidth/shaper.ts"
import type { App } from "../engine/app.ts"
import type { BreakerTicket, DialResult } from "../guard/breaker.ts"
import { paceJoint } from "./pace-joint.ts"
import type { Waiting } from "../limit/wait-queue.ts"
import type { Choice } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"
import { recordOf } from "./arrival.ts"
import type { Arrival } from "./arrival.ts"
import { chooseTarget } from "./choose.ts"
import { ClientWatch } from "./client-watch.ts"
import type { Dial, DialFault, DialListener } from "./dial.ts"
import type { Ending } from "./ending.ts"
import { JointWatch } from "./joint-watch.ts"
import type { ConnectionRecord, DialRecord } from "./record.ts"

type Phase = "queued" | "dialling" | "open" | "over"

/** While nothing can be dialled and the client waits (`hold`), it is tried again so often, ms. */
const holdMs = 250

export class Connection implements DialListener, JointWatcher {
  readonly #app: App
  readonly #arrival: Arrival
  #client: JointEnd
  #phase: Phase = "queued"
  /** It has a place in the app: it is dialled for, or joined. */
  #hasPlace = false
  #waiting: Waiting | undefined
  #clientWatch: ClientWatch | undefined
  /** Clock times; 0 for what did not happen. */
  #queuedMs = 0
  #dialSince = 0
  #attemptAt = 0
  #holdUntil = 0
  #joinedAt = 0
  #firstByteAt = 0
  #connectMs = 0
  #dial: Dial | undefined
  #waking: AbortController | undefined
  #ticket: BreakerTicket | undefined
  #target: Target | undefined
  #why = ""
  #tried: Set<Target> | undefined
  #wokenAgain = false
  #attempts = 0
  /** How it ends when nobody else can be tried: as the last attempt did. */
  #failure: Ending = "connect-failed"
  #dials: DialRecord[] | undefined
  #joint: Joint | undefined
  #watch: JointWatch | undefined
  #flows: Flow[] | undefined
  /** What we decided ourselves, before the joint is gone. */
  #ending: Ending | undefined
  #detail = ""

  /** It is the app's from now on. `client` is paused. */
  constructor(app: App, arrival: Arrival, client: JointEnd) {
    this.#app = app
    this.#arrival = arrival
    this.#client = client
  }

  get id(): number {
    return this.#arrival.id
  }

  get target(): Target | undefined {
    return this.#target
  }

  /** Looks for a target, or waits for a place. */
  begin(): void {
    this.#client.stream.on("error", ignore)
    if (this.#app.isFull) this.#enqueue("limit-app")
    else this.#seek()
  }

  /** Ends it at once. */
  end(ending: Ending, detail = ""): void {
    if (this.#phase === "over" || this.#ending !== undefined) return
    this.#ending = ending
    this.#detail = detail
    if (this.#joint !== undefined) this.#joint.cut()
    else {
      this.#dropDial("unknown")
      cutEnd(this.#client)
      this.#over()
    }
  }

  /** A place may be free, or a target usable again: for those that wait without being in the queue. */
  retry(): void {
    if (this.#holdUntil > 0 && this.#dial === undefined && this.#waking === undefined) this.#seek()
  }

  /** Whether a deadline has passed. */
  look(now: number): void {
    switch (this.#phase) {
      case "queued":
        if (this.#holdUntil > 0) this.#lookAtHold(now)
        return
      case "dialling":
        this.#lookAtDial(now)
        return
      case "open":
        this.#lookAtJoint(now)
        return
      case "over":
    }
  }

  /** Other limits of bandwidth hold from now on; flows that are there follow them by themselves. */
  pace(): void {
    if (this.#joint !== undefined) this.#flows ??= paceJoint(this.#joint, this.#app, this.#arrival)
  }

  live(now: number): LiveConnection {
    const joint = this.#joint
    const { id, startedAt, client } = this.#arrival
    return {
      id,
      app: this.#app.settings.name,
      client,
      target: this.#target?.name,
      ageMs: now - startedAt,
      bytesUp: joint?.up.bytes ?? 0,
      bytesDown: joint?.down.bytes ?? 0,
      state: joint?.isHalfClosed === true ? "half-closed" : this.#phase === "over" ? "open" : this.#phase,
      waitsFor: (joint?.up.waiting ?? 0) > 0 ? "target" : (joint?.down.waiting ?? 0) > 0 ? "client" : undefined,
    }
  }

  dialled(end: JointEnd): void {
    if (this.#client.stream.destroyed) {
      cutEnd(end)
      this.end("client-gone")
      return
    }
    const target = this.#target as Target
    const wasReady = this.#dial?.isReady === true
    const now = this.#app.clock.now()
    this.#connectMs = now - this.#attemptAt
    this.#noteDial(now, undefined)
    this.#dial = undefined
    target.pending--
    target.active++
    target.totals.connections++
    this.#settle("good")
    this.#app.connected(target, wasReady ? undefined : this.#connectMs)
    this.#phase = "open"
    this.#joinedAt = now
    this.#client.stream.removeListener("error", ignore)
    this.#clientWatch?.stop()
    this.#clientWatch = undefined
    const joint = new Joint(this.#client, end, this, this.#app.settings.noDelay)
    this.#joint = joint
    this.#watch = new JointWatch({
      joint,
      startedAt: this.#arrival.startedAt,
      joinedAt: now,
      moved: (up, down) => this.#app.moved(target, up, down),
    })
    this.#flows = paceJoint(joint, this.#app, this.#arrival)
    joint.start()
    this.#app.dialOver()
  }

  dialFailed(detail: string, fault: DialFault): void {
    this.#dial = undefined
    this.#attemptFailed(detail, fault === "us" ? "failed" : "connect-failed")
  }

  began(side: Side): void {
    if (side === "client") return
    this.#firstByteAt = this.#app.clock.now()
    this.#app.good(this.#target as Target)
  }

  stale(unsent: Uint8Array | undefined): void {
    const target = this.#target as Target
    this.#joint = undefined
    this.#closeFlows()
    this.#watch = undefined
    target.active--
    target.pending++
    this.#app.upstream(target).left()
    this.#client = { ...this.#client, first: unsent }
    this.#client.stream.on("error", ignore)
    this.#phase = "dialling"
    this.#dialSince = this.#app.clock.now()
    this.#attempts++
    this.#begin(target, { anew: true })
  }

  closed(breach: Breach | undefined): void {
    const joint = this.#joint as Joint
    this.#watch?.count()
    if (this.#ending === undefined) {
      this.#ending = breach === undefined ? "done" : breach.side === "client" ? "client-reset" : "target-reset"
      this.#detail = breach?.detail ?? ""
      if (joint.down.bytes === 0) {
        if (breach === undefined) this.#app.good(this.#target as Target)
        else if (breach.side === "target") this.#app.earlyReset(this.#target as Target)
      }
    }
    this.#over()
  }

  #seek(): void {
    const app = this.#app
    const choice = this.#choose()
    if (choice.target !== undefined) {
      if (!this.#take(choice.target, choice.why)) this.#enqueue("limit-app")
    } else if (choice.obstacle === "full" && this.#tried === undefined) this.#enqueue("queue-full")
    else {
      const last = app.pool.lastResort({ tried: this.#tried ?? none })
      if (last?.begin() === true) {
        if (!this.#take(last, "last-resort")) this.#enqueue("limit-app")
      } else if (app.settings.whenDown === "hold") this.#hold()
      else this.end(this.#tried === undefined ? "no-target" : this.#failure, this.#detail)
    }
  }

  /** Of a target that is chosen, a place is taken. */
  #choose(): Choice {
    return chooseTarget(this.#app, this.#arrival.clientKey, this.#tried ?? none)
  }

  /** False: another event loop has just taken the app's last place; then the target's is given back. */
  #take(target: Target, why: string): boolean {
    const app = this.#app
    if (!this.#takePlace()) {
      target.giveUp()
      return false
    }
    this.#leaveQueue()
    this.#holdUntil = 0
    this.#phase = "dialling"
    this.#target = target
    this.#why = why
    this.#attempts++
    const { waker } = app.upstream(target)
    if (waker !== undefined) this.#wake(target)
    else this.#begin(target)
    return true
  }

  /** False: there is none. */
  #takePlace(): boolean {
    if (this.#hasPlace) return true
    const app = this.#app
    if (!app.places.take(app.settings.limits.connections)) return false
    this.#hasPlace = true
    this.#dialSince ||= app.clock.now()
    app.retryBudget.dialled()
    return true
  }

  #wake(target: Target): void {
    const { waker } = this.#app.upstream(target)
    const waking = new AbortController()
    this.#waking = waking
    this.#attemptAt = this.#app.clock.now()
    this.#watchClient()
    if (this.#waking !== waking) return
    waker?.ready(waking.signal).then(
      () => {
        if (this.#waking !== waking) return
        this.#waking = undefined
        // The time to dial begins now.
        this.#dialSince = this.#app.clock.now()
        this.#begin(target)
      },
      (error: Error) => {
        if (this.#waking !== waking) return
        this.#waking = undefined
        this.#attemptFailed(error.message, "wake-failed")
      },
    )
  }

  #begin(target: Target, how?: { readonly anew: boolean }): void {
    const app = this.#app
    this.#attemptAt = app.clock.now()
    this.#ticket = app.breaker.began(target)
    this.#dial = app.upstream(target).dial(this.#arrival.facts, this, how)
    this.#dial.start()
  }

  #attemptFailed(detail: string, ending: Ending = "connect-failed"): void {
    const app = this.#app
    const target = this.#target as Target
    const now = app.clock.now()
    this.#noteDial(now, detail)
    target.giveUp()
    this.#settle(ending === "failed" ? "unknown" : "failed")
    this.#failure = ending
    this.#detail = `${target.name}: ${detail}`
    this.#target = undefined
    this.#tried ??= new Set()
    if (ending !== "connect-failed") this.#tried.add(target)
    else {
      app.connectFailed(target)
      // What was ready and is no longer can be started again, once.
      if (!app.upstream(target).refused() || this.#wokenAgain) this.#tried.add(target)
      else this.#wokenAgain = true
    }
    const { retry, timeouts, whenDown } = app.settings
    const isLate = now - this.#dialSince >= timeouts.dialMs
    if (!isLate && this.#tried.size <= retry.attempts && app.retryBudget.take()) {
      const before = this.#attempts
      this.#phase = "queued"
      this.#seek()
      if (this.#attempts > before && this.#target !== undefined) (this.#target as Target).totals.retries++
    } else if (!isLate && whenDown === "hold") this.#hold()
    else this.end(ending, this.#detail)
    app.dialOver()
  }

  /** Lets the client wait until something can be dialled. */
  #hold(): void {
    const now = this.#app.clock.now()
    this.#phase = "queued"
    this.#leaveQueue()
    if (!this.#takePlace()) {
      this.#enqueue("limit-app")
      return
    }
    this.#holdUntil = now + holdMs
    this.#tried = undefined
    if (now - this.#dialSince >= this.#app.settings.timeouts.dialMs) {
      this.end(this.#attempts > 0 ? this.#failure : "no-target", this.#detail)
    } else this.#watchClient()
  }

  #lookAtHold(now: number): void {
    if (now - this.#dialSince >= this.#app.settings.timeouts.dialMs) {
      this.end(this.#attempts > 0 ? this.#failure : "no-target", this.#detail)
    } else if (now >= this.#holdUntil) this.retry()
  }

  #lookAtDial(now: number): void {
    // A target that is being started has its own time-out.
    if (this.#waking !== undefined) return
    const { connectMs, dialMs } = this.#app.settings.timeouts
    if (now - this.#attemptAt < connectMs && now - this.#dialSince < dialMs) {
      this.#watchClient()
      return
    }
    this.#dial?.giveUp()
    this.#dial = undefined
    this.#attemptFailed(`no answer within ${Math.round(now - this.#attemptAt)} ms`)
  }

  #enqueue(otherwise: Ending): void {
    this.#holdUntil = 0
    const waiting = this.#app.queue.enter({
      client: this.#arrival.clientKey,
      turn: () => this.#turn(),
      lost: (reason) => {
        this.#leaveQueue()
        this.end(reason)
      },
    })
    if (waiting === undefined) this.end(otherwise)
    else {
      this.#waiting = waiting
      this.#watchClient()
    }
  }

  #leaveQueue(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#queuedMs = this.#app.clock.now() - waiting.since
  }

  #watchClient(): void {
    if (this.#clientWatch !== undefined) return
    this.#clientWatch = new ClientWatch(this.#client.stream, (detail) => this.end("client-gone", detail))
    this.#clientWatch.start()
  }

  /** In the queue: true when it has found a target, or needs none any more. */
  #turn(): boolean {
    if (this.#app.isFull) return false
    const choice = this.#choose()
    if (choice.target !== undefined) return this.#take(choice.target, choice.why)
    if (choice.obstacle === "full") return false
    this.#leaveQueue()
    this.#seek()
    return true
  }

  #lookAtJoint(now: number): void {
    const ending = this.#watch?.look(now, this.#app.settings)
    if (ending !== undefined) this.end(ending)
  }

  #noteDial(now: number, error: string | undefined): void {
    const { startedAt } = this.#arrival
    const record = {
      target: (this.#target as Target).name,
      atMs: this.#attemptAt - startedAt,
      ms: now - this.#attemptAt,
      error,
    }
    if (this.#dials === undefined) this.#dials = [record]
    else if (this.#dials.length < mostDials) this.#dials.push(record)
  }

  /** Tells the breaker what became of a dial. */
  #settle(result: DialResult): void {
    if (this.#ticket === undefined) return
    this.#app.breaker.ended(this.#target as Target, this.#ticket, result)
    this.#ticket = undefined
  }

  #dropDial(result: DialResult): void {
    this.#waiting?.cancel()
    this.#leaveQueue()
    const waking = this.#waking
    this.#waking = undefined
    waking?.abort(new Error("its client is gone"))
    if (this.#phase !== "dialling" || this.#target === undefined) return
    this.#dial?.cancel()
    this.#target.giveUp()
    this.#settle(result)
  }

  #closeFlows(): void {
    for (const flow of this.#flows ?? []) flow.close()
    this.#flows = undefined
  }

  #over(): void {
    const wasOpen = this.#phase === "open"
    this.#phase = "over"
    this.#closeFlows()
    if (wasOpen) {
      const target = this.#target as Target
      target.leave()
      this.#app.upstream(target).left()
    }
    if (this.#hasPlace) this.#app.places.give()
    this.#app.left(this, this.#arrival, this.#record())
  }

  #record(): ConnectionRecord {
    const { startedAt } = this.#arrival
    const since = (at: number) => (at === 0 ? undefined : at - startedAt)
    return {
      ...recordOf(this.#arrival, this.#app.settings.name, this.#app.clock.now()),
      target: this.#target?.name,
      why: this.#why,
      ending: this.#ending ?? "failed",
      detail: this.#detail,
      attempts: this.#attempts,
      queuedMs: this.#queuedMs === 0 ? undefined : this.#queuedMs,
      connectMs: this.#joinedAt === 0 ? undefined : this.#connectMs,
      joinedMs: since(this.#joinedAt),
      firstByteMs: since(this.#firstByteAt),
      bytesUp: this.#joint?.up.bytes ?? 0,
      bytesDown: this.#joint?.down.bytes ?? 0,
      dials: this.#dials ?? [],
    }
  }
}

/** In a record. */
const mostDials = 16

const none: ReadonlySet<Target> = new Set()

/** Before it is joined, nobody is interested in how a client failed: the joint finds it out. */
function ignore(): void {
  // Without a listener the process would end.
}
