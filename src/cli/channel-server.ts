/**
 * Channels at a relay: the capability, who may use it, and ports of its own where sessions and plain 9P clients come in
 * alike. For `rdv relay --channels` and `rdv chan serve`.
 */

import { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import { readIdMap } from "../capabilities/channels/access/id-map.ts"
import { Gate } from "../capabilities/channels/access/gate.ts"
import { ninepService, startChannels } from "../capabilities/channels/capability.ts"
import type { Channels, ChannelsOptions } from "../capabilities/channels/capability.ts"
import type { RunningRelay } from "../node.ts"
import { openSharedDoor } from "../relay/shared-door.ts"
import type { Guest, SharedDoorTls } from "../relay/shared-door.ts"
import { allowsService } from "../store/token-scopes.ts"
import { printAddress } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { isLocalLink } from "../transport/loopback.ts"
import type { Listener } from "../transport/transport.ts"
import { messageType } from "../ninep/message.ts"
import type { FlagReader, Flags } from "./flags.ts"
import { linkBytes } from "./link-bytes.ts"
import { VanishedConversations } from "./vanished-conversations.ts"

export interface ChannelServerOptions extends Omit<ChannelsOptions, "gate"> {
  readonly running: RunningRelay
  readonly listen: readonly Address[]
  readonly tls?: SharedDoorTls | undefined
  readonly open: boolean
  readonly strict: boolean
  readonly mapUid?: (uid: number) => number
  readonly mapGid?: (gid: number) => number
  readonly log: Log
}

export interface ChannelServer {
  readonly channels: Channels
  readonly addresses: readonly Address[]
  /** Listens no more. The channels end with the relay. */
  close(): Promise<void>
}

/** Rejects with `in_use` or `usage`; nothing listens then. */
export async function startChannelServer(options: ChannelServerOptions): Promise<ChannelServer> {
  const { running, listen, tls, open, strict, mapUid, mapGid } = options
  const gate = new Gate({
    open,
    strict,
    ...(mapUid && { mapUid }),
    ...(mapGid && { mapGid }),
    verify(token, peer) {
      const { name, scopes } = running.relay.verifyToken(token, peer)
      if (allowsService(scopes, ninepService)) return { name, rules: scopes.channels }
      throw new RdvError("forbidden", `The token ${name} does not allow the service "${ninepService}"`)
    },
    isValid: (token) => running.store.verifyToken(token).ok,
  })
  const channels = startChannels(running.relay, { ...options, gate })
  const vanished = new VanishedConversations(running.relay)
  const guest: Guest = {
    headBytes: 5,
    isTheirs: (head) => head[4] === messageType.Tversion,
    take(link, { certificateName }) {
      const owner = certificateName === undefined ? undefined : { name: certificateName, rules: undefined }
      const bytes = linkBytes(link)
      vanished.watch(bytes)
      channels.take(bytes, { peer: link.peer, isLocal: isLocalLink(link), owner })
    },
  }
  const doors: Listener[] = []
  try {
    for (const address of listen) doors.push(await openSharedDoor(running.relay, address, guest, tls))
  } catch (error) {
    await Promise.all(doors.map((door) => door.close()))
    throw error
  }
  const ports = placesOf(doors.map(({ address }) => address))
  running.relay.report("channelPorts", () => ports)
  return {
    channels,
    addresses: doors.map(({ address }) => address),
    close: async () => void (await Promise.all(doors.map((door) => door.close()))),
  }
}

/** What both commands say about users of clients. */
export const idMapFlags: Flags = {
  "map-uid": {
    kind: "list",
    value: "FROM=TO",
    summary: "A client's user id as another one here: 1000=2000, 0=65534, *=1000",
  },
  "map-gid": { kind: "list", value: "FROM=TO", summary: "The same for group ids" },
}

export function idMapsOf(flags: FlagReader): Pick<ChannelServerOptions, "mapUid" | "mapGid"> {
  return {
    ...(flags.has("map-uid") && { mapUid: readIdMap(flags.list("map-uid"), "--map-uid") }),
    ...(flags.has("map-gid") && { mapGid: readIdMap(flags.list("map-gid"), "--map-gid") }),
  }
}

/** How people name it: what stands behind `--server` and in mount commands. */
export function placesOf(addresses: readonly Address[]): string[] {
  return addresses.map(printAddress)
}
