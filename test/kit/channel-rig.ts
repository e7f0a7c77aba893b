/** A server of channels in this process, reached over real sockets through a network that a test can break. */

import type { TestContext } from "node:test"
import { silentLog } from "../../src/base/log.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { delay, systemClock } from "../../src/base/clock.ts"
import { Space } from "../../src/capabilities/channels/core/space.ts"
import type { ChannelSettings } from "../../src/capabilities/channels/core/settings.ts"
import { identifyAnyone } from "../../src/capabilities/channels/files/identity.ts"
import type { Identity } from "../../src/capabilities/channels/files/identity.ts"
import { offerChannels } from "../../src/capabilities/channels/native/channel-service.ts"
import { channels } from "../../src/channels.ts"
import type { Channels } from "../../src/channels.ts"
import type { SessionLimits } from "../../src/mux/limits.ts"
import { startRelay } from "../../src/node.ts"
import { chaosProxy } from "./chaos-proxy.ts"
import type { ChaosProxy } from "./chaos-proxy.ts"

export interface ChannelRigOptions {
  readonly defaults?: Partial<ChannelSettings>
  readonly limits?: Partial<SessionLimits>
  readonly identity?: Partial<Identity>
}

export interface ChannelRig {
  readonly space: Space
  readonly network: ChaosProxy
  readonly port: number
  /** A session of its own, through the network; ends with the test. */
  client(): Promise<Channels>
  /** The server goes, and comes back at the same place with the same channels and no session. */
  restart(pauseMs?: number): Promise<void>
}

export async function channelRig(t: TestContext, options: ChannelRigOptions = {}): Promise<ChannelRig> {
  const { defaults, limits = {} } = options
  const space = new Space({ clock: systemClock, random: new SeededRandom(7), ...(defaults && { defaults }) })
  const everybody = (await identifyAnyone({ user: { name: "test", uid: 1 }, aname: "" })) as Identity
  const identity = { ...everybody, ...options.identity }
  const start = async (port: number) => {
    const running = await startRelay({
      listen: [`127.0.0.1:${port}`],
      store: ":memory:",
      open: true,
      log: silentLog,
      sessionLimits: limits,
    })
    offerChannels(running.relay, space, { identify: () => identity })
    return running
  }
  let running = await start(0)
  const { port } = running.addresses[0] as { port: number }
  const network = await chaosProxy({ target: { port } })
  const clients: Channels[] = []
  t.after(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()))
    await network.close()
    await running.stop()
  })
  return {
    space,
    network,
    port,
    async client() {
      const client = await channels({ relay: `127.0.0.1:${network.port}`, limits })
      clients.push(client)
      return client
    },
    async restart(pauseMs = 0) {
      await running.stop()
      await delay(systemClock, pauseMs)
      running = await start(port)
    },
  }
}
