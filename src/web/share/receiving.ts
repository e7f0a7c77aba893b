/** Receiving in the worker: the keys, the session, the member of the swarm, the storage, and what becomes of it. */

import { base64url } from "../../base/bytes.ts"
import { systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import { silentLog } from "../../base/log.ts"
import { parseCode } from "../../capabilities/share/code/code.ts"
import { deriveKeys } from "../../capabilities/share/code/derive-keys.ts"
import type { Bitmap } from "../../capabilities/share/content/bitmap.ts"
import type { Manifest } from "../../capabilities/share/content/manifest.ts"
import { portableCrypto } from "../../capabilities/share/content/portable-crypto.ts"
import type { ProgressFacts } from "../../capabilities/share/peer/progress.ts"
import { startReceiver } from "../../capabilities/share/peer/receiver.ts"
import type { Receiver } from "../../capabilities/share/peer/receiver.ts"
import type { Finished } from "../../capabilities/share/peer/target.ts"
import { memoryDrawer } from "./drawer.ts"
import type { Drawer } from "./drawer.ts"
import { fileDrawer } from "./file-drawer.ts"
import type { News, Offer, Order, ReceivingState, SavedFile } from "./messages.ts"
import { opfsDrawer, opfsFolder, removeOldDrawers } from "./opfs-drawer.ts"
import { PageTarget } from "./page-target.ts"
import { RelaySession } from "./relay-session.ts"
import { saveFiles } from "./save-files.ts"
import { watchSwarm } from "./swarm-watch.ts"
import { receiveProblem } from "./words.ts"
import { zip } from "./zip.ts"

type ReceiveOrder = Extract<Order, { do: "receive" }>

export class Receiving {
  readonly #order: ReceiveOrder
  readonly #tell: (news: News) => void
  readonly #stop = new AbortController()
  readonly #target: PageTarget
  /** What the user answers to the offer. */
  readonly #answer = Promise.withResolvers<FileSystemFileHandle | undefined>()
  #session: RelaySession | undefined
  #receiver: Receiver | undefined
  #state: ReceivingState = atFirst
  #files: readonly SavedFile[] = []

  constructor(order: ReceiveOrder, tell: (news: News) => void) {
    this.#order = order
    this.#tell = tell
    this.#target = new PageTarget({
      clock: systemClock,
      agree: (manifest, bytes) => this.#offer(manifest, bytes),
      open: (name, bytes) => this.#drawer(name, bytes),
      onLook: (foundBytes) => this.#set({ foundBytes }),
    })
    this.#set({})
    this.#begin().catch((error: unknown) => this.#fail(asRdvError(error)))
  }

  accept(into: FileSystemFileHandle | undefined): void {
    this.#answer.resolve(into)
  }

  refresh(): void {
    this.#session?.refresh()
  }

  /** Called a few times a second. */
  tick(): void {
    const have = this.#target.holdings?.have
    if (have === undefined || this.#state.phase === "failed") return
    const line = lineOf(have)
    const sentBytes = this.#receiver?.progress.sentBytes ?? 0
    if (line !== this.#state.line || sentBytes !== this.#state.sentBytes) this.#set({ line, sentBytes })
  }

  async pack(): Promise<void> {
    const { holdings } = this.#target
    if (holdings === undefined) return
    const { name, entries } = holdings.manifest
    const folders = entries
      .filter((entry) => entry.type === "folder")
      .map(({ path, mtimeMs }) => ({
        path: path === "" ? `${name}/` : `${name}/${path}/`,
        content: new Blob([]),
        mtimeMs,
      }))
    const files = this.#files.map(({ path, content, mtimeMs }) => ({ path: `${name}/${path}`, content, mtimeMs }))
    this.#tell({ do: "packed", name, archive: await zip([...folders, ...files]) })
  }

  async save(into: FileSystemDirectoryHandle): Promise<void> {
    const { name } = this.#state.offer as Offer
    this.#tell({ do: "saved", folder: await saveFiles(into, name, this.#files) })
  }

  async leave(discards: boolean): Promise<void> {
    this.#stop.abort(new RdvError("closed"))
    this.#answer.reject(new RdvError("closed"))
    this.#answer.promise.catch(() => undefined)
    await this.#receiver?.stop()
    await this.#session?.close()
    await this.#target.end(!discards)
  }

  async #begin(): Promise<void> {
    const { relay, code: text, password } = this.#order
    const code = parseCode(text)
    const keys = await deriveKeys(code, password)
    if (this.#stop.signal.aborted) return
    this.#set({ phase: "joining" })
    const session = new RelaySession({
      relay,
      token: `guest:share/${code.swarm}:${base64url(keys.access)}`,
      onState: (state) => {
        this.#set({ isConnected: state.kind === "up" })
        if (state.kind === "refused") this.#fail(state.error)
      },
    })
    this.#session = session
    this.#receiver = startReceiver({
      swarm: code.swarm,
      keys,
      access: session,
      target: this.#target,
      crypto: (hash) => portableCrypto(keys, hash),
      label: "browser",
      looks: true,
      stayMs: Infinity,
      clock: systemClock,
      log: silentLog,
      events: {
        progress: (facts) => this.#hear(facts),
        waiting: (waits) => this.#set({ waits }),
        done: (finished) => void this.#done(finished).catch((error: unknown) => this.#fail(asRdvError(error))),
        ended: (error) => {
          if (error !== undefined) this.#fail(error)
        },
      },
    })
    void watchSwarm({
      access: session,
      swarm: code.swarm,
      proof: keys.access,
      signal: this.#stop.signal,
      onPicture: (picture) => this.#tell({ do: "swarm", picture }),
    })
  }

  async #offer({ name, entries }: Manifest, bytes: number): Promise<void> {
    const files = entries.filter((entry) => entry.type === "file")
    const offer: Offer = {
      name,
      bytes,
      files: files.length,
      paths: files.slice(0, shownPaths).map(({ path, size }) => ({ path, bytes: size })),
      isFile: files.length === 1 && files[0]?.path === "",
    }
    this.#set({ phase: "offered", offer, waits: undefined })
    await this.#answer.promise
    this.#set({ phase: "preparing" })
  }

  async #drawer(name: string, bytes: number): Promise<Drawer> {
    const into = await this.#answer.promise
    let drawer: Drawer | undefined
    if (into !== undefined) drawer = await fileDrawer(into, bytes)
    else {
      const folder = await opfsFolder()
      if (folder !== undefined) {
        await removeOldDrawers(folder, systemClock.wall())
        drawer = await opfsDrawer(folder, name, bytes)
      }
    }
    drawer ??= memoryDrawer(bytes)
    this.#set({ storage: drawer.kind })
    return drawer
  }

  #hear({ phase, bytes, haveBytes, foundBytes, bytesPerSecond, etaMs, via, sentBytes }: ProgressFacts): void {
    const facts = { allBytes: bytes, haveBytes, bytesPerSecond: bytesPerSecond ?? 0, leftMs: etaMs, via, sentBytes }
    if (phase === "fetching") this.#set({ ...facts, phase: "receiving", foundBytes, line: this.#line() })
    else if (phase === "finishing") this.#set({ ...facts, phase: "finishing", line: this.#line() })
    else if (phase === "staying") this.#set({ ...facts, line: this.#line() })
  }

  #line(): string {
    const have = this.#target.holdings?.have
    return have === undefined ? "" : lineOf(have)
  }

  async #done(finished: Finished): Promise<void> {
    const { holdings } = this.#target
    if (holdings === undefined) return
    const whole = await holdings.whole()
    this.#files = holdings.files.map(({ path, from, bytes, mtimeMs }) => ({
      path,
      content: whole.slice(from, from + bytes, "application/octet-stream"),
      mtimeMs,
    }))
    this.#set({ phase: "done", waits: undefined, line: this.#line() })
    const { name } = this.#state.offer as Offer
    this.#tell({ do: "files", name, files: this.#files, remarks: finished.remarks })
  }

  #fail(error: RdvError): void {
    // What is here stays good when the share ends.
    if (this.#state.phase === "failed" || this.#state.phase === "done" || this.#stop.signal.aborted) return
    this.#set({ phase: "failed", problem: receiveProblem(error, this.#order.password !== "") })
    void this.leave(false)
  }

  #set(change: Partial<ReceivingState>): void {
    this.#state = { ...this.#state, ...change }
    this.#tell({ do: "receiving", state: this.#state })
  }
}

const atFirst: ReceivingState = {
  phase: "keys",
  offer: undefined,
  allBytes: 0,
  haveBytes: 0,
  foundBytes: 0,
  bytesPerSecond: 0,
  leftMs: undefined,
  via: { relay: 0, direct: 0, cast: 0 },
  sentBytes: 0,
  line: "",
  storage: undefined,
  isConnected: false,
  waits: undefined,
  problem: undefined,
}

/** Of 32 equal parts how much is there: 0 is nothing, 9 everything. */
function lineOf(have: Bitmap): string {
  let line = ""
  for (let part = 0; part < lineParts; part++) {
    const from = Math.floor((part * have.length) / lineParts)
    const to = Math.max(from + 1, Math.floor(((part + 1) * have.length) / lineParts))
    let count = 0
    for (let chunk = from; chunk < to; chunk++) if (have.has(chunk)) count++
    line += count === to - from ? "9" : String(Math.min(8, Math.ceil((count / (to - from)) * 9)))
  }
  return line
}

const lineParts = 32
/** Of an offer's files. */
const shownPaths = 200
