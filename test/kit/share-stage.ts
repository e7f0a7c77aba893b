/** Shares of one process over real sockets: a relay that can be changed, senders and receivers with folders of their own. */

import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "../../src/base/clock.ts"
import { asRdvError } from "../../src/base/error.ts"
import type { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import { parseCode } from "../../src/capabilities/share/code/code.ts"
import { folderTarget } from "../../src/capabilities/share/disk/folder-target.ts"
import { nodeCrypto } from "../../src/capabilities/share/node/node-crypto.ts"
import { nodeKeys } from "../../src/capabilities/share/node/node-keys.ts"
import { openSocketNet } from "../../src/capabilities/share/node/socket-net.ts"
import { startReceiver } from "../../src/capabilities/share/peer/receiver.ts"
import type { Receiver } from "../../src/capabilities/share/peer/receiver.ts"
import type { ShareRelay } from "../../src/capabilities/share/relay/share-service.ts"
import { startRelay } from "../../src/node.ts"
import type { RunningRelay } from "../../src/node.ts"
import { get, share } from "../../src/share.ts"
import type { Get, GetEvent, GetOptions, Share, ShareEvent, ShareOptions } from "../../src/share.ts"
import { guestToken, openShareAccess } from "../../src/share-access.ts"
import { startShareRelay } from "../../src/start-share-relay.ts"
import type { StartShareRelayOptions } from "../../src/start-share-relay.ts"
import { temporaryFolder } from "./command.ts"
import { lyingNet } from "./share-liars.ts"
import type { Lies } from "./share-liars.ts"
import { digestOf } from "./share-mortals.ts"

export interface StageOptions extends Partial<StartShareRelayOptions> {
  /** In front of the relay's own. */
  readonly wrap?: (running: RunningRelay) => RunningRelay
}

export class ShareStage {
  readonly home: string
  relay: RunningRelay
  shares: ShareRelay
  /** Ends those that were started. */
  readonly #leaving: (() => Promise<unknown>)[] = []
  readonly #options: StageOptions
  readonly #port: number
  #files = 0

  private constructor(t: TestContext, home: string, options: StageOptions, running: RunningRelay) {
    this.home = home
    this.#options = options
    this.relay = running
    this.#port = portOf(running)
    this.shares = this.#serve()
    // Members first: without a relay they would wait for it to hear their goodbye.
    t.after(async () => {
      await Promise.all(this.#leaving.map((leave) => leave()))
      await this.relay.stop(0)
    })
  }

  static async start(t: TestContext, options: StageOptions = {}): Promise<ShareStage> {
    const folder = temporaryFolder()
    t.after(() => folder[Symbol.dispose]())
    return new ShareStage(t, folder.path, options, await listen("127.0.0.1:0"))
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** One that remembers nothing takes the place of the relay. */
  async restart(): Promise<void> {
    await this.relay.stop(0)
    this.relay = await listen(this.address)
    this.shares = this.#serve()
  }

  file(bytes: number | Uint8Array): string {
    const folder = join(this.home, `source-${++this.#files}`)
    mkdirSync(folder)
    const path = join(folder, "big.bin")
    writeFileSync(path, typeof bytes === "number" ? randomBytes(bytes) : bytes)
    return path
  }

  /** Resolves when its code works. */
  async send(file: string, options: Partial<ShareOptions> = {}): Promise<Sending> {
    const events: ShareEvent[] = []
    const sender = await share({
      relay: this.address,
      paths: [file],
      chunkBytes: 32 * 1024,
      multicast: "off",
      onEvent: (event) => events.push(event),
      ...options,
    })
    this.#leaving.push(() => sender.stop())
    const isPublished = () => events.some(({ kind }) => kind === "published")
    await Promise.race([eventually("the code works", isPublished), sender.ended])
    return { share: sender, code: sender.code, events }
  }

  async receive(name: string, code: string, options: Partial<GetOptions> = {}): Promise<Receiving> {
    const folder = options.output ?? join(this.home, name)
    mkdirSync(folder, { recursive: true })
    const events: GetEvent[] = []
    const running = await get({
      relay: this.address,
      code,
      output: folder,
      instance: name,
      label: name,
      multicast: "off",
      onEvent: (event) => events.push(event),
      ...options,
    })
    this.#leaving.push(() => running.stop())
    return new Receiving(name, join(folder, "big.bin"), running, events)
  }

  /** A member that receives as others do, and lies to those that it reaches past the relay. */
  async liar(name: string, code: string, lies: Lies): Promise<Receiver> {
    const { swarm } = parseCode(code)
    const keys = await nodeKeys(parseCode(code))
    const { access, stop } = openShareAccess({
      relay: this.address,
      token: guestToken(swarm, keys),
      log: silentLog,
    })
    const net = await openSocketNet()
    const receiver = startReceiver({
      swarm,
      keys,
      access,
      target: folderTarget({ path: join(this.home, name) }),
      crypto: (hash) => nodeCrypto(keys, hash),
      direct: lyingNet(net, lies),
      label: name,
      stayMs: Infinity,
      clock: systemClock,
      log: silentLog,
    })
    this.#leaving.push(async () => {
      await receiver.stop()
      await net.close()
      await stop()
    })
    return receiver
  }

  #serve(): ShareRelay {
    const { wrap = (running) => running, ...rest } = this.#options
    return startShareRelay(wrap(this.relay), { url: "http://relay.test", log: silentLog, ...rest })
  }
}

export interface Sending {
  readonly share: Share
  readonly code: string
  readonly events: readonly ShareEvent[]
}

export class Receiving {
  readonly name: string
  readonly path: string
  readonly get: Get
  readonly events: readonly GetEvent[]
  error: RdvError | undefined

  constructor(name: string, path: string, running: Get, events: readonly GetEvent[]) {
    this.name = name
    this.path = path
    this.get = running
    this.events = events
    running.ended.catch((thrown: unknown) => (this.error = asRdvError(thrown)))
  }

  get remarks(): string[] {
    return this.events.flatMap((event) => (event.kind === "remark" ? [event.text] : []))
  }

  get story(): string {
    const { phase, haveBytes, bytes, waitsFor = "nothing" } = this.get.figures()
    const error = this.error?.message ?? "no error"
    return `${this.name}: ${phase}, ${haveBytes} of ${bytes}, waits for ${waitsFor}; ${error}`
  }

  /** It has the same bytes as this file. Fails when it ends with an error, or is late, and says what it waited for. */
  async done(file: string, withinMs = 20_000): Promise<void> {
    const isOver = () => this.get.isDone || this.error !== undefined
    await eventually(() => this.story, isOver, withinMs)
    assert.equal(this.error, undefined)
    assert.equal(digestOf(this.path), digestOf(file))
  }

  /** It ends with an error, and nothing is in its place. */
  async failed(withinMs = 10_000): Promise<RdvError> {
    await eventually(
      () => `an error; ${this.story}`,
      () => this.error !== undefined,
      withinMs,
    )
    assert.ok(!existsSync(this.path), "it has put something in its place")
    return this.error as RdvError
  }
}

/** Looks again and again; `what` is said when it was in vain. */
export async function eventually(
  what: string | (() => string),
  isIt: () => boolean,
  withinMs: number = 10_000,
): Promise<void> {
  for (const began = performance.now(); !isIt(); await sleep(10)) {
    if (performance.now() - began < withinMs) continue
    assert.fail(`Not within ${withinMs} ms: ${typeof what === "string" ? what : what()}`)
  }
}

function listen(address: string): Promise<RunningRelay> {
  return startRelay({ listen: [address], store: ":memory:", open: true, log: silentLog })
}

function portOf({ addresses: [address] }: RunningRelay): number {
  assert.ok(address !== undefined && "port" in address)
  return address.port
}
