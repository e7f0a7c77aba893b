/** Programs in Go for tests: built by the machine's own Go, where it has one, and run by that Go's script. */

import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { systemClock } from "../../src/base/clock.ts"
import type { Log } from "../../src/base/log.ts"
import { silentLog } from "../../src/base/log.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { AppLog } from "../../src/capabilities/tab/app/env.ts"
import type { Peers } from "../../src/capabilities/tab/app/peers.ts"
import { newIdentityKey } from "../../src/capabilities/tab/identity/key-pair.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"
import { startServer } from "../../src/capabilities/tab/serve/running-server.ts"
import type { RunningServer } from "../../src/capabilities/tab/serve/running-server.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const found = spawnSync("go", ["env", "GOROOT"], { encoding: "utf8" })
const goRoot: string | undefined = found.status === 0 ? found.stdout.trim() : undefined

/** For `skip` of a test: why there is no Go. */
export const noGo: string | false =
  goRoot === undefined ? "no Go here (Debian: apt-get install golang-go)" : (scriptOf(goRoot) ?? false)

function scriptOf(folder: string): string | undefined {
  return scriptAt(folder) === undefined ? `no wasm_exec.js in ${folder}` : undefined
}

/** It moved with Go 1.24. */
function scriptAt(folder: string): string | undefined {
  return ["lib/wasm", "misc/wasm"].map((at) => join(folder, at, "wasm_exec.js")).find((path) => existsSync(path))
}

/** Copies the script of this machine's Go. */
export function copyGoScript(to: string): void {
  copyFileSync(scriptAt(goRoot ?? "") as string, to)
}

/** Lets `goApp` run here. */
export async function loadGoScript(): Promise<void> {
  await import(pathToFileURL(scriptAt(goRoot ?? "") as string).href)
}

/** Builds a package of a module below the repository: the first time on a machine Go compiles its library too. */
export function buildGo(module: string, main: string, to: string): void {
  const args = ["build", "-trimpath", "-ldflags=-s -w", "-o", to, main]
  const built = spawnSync("go", args, { cwd: join(root, module), encoding: "utf8", env: goEnv() })
  if (built.status !== 0) throw new Error(`go ${args.join(" ")}\n${built.stderr}`)
}

/** Go and nothing of the network. */
export function goEnv(): NodeJS.ProcessEnv {
  return { ...process.env, GOOS: "js", GOARCH: "wasm", GOFLAGS: "-mod=mod", GOPROXY: "off", GOTOOLCHAIN: "local" }
}

let exercise: Uint8Array<ArrayBuffer> | undefined

/** The program of `interop/go-tab/internal/exercise`. */
export function exerciseProgram(): Uint8Array<ArrayBuffer> {
  if (exercise === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "rdv-go-"))
    try {
      const file = join(folder, "exercise.wasm")
      buildGo("interop/go-tab", "./internal/exercise", file)
      exercise = new Uint8Array(readFileSync(file))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return exercise
}

export interface GoServer {
  readonly running: RunningServer
  /** As a page of the own browser. */
  fetch(path: string, init?: RequestInit & { readonly duplex?: "half" }): Promise<Response>
  text(path: string, init?: RequestInit): Promise<string>
}

export interface GoServerOptions {
  readonly app: TabApp
  readonly file?: string
  readonly log?: Log
  readonly appLog?: AppLog
  readonly peers?: Peers
}

export async function goServer({ app, file, log, appLog, peers }: GoServerOptions): Promise<GoServer> {
  const running = await startServer({
    engine: openNodeEngine(file ?? ":memory:"),
    app,
    pair: await newIdentityKey(),
    facts: { name: "alice", url: "http://alice.localhost/" },
    peers: peers ?? { fetch: () => Promise.reject(new Error("no peers")), list: () => [] },
    clock: systemClock,
    log: log ?? silentLog,
    appLog: appLog ?? { debug: ignore, info: ignore, warn: ignore, error: ignore },
  })
  const fetch: GoServer["fetch"] = (path, init) =>
    running.server.fetch(new Request(`http://localhost${path}`, init), { kind: "own" })
  return { running, fetch, text: async (path, init) => (await fetch(path, init)).text() }
}

function ignore(): void {}
