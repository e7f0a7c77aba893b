/** A client of the load tester with what it told, as promises. */

import { once } from "node:events"
import type { AddressInfo, Server } from "node:net"
import type { Client, ClientFactory, LoadError } from "../../src/capabilities/load/client/client.ts"
import { createFactory } from "../../src/capabilities/load/client/factory.ts"
import type { ClientScenario, FactoryOptions } from "../../src/capabilities/load/client/factory.ts"
import type { Message } from "../../src/capabilities/load/message/message.ts"
import type { Expectation, Protocol, Target } from "../../src/capabilities/load/scenario/scenario.ts"

export interface Answer {
  readonly bytes: number
  readonly wrong: LoadError | undefined
  readonly usable: boolean
}

export interface Exchange {
  readonly client: Client
  /** What came: "opened", "answered", "closed", in this order. */
  readonly told: readonly string[]
  readonly opened: Promise<void>
  readonly closed: Promise<LoadError | undefined>
  /** Sends, and waits for the answer; undefined when the connection closed instead. */
  ask(message: Message): Promise<Answer | undefined>
}

/** Makes a client and connects it. */
export function connectClient(factory: ClientFactory): Exchange {
  const told: string[] = []
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<LoadError | undefined>()
  let answered: PromiseWithResolvers<Answer | undefined> | undefined
  const client = factory.create({
    opened: () => {
      told.push("opened")
      opened.resolve()
    },
    answered: (teller, bytes, wrong) => {
      told.push("answered")
      answered?.resolve({ bytes, wrong, usable: teller.usable })
    },
    closed: (_teller, error) => {
      told.push("closed")
      closed.resolve(error)
      answered?.resolve(undefined)
    },
  })
  client.connect()
  const ask = (message: Message) => {
    answered = Promise.withResolvers()
    client.send(message)
    return answered.promise
  }
  return { client, told, opened: opened.promise, closed: closed.promise, ask }
}

/** A plain scenario: text, no framing, an echo. */
export function clientScenario(changes: Partial<ClientScenario> = {}): ClientScenario {
  return {
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: {},
    ending: { connectTimeoutMs: 2000 },
    ...changes,
  }
}

export function loadTarget(protocol: Protocol, port: number, changes: Partial<Target> = {}): Target {
  return { label: `${protocol}-test`, protocol, host: "127.0.0.1", port, path: "", ...changes }
}

export function connectTo(target: Target, changes?: Partial<ClientScenario>, options?: FactoryOptions): Exchange {
  return connectClient(createFactory(target, clientScenario(changes), options))
}

export function textMessage(text: string, expect: Expectation = { kind: "echo" }): Message {
  const content = Buffer.from(text)
  return { bytes: content, content, expect }
}

/** On loopback, on a port that was free. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}
