/**
 * rdv's channels as files: a client of 9P, each message a Twrite, each receiver a file of its own that is read from. Where
 * many messages are under way to one consumer, it has as many files open: a read proves what the read before it has got.
 */

import * as net from "node:net"
import { readHeaderBytes } from "../../../src/ninep/message.ts"
import type { ByteLink } from "../../../src/ninep/byte-link.ts"
import { NinepClient } from "../../../src/ninep/client.ts"
import type { Reply } from "../../../src/ninep/client-calls.ts"
import type { RemoteFile } from "../../../src/ninep/remote-file.ts"
import type { Adapter, Hear, Meeting, Place } from "./adapter.ts"
import { fail, pourBySending } from "./adapter.ts"

export const ninepSeen: Adapter = { produce, consume: (meeting, hear) => consume(meeting, hear, "seen") }
export const ninepMatched: Adapter = { produce, consume: (meeting, hear) => consume(meeting, hear, "matched") }

const readBytes = 65_536
const nothing = new Uint8Array(0)
const pourWindow = 128

async function produce(meeting: Meeting): ReturnType<Adapter["produce"]> {
  const client = await connect(meeting.place)
  const file = await client.open(`/${meeting.name}.d/send`, { write: true })
  const { calls } = client
  const send = (bytes: Uint8Array, confirmed: () => void): void => {
    calls.write(file.fid, 0, bytes, { answered: confirmed, failed: fail })
  }
  return { send, pour: (bytes, going) => pourBySending(send, bytes, going, pourWindow) }
}

async function consume(meeting: Meeting, hear: Hear, grade: string): Promise<void> {
  const client = await connect(meeting.place)
  if (meeting.index === 0) {
    const made = await client.create(`/${meeting.name}`, 0o666, { read: true })
    await made.leave()
    const ctl = await client.open("/ctl", { write: true })
    await ctl.writeAll(Buffer.from(`/${meeting.name} deliver ${grade}\n`))
    await ctl.leave()
  }
  for (let at = 0; at < meeting.receivers * Math.min(meeting.window, pourWindow); at++) {
    const file = await client.open(`/${meeting.name}.d/recv@c${meeting.index}n${at}`, { read: true })
    receive(client, file, hear)
  }
}

function receive({ calls }: NinepClient, file: RemoteFile, hear: Hear): void {
  let offset = 0
  const ask = (): void => void calls.read(file.fid, offset, file.mostBytes, reply)
  const reply: Reply = {
    answered(_bytes, start, end) {
      const length = end - start - readHeaderBytes
      if (length === 0) fail("The channel has ended")
      // One further than the end: there is the next message, not the mark behind this one.
      offset += length + 1
      if (hear(length)) ask()
    },
    failed: fail,
  }
  ask()
}

async function connect(place: Place): Promise<NinepClient> {
  return NinepClient.connect({ link: await socketBytes(place), msize: 128 * 1024, dialects: ["9P2000.L"] })
}

function socketBytes(place: Place): Promise<ByteLink> {
  return new Promise((resolve, reject) => {
    const memory = Buffer.allocUnsafeSlow(readBytes)
    const onread = {
      buffer: memory,
      callback(length: number) {
        link.onData?.(memory.subarray(0, length))
        return true
      },
    }
    const socket = net.connect({ ...place, noDelay: true, onread } as net.NetConnectOpts, () => resolve(link))
    const link: ByteLink = {
      write(bytes) {
        socket.write(bytes)
        if (socket.writableLength === 0) return true
        // Nothing more to send, but a callback behind what is there.
        socket.write(nothing, () => link.onDrain?.())
        return false
      },
      onData: undefined,
      onDrain: undefined,
      onClose: undefined,
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      close: () => void socket.end(),
    }
    socket.on("error", reject)
    socket.on("close", () => link.onClose?.(undefined))
  })
}
