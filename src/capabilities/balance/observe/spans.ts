/**
 * Connections as OpenTelemetry traces, sent as OTLP/HTTP with JSON: a span for each connection, and below it one for each
 * thing that it waited for. Sending never holds up a connection: what the collector does not take in time is dropped and
 * counted.
 */

import { request as httpRequest } from "node:http"
import type { ClientRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { Backoff } from "../../../base/backoff.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Log } from "../../../base/log.ts"
import type { TracingSettings } from "../config/settings.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import { traceOf } from "./trace.ts"
import type { OtlpSpan } from "./trace.ts"

export interface SpanExporterOptions {
  readonly settings: TracingSettings
  readonly clock: Clock
  /** From 0 up to and without 1: ids, and who is sampled. */
  readonly random: () => number
  readonly log: Log
  /** For `service.version`. */
  readonly version: string
}

export interface SpanCounts {
  /** Connections that the collector took. */
  readonly sent: number
  /** … that were dropped: the queue was full, or the collector refused them for good. */
  readonly dropped: number
}

/** Connections that may wait. */
const mostWaiting = 4_096
/** In one request. */
const mostInBatch = 256
const everyMs = 2_000
const timeoutMs = 10_000
const backoff = { firstMs: 1_000, maxMs: 60_000 }
/** A collector's answer says little. */
const mostAnswerBytes = 64 * 1024

export class SpanExporter {
  readonly #options: SpanExporterOptions
  readonly #waiting = new Fifo<ConnectionRecord>()
  readonly #backoff: Backoff
  #timer: Timer | undefined
  #sending: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #stopped = false
  #failing = false
  #sent = 0
  #dropped = 0

  constructor(options: SpanExporterOptions) {
    this.#options = options
    this.#backoff = new Backoff({ ...backoff, random: options.random })
  }

  get counts(): SpanCounts {
    return { sent: this.#sent, dropped: this.#dropped }
  }

  ended(record: ConnectionRecord): void {
    const { settings, random } = this.#options
    if (this.#stopped || (settings.sample < 1 && random() >= settings.sample)) return
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped++
      return
    }
    this.#waiting.push(record)
    if (this.#sending !== undefined) return
    if (this.#waiting.length >= mostInBatch && !this.#failing) this.#send()
    else this.#timer ??= this.#options.clock.after(everyMs, () => this.#send())
  }

  /** Sends what waits, once; what is left after `withinMs` is dropped. */
  async stop(withinMs: number = 2_000): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    let over = false
    const deadline = this.#options.clock.after(withinMs, () => {
      over = true
      this.#cancel?.()
    })
    await this.#sending
    this.#failing = false
    while (this.#waiting.length > 0 && !this.#failing && !over) {
      this.#send()
      await this.#sending
    }
    deadline.cancel()
    this.#dropped += this.#waiting.length
    this.#waiting.clear()
  }

  #send(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#sending !== undefined) return
    const batch: ConnectionRecord[] = []
    while (batch.length < mostInBatch) {
      const record = this.#waiting.shift()
      if (record === undefined) break
      batch.push(record)
    }
    if (batch.length === 0) return
    this.#sending = this.#post(batch).then((result) => {
      this.#sending = undefined
      this.#settle(batch, result)
    })
  }

  #settle(batch: readonly ConnectionRecord[], { kind, reason }: Posted): void {
    const { log, clock, settings } = this.#options
    if (kind === "taken") {
      if (this.#failing) log.info("tracing.sent_again", { endpoint: printedUrl(settings.endpoint) })
      this.#failing = false
      this.#backoff.reset()
      this.#sent += batch.length
    } else {
      // Said once, until it works again.
      if (!this.#failing) log.warn("tracing.failed", { endpoint: printedUrl(settings.endpoint), reason })
      this.#failing = true
      if (kind === "refused" || this.#stopped) this.#dropped += batch.length
      else this.#putBack(batch)
    }
    if (this.#stopped || this.#waiting.length === 0) return
    const waitMs = this.#failing ? this.#backoff.next() : this.#waiting.length >= mostInBatch ? 0 : everyMs
    this.#timer = clock.after(waitMs, () => this.#send())
  }

  /** Behind those that came since: traces have no order. */
  #putBack(batch: readonly ConnectionRecord[]): void {
    for (const record of batch) {
      if (this.#waiting.length < mostWaiting) this.#waiting.push(record)
      else this.#dropped++
    }
  }

  #post(batch: readonly ConnectionRecord[]): Promise<Posted> {
    const { settings, clock, random, version } = this.#options
    const body = JSON.stringify(
      envelope(
        batch.flatMap((record) => traceOf(record, random)),
        version,
      ),
    )
    return new Promise((resolve) => {
      let posting: ClientRequest | undefined
      const settle = (result: Posted) => {
        timer.cancel()
        this.#cancel = undefined
        resolve(result)
        posting?.destroy()
      }
      const timer = clock.after(timeoutMs, () => settle({ kind: "later", reason: `no answer within ${timeoutMs} ms` }))
      this.#cancel = () => settle({ kind: "later", reason: "stopped" })
      try {
        posting = open(settings, body)
      } catch (error) {
        settle({ kind: "refused", reason: (error as Error).message })
        return
      }
      posting.on("response", (answer) => {
        let size = 0
        answer.on("data", (chunk: Buffer) => {
          size += chunk.length
          if (size > mostAnswerBytes) settle({ kind: "refused", reason: "it answers without end" })
        })
        answer.on("end", () => settle(judge(answer.statusCode ?? 0)))
      })
      posting.on("error", (error) => settle({ kind: "later", reason: error.message }))
      posting.on("close", () => settle({ kind: "later", reason: "it closed the connection" }))
      posting.end(body)
    })
  }
}

/** Throws for an address or a header that cannot be sent. */
function open({ endpoint, headers }: TracingSettings, body: string): ClientRequest {
  const url = new URL(endpoint)
  return (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
    method: "POST",
    agent: false,
    headers: { ...headers, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) },
  })
}

interface Posted {
  readonly kind: "taken" | "later" | "refused"
  readonly reason: string
}

/** OTLP/HTTP: 429, 502, 503 and 504 may be sent again, others not. */
function judge(status: number): Posted {
  if (status >= 200 && status < 300) return { kind: "taken", reason: "" }
  return { kind: [429, 502, 503, 504].includes(status) ? "later" : "refused", reason: `HTTP ${status}` }
}

function envelope(spans: readonly OtlpSpan[], version: string): object {
  const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  return {
    resourceSpans: [
      {
        resource: {
          attributes: [attribute("service.name", "rdv-balance"), attribute("service.version", version)],
        },
        scopeSpans: [{ scope: { name: "rdv.balance", version }, spans }],
      },
    ],
  }
}

/** Some collectors take their key in the address. */
function printedUrl(text: string): string {
  const url = URL.parse(text)
  return url === null ? "?" : url.origin + url.pathname
}
