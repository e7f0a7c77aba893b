/** One run of a Go program: from its `main` to its end, with the requests that it serves meanwhile. */

import { asRdvError, RdvError } from "../../../base/error.ts"
import { utf8Decode } from "../../../base/text.ts"
import type { TabEnv } from "../app/env.ts"
import type { Sql } from "../app/sql.ts"
import { Bridge } from "./bridge.ts"
import { Exchange } from "./exchange.ts"
import { OwnFlow } from "./flow.ts"
import type { Flow } from "./flow.ts"
import { newGoRuntime, wasm } from "./go-runtime.ts"
import type { GoInstance, GoModule, GoRuntime } from "./go-runtime.ts"
import { Leases } from "./leases.ts"
import { operation } from "./operations.ts"
import type { Operation } from "./operations.ts"
import { Outlet } from "./outlet.ts"
import { callPeer, deleteBlob, getBlob, identityToBytes, putBlob, statBlob, verify, writeLog } from "./services.ts"

export interface GoProgramOptions {
  readonly module: GoModule
  readonly name: string
  readonly variables: { readonly [name: string]: string }
  readonly env: TabEnv
  readonly ended: (error: RdvError) => void
}

export class GoProgram {
  readonly #options: GoProgramOptions
  readonly #bridge: Bridge
  readonly #runtime: GoRuntime
  readonly #leases = new Leases()
  /** Ours have even numbers, Go's own odd ones. */
  readonly #flows = new Map<number, Flow>()
  #nextId = 2
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers()
  #instance: GoInstance | undefined
  #exitCode = 0
  #ended: RdvError | undefined

  private constructor(options: GoProgramOptions) {
    this.#options = options
    this.#runtime = newGoRuntime()
    this.#bridge = new Bridge(this.#operations(), (thrown) => this.#end(`it broke: ${asRdvError(thrown).message}`))
  }

  /** Resolves when it serves. Rejects `usage` when it ends before. */
  static async start(options: GoProgramOptions): Promise<GoProgram> {
    const program = new GoProgram(options)
    await program.#start()
    return program
  }

  /** Bytes of its memory, which never shrinks. */
  get memoryBytes(): number {
    return this.#instance?.exports.mem.buffer.byteLength ?? 0
  }

  get running(): number {
    return this.#flows.size
  }

  async fetch(request: Request, env: TabEnv): Promise<Response> {
    if (this.#ended !== undefined) throw this.#ended
    const id = this.#nextId
    this.#nextId += 2
    const exchange = new Exchange({ request, env, cancelled: () => this.#bridge.cancel(id) })
    this.#flows.set(id, exchange)
    this.#bridge.serve(id)
    return await exchange.answer
  }

  async #start(): Promise<void> {
    const { module, name, variables } = this.#options
    const runtime = this.#runtime
    // Several programs in one place: each finds its own by the name, and takes it away.
    const global = `rdv go ${++count}`
    const globals = globalThis as { [name: string]: unknown }
    globals[global] = this.#bridge.forGo
    runtime.argv = [name]
    runtime.env = { ...variables, RDV_TAB: global }
    runtime.exit = (code) => (this.#exitCode = code)
    try {
      const instance = await wasm.instantiate(module, runtime.importObject)
      this.#instance = instance
      runtime.run(instance).then(
        () => this.#end(`it ended with code ${this.#exitCode}`),
        (thrown: unknown) => this.#end(`it broke: ${asRdvError(thrown).message}`),
      )
      await this.#ready.promise
    } finally {
      delete globals[global]
    }
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return
    const error = new RdvError("closed", `The Go program ${this.#options.name} does not run any more: ${why}`)
    this.#ended = error
    this.#bridge.close()
    for (const timer of this.#runtime._scheduledTimeouts?.values() ?? []) clearTimeout(timer)
    for (const flow of this.#flows.values()) {
      flow.fail(error)
      flow.close()
    }
    this.#flows.clear()
    this.#leases.close()
    this.#ready.reject(
      new RdvError("usage", `The Go program ${this.#options.name} did not come to serve: ${why}`, {
        mend: "let its main call tab.Serve; what it wrote is in the console",
      }),
    )
    this.#options.ended(error)
  }

  #operations(): ReadonlyMap<number, Operation> {
    const { env } = this.#options
    const leases = this.#leases
    const operations: { readonly [name in Exclude<keyof typeof operation, "more" | "rest" | "result">]: Operation } = {
      ready: () => this.#ready.resolve() as undefined,
      log: ({ extra, payload }) => writeLog(env.log, extra, payload),
      head: ({ id }) => this.#exchange(id).head(),
      read: ({ id, extra }) => this.#flow(id).inlet?.read(extra),
      respond: ({ id, extra, payload }) => this.#exchange(id).respond(payload, extra === 1),
      write: ({ id, payload }) => this.#flow(id).outlet?.write(payload),
      finish: ({ id }) => this.#flow(id).outlet?.end() as undefined,
      fail: ({ id, extra, payload }) => this.#fail(id, utf8Decode(payload), extra === 1),
      close: ({ id }) => this.#close(id),
      lease: ({ id }) => leases.take(this.#sqlOf(id)),
      statement: ({ id, extra, payload }) => leases.statement(id, this.#sqlOf(extra), payload),
      commit: ({ id }) => leases.commit(id),
      rollback: ({ id }) => leases.rollback(id),
      peer: ({ id, extra, payload }) => {
        const flow = this.#begin(id, extra === 1)
        return callPeer(env, flow, payload.slice())
      },
      blobPut: ({ id, extra, payload }) => {
        const { outlet } = this.#begin(id, true)
        return putBlob(this.#envOf(extra), outlet as Outlet, payload.slice())
      },
      blobGet: ({ id, extra, payload }) => getBlob(this.#envOf(extra), this.#begin(id, false), payload.slice()),
      blobStat: ({ extra, payload }) => statBlob(this.#envOf(extra), payload.slice()),
      blobDelete: ({ extra, payload }) => deleteBlob(this.#envOf(extra), payload.slice()),
      identity: () => identityToBytes(env),
      sign: ({ payload }) => env.identity.sign(payload.slice()),
      verify: ({ payload }) => verify(env, payload.slice()),
    }
    return new Map(Object.entries(operations).map(([name, run]) => [operation[name as keyof typeof operation], run]))
  }

  #begin(id: number, writes: boolean): OwnFlow {
    const flow = new OwnFlow(writes ? new Outlet(() => undefined) : undefined)
    this.#flows.set(id, flow)
    return flow
  }

  #fail(id: number, said: string, isMeant: boolean): undefined {
    const flow = this.#flow(id)
    const [reason = "", place = ""] = said.split("\0")
    const error = new RdvError("bad_response", reason)
    // Of our own lines nobody learns anything.
    error.stack = place === "" ? reason : `${reason}\n    at ${place}`
    // Before the answer whoever asked hears of it, and logs it.
    if (!isMeant && flow instanceof Exchange && flow.isAnswered) {
      this.#options.env.log.error("go.request_failed", { program: this.#options.name, reason, at: place })
    }
    flow.fail(error)
  }

  #close(id: number): undefined {
    this.#flows.get(id)?.close()
    this.#flows.delete(id)
  }

  #flow(id: number): Flow {
    const flow = this.#flows.get(id)
    if (flow === undefined) throw new RdvError("closed", "It is over")
    return flow
  }

  #exchange(id: number): Exchange {
    const flow = this.#flow(id)
    if (flow instanceof Exchange) return flow
    throw new RdvError("usage", "It is no request")
  }

  /** That of the request, as long as it runs: what it does then may belong to one transaction. */
  #envOf(id: number): TabEnv {
    return this.#flows.get(id)?.env ?? this.#options.env
  }

  #sqlOf(id: number): Sql {
    return this.#envOf(id).sql
  }
}

let count = 0
