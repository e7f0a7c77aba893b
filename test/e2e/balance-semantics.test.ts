/** What clients and targets see of each other through `rdv balance`, in eleven events that other proxies get wrong. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import * as net from "node:net"
import { join, resolve } from "node:path"
import { after, before, test } from "node:test"
import { RunningCommand, temporaryFolder } from "../kit/command.ts"
import { EventTarget, tcpEvents } from "../kit/tcp-events.ts"
import type { Stage } from "../kit/tcp-events.ts"

let stage: Stage
const folder = temporaryFolder()
const owned = new AsyncDisposableStack()

before(async () => {
  const target = await EventTarget.start()
  owned.defer(() => target.stop())
  const [port, deadPort, nothing] = [await freePort(), await freePort(), await freePort()]
  const app = (name: string, from: number, to: number) => ({
    name,
    listen: [`127.0.0.1:${from}`],
    targets: [`127.0.0.1:${to}`],
  })
  const file = join(folder.path, "config.json")
  writeFileSync(file, JSON.stringify({ apps: [app("live", port, target.port), app("dead", deadPort, nothing)] }))
  const env = { NODE_OPTIONS: `--expose-gc --import ${resolve(import.meta.dirname, "../kit/collect.ts")}` }
  const balancer = new RunningCommand(["balance", "--config", file, "--json"], { data: folder.path, env })
  owned.use(balancer)
  await balancer.event("listening")
  await target.settle(port)
  let asked = 0
  const memory = async (): Promise<number> => {
    balancer.kill("SIGUSR2")
    const line = new RegExp(`^memory ${++asked} \\d+ (\\d+)\n`, "m")
    await balancer.says(line)
    return Number(line.exec(balancer.stderr)?.[1])
  }
  stage = { port, deadPort, target, memory }
})

after(async () => {
  await owned.disposeAsync()
  folder[Symbol.dispose]()
})

for (const event of tcpEvents) {
  test(`${event.name}: nothing is lost, pretended or waited for`, async (t) => {
    const { text, isGood } = await event.play(stage)
    t.diagnostic(text)
    assert.ok(isGood, text)
  })
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, "close")
  return port
}
