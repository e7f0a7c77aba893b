/** Sending in the worker: names and seals the parts, publishes them, gives them to those who are told to ask. */

import { systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import { silentLog } from "../../base/log.ts"
import { newCode, printCode, printLink } from "../../capabilities/share/code/code.ts"
import { deriveKeys } from "../../capabilities/share/code/derive-keys.ts"
import { portableCrypto } from "../../capabilities/share/content/portable-crypto.ts"
import { startSender } from "../../capabilities/share/peer/sender.ts"
import type { Sender } from "../../capabilities/share/peer/sender.ts"
import type { SwarmPicture } from "../../capabilities/share/protocol/control.ts"
import { RateMeter } from "./rate-meter.ts"
import type { News, Order, SendingState } from "./messages.ts"
import { pageContent } from "./page-content.ts"
import { RelaySession } from "./relay-session.ts"
import { sendProblem } from "./words.ts"

type SendOrder = Extract<Order, { do: "send" }>

export class Sending {
  readonly #order: SendOrder
  readonly #tell: (news: News) => void
  readonly #stop = new AbortController()
  readonly #session: RelaySession
  readonly #rate = new RateMeter()
  #sender: Sender | undefined
  #state: SendingState

  constructor(order: SendOrder, tell: (news: News) => void) {
    this.#order = order
    this.#tell = tell
    this.#state = {
      phase: "reading",
      name: order.name,
      bytes: order.files.reduce((sum, { content }) => sum + content.size, 0),
      readBytes: 0,
      code: undefined,
      link: undefined,
      isConnected: false,
      mayLeave: false,
      finished: 0,
      sentBytes: 0,
      bytesPerSecond: 0,
      problem: undefined,
    }
    this.#session = new RelaySession({
      relay: order.relay,
      token: order.token === "" ? undefined : order.token,
      onState: (state) => {
        this.#set({ isConnected: state.kind === "up" })
        if (state.kind === "refused") this.#fail(state.error)
      },
    })
    this.#begin().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#fail(asRdvError(error))
    })
  }

  refresh(): void {
    this.#session.refresh()
  }

  /** Called a few times a second. */
  tick(): void {
    const sender = this.#sender
    if (sender === undefined || this.#state.phase !== "shared") return
    const { relay, direct, cast } = sender.traffic.sent
    const sentBytes = relay + direct + cast
    const now = systemClock.now()
    this.#rate.note(sentBytes, now)
    const bytesPerSecond = this.#rate.perSecond(now)
    if (sentBytes !== this.#state.sentBytes || bytesPerSecond !== this.#state.bytesPerSecond) {
      this.#set({ sentBytes, bytesPerSecond })
    }
  }

  /** `end`: the swarm is over for all. */
  async leave(end: boolean): Promise<void> {
    this.#stop.abort(new RdvError("closed"))
    await this.#sender?.stop(end ? "end" : "leave")
    await this.#session.close()
    if (this.#state.phase !== "failed") this.#set({ phase: "ended" })
  }

  async #begin(): Promise<void> {
    const { name, files, password, base, once, expiresMs, maxPeers } = this.#order
    const code = newCode()
    const keys = await deriveKeys(code, password)
    const content = await pageContent({
      name,
      files: files.map(({ path, content }) => ({ path, content, mtimeMs: content.lastModified })),
      crypto: portableCrypto(keys, "blake3"),
      signal: this.#stop.signal,
      onProgress: (readBytes) => this.#set({ readBytes }),
    })
    this.#stop.signal.throwIfAborted()
    this.#set({ phase: "publishing" })
    this.#sender = startSender({
      swarm: code.swarm,
      keys,
      access: this.#session,
      content,
      rules: {
        ...(once && { once }),
        ...(expiresMs !== undefined && { expiresMs }),
        ...(maxPeers !== undefined && { maxPeers }),
      },
      clock: systemClock,
      log: silentLog,
      events: {
        published: () =>
          this.#set({ phase: "shared", code: printCode(code), link: printLink(base, code), isConnected: true }),
        picture: (picture) => this.#hear(picture),
        finished: () => this.#set({ finished: this.#state.finished + 1 }),
        changed: (_chunk, error) => this.#set({ problem: { title: error.message, mend: changedMend } }),
        away: () => this.#set({ isConnected: false }),
        ended: (error) => {
          if (error !== undefined) this.#fail(error)
          else if (this.#state.phase !== "failed") this.#set({ phase: "ended" })
        },
      },
    })
  }

  #hear(picture: SwarmPicture): void {
    this.#tell({ do: "swarm", picture })
    // We are one of those who have each chunk.
    const mayLeave = picture.copies.slice(0, 2).every((chunks) => chunks === 0)
    if (mayLeave !== this.#state.mayLeave) this.#set({ mayLeave })
  }

  #fail(error: RdvError): void {
    if (this.#state.phase === "failed" || this.#state.phase === "ended") return
    this.#set({ phase: "failed", problem: sendProblem(error, this.#order.token !== "") })
    void this.leave(false)
  }

  #set(change: Partial<SendingState>): void {
    this.#state = { ...this.#state, ...change }
    this.#tell({ do: "sending", state: this.#state })
  }
}

const changedMend = "Share it again: receivers cannot complete it as it was."
