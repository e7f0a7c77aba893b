/**
 * An open file of `/select`: write the cases, read the choice. Several writes before the first read are one set, since shells
 * write line by line. One set gives one choice and then the end of the file; the next write begins another set.
 */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import type { Timer } from "../../../base/clock.ts"
import { utf8Decode, utf8Encode } from "../../../base/text.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import type { SelectCase, Selection, SelectOutcome } from "../core/select.ts"
import { errnoOf } from "./errno-of.ts"
import { MessageWindow } from "./message-window.ts"
import { requireReceive, requireSend, requireWay } from "./permissions.ts"
import { longestSet, readSelectSet } from "./select-sets.ts"
import type { SelectSet } from "./select-sets.ts"
import type { View } from "./view.ts"

export class SelectHandle implements Handle {
  readonly #view: View
  /** Undefined for `clone`, whose sets are this file's alone. */
  readonly #name: string | undefined
  readonly #window: MessageWindow = new MessageWindow()
  #text = ""
  #state: "writing" | "waiting" | "chosen" = "writing"
  #request: ReadRequest | undefined
  #selection: Selection | undefined
  #timer: Timer | undefined
  #received: (SelectOutcome & { kind: "received" }) | undefined

  constructor(view: View, name: string | undefined) {
    this.#view = view
    this.#name = name
  }

  write(request: WriteRequest): void {
    try {
      this.#add(utf8Decode(request.bytes))
    } catch (error) {
      request.fail(errnoOf(error))
      return
    }
    request.answer()
  }

  read(request: ReadRequest): void {
    if (this.#state === "waiting") {
      request.fail(new NinepError("EBUSY", "This select waits already"))
      return
    }
    const answer = this.#window.read(request.offset, request.count, request.full)
    if (answer !== undefined) {
      if (answer.length === 0) this.#received?.delivery.seen()
      request.answer(answer)
      return
    }
    this.#prove()
    if (this.#state === "chosen") {
      request.answer(emptyBytes)
      return
    }
    try {
      this.#choose(request)
    } catch (error) {
      this.#settle()
      this.#state = "writing"
      request.fail(errnoOf(error))
    }
  }

  /** Who leaves before a choice takes nothing. */
  close(gone: boolean): void {
    this.#selection?.cancel()
    this.#settle()
    if (gone) this.#received?.leave("has lost its connection")
    else this.#prove()
    this.#keep("")
  }

  #add(text: string): void {
    if (this.#state === "waiting") throw new NinepError("EBUSY", "This select waits for its choice")
    const whole = this.#state === "chosen" ? text : this.#text + text
    if (whole.length > longestSet) throw new NinepError("EMSGSIZE", `A set has at most ${longestSet} characters`)
    // A line that is not at its end yet is looked at when the choice is read.
    readSelectSet(whole.slice(0, whole.lastIndexOf("\n") + 1))
    this.#keep(whole)
    this.#state = "writing"
    if (this.#name !== undefined) this.#view.sets.keep(this.#view.identity, this.#name, whole)
  }

  /** Its memory is counted with that of messages. Throws `limit`. */
  #keep(text: string): void {
    const { space } = this.#view
    const more = text.length - this.#text.length
    if (more > 0) space.reserve(more)
    else space.free(-more)
    this.#text = text
  }

  #choose(request: ReadRequest): void {
    const { space, sets, identity } = this.#view
    const kept = this.#name === undefined ? undefined : sets.find(identity, this.#name)
    const set = readSelectSet(this.#text === "" ? (kept ?? "") : this.#text)
    if (set.cases.length === 0) throw new NinepError("EINVAL", "No case was written into this select")
    const cases = set.cases.map(({ path, bytes }) => this.#caseOf(path, bytes))
    this.#state = "waiting"
    this.#request = request
    this.#selection = space.select(cases, (outcome) => this.#hear(set, outcome))
    if (this.#request === undefined) return
    request.onFlush = () => this.#flush(set)
    if (set.hasDefault) this.#giveUp("default\n")
    else if (set.timeoutMs !== undefined) {
      this.#timer = space.clock.after(set.timeoutMs, () => this.#giveUp("timeout\n"))
    }
  }

  /** Throws `not_found`, `EACCES`. */
  #caseOf(path: string, bytes: Uint8Array | undefined): SelectCase {
    const { space, paths, identity, root } = this.#view
    const channel = space.channel(paths.inSpace(path))
    requireWay(identity, root, channel)
    if (bytes === undefined) {
      requireReceive(identity, channel)
      return { kind: "receive", channel }
    }
    requireSend(identity, channel)
    return { kind: "send", channel, bytes }
  }

  #hear(set: SelectSet, outcome: SelectOutcome): void {
    const request = this.#request
    // Its send was matched, and nobody waits for the proof any more.
    if (request === undefined) return
    this.#settle()
    this.#state = "chosen"
    const path = set.cases[outcome.index]?.path ?? ""
    if (outcome.kind === "failed") request.fail(errnoOf(outcome.error))
    else if (outcome.kind === "sent") this.#answer(request, utf8Encode(`${path}!\n`))
    else {
      this.#received = outcome
      this.#answer(request, concat([utf8Encode(`${path}?\t`), outcome.delivery.bytes]))
    }
  }

  /** Nothing was chosen, or else the outcome is on its way. */
  #giveUp(text: string): void {
    const request = this.#request
    if (request === undefined || this.#selection?.cancel() !== true) return
    this.#settle()
    this.#state = "chosen"
    this.#answer(request, utf8Encode(text))
  }

  #flush(set: SelectSet): void {
    const request = this.#request
    if (request === undefined) return
    const isCancelled = this.#selection?.cancel() === true
    this.#settle()
    this.#state = isCancelled ? "writing" : "chosen"
    // A send was matched and is not proven. Where there is one, it is the one, and it has happened.
    const sends = set.cases.filter(({ bytes }) => bytes !== undefined)
    if (!isCancelled && sends.length === 1) this.#answer(request, utf8Encode(`${sends[0]?.path}!\n`))
  }

  #answer(request: ReadRequest, bytes: Uint8Array): void {
    this.#window.begin(request.offset, bytes)
    request.answer(this.#window.read(request.offset, request.count, request.full) ?? emptyBytes)
  }

  #settle(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#selection = undefined
    if (this.#request !== undefined) this.#request.onFlush = undefined
    this.#request = undefined
  }

  #prove(): void {
    this.#received?.delivery.done()
    this.#received = undefined
  }
}
