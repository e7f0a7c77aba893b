/** A balancer within the test's process, on settings as data, with targets that greet and echo. */

import { createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { once } from "node:events"
import type { TestContext } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import type { Clock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import type { Stream } from "../../src/base/stream.ts"
import {
  defaultApp,
  defaultListener,
  defaultSettings,
  defaultTarget,
} from "../../src/capabilities/balance/config/defaults.ts"
import type {
  AppSettings,
  ListenerSettings,
  Settings,
  TargetSettings,
} from "../../src/capabilities/balance/config/settings.ts"
import type { ConnectionRecord } from "../../src/capabilities/balance/connection/record.ts"
import { Balancer } from "../../src/capabilities/balance/engine/balancer.ts"
import { until } from "./processes.ts"

export interface BalanceRig {
  readonly balancer: Balancer
  readonly records: ConnectionRecord[]
}

export async function balanceRig(
  t: TestContext,
  settings: Settings,
  clock: Clock = systemClock,
  callAgents?: (name: string) => Stream,
): Promise<BalanceRig> {
  const records: ConnectionRecord[] = []
  const random = { fraction: () => 0.5 }
  const onEnded = (record: ConnectionRecord) => void records.push(record)
  const balancer = new Balancer({ settings, clock, random, log: silentLog, callAgents, onEnded })
  t.after(() => balancer.stop(0))
  await balancer.listening()
  return { balancer, records }
}

export function settingsOf(apps: readonly AppSettings[], changes: Partial<Settings> = {}): Settings {
  return { ...defaultSettings, apps, ...changes }
}

export function appOf(
  port: number,
  targets: readonly (number | TargetSettings)[],
  { listener = {}, ...changes }: Partial<AppSettings> & { readonly listener?: Partial<ListenerSettings> } = {},
): AppSettings {
  return {
    ...defaultApp,
    name: "app",
    listeners: [{ ...defaultListener, host: "127.0.0.1", port, ...listener }],
    targets: targets.map((target) => (typeof target === "number" ? targetOf(target) : target)),
    ...changes,
  }
}

export function targetOf(port: number, changes: Partial<TargetSettings> = {}): TargetSettings {
  return { ...defaultTarget, address: { kind: "tcp", host: "127.0.0.1", port }, ...changes }
}

/** Waits until the only target of `app` was dialled in vain so many times more: who is held has been looked at by then. */
export async function triedAgain(balancer: Balancer, times: number): Promise<void> {
  const [target] = balancer.app("app").pool.targets
  const failures = () => target?.totals.connectFailures ?? 0
  const before = failures()
  await until(() => failures() >= before + times, `it was tried ${times} times more`)
}

export interface EchoTarget {
  readonly port: number
  readonly sockets: Set<Socket>
  /** That came so far. */
  count(): number
  stop(): Promise<void>
}

/** Says `hi\n`, then echoes, and ends when it is told to. */
export async function echoTarget(t: TestContext, at = 0): Promise<EchoTarget> {
  const sockets = new Set<Socket>()
  let came = 0
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    came++
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => undefined)
    socket.write("hi\n")
    socket.pipe(socket)
  })
  server.listen(at, "127.0.0.1")
  await once(server, "listening")
  const stop = async () => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, "close")
  }
  t.after(stop)
  return { port: (server.address() as AddressInfo).port, sockets, count: () => came, stop }
}
