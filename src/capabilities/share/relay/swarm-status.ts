/** What `rdv status` of a relay says about one swarm. */

import type { JsonObject } from "../../../base/json.ts"
import type { Member } from "./member.ts"
import type { Swarm } from "./swarm.ts"

export function swarmStatus(swarm: Swarm, members: Iterable<Member>, nowhere: number): JsonObject {
  const { name, publication, finished, inBytes, outBytes } = swarm
  let receivers = 0
  let hasSender = false
  let paths = 0
  for (const { role, isHere, looks, lane, leaving } of members) {
    if (isHere && role === "receiver" && !looks) receivers++
    if (isHere && role === "sender") hasSender = true
    for (const each of [lane, leaving]) if (each?.isClosed === false) paths++
  }
  return {
    swarm: name,
    owner: publication.owner,
    version: publication.table.version,
    chunks: swarm.size?.chunks ?? null,
    bytes: swarm.size?.bytes ?? null,
    receivers,
    finished,
    sender: hasSender,
    paths,
    inBytes,
    outBytes,
    nowhere,
    closed: publication.isClosed,
    expiresAt: publication.expiresAt,
  }
}
