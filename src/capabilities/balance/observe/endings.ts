/** Where connections that are over are told: in the log, and to a collector of spans. */

import { systemClock } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { Settings } from "../config/settings.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import { ConnectionLog } from "./connection-log.ts"
import { SpanExporter } from "./spans.ts"

export interface EndingsOptions {
  readonly log: Log
  /** Ours, as spans tell it. */
  readonly version: string
  /** Asked for each connection. */
  readonly settings: () => Settings
}

export class Endings {
  readonly #options: EndingsOptions
  readonly #lines: ConnectionLog
  #spans: SpanExporter | undefined
  #tracing: Settings["tracing"]

  constructor(options: EndingsOptions) {
    this.#options = options
    const { log, settings } = options
    this.#lines = new ConnectionLog({ log, clock: systemClock, settings: () => settings().log })
  }

  tell(record: ConnectionRecord): void {
    this.#lines.ended(record)
    this.#spans?.ended(record)
  }

  /** Another configuration holds. */
  follow({ tracing }: Settings): void {
    if (JSON.stringify(tracing) === JSON.stringify(this.#tracing)) return
    const { log, version } = this.#options
    this.#tracing = tracing
    void this.#spans?.stop()
    this.#spans =
      tracing === undefined
        ? undefined
        : new SpanExporter({ settings: tracing, clock: systemClock, random: Math.random, log, version })
  }

  async stop(): Promise<void> {
    await this.#spans?.stop()
  }
}
