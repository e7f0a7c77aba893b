/** NATS by its client for Node: core request-reply, and JetStream in memory. */

import { createRequire } from "node:module"
import { join } from "node:path"
import type { Adapter, Meeting } from "./adapter.ts"
import { fail, pourBySending } from "./adapter.ts"

/** What is used of `@nats-io/transport-node`. */
interface Connection {
  publish(subject: string, data: Uint8Array): void
  request(subject: string, data: Uint8Array, options: { readonly timeout: number }): Promise<unknown>
  flush(): Promise<void>
  subscribe(
    subject: string,
    options: { readonly queue: string; readonly callback?: (error: Error | null, message: Message) => void },
  ): AsyncIterable<Message>
}

interface Message {
  readonly data: Uint8Array
  respond(data: Uint8Array): boolean
  /** JetStream's alone. */
  ack(): void
}

/** What is used of `@nats-io/jetstream`. */
interface JetStream {
  publish(subject: string, data: Uint8Array): Promise<unknown>
  readonly consumers: {
    get(
      stream: string,
      consumer: string,
    ): Promise<{
      consume(options: { readonly max_messages: number; callback(message: Message): void }): Promise<unknown>
    }>
  }
}

interface JetStreamManager {
  readonly streams: { add(settings: object): Promise<unknown> }
  readonly consumers: { add(stream: string, settings: object): Promise<unknown> }
}

/** Longer than any measurement: what waits shall be seen as waiting. */
const patienceMs = 600_000
const nothing = new Uint8Array(0)
const flushEach = 1_000

export const natsCore: Adapter = {
  async produce(meeting) {
    const connection = await connect(meeting)
    return {
      send(bytes, confirmed) {
        connection.request(meeting.name, bytes, { timeout: patienceMs }).then(confirmed, fail)
      },
      offer: publisher(connection, meeting.name),
      async pour(bytes, going) {
        let sent = 0
        while (going()) {
          for (let at = 0; at < flushEach; at++) connection.publish(meeting.name, bytes)
          sent += flushEach
          await connection.flush()
        }
        return sent
      },
    }
  },
  async consume(meeting, hear) {
    const connection = await connect(meeting)
    let isStuck = false
    const heard = (message: Message): void => {
      // A program that is stuck in one message leaves the next ones to the client.
      if (isStuck) held.push(message)
      else if (hear(message.data.length)) message.respond(nothing)
      else isStuck = true
    }
    const held: Message[] = []
    for (let at = 0; at < meeting.receivers; at++) {
      connection.subscribe(meeting.name, {
        queue: "bench",
        callback: (error, message) => (error === null ? heard(message) : fail(error)),
      })
    }
    await connection.flush()
  },
}

export const natsJetStream: Adapter = {
  async produce(meeting) {
    const { jetstream } = load(meeting)
    const stream = jetstream(await connect(meeting))
    const send = (bytes: Uint8Array, confirmed: () => void): void => {
      stream.publish(meeting.name, bytes).then(confirmed, fail)
    }
    return { send, pour: (bytes, going) => pourBySending(send, bytes, going) }
  },
  async consume(meeting, hear) {
    const { jetstream, jetstreamManager } = load(meeting)
    const connection = await connect(meeting)
    if (meeting.index === 0) {
      const manager = await jetstreamManager(connection)
      await manager.streams.add({
        name: meeting.name,
        subjects: [meeting.name],
        storage: "memory",
        retention: "workqueue",
      })
      await manager.consumers.add(meeting.name, { durable_name: "bench", ack_policy: "explicit" })
    }
    const consumer = await jetstream(connection).consumers.get(meeting.name, "bench")
    await consumer.consume({
      max_messages: meeting.window,
      callback(message) {
        if (hear(message.data.length)) message.ack()
      },
    })
  },
}

/** As many `offer`s as are made in one turn wait for one flush: the server has read them then. */
function publisher(connection: Connection, subject: string): (bytes: Uint8Array, taken: () => void) => void {
  let waiting: (() => void)[] = []
  return (bytes, taken) => {
    connection.publish(subject, bytes)
    waiting.push(taken)
    if (waiting.length > 1) return
    queueMicrotask(() => {
      const all = waiting
      waiting = []
      connection.flush().then(() => all.forEach((each) => each()), fail)
    })
  }
}

function connect(meeting: Meeting): Promise<Connection> {
  if (!("port" in meeting.place)) throw new Error("NATS listens on TCP")
  return load(meeting).connect({ servers: `127.0.0.1:${meeting.place.port}`, reconnect: false })
}

function load({ clients }: Meeting): {
  connect(options: object): Promise<Connection>
  jetstream(connection: Connection): JetStream
  jetstreamManager(connection: Connection): Promise<JetStreamManager>
} {
  const require = createRequire(join(clients, "package.json"))
  return { ...require("@nats-io/transport-node"), ...require("@nats-io/jetstream") }
}
