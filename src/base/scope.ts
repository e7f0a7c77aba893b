/**
 * Who owns what runs. A scope holds tasks, clean-ups and child scopes; it ends in two steps: *stop* asks (its signal
 * fires, tasks finish what they hold), *cut* follows when the grace time is over. Clean-ups run last-in-first-out after
 * the tasks. Nothing in the product floats outside a scope.
 */

import { RdvError } from "./error.ts"
import type { Clock } from "./clock.ts"

export interface Scope {
  /** Fires when the scope is asked to stop. */
  readonly stopping: AbortSignal
  /** Fires when waiting is over: drop what is held. */
  readonly cutting: AbortSignal
  /** Owns a task. A rejection other than the scope's own stop goes to `onFailure`. */
  run(name: string, task: () => Promise<void>): void
  /** Runs at the end, in reverse order of registration. Returns a function that withdraws it. */
  onEnd(cleanUp: () => void | Promise<void>): () => void
  /** A scope that ends before this one does. */
  child(name: string): Scope
  /** Asks, waits up to `graceMs`, cuts, cleans up. Calling again joins the same end. */
  stop(graceMs?: number): Promise<void>
}

export interface ScopeOptions {
  readonly name: string
  readonly clock: Clock
  /** Hears of tasks and clean-ups that failed; the scope itself goes on. */
  readonly onFailure: (scope: string, task: string, error: unknown) => void
}

/** Makes a root scope. */
export function createScope(options: ScopeOptions): Scope {
  return new OwnedScope(options, undefined)
}

class OwnedScope implements Scope {
  readonly #options: ScopeOptions
  readonly #stop = new AbortController()
  readonly #cut = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #children = new Set<OwnedScope>()
  readonly #cleanUps: (() => void | Promise<void>)[] = []
  readonly #parent: OwnedScope | undefined
  #ending: Promise<void> | undefined

  constructor(options: ScopeOptions, parent: OwnedScope | undefined) {
    this.#options = options
    this.#parent = parent
  }

  get stopping(): AbortSignal {
    return this.#stop.signal
  }

  get cutting(): AbortSignal {
    return this.#cut.signal
  }

  run(name: string, task: () => Promise<void>): void {
    if (this.#ending !== undefined)
      throw new RdvError("closed", `Cannot run "${name}": ${this.#options.name} is stopping`)
    const running = task()
      .catch((error: unknown) => {
        if (!this.stopping.aborted) this.#options.onFailure(this.#options.name, name, error)
      })
      .finally(() => this.#tasks.delete(running))
    this.#tasks.add(running)
  }

  onEnd(cleanUp: () => void | Promise<void>): () => void {
    this.#cleanUps.push(cleanUp)
    return () => {
      const at = this.#cleanUps.indexOf(cleanUp)
      if (at >= 0) this.#cleanUps.splice(at, 1)
    }
  }

  child(name: string): Scope {
    const child = new OwnedScope({ ...this.#options, name: `${this.#options.name}/${name}` }, this)
    this.#children.add(child)
    if (this.#ending !== undefined) void child.stop(0)
    return child
  }

  stop(graceMs = 0): Promise<void> {
    this.#ending ??= this.#end(graceMs)
    return this.#ending
  }

  async #end(graceMs: number): Promise<void> {
    this.#stop.abort(new RdvError("closed", `${this.#options.name} is stopping`))
    const ended = Promise.all([...[...this.#children].map((child) => child.stop(graceMs)), ...this.#tasks])
    const timer = this.#options.clock.after(graceMs, () => this.#cut.abort(new RdvError("closed")))
    await ended
    timer.cancel()
    if (!this.#cut.signal.aborted) this.#cut.abort(new RdvError("closed"))
    for (let cleanUp = this.#cleanUps.pop(); cleanUp !== undefined; cleanUp = this.#cleanUps.pop()) {
      try {
        await cleanUp()
      } catch (error) {
        this.#options.onFailure(this.#options.name, "clean-up", error)
      }
    }
    if (this.#parent !== undefined) this.#parent.#children.delete(this)
  }
}
