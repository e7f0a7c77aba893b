/** Swarms of BitTorrent with a tracker of their own: aria2 and libtorrent. Each client is a process. */

import { copyFileSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { basename, join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { TrialNetwork } from "../../src/capabilities/share/trial/trial-network.ts"
import type { TrialHost } from "../../src/capabilities/share/trial/trial-network.ts"
import type { Child, Children } from "../children.ts"
import { freePort } from "../origin.ts"
import { Gauge } from "./gauge.ts"
import { found, lacking } from "./programs.ts"
import type { Outcome, ShareSystem, Task } from "./system.ts"

const python = "/usr/bin/python3"

export const aria: ShareSystem = {
  name: "aria2",
  note: "`aria2c` for each client, `opentracker`; its own check of all pieces",
  isSwarm: true,
  missing: () => lacking("aria2c", "opentracker", "mktorrent"),
  run: (children, task) => runSwarm(children, task, "aria2", ariaPeer),
}

export const libtorrent: ShareSystem = {
  name: "libtorrent",
  note: "a small Python program for each client, `opentracker`; its own check of all pieces",
  isSwarm: true,
  missing: () => lacking("opentracker", "mktorrent") ?? lackingLibtorrent(),
  run: (children, task) => runSwarm(children, task, "libtorrent", libtorrentPeer),
}

interface Peer {
  readonly torrent: string
  readonly folder: string
  /** Where those that are through are counted, a byte each. */
  readonly through: string
  readonly host: TrialHost
  readonly uplink: number | undefined
  readonly isSeed: boolean
}

/** A line for a shell. */
type PeerLine = (peer: Peer) => string

function ariaPeer({ torrent, folder, through, uplink, isSeed }: Peer): string {
  const hook = join(folder, "..", "hook.sh")
  if (isSeed) writeFileSync(hook, `#!/bin/sh\nprintf x >> ${through}\n`, { mode: 0o755 })
  const limit = uplink === undefined ? "" : ` --max-overall-upload-limit=${uplink}`
  const role = isSeed ? " --check-integrity=true --seed-ratio=0.0" : ` --on-bt-download-complete=${hook}`
  // With port 0 the system would choose a port, and the tracker would hear of 0.
  return `aria2c -q --no-conf=true --dir=${folder} --enable-dht=false --enable-dht6=false --disable-ipv6=true --bt-enable-lpd=false --enable-peer-exchange=false --file-allocation=none --bt-max-peers=0 --bt-tracker-interval=5 --seed-time=1000 --listen-port=$port --stop-with-process=$$${limit}${role} ${torrent}`
}

function libtorrentPeer({ torrent, folder, through, host, uplink, isSeed }: Peer): string {
  const program = join(import.meta.dirname, "programs", "torrent-client.py")
  return `${python} ${program} ${torrent} ${folder} ${host.address} ${uplink ?? 0} $$ ${isSeed ? "-" : through}`
}

const loopback: TrialHost = { address: "127.0.0.1", prefix: [] }

async function runSwarm(children: Children, task: Task, name: string, line: PeerLine): Promise<Outcome> {
  const { clients, file, folder, uplink, by } = task
  const network = by === "namespaces" ? new TrialNetwork() : undefined
  const own = by === "bucket" ? uplink : undefined
  const host = (): TrialHost => network?.add({ up: uplink }) ?? loopback
  const running: Child[] = []
  const start = (what: string, command: string, args: readonly string[]): Child => {
    const child = children.start(what, command, args)
    running.push(child)
    return child
  }
  let gauge: Gauge | undefined
  try {
    const tracker = network?.add({}) ?? loopback
    const torrent = join(folder, "content.torrent")
    const port = await freePort()
    makeTorrent(file, torrent, `http://${tracker.address}:${port}/announce`)
    const [command = "", ...before]: readonly string[] = [...tracker.prefix, found("opentracker") ?? "opentracker"]
    // As root it becomes nobody and sees no more than this folder.
    const trackerFolder = join(folder, "tracker")
    mkdirSync(trackerFolder)
    writeFileSync(join(trackerFolder, "allowed"), `${infoHash(torrent)}\n`)
    const place = ["-i", tracker.address, "-p", String(port), "-P", String(port)]
    const track = start("opentracker", command, [...before, ...place, "-d", trackerFolder, "-w", "allowed"])
    const through = join(folder, "through")
    writeFileSync(through, "")
    const seedFolder = join(folder, "seed")
    mkdirSync(seedFolder)
    copyFileSync(file, join(seedFolder, basename(file)))
    const common = { torrent, through, uplink: own }
    const script = (peers: readonly Peer[], firstPort: number): string =>
      [
        `port=${firstPort}`,
        `trap 'kill $pids 2>/dev/null; exit 0' TERM`,
        ...peers.map((peer) => `port=$((port + 1)); ${peer.host.prefix.join(" ")} ${line(peer)} & pids="$pids $!"`),
        "wait",
      ].join("\n")
    const seed: Peer = { ...common, folder: seedFolder, host: host(), isSeed: true }
    const ports = 20_000 + ((process.pid * 256) % 8_000)
    const seeder = start(`${name} seed`, "sh", ["-c", script([seed], ports)])
    // It checks its file, and tells the tracker.
    await pause(seedMs)
    const peers = Array.from({ length: clients }, (_, client): Peer => {
      const own = join(folder, String(client))
      mkdirSync(own)
      return { ...common, folder: own, host: host(), isSeed: false }
    })
    const heads: number[] = []
    gauge = new Gauge(() => ({ servers: [track.pid, seeder.pid], clients: heads }))
    const shell = start(`${name} clients`, "sh", ["-c", script(peers, ports + 1)])
    heads.push(shell.pid)
    await countTo(through, clients, () => [track, seeder, shell])
    const taken = gauge.end()
    const outputs = peers.map((peer) => join(peer.folder, basename(file)))
    return { taken, outputs }
  } finally {
    gauge?.stop()
    for (const child of running.toReversed()) await child.stop()
    network?.remove()
  }
}

/** Until so many bytes are in the file. */
async function countTo(path: string, count: number, all: () => readonly Child[]): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const has = statSync(path).size
    if (has >= count) return
    const ended = all().find((child) => !child.running)
    if (ended !== undefined) throw new Error(`${ended.name} ended: ${ended.output.trim().split("\n").at(-1) ?? ""}`)
    if (Date.now() > deadline)
      throw new Error(`${count - has} of ${count} were not through after ${patienceMs / 1000} s`)
    await pause(10)
  }
}

/** Pieces of 256 KiB, private: nobody else hears of it. */
function makeTorrent(file: string, torrent: string, announce: string): void {
  execFileSync(found("mktorrent") ?? "mktorrent", ["-l", "18", "-p", "-a", announce, "-o", torrent, file], {
    stdio: "ignore",
  })
}

function infoHash(torrent: string): string {
  const text =
    "import hashlib,sys\nd=open(sys.argv[1],'rb').read()\ni=d.index(b'4:info')+6\nprint(hashlib.sha1(d[i:-1]).hexdigest())"
  return execFileSync(python, ["-c", text, torrent], { encoding: "utf8" }).trim()
}

function lackingLibtorrent(): string | undefined {
  try {
    execFileSync(python, ["-c", "import libtorrent"], { stdio: "ignore" })
    return undefined
  } catch {
    return "python3-libtorrent is not installed"
  }
}

const seedMs = 2_000
const patienceMs = 180_000
