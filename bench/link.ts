/**
 * What the lower layers can do without HTTP: bytes over a bare link, bytes over one stream of a session, round trips and
 * short streams, per transport, with and without checksums. The far end is a process of its own, but for memory links.
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeCertificate } from "../test/kit/certificates.ts"
import { systemClock } from "../src/base/clock.ts"
import type { Stream } from "../src/base/stream.ts"
import type { Link } from "../src/mux/link.ts"
import type { Session } from "../src/mux/session.ts"
import { parseAddress } from "../src/transport/address.ts"
import { dial } from "../src/transport/dial.ts"
import { memoryPair } from "../src/transport/memory.ts"
import type { Children } from "./children.ts"
import { acknowledgeEvery, sessionOn, takeSession, transports } from "./link-ends.ts"
import { machineLine } from "./machine.ts"
import { wants } from "./options.ts"
import type { Options } from "./options.ts"
import { writeJson } from "./report.ts"
import { Figures, printTable, shown } from "./table.ts"

interface Ends {
  readonly link: Link
  readonly stop: () => Promise<void>
}

const block = new Uint8Array(64 * 1024).fill(0x5a)
const message = new Uint8Array(1024).fill(0x61)
const parallel = 64

export async function benchLink(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, transports)
  process.stdout.write(`${machineLine()}\n`)
  const figures = new Figures()
  const bytes = (options.quick ? 256 : 2048) * 2 ** 20
  for (let round = 0; round < options.rounds; round++) {
    for (const kind of transports.filter(wanted)) {
      if (kind !== "memory")
        await onLink(children, kind, "link", false, async (link) => {
          figures.add(kind, "link GB/s", await sendOverLink(link, bytes))
        })
      for (const checked of [false, true]) {
        await onLink(children, kind, "session", checked, async (link) => {
          const session = sessionOn(link, "dialer", checked, (stream) => stream.reset("no_service"))
          const name = `${kind} ${checked ? "checked" : "unchecked"}`
          figures.add(name, "GB/s", await sendOverStream(session, bytes))
          const { p50, p99, perSecond } = await pingPong(session, options.seconds)
          figures.add(name, "p50", p50)
          figures.add(name, "p99", p99)
          figures.add(name, "round trips", perSecond)
          figures.add(name, "streams", await shortStreams(session, options.seconds))
          session.close()
        })
      }
    }
  }
  show(transports.filter(wanted), figures)
  writeJson(options, figures)
}

async function onLink(
  children: Children,
  kind: string,
  layer: "link" | "session",
  checked: boolean,
  measure: (link: Link) => Promise<void>,
): Promise<void> {
  const { link, stop } = kind === "memory" ? memoryEnds(checked) : await processEnds(children, kind, layer, checked)
  try {
    await measure(link)
  } finally {
    await stop()
  }
}

function memoryEnds(checked: boolean): Ends {
  const pair = memoryPair(systemClock)
  takeSession(pair.b, checked)
  return { link: pair.a, stop: async () => undefined }
}

async function processEnds(children: Children, kind: string, layer: string, checked: boolean): Promise<Ends> {
  const folder = children.folder()
  const certificate = kind === "tls" ? makeCertificate() : undefined
  if (certificate !== undefined) {
    for (const name of ["cert", "key"] as const) writeFileSync(join(folder, name), certificate[name], { mode: 0o600 })
  }
  const program = join(import.meta.dirname, "programs", "link-sink.ts")
  const child = children.node("link sink", [program, kind, folder, layer, checked ? "checked" : "unchecked"])
  const address = parseAddress((await child.until(/at (\S+)/))[1] ?? "")
  const link = await dial(address, { timeoutMs: 5000, ...(certificate !== undefined && { ca: certificate.ca }) })
  return { link, stop: () => child.stop() }
}

/** 10⁹ bytes per second until the far end has said that everything is there. */
async function sendOverLink(link: Link, bytes: number): Promise<number> {
  const started = performance.now()
  await new Promise<void>((resolve, reject) => {
    let left = bytes
    let heard = 0
    const parts = [block, block]
    const more = (): void => {
      while (left > 0) {
        left -= 2 * block.length
        if (!link.send(parts)) return
      }
    }
    link.attach({
      data(chunk) {
        heard += chunk.length
        if (heard >= bytes / acknowledgeEvery) resolve()
        return false
      },
      drain: more,
      closed: (error) => reject(error ?? new Error("The link was closed")),
    })
    link.resume()
    more()
  })
  link.close()
  return bytes / 1e6 / (performance.now() - started)
}

async function sendOverStream(session: Session, bytes: number): Promise<number> {
  const started = performance.now()
  await new Promise<void>((resolve, reject) => {
    let left = bytes
    const stream = session.open("sink", {})
    const more = (): void => {
      while (left > 0) {
        left -= block.length
        if (!stream.write(block)) return
      }
      stream.end()
    }
    listen(stream, { end: resolve, drain: more, lost: reject })
    more()
  })
  return bytes / 1e6 / (performance.now() - started)
}

/** 1 KiB there and back on one stream, one at a time; microseconds. */
async function pingPong(session: Session, seconds: number): Promise<{ p50: number; p99: number; perSecond: number }> {
  const times: number[] = []
  const until = performance.now() + seconds * 1000
  await new Promise<void>((resolve, reject) => {
    const stream = session.open("echo", {})
    let sent = 0
    let back = 0
    const ping = (): void => {
      sent = performance.now()
      back = 0
      stream.write(message)
    }
    listen(stream, {
      data(length) {
        back += length
        if (back < message.length) return
        const now = performance.now()
        times.push((now - sent) * 1000)
        if (now < until) ping()
        else stream.end()
      },
      end: resolve,
      lost: reject,
    })
    ping()
  })
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
  return { p50: at(0.5), p99: at(0.99), perSecond: times.length / seconds }
}

/** Open, 1 KiB there and back, end; always `parallel` of them. Per second. */
async function shortStreams(session: Session, seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000
  let done = 0
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (performance.now() < until) {
        await new Promise<void>((resolve, reject) => {
          const stream = session.open("echo", {})
          listen(stream, { end: resolve, lost: reject })
          stream.write(message)
          stream.end()
        })
        done++
      }
    }),
  )
  return done / seconds
}

function listen(
  stream: Stream,
  heard: {
    readonly data?: (length: number) => void
    readonly end: () => void
    readonly drain?: () => void
    readonly lost: (error: Error) => void
  },
): void {
  stream.attach({
    data(chunk) {
      const { length } = chunk
      stream.consumed(length)
      heard.data?.(length)
    },
    meta: () => undefined,
    end: heard.end,
    drain: () => heard.drain?.(),
    closed: (error) => {
      if (error !== undefined) heard.lost(error)
    },
  })
}

function show(kinds: readonly string[], figures: Figures): void {
  const rows = kinds.flatMap((kind) =>
    ["unchecked", "checked"].map((check) => {
      const of = (figure: string): number | undefined => figures.median(`${kind} ${check}`, figure)
      const bare = figures.median(kind, "link GB/s")
      const stream = of("GB/s")
      return [
        `${kind}, ${check}`,
        shown(bare, 2),
        `${shown(stream, 2)}${figures.spread(`${kind} ${check}`, "GB/s")}`,
        shown(bare === undefined || stream === undefined ? undefined : stream / bare, 2),
        `${shown(of("p50"))} / ${shown(of("p99"))}`,
        shown(of("round trips")),
        shown(of("streams")),
      ]
    }),
  )
  const heads = [
    "",
    "link GB/s",
    "stream GB/s",
    "of the link",
    "1 KiB and back p50 / p99 µs",
    "per second",
    "short streams/s, 64 at once",
  ]
  printTable("Links and sessions, both ends on this machine", heads, rows)
}
