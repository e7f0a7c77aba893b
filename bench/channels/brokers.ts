/** Brokers as processes of our own: on loopback, on free ports, with folders that go afterwards, all in memory. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import { untilListens } from "../balance/proxies.ts"
import { freePort } from "../origin.ts"

export interface Broker {
  readonly child: Child
  readonly port: number
}

export async function startNats(children: Children): Promise<Broker> {
  const port = await freePort()
  const folder = children.folder()
  const child = children.start("nats-server", program("nats-server"), [
    "-a",
    "127.0.0.1",
    "-p",
    String(port),
    "-js",
    "-sd",
    folder,
  ])
  await untilListens(child, port)
  return { child, port }
}

export async function startRedis(children: Children): Promise<Broker> {
  const port = await freePort()
  const child = children.start("redis-server", program("redis-server"), [
    ..."--bind 127.0.0.1 --appendonly no --daemonize no --save".split(" "),
    "",
    "--port",
    String(port),
    "--dir",
    children.folder(),
  ])
  await untilListens(child, port)
  return { child, port }
}

/** With a port mapper of its own: one that Erlang starts itself would outlive us. */
export async function startRabbit(children: Children): Promise<Broker> {
  const folder = children.folder()
  const [port, mapperPort, nodePort] = [await freePort(), await freePort(), await freePort()]
  const mapper = children.start("epmd", program("epmd"), ["-address", "127.0.0.1", "-port", String(mapperPort)])
  await untilListens(mapper, mapperPort)
  for (const name of ["data", "log"]) mkdirSync(join(folder, name))
  writeFileSync(
    join(folder, "rabbitmq.conf"),
    `listeners.tcp.1 = 127.0.0.1:${port}\nlog.console = true\nlog.file = false\n`,
  )
  writeFileSync(join(folder, "enabled_plugins"), "[].\n")
  const child = children.start("rabbitmq", program("rabbitmq-server"), [], {
    cwd: folder,
    env: {
      ...process.env,
      HOME: folder,
      ERL_EPMD_PORT: String(mapperPort),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_NODENAME: "bench@localhost",
      RABBITMQ_DIST_PORT: String(nodePort),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
      RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
      RABBITMQ_MNESIA_BASE: join(folder, "data"),
      RABBITMQ_LOG_BASE: join(folder, "log"),
      RABBITMQ_PID_FILE: join(folder, "pid"),
    },
  })
  await child.until(/Server startup complete/, 60_000)
  return { child, port }
}

/** Undefined when it is not installed. */
export function found(name: string): string | undefined {
  return [...places, "/usr/bin"].map((folder) => join(folder, name)).find(existsSync)
}

function program(name: string): string {
  const path = found(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  return path
}

/** Debian's wrapper of RabbitMQ changes the user; the one that it wraps does not. */
const places = ["/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin", "/usr/local/bin"]
