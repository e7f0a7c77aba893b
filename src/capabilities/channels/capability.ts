/**
 * Channels: a space of CSP channels behind two doors, a 9P tree for every program that can open a file and a native
 * service for clients of our own. Both are services of the host; conversations over other connections are taken by
 * `converse`.
 */

import { SeededRandom } from "../../base/random.ts"
import type { JsonObject } from "../../base/json.ts"
import type { Host } from "../../host/host.ts"
import type { ByteLink } from "../../ninep/byte-link.ts"
import { NinepStep } from "../../ninep/step.ts"
import type { Tree } from "../../ninep/tree.ts"
import { converse } from "./conversation/converse.ts"
import type { Conversation } from "./conversation/converse.ts"
import { streamBytes } from "./conversation/stream-bytes.ts"
import type { Gate, ConnectionFacts } from "./access/gate.ts"
import type { ChannelSettings } from "./core/settings.ts"
import { Space } from "./core/space.ts"
import type { SpaceLimits } from "./core/space.ts"
import { ChannelTree } from "./files/channel-tree.ts"
import type { Identify } from "./files/identity.ts"
import { offerChannels } from "./native/channel-service.ts"

export interface ChannelsOptions {
  readonly gate: Gate
  readonly limits?: Partial<SpaceLimits>
  /** For new channels. */
  readonly defaults?: Partial<ChannelSettings>
  /** Conversations over 9P at once; the next one is cut off. */
  readonly connections?: number
  /** What conversations see in place of the channels' own tree: the same with other trees bound into it. */
  readonly around?: (tree: Tree, identify: Identify) => Tree
}

export interface Channels {
  readonly space: Space
  /** Takes a connection over which somebody speaks 9P. */
  take(link: ByteLink, facts: ConnectionFacts): void
  status(): JsonObject
}

/** The 9P conversation as a service of sessions: the stream's bytes are its messages. */
export const ninepService = "9p"

/** Offers channels to the sessions of a host; they end with its scope. */
export function startChannels(host: Host, options: ChannelsOptions): Channels {
  const { clock, log, scope } = host
  const { gate, limits, defaults, connections = defaultConnections, around } = options
  const random = new SeededRandom(Math.floor(Math.random() * 2 ** 48))
  const space = new Space({ clock, random, ...(limits && { limits }), ...(defaults && { defaults }) })
  const files = new ChannelTree({ space })
  const treeFor = (identify: Identify) => {
    const tree = files.identifiedBy(identify)
    return around === undefined ? tree : around(tree, identify)
  }
  const live: Set<Conversation> = new Set()
  const step = new NinepStep()
  const take = (link: ByteLink, facts: ConnectionFacts) => {
    if (live.size >= connections) {
      log.warn("channels.refused", { peer: facts.peer, reason: `${connections} conversations are open` })
      link.close()
      return
    }
    converse({ link, facts, gate, treeFor, live, step, clock, log })
  }
  offerChannels(host, space, {
    identify: ({ owner, channels }) => gate.identityOf({ name: owner, rules: channels }),
  })
  host.accept(ninepService, ({ stream, caller: { peer, owner, channels } }) => {
    take(streamBytes(stream), { peer, isLocal: false, owner: { name: owner, rules: channels } })
  })
  let timer = clock.after(tickMs, tick)
  function tick(): void {
    space.tick()
    recheck(live, gate)
    timer = clock.after(tickMs, tick)
  }
  scope.onEnd(() => {
    timer.cancel()
    for (const conversation of live) conversation.end()
  })
  const status = () => statusOf(space, live)
  host.report("channels", status)
  return { space, take, status }
}

/** Many conversations live on few tokens: each token is looked up once. */
function recheck(live: ReadonlySet<Conversation>, gate: Gate): void {
  const verdicts = new Map<string, boolean>()
  const isValid = (token: string) => {
    const verdict = verdicts.get(token) ?? gate.isValid(token)
    verdicts.set(token, verdict)
    return verdict
  }
  for (const conversation of live) conversation.recheck(isValid)
}

/** Idle conversations cost a socket and a few KiB each. */
const defaultConnections = 10_000
/** Rates are of a second. */
const tickMs = 1_000

function statusOf(space: Space, live: ReadonlySet<Conversation>): JsonObject {
  const busiest = [...space.channels()]
    .map((channel) => ({ channel, stats: channel.stats() }))
    .sort((a, b) => b.stats.received - a.stats.received)
  return {
    channels: busiest.length,
    conversations: live.size,
    messageBytes: space.messageBytes,
    received: busiest.reduce((sum, { stats }) => sum + stats.received, 0),
    delivered: busiest.reduce((sum, { stats }) => sum + stats.delivered, 0),
    busiest: busiest.slice(0, shown).map(({ channel, stats }) => ({
      path: channel.path,
      size: channel.settings.size,
      received: stats.received,
      delivered: stats.delivered,
      waitingSenders: stats.waitingSenders,
      waitingReceivers: stats.waitingReceivers,
    })),
  }
}

/** Of all channels, in `rdv status`; `rdv chan ls` and `rdv chan top` show the others. */
const shown = 20
