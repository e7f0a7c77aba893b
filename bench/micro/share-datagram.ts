/**
 * Chunks over datagrams beside chunks over a TCP connection, between two machines (network namespaces): on a switch, and
 * over a wire with delay, loss and a rate. TCP is the kernel's, once with Reno and once with BBR where there is one.
 * By hand, as root: `node bench/micro/share-datagram.ts`. The figures stand in docs/explanation/share-paths.md.
 */

import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import { systemClock } from "../../src/base/clock.ts"
import { openSocketNet } from "../../src/capabilities/share/node/socket-net.ts"
import { udpMac } from "../../src/capabilities/share/node/udp-mac.ts"
import { openUdp } from "../../src/capabilities/share/node/udp-socket.ts"
import type { ChunkPath, ChunkPathSink } from "../../src/capabilities/share/paths/chunk-path.ts"
import { DatagramEndpoint } from "../../src/capabilities/share/paths/datagram-endpoint.ts"
import { streamPath } from "../../src/capabilities/share/paths/stream-path.ts"
import { LineProcess } from "../../test/kit/line-process.ts"
import { NetworkLab } from "../../test/kit/network-lab.ts"

const chunkBytes = 262_160
const port = 7707
const key = new Uint8Array(32).fill(1)
const chunk = new Uint8Array(chunkBytes).fill(7)
/** Asked for at once. */
const ahead = 24

const silent: ChunkPathSink = {
  room: (_name, length) => new Uint8Array(length),
  chunk: () => undefined,
  asked: () => undefined,
  cancelled: () => undefined,
  refused: () => undefined,
  ready: () => undefined,
  closed: () => undefined,
}

const [role, kind, peer, count] = process.argv.slice(2)
if (role === "give") await give()
else if (role === "get") await get(kind as string, peer as string, Number(count))
else await bench()

async function give(): Promise<void> {
  const answer = (path: ChunkPath) => path.attach({ ...silent, asked: (name) => void path.send(name, chunk) })
  const net = await openSocketNet({ port })
  net.onPipe = (pipe) => answer(streamPath(pipe))
  const endpoint = new DatagramEndpoint({ socket: await openUdp({ port }), clock: systemClock, macFor: udpMac })
  endpoint.sit({ key, name: "giver", onPath: answer })
  console.log(JSON.stringify({ event: "ready" }))
  process.stdin.resume()
  await once(process.stdin, "end")
  process.exit(0)
}

async function get(way: string, address: string, chunks: number): Promise<void> {
  const keep = setInterval(() => undefined, 1_000)
  const path = await dial(way, address)
  const started = performance.now()
  let asked = 0
  let came = 0
  const more = () => {
    while (asked < chunks && asked - came < ahead) path.ask({ version: 1, chunk: asked++ })
  }
  await new Promise<void>((resolve, reject) => {
    path.attach({
      ...silent,
      chunk: () => {
        came++
        if (came === chunks) resolve()
        else more()
      },
      closed: (error) => reject(error ?? new Error("closed")),
    })
    more()
  })
  const { user, system } = process.cpuUsage()
  const seconds = (performance.now() - started) / 1000
  const facts = { event: "done", seconds, megabytes: (chunks * chunkBytes) / 1e6, cpu: (user + system) / 1e6 }
  console.log(JSON.stringify({ ...facts, rttMs: path.rttMs }))
  clearInterval(keep)
  process.exit(0)
}

async function dial(way: string, address: string): Promise<ChunkPath> {
  if (way === "stream") {
    const net = await openSocketNet({ listen: false })
    return streamPath(await net.dial([`${address}:${port}`], AbortSignal.timeout(5_000)))
  }
  const endpoint = new DatagramEndpoint({ socket: await openUdp(), clock: systemClock, macFor: udpMac })
  return endpoint.sit({ key, name: "getter" }).dial([{ address, port }], "giver", AbortSignal.timeout(5_000))
}

async function bench(): Promise<void> {
  const refusal = await NetworkLab.refusal()
  if (refusal !== undefined) {
    console.log(`Not here: ${refusal}`)
    return
  }
  console.log(
    "way             over                                          MB/s   round trip   receiver's CPU-s per GB",
  )
  await using lab = await NetworkLab.create(2, "bench")
  await measure(lab, "a switch", 1_200)
  await lab.unplug()
  for (const [loss, text] of [
    [0, "20 ms each way, 100 Mbit/s"],
    [0.01, "20 ms each way, 100 Mbit/s, 1 % lost"],
  ] as const) {
    const wire = resolve(import.meta.dirname, "../../test/kit/network-wire.py")
    const words = ["netns", "exec", lab.hub, "python3", wire, "v0", "v1", "20", String(loss), "12500000", "250000"]
    const carrier = spawn("ip", words, { stdio: ["pipe", "pipe", "inherit"] })
    await once(carrier.stdout, "data")
    await measure(lab, text, loss === 0 ? 160 : 80)
    carrier.stdin.end()
    await once(carrier, "close")
  }
}

async function measure(lab: NetworkLab, over: string, chunks: number): Promise<void> {
  const script = resolve(import.meta.filename)
  const on = (machine: number, ...words: string[]) =>
    new LineProcess("ip", [...lab.on(machine), process.execPath, script, ...words])
  for (const way of ["stream reno", "stream bbr", "datagram"]) {
    const [kindOfPath = "", control] = way.split(" ")
    if (control !== undefined && !setControl(lab, control)) continue
    await using giver = on(0, "give")
    await giver.event("ready")
    // Slow ones have time.
    const rounds = way === "stream reno" && over.includes("lost") ? chunks / 8 : chunks
    await using getter = on(1, "get", kindOfPath, lab.addresses[0] as string, String(rounds))
    const done = await getter.event("done").catch(() => getter.event("done"))
    const megabytes = Number(done["megabytes"])
    const rate = (megabytes / Number(done["seconds"])).toFixed(1)
    const cpu = (Number(done["cpu"]) / (megabytes / 1000)).toFixed(2)
    const rtt = `${Number(done["rttMs"]).toFixed(1)} ms`
    console.log(`${way.padEnd(15)} ${over.padEnd(40)} ${rate.padStart(9)} ${rtt.padStart(12)} ${cpu.padStart(12)}`)
    giver.say()
  }
}

function setControl(lab: NetworkLab, control: string): boolean {
  try {
    for (const machine of [0, 1]) {
      execFileSync("ip", [...lab.on(machine), "sysctl", "-qw", `net.ipv4.tcp_congestion_control=${control}`], {
        stdio: "ignore",
      })
    }
    return true
  } catch {
    return false
  }
}
