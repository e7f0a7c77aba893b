/** RabbitMQ by amqplib: calls that the consumer answers, and publisher confirms with a consumer that acknowledges. */

import { createRequire } from "node:module"
import { join } from "node:path"
import type { Adapter, Meeting } from "./adapter.ts"
import { fail, pourBySending } from "./adapter.ts"

/** What is used of amqplib. */
interface Channel {
  assertQueue(name: string, options: object): Promise<unknown>
  prefetch(count: number): Promise<unknown>
  consume(queue: string, heard: (message: Message | null) => void, options: object): Promise<unknown>
  publish(
    exchange: string,
    queue: string,
    bytes: Uint8Array,
    options: object,
    confirmed?: (error: Error | null) => void,
  ): boolean
  ack(message: Message): void
}

interface Message {
  readonly content: Uint8Array
  readonly properties: { readonly replyTo?: string; readonly correlationId?: string }
}

interface Connection {
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<Channel>
}

/** RabbitMQ's name for the connection that asked. */
const directReply = "amq.rabbitmq.reply-to"
const nothing = Buffer.alloc(0)
/** In memory, and gone with its last consumer. */
const transient = { durable: false, autoDelete: true }

export const rabbitRpc: Adapter = {
  async produce(meeting) {
    const channel = await (await connect(meeting)).createChannel()
    const waiting = new Map<string, () => void>()
    let last = 0
    const heard = (message: Message | null): void => {
      const id = message?.properties.correlationId ?? ""
      const confirmed = waiting.get(id)
      waiting.delete(id)
      confirmed?.()
    }
    await channel.consume(directReply, heard, { noAck: true })
    return {
      send(bytes, confirmed) {
        const id = String(++last)
        waiting.set(id, confirmed)
        channel.publish("", meeting.name, bytes, { replyTo: directReply, correlationId: id })
      },
    }
  },
  async consume(meeting, hear) {
    const channel = await (await connect(meeting)).createChannel()
    await channel.assertQueue(meeting.name, transient)
    const heard = (message: Message | null): void => {
      if (message === null || !hear(message.content.length)) return
      const { replyTo = "", correlationId = "" } = message.properties
      channel.publish("", replyTo, nothing, { correlationId })
    }
    await channel.consume(meeting.name, heard, { noAck: true })
  },
}

export const rabbitConfirm: Adapter = {
  async produce(meeting) {
    const channel = await (await connect(meeting)).createConfirmChannel()
    const send = (bytes: Uint8Array, confirmed: () => void): void => {
      channel.publish("", meeting.name, bytes, {}, (error) => (error === null ? confirmed() : fail(error)))
    }
    return { send, pour: (bytes, going) => pourBySending(send, bytes, going) }
  },
  async consume(meeting, hear) {
    const channel = await (await connect(meeting)).createChannel()
    await channel.assertQueue(meeting.name, transient)
    await channel.prefetch(meeting.window)
    const heard = (message: Message | null): void => {
      if (message !== null && hear(message.content.length)) channel.ack(message)
    }
    await channel.consume(meeting.name, heard, {})
  },
}

function connect({ clients, place }: Meeting): Promise<Connection> {
  if (!("port" in place)) throw new Error("RabbitMQ listens on TCP")
  const require = createRequire(join(clients, "package.json"))
  const { connect } = require("amqplib") as { connect(url: string, options: object): Promise<Connection> }
  // Without it large messages wait for the acknowledgement of their own first segment.
  return connect(`amqp://127.0.0.1:${place.port}`, { noDelay: true })
}
