/**
 * The local services behind the tunnels: nginx with one worker for everything that is read, a small sink for uploads. A
 * plain nginx answers an upload before it has read it, so it cannot say when the last byte has arrived.
 */

import { randomFillSync } from "node:crypto"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { userInfo } from "node:os"
import { join } from "node:path"
import type { Children } from "./children.ts"
import { HeadReader } from "./programs/head-reader.ts"

export interface Place {
  readonly host: string
  readonly port: number
}

export interface Origin {
  readonly web: Place
  readonly sink: Place
  /** Reads 1 KiB a second. */
  readonly slowSink: Place
}

/** 1 KB in one segment. */
export const oneSegment = "/s1k"
/** 1 KB whose head and body leave in two segments. */
export const twoSegments = "/small.txt"
export const oneByte = "/one"
export const bigFile = "/big.bin"
export const bigBytes = 209_715_200

export async function startOrigin(children: Children): Promise<Origin> {
  const folder = children.folder()
  const port = await freePort()
  const nginx =
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].find((path) => existsSync(path)) ?? "nginx"
  for (const name of ["www", "temporary"]) mkdirSync(join(folder, name))
  writeFileSync(join(folder, "www", "small.txt"), "y".repeat(1024))
  writeBig(join(folder, "www", "big.bin"))
  writeFileSync(join(folder, "nginx.conf"), configuration(folder, port))
  const child = children.start("nginx", nginx, ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"])
  const web = { host: "127.0.0.1", port }
  await untilListening(
    web,
    () => child.running,
    () => child.output,
  )
  const [sink, slowSink] = await Promise.all([startSink(children, []), startSink(children, ["slow"])])
  for (const [path, wanted] of [
    [oneSegment, 1],
    [twoSegments, 2],
  ] as const) {
    const segments = await countSegments(web, path)
    if (segments !== undefined && segments !== wanted) {
      throw new Error(`nginx sends ${path} in ${segments} segments, not in ${wanted}: the figures would mean nothing`)
    }
  }
  return { web, sink, slowSink }
}

async function startSink(children: Children, args: readonly string[]): Promise<Place> {
  const child = children.node("upload sink", [join(import.meta.dirname, "programs", "upload-sink.ts"), ...args])
  const match = await child.until(/port (\d+)/)
  return { host: "127.0.0.1", port: Number(match[1]) }
}

/** A port that was free a moment ago: for programs that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Waits until a connection is taken. */
export async function untilListening(
  place: Place,
  alive: () => boolean,
  output: () => string,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await connects(place))) {
    if (!alive() || Date.now() > deadline) {
      throw new Error(
        `Nothing listens on ${place.host}:${place.port}: ${output().trim().split("\n").slice(-2).join(" | ")}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function connects(place: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(place)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
}

/** In how many segments an answer of 1 KB arrives, by the kernel's own count; undefined where `ss` is not to be had. */
async function countSegments(place: Place, path: string): Promise<number | undefined> {
  const socket = net.connect(place)
  try {
    const head = new HeadReader(path)
    await new Promise<void>((resolve, reject) => {
      let left = Infinity
      socket.on("data", (bytes: Buffer) => {
        const body = head.done ? bytes.length : head.push(bytes)
        if (head.done && left === Infinity) left = head.length
        left -= body
        if (left <= 0) resolve()
      })
      socket.on("error", reject)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    })
    const told = execFileSync("ss", ["-tinH", `sport = :${socket.localPort}`], { encoding: "utf8" })
    const match = /data_segs_in:(\d+)/.exec(told)
    return match === null ? undefined : Number(match[1])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  } finally {
    socket.destroy()
  }
}

/** Random, so that nothing on the way gains by compressing it. */
function writeBig(path: string): void {
  const block = randomFillSync(Buffer.alloc(1024 * 1024))
  writeFileSync(path, "")
  for (let left = bigBytes; left > 0; left -= block.length) {
    writeFileSync(path, block.subarray(0, Math.min(left, block.length)), { flag: "a" })
  }
}

function configuration(folder: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${join(folder, "temporary", name)};`)
    .join("\n")
  // As root, nginx would read our private folder as nobody.
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};\n` : ""
  return `${user}daemon off;
worker_processes 1;
pid ${join(folder, "nginx.pid")};
error_log stderr crit;
events { worker_connections 16384; }
worker_rlimit_nofile 20000;
http {
${temporary}
  access_log off;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
  sendfile on;
  sendfile_max_chunk 2m;
  tcp_nopush off;
  tcp_nodelay on;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${join(folder, "www")};
    location = ${oneSegment} { return 200 "${"x".repeat(1024)}"; }
    location = ${oneByte} { return 200 "x"; }
  }
}
`
}
