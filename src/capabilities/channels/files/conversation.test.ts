/** The tree as clients see it: over 9P conversations, in all dialects, with flushes and lost connections. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { bytePair } from "../../../../test/kit/byte-links.ts"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import type { ChannelFilesOptions } from "../../../../test/kit/channel-files.ts"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import { utf8Decode, utf8Encode } from "../../../base/text.ts"
import { NinepClient } from "../../../ninep/client.ts"
import { NinepConnection } from "../../../ninep/connection.ts"
import type { Dialect } from "../../../ninep/message.ts"

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]
const write = { write: true }
const read = { read: true }

for (const dialect of dialects) {
  test(`${dialect}: make, send, receive, list, set, remove`, async () => {
    const { client, files } = await joined({ dialect })
    await client.mkdir("/data")
    await (await client.create("/data/input", 0o666, write)).clunk()
    const writer = await client.open("/data/input", { write: true, truncate: true })
    const sent = watch(writer.writeAll(utf8Encode("hello\n")))
    const reader = await client.open("/data/input.d/recv", read)
    assert.equal(utf8Decode(await reader.read(0)), "hello\n")
    assert.equal(sent.isOver, false)
    assert.equal((await reader.read(6)).length, 0)
    await sent.done
    const ctl = await client.open("/ctl", write)
    await ctl.writeAll(utf8Encode("/data/input 2\n"))
    await assert.rejects(ctl.writeAll(utf8Encode("/data/missing 2\n")), { errno: "ENOENT" })
    await assert.rejects(ctl.writeAll(utf8Encode("/data/input two\n")), { errno: "EINVAL" })
    assert.equal(files.space.channel("/data/input").settings.size, 2)
    assert.deepEqual(
      (await client.list("/data")).map(({ name }) => name),
      ["input", "input.d"],
    )
    await assert.rejects(client.remove("/data"), { errno: "ENOTEMPTY" })
    const waiting = reader.read(6)
    await client.remove("/data/input")
    await assert.rejects(waiting, { errno: "EIDRM" })
    await reader.clunk()
    await client.remove("/data")
    assert.deepEqual(
      (await client.list("/")).map(({ name }) => name),
      ["ctl", "select"],
    )
  })

  test(`${dialect}: put is one message, whatever the pieces, and fsync tells what became of it`, async () => {
    const { client, files } = await joined({ dialect, defaults: { size: 1 } })
    files.space.create("/c")
    const put = await client.open("/c.d/put@try", write)
    for (const part of ["a", "b", "c"]) await put.writeAll(utf8Encode(part))
    await put.sync()
    await put.writeAll(utf8Encode("d"))
    await assert.rejects(put.sync(), { errno: "EBUSY" })
    await put.clunk()
    const next = await client.open("/c.d/next", read)
    assert.equal(utf8Decode(await next.readAll(100)), "abc")
  })
}

test("a flushed read takes nothing, a flushed write is withdrawn, and the fids go on", async () => {
  const { client, files } = await joined()
  const channel = files.space.create("/c")
  const [reader, writer] = [await client.open("/c.d/recv", read), await client.open("/c.d/send", write)]
  const cancel = new AbortController()
  const blocked = reader.read(0, 100, cancel.signal)
  await settle()
  assert.equal(channel.stats().waitingReceivers, 1)
  cancel.abort(new Error("no more"))
  await assert.rejects(blocked)
  await settle()
  assert.equal(channel.stats().waitingReceivers, 0)
  const again = new AbortController()
  const sending = writer.write(0, utf8Encode("lost"), again.signal)
  await settle()
  again.abort(new Error("no more"))
  await assert.rejects(sending)
  await settle()
  assert.equal(channel.stats().waitingSenders, 0)
  const sent = writer.writeAll(utf8Encode("kept"))
  assert.equal(utf8Decode(await reader.read(0, 100)), "kept")
  await reader.clunk()
  await sent
})

test("a message that a lost connection was given goes to another one, and its writer hears of success only then", async () => {
  const { client, files, join } = await joined()
  files.space.create("/c")
  const lost = await join()
  const writer = await client.open("/c", write)
  const sent = watch(writer.writeAll(utf8Encode("job")))
  const reader = await lost.client.open("/c.d/recv", read)
  assert.equal(utf8Decode(await reader.read(0)), "job")
  lost.client.close()
  await settle()
  assert.equal(sent.isOver, false)
  const next = await client.open("/c.d/next", read)
  assert.equal(utf8Decode(await next.readAll(100)), "job")
  await sent.done
})

test("a connection that is lost leaves nobody waiting, and no memory in use", async () => {
  const { client, files, join } = await joined()
  const channel = files.space.create("/c")
  const lost = await join()
  const [writer, put] = [await lost.client.open("/c", write), await lost.client.open("/c.d/put", write)]
  const hopeless = writer.write(0, utf8Encode("x")).catch(() => undefined)
  await put.writeAll(utf8Encode("half"))
  const select = await lost.client.open("/select/clone", { read: true, write: true })
  await select.writeAll(utf8Encode("/c?\n/c!x\n"))
  assert.equal(files.space.messageBytes > 0, true)
  lost.client.close()
  await hopeless
  await settle()
  const { waitingSenders, waitingReceivers, readers, writers } = channel.stats()
  assert.deepEqual([waitingSenders, waitingReceivers, readers, writers], [0, 0, 0, 0])
  assert.equal(files.space.messageBytes, 0)
  assert.equal((await client.list("/")).length, 4)
})

test("many workers take from one channel: each job is done once, though some of them die", async () => {
  const { client, files, join } = await joined({ defaults: { size: 8 } })
  const channel = files.space.create("/jobs")
  const jobs = Array.from({ length: 200 }, (_, at) => String(at))
  const done: string[] = []
  const work = async (lives: number): Promise<void> => {
    const worker = await join()
    const [take, ack] = [await worker.client.open("/jobs.d/take", read), await worker.client.open("/jobs.d/ack", write)]
    for (let position = 0, count = 0; ; count++) {
      const message = await take.read(position)
      if (message.length === 0) return
      if (count === 20 && lives > 0) {
        worker.client.close()
        return work(lives - 1)
      }
      const [id, job] = utf8Decode(message).split("\t")
      position += message.length
      await take.read(position)
      await ack.writeAll(utf8Encode(`${id} ok`))
      done.push(job as string)
    }
  }
  const workers = Promise.all([work(0), work(1), work(2), work(0)])
  const writer = await client.open("/jobs.d/send", write)
  for (const job of jobs) await writer.writeAll(utf8Encode(job))
  channel.close()
  await workers
  assert.deepEqual(
    done.toSorted((a, b) => Number(a) - Number(b)),
    jobs,
  )
  assert.equal(files.clock.pending, 0)
})

interface Joined {
  readonly client: NinepClient
}

async function joined({ dialect = "9P2000.L", ...options }: ChannelFilesOptions & { dialect?: Dialect } = {}): Promise<
  Joined & { readonly files: ChannelFiles; join(): Promise<Joined> }
> {
  const files = await ChannelFiles.make(options)
  const join = async (): Promise<Joined> => {
    const pair = bytePair({ splitBytes: 1_013 })
    const connection = new NinepConnection({ tree: files.tree, output: pair.b, log: silentLog })
    connection.onEnd = () => pair.b.close()
    pair.b.onData = (bytes) => connection.receive(bytes)
    pair.b.onDrain = () => connection.drained()
    pair.b.onClose = () => connection.closed()
    return { client: await NinepClient.connect({ link: pair.a, dialects: [dialect], user: "ann", uid: 1000 }) }
  }
  return { ...(await join()), files, join }
}

function watch(doing: Promise<void>): { isOver: boolean; done: Promise<void> } {
  const watched = { isOver: false, done: doing.then(() => void (watched.isOver = true)) }
  return watched
}
