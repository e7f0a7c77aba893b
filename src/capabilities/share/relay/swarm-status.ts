/** What `rdv status` of a relay says about one swarm. */

import type { JsonObject } from "../../../base/json.ts"
import type { Member } from "./member.ts"
import type { Swarm } from "./swarm.ts"

export function swarmStatus(swarm: Swarm, members: Iterable<Member>, nowhere: number): JsonObject {
  const { name, publication, edition, finished, inBytes, outBytes } = swarm
  let receivers = 0
  let hasSender = false
  let paths = 0
  for (const { role, isHere, lane, leaving } of members) {
    if (isHere && role === "receiver") receivers++
    if (isHere && role === "sender") hasSender = true
    for (const each of [lane, leaving]) if (each?.isClosed === false) paths++
  }
  return {
    swarm: name,
    owner: publication.owner,
    version: publication.table.version,
    chunks: edition?.table.count ?? null,
    bytes: edition?.table.sealedBytes ?? null,
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
