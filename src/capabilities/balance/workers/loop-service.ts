/** The work of a thread: a balancer of its own, and what the main thread wants of it. */

import { systemClock } from "../../../base/clock.ts"
import { asRdvError } from "../../../base/error.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { Log } from "../../../base/log.ts"
import { Balancer } from "../engine/balancer.ts"
import type { Word } from "../engine/team.ts"
import { Endings } from "../observe/endings.ts"
import { forwardedLog } from "./forwarded-log.ts"
import { LoopTeam } from "./loop-team.ts"
import { demandsMs, limitsBandwidth } from "./cap-desk.ts"
import type { Answers, Failure, FromLoop, LoopTask, Question, ToLoop } from "./messages.ts"
import { RemoteWakers } from "./remote-waker.ts"
import type { WakeLine } from "./remote-waker.ts"

export class LoopService {
  readonly #send: (message: FromLoop) => void
  readonly #onOver: () => void
  readonly #team: LoopTeam
  readonly #balancer: Balancer
  readonly #endings: Endings
  readonly #wakers: RemoteWakers
  readonly #answers: Map<number, (failure: Failure | undefined) => void> = new Map()
  #lastAsk = 0
  #isStopped = false

  /** Listens at once. */
  constructor(task: LoopTask, send: (message: FromLoop) => void, onOver: () => void) {
    const { loop, settings, memory, counters, words, ticketSecret, logLevel, version } = task
    this.#send = send
    this.#onOver = onOver
    this.#wakers = new RemoteWakers(this.#line)
    const log: Log = forwardedLog(logLevel, (level, event, fields) => send({ kind: "log", level, event, fields }))
    this.#team = new LoopTeam({
      loop,
      memory,
      counters,
      ticketSecret,
      tell: (word) => send({ kind: "word", word }),
      wakes: (app, target) => this.#wakers.open(app, target.name),
    })
    this.#endings = new Endings({ log, version, settings: () => this.#balancer.settings })
    this.#balancer = new Balancer({
      settings: { ...settings, apps: settings.apps.map((app) => ({ ...app, listeners: [] })) },
      clock: systemClock,
      random: new SeededRandom(Math.floor(Math.random() * 2 ** 48), loop),
      log,
      callAgents: undefined,
      onEnded: (record) => this.#endings.tell(record),
      shared: true,
      team: this.#team,
    })
    this.#endings.follow(settings)
    // Nobody comes in before it is known who may not be used.
    for (const word of words) this.#hear(word)
    this.#balancer.update(settings)
    this.#tellDemands()
  }

  readonly take = (message: ToLoop): void => {
    switch (message.kind) {
      case "ask":
        this.#answer(message.question).then(
          (value) => this.#send({ kind: "answer", ask: message.ask, value }),
          (thrown: unknown) => {
            const { code, message: text, mend } = asRdvError(thrown)
            this.#send({ kind: "failed", ask: message.ask, failure: { code, message: text, mend } })
          },
        )
        return
      case "word":
        this.#hear(message.word)
        return
      case "woken": {
        const answer = this.#answers.get(message.ask)
        this.#answers.delete(message.ask)
        answer?.(message.failure)
        return
      }
      case "tickets":
        this.#team.ticketSecret = message.secret
        this.#balancer.hear({ kind: "tickets" })
        return
      case "reload-files":
        this.#balancer.reloadFiles()
        return
      case "parts":
        this.#balancer.bandwidth.divide(message.parts)
        return
      case "stop":
        void this.#stop(message.graceMs)
    }
  }

  async #answer(question: Question): Promise<Answers[Question["about"]]> {
    const balancer = this.#balancer
    switch (question.about) {
      case "apply":
        this.#team.counters = question.counters
        balancer.update(question.settings)
        this.#endings.follow(question.settings)
        return undefined
      case "snapshots":
        return balancer.snapshots()
      case "connections":
        return balancer.liveConnections(question.most)
      case "cut":
        return balancer.cut(question.id)
      case "listening":
        await balancer.listening()
        return undefined
    }
  }

  #tellDemands(): void {
    systemClock.after(demandsMs, () => {
      if (this.#isStopped) return
      const demands = limitsBandwidth(this.#balancer.settings) ? this.#balancer.bandwidth.demands() : []
      if (demands.length > 0) this.#send({ kind: "demands", demands })
      this.#tellDemands()
    })
  }

  #hear(word: Word): void {
    if (word.kind === "target" && word.wake !== undefined) this.#wakers.hear(word.app, word.target, word.wake)
    this.#balancer.hear(word)
  }

  async #stop(graceMs: number): Promise<void> {
    await this.#balancer.stop(graceMs)
    await this.#endings.stop()
    this.#isStopped = true
    this.#send({ kind: "stopped" })
    this.#onOver()
  }

  readonly #line: WakeLine = {
    wake: (app, target) => {
      const ask = ++this.#lastAsk
      this.#send({ kind: "wake", ask, app, target })
      return ask
    },
    unwake: (ask) => this.#send({ kind: "unwake", ask }),
    use: (use, app, target) => this.#send({ kind: "use", use, app, target }),
    answered: (ask, answer) => this.#answers.set(ask, answer),
    forget: (ask) => this.#answers.delete(ask),
  }
}
