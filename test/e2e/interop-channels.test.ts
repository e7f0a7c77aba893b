/**
 * Channels between programs in Python and in TypeScript, at a server that is a process of its own: `interop/channels.py` was
 * written from section 9.5 of docs/protocol.md.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { spawn } from "node:child_process"
import { after, before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { channels } from "../../src/channels.ts"
import type { Channels, Message } from "../../src/channels.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { LineProcess, missingPython } from "../kit/line-process.ts"
import { until } from "../kit/processes.ts"
import { RunningChannels } from "../kit/running-channels.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const count = 1_000
const texts = Array.from({ length: count }, (_, at) => `message ${at} ${"x".repeat(at % 100)}`)
/** Bytes over the links of the Python program, both directions: the cuts fall between and into messages. */
const cuts = ["--cut-after", "20001", "--cut-after", "60003"]

describe("channels between Python and TypeScript", { skip: missingPython(), timeout: 60_000 }, () => {
  let server: RunningChannels
  let network: ChaosProxy
  let ours: Channels

  before(async () => {
    server = await RunningChannels.start({ flags: ["--grace", "1s", "--dead-after", "1s"] })
    network = await chaosProxy({ target: { port: server.port } })
    ours = await channels({ relay: `127.0.0.1:${network.port}` })
  })

  after(async () => {
    await ours.close()
    await network.close()
    await server[Symbol.asyncDispose]()
  })

  const python = (...words: readonly string[]) =>
    new LineProcess("python3", ["interop/chan.py", "--server", `tcp://127.0.0.1:${server.port}`, "--json", ...words])

  /** Where programs wait at a channel. */
  const waiting = async (path: string) => {
    const entry = await ours.stat(path)
    return entry.kind === "channel" ? entry.counts.waitingSenders + entry.counts.waitingReceivers : 0
  }

  test("the Python implementation passes the golden bytes and speaks them with the server", async () => {
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1", RDV_TEST_CHANNELS: `tcp://127.0.0.1:${server.port}` }
    const words = ["-m", "unittest", "discover", "-s", "interop", "-p", "test_channels.py"]
    const child = spawn("python3", words, { cwd: root, env, stdio: "pipe" })
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
    const [code] = (await once(child, "close")) as [number | null]
    assert.equal(code, 0, said)
    assert.match(said, /^OK$/m, "nothing was skipped")
  })

  test("a thousand messages from Python arrive once and in order while both links are cut", async () => {
    await using channel = await ours.create("/up")
    const got: string[] = []
    const subscription = channel.subscribe(
      (message) => {
        got.push(message.text())
        if (got.length === 300 || got.length === 700) network.cutAll("rst")
      },
      { window: 16 },
    )
    await using sender = python(...cuts, "send", "--end", "/up", ...texts)
    assert.equal((await sender.event("sent"))["count"], count)
    await subscription.ended
    assert.deepEqual(got, texts)
    assert.deepEqual([sender.count("cut"), sender.count("resumed")], [2, 2])
    assert.equal((await sender.ended).code, 0)
  })

  test("a thousand messages to Python arrive once and in order while both links are cut", async () => {
    await using channel = await ours.create("/down")
    await using receiver = python(...cuts, "recv", "/down", "--follow", "--window", "16")
    let settled = 0
    await new Promise<void>((resolve, reject) => {
      for (const text of texts) {
        channel.push(text, (error) => {
          if (error !== undefined) reject(error)
          settled++
          if (settled === 300 || settled === 700) network.cutAll("rst")
          if (settled === count) resolve()
        })
      }
    })
    await channel.end()
    assert.equal((await receiver.event("received"))["count"], count)
    assert.deepEqual(
      receiver.events("message").map((each) => each["text"]),
      texts,
    )
    assert.ok(receiver.events("message").every((each) => each["attempt"] === 1))
    assert.deepEqual([receiver.count("cut"), receiver.count("resumed")], [2, 2])
  })

  test("what Python gives back comes again, and the sender hears when it is done", async () => {
    await using channel = await ours.create("/acks", { deliver: "done" })
    await using receiver = python("recv", "/acks", "--count", "3", "--ack")
    let isSettled = false
    const sending = channel.send("job").then(() => (isSettled = true))
    assert.equal((await receiver.event("message"))["attempt"], 1)
    receiver.say("fail no disk")
    assert.equal((await receiver.event("message", 2))["attempt"], 2)
    assert.equal(isSettled, false)
    receiver.say("ok")
    await sending
    // And the other way: a worker in Python that dies has not done its work.
    const lost = channel.send("for another one")
    await receiver.event("message", 3)
    receiver.signal("SIGKILL")
    await receiver.ended
    const again = await Promise.race([channel.receive({ ack: true, timeoutMs: 20_000 }), lost])
    assert.ok(again !== undefined, "the server waits for the grace time, and gives the message to us")
    assert.deepEqual([again.text(), again.attempt], ["for another one", 2])
    again.done()
    await lost
  })

  test("what TypeScript gives back comes again, and Python hears when it is done", async () => {
    await using channel = await ours.create("/acks-up", { deliver: "done" })
    await using sender = python("send", "/acks-up", "job")
    const first = (await channel.receive({ ack: true })) as Message
    first.fail("no disk")
    const second = (await channel.receive({ ack: true })) as Message
    assert.deepEqual([first.attempt, second.attempt, sender.count("sent")], [1, 2, 0])
    second.done()
    await sender.event("sent")
  })

  test("selects of both meet each other, and exactly one case of each happens", async () => {
    await using a = await ours.create("/select-a")
    await using b = await ours.create("/select-b")
    await using receives = python("select", "/select-a?", "/select-b!from Python", "--timeout", "20")
    await until(async () => (await waiting("/select-a")) === 1, "a select that waits")
    const one = await ours.select([{ send: a, message: "from TypeScript" }, { receive: b }])
    const heard = await Promise.race([receives.event("chosen"), receives.event("sent")])
    if (one.kind === "sent") assert.deepEqual([heard["path"], heard["text"]], ["/select-a", "from TypeScript"])
    else {
      assert.ok(one.kind === "received")
      assert.deepEqual([one.message.text(), heard["path"]], ["from Python", "/select-b"])
    }
    assert.equal((await receives.ended).code, 0)
    assert.deepEqual([await waiting("/select-a"), await waiting("/select-b")], [0, 0])
    await using late = python("select", "/select-a?", "/select-b!never", "--timeout", "0.05")
    const { code, stderr } = await late.ended
    assert.deepEqual([code, stderr], [3, "chan.py: No case could happen within 50 ms (code 4)\n"])
  })

  test("what cannot be is one clear line in Python, with an exit code", async () => {
    await using channel = await ours.create("/errors")
    await ours.create("/empty")
    const rows: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["recv", "/nowhere"], 1, /There is no channel \/nowhere.*\(code 25\)/],
      [["send", "/nowhere", "x"], 1, /There is no channel \/nowhere.*\(code 25\)/],
      [["recv", "/empty", "--timeout", "0"], 3, /code 28/],
      [["recv", "/empty", "--timeout", "0.05"], 3, /code 4/],
      [["send", "/errors", "x", "--timeout", "0"], 3, /Nobody receives from \/errors now \(code 28\)/],
      [["send", "/errors", "x", "--timeout", "0.05"], 3, /in time \(code 4\)/],
      [["new", "/errors"], 1, /exists already \(code 26\)/],
      [["rm", "/nowhere"], 1, /There is no \/nowhere \(code 25\)/],
      [["select", "/errors"], 2, /is no case/],
    ]
    await Promise.all(
      rows.map(async ([words, code, says]) => {
        await using program = python(...words)
        const ended = await program.ended
        assert.equal(ended.code, code, `${words.join(" ")}: ${ended.stderr}`)
        assert.match(ended.stderr, says)
        assert.match(ended.stderr, /^chan\.py: [^\n]*\n$/)
      }),
    )
    await using waits = python("recv", "/errors")
    await until(async () => (await waiting("/errors")) === 1, "a receiver that waits")
    await channel.close()
    await ours.remove("/errors")
    const { code, stderr } = await waits.ended
    assert.deepEqual([code, stderr], [1, "chan.py: /errors was removed (code 27)\n"])
  })

  test("a server that is started again ends what Python waits for, with a clear line", async () => {
    const second = await RunningChannels.start({ flags: ["--channel", "/jobs"] })
    const address = `tcp://127.0.0.1:${second.port}`
    await using waits = new LineProcess("python3", ["interop/chan.py", "--server", address, "recv", "/jobs"])
    const watch = await channels({ relay: address.slice("tcp://".length) })
    await until(async () => {
      const entry = await watch.stat("/jobs")
      return entry.kind === "channel" && entry.counts.waitingReceivers === 1
    }, "a receiver that waits")
    await watch.close()
    await second.command[Symbol.asyncDispose]()
    const third = await RunningChannels.start({ listen: [`127.0.0.1:${second.port}`], flags: ["--channel", "/jobs"] })
    const { code, stderr } = await waits.ended
    assert.equal(code, 1)
    assert.match(stderr, /^chan\.py: [^\n]*\n$/)
    await third[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
  })
})
