/** One 9P conversation of the channel server: what it runs over, who it is, and when it ends. */

import type { Clock } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { ByteLink } from "../../../ninep/byte-link.ts"
import { NinepConnection } from "../../../ninep/connection.ts"
import type { NinepStep } from "../../../ninep/step.ts"
import type { Tree } from "../../../ninep/tree.ts"
import type { ConnectionFacts, Gate } from "../access/gate.ts"
import type { Identify } from "../files/identity.ts"

export interface ConverseOptions {
  readonly link: ByteLink
  readonly facts: ConnectionFacts
  readonly gate: Gate
  readonly treeFor: (identify: Identify) => Tree
  readonly live: Set<Conversation>
  /** Shared by all conversations of a server. */
  readonly step: NinepStep
  readonly clock: Clock
  readonly log: Log
}

/** Those that are open. */
export interface Conversation {
  /** Ends it when a token that it lives on is valid no more. */
  recheck(isValid: (token: string) => boolean): void
  end(): void
  status(): JsonObject
}

export function converse({ link, facts, gate, treeFor, live, step, clock, log }: ConverseOptions): void {
  const tokens = new Set<string>()
  const giveUp = () => {
    log.info("channels.ended", { peer: facts.peer, reason: `nobody attached within ${attachMs} ms` })
    conversation.end()
  }
  const stranger = facts.owner === undefined ? clock.after(attachMs, giveUp) : undefined
  const identify = gate.identify(facts, (token) => {
    stranger?.cancel()
    if (token !== undefined) tokens.add(token)
  })
  const connection = new NinepConnection({
    tree: treeFor(identify),
    output: { write: (bytes) => link.write(bytes) },
    log: log.with({ peer: facts.peer }),
    step,
  })
  const follow = () => {
    if (connection.paused) link.pause()
    else link.resume()
  }
  const conversation: Conversation = {
    recheck(isValid) {
      for (const token of tokens) {
        if (isValid(token)) continue
        log.info("channels.ended", { peer: facts.peer, reason: "its token was revoked or has expired" })
        conversation.end()
        return
      }
    },
    end() {
      forget()
      connection.closed()
      link.close()
    },
    status: () => ({ peer: facts.peer, ...connection.status(), dialect: connection.status().dialect ?? null }),
  }
  const forget = () => {
    stranger?.cancel()
    live.delete(conversation)
  }
  live.add(conversation)
  link.onData = (bytes) => {
    connection.receive(bytes)
    if (connection.paused) link.pause()
  }
  link.onDrain = () => {
    connection.drained()
    follow()
  }
  link.onClose = () => {
    forget()
    connection.closed()
  }
  connection.onEnd = () => {
    forget()
    link.close()
  }
}

/** Clients attach as soon as the version is settled. Until then nobody knows who they are, and there are only so many places. */
const attachMs = 30_000
