/** The first that a member hears of its swarm. */

import type { RelayMessage } from "../protocol/control.ts"
import type { Member } from "./member.ts"
import type { Swarm, SwarmDesk } from "./swarm.ts"

export function welcomeOf({ id, role, ticket }: Member, swarm: Swarm, desk: SwarmDesk): RelayMessage {
  const { name, publication, expiresAt, clock } = swarm
  const url = role === "sender" ? desk.url(name) : undefined
  return {
    do: "welcome",
    you: id,
    ticket,
    connections: desk.connections,
    ...(url !== undefined && { url }),
    once: publication.once,
    ...(expiresAt !== Infinity && { expiresMs: Math.max(0, Math.round(expiresAt - clock.now())) }),
  }
}
