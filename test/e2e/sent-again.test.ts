/** Requests whose agent goes before it answers: what may be sent again goes to the next one, everything else is told. */

import assert from "node:assert/strict"
import { afterEach, test } from "node:test"
import { silentLog } from "../../src/base/log.ts"
import { startAgent, startRelay, startTunnel } from "../../src/node.ts"
import type { RunningAgent } from "../../src/node.ts"
import { httpOrigin } from "../kit/origin.ts"
import type { HttpOrigin } from "../kit/origin.ts"
import { startAgentProcess, startRelayProcess } from "../kit/processes.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import type { RawClient } from "../kit/raw-http.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** A service that lets everybody wait until it is told to let nobody wait. */
async function patientOrigin(): Promise<HttpOrigin & { answerNow(): void }> {
  let waits = true
  const origin = await httpOrigin((request, response) => {
    if (request.url === "/hinted") response.writeEarlyHints({ link: "</style.css>; rel=preload" })
    if (!waits) response.end("here")
  })
  cleanUps.push(() => origin[Symbol.asyncDispose]())
  return Object.assign(origin, { answerNow: () => void (waits = false) })
}

/** Sends a head and what follows it, on a connection of its own. */
async function ask(port: number, head: string): Promise<RawClient> {
  const client = await rawClient(port)
  cleanUps.push(() => client.socket.destroy())
  void client.send(head.replace("\r\n", "\r\nHost: mine.localhost\r\n"))
  return client
}

test("what waits at a killed agent goes to its next process if it may come twice, and else is told to come back", async () => {
  const origin = await patientOrigin()
  const relay = await startRelayProcess()
  cleanUps.push(() => relay.kill())
  const startAgain = async () => {
    const tunnels = [{ kind: "http", target: origin.target, name: "mine" }] as const
    const agent = await startAgentProcess({ relay: `127.0.0.1:${relay.port}`, instance: "home", tunnels })
    cleanUps.push(() => agent.kill())
    return agent
  }
  const first = await startAgain()
  const again = [
    "GET /wait HTTP/1.1\r\n\r\nGET /behind HTTP/1.1\r\nHost: mine.localhost\r\n\r\n",
    "GET /wait HTTP/1.0\r\n\r\n",
    "HEAD /wait HTTP/1.1\r\n\r\n",
    "OPTIONS /wait HTTP/1.1\r\n\r\n",
    "DELETE /wait HTTP/1.1\r\n\r\n",
    "PUT /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
  ]
  const never = [
    "GET /hinted HTTP/1.1\r\n\r\n",
    "GET /wait HTTP/1.1\r\nContent-Length: 1\r\n\r\n+",
    "GET /wait HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "PUT /wait HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "POST /wait HTTP/1.1\r\nContent-Length: 1\r\n\r\n+",
    "PATCH /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
  ]
  const clients = await Promise.all([...again, ...never].map((head) => ask(relay.port, head)))
  await eventually("all are at the service", () => origin.requests.length === clients.length)
  assert.match(await (clients[again.length] as RawClient).takeUntil("\r\n\r\n"), / 103 /)
  origin.answerNow()
  await first.kill()
  await startAgain()
  const answers = await Promise.all(clients.map((client, at) => client.answer(again[at]?.split(" ")[0])))
  for (const [at, head] of again.entries()) {
    assert.equal(answers[at]?.status, 200, head)
    assert.equal(answers[at]?.body.toString(), head.startsWith("HEAD") ? "" : "here", head)
  }
  for (const [at, head] of never.entries()) {
    const answer = answers[again.length + at]
    assert.deepEqual([answer?.status, answer?.header("retry-after")], [503, "1"], head)
  }
  assert.equal((await (clients[0] as RawClient).answer()).status, 200, "the connection goes on")
  assert.equal(origin.requests.length, clients.length + again.length + 1)
})

/** A relay here, and agents of one installation that all serve the same name. */
async function standIns(origin: HttpOrigin): Promise<{ port: number; start(): Promise<RunningAgent> }> {
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  cleanUps.push(() => relay.stop())
  const [address] = relay.addresses
  assert.ok(address !== undefined && "port" in address)
  const { port } = address
  return {
    port,
    async start() {
      const agent = startAgent({ relay: `127.0.0.1:${port}`, instance: "home", log: silentLog })
      cleanUps.push(() => agent.stop())
      await new Promise<void>((onExposed, onRefused) => {
        const settings = { kind: "http", target: origin.target, name: "mine" } as const
        startTunnel(agent.agent, settings, { onExposed: () => onExposed(), onRefused }).catch(onRefused)
      })
      return agent
    },
  }
}

test("an agent that leaves hands over what it has not answered to another one of the same name", async () => {
  const origin = await patientOrigin()
  const { port, start } = await standIns(origin)
  const first = await start()
  const get = await ask(port, "GET /wait HTTP/1.1\r\n\r\n")
  const post = await ask(port, "POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
  await eventually("both are at the service", () => origin.requests.length === 2)
  await start()
  origin.answerNow()
  await first.stop()
  assert.equal((await get.answer()).status, 200)
  assert.equal((await post.answer()).status, 503)
  assert.equal(origin.requests.length, 3)
})

test("a request is sent again once: one that ends its agent does not end them all", async () => {
  const origin = await patientOrigin()
  const { port, start } = await standIns(origin)
  let agent = await start()
  const client = await ask(port, "GET /deadly HTTP/1.1\r\n\r\n")
  for (const times of [1, 2]) {
    await eventually(`it is at the service, time ${times}`, () => origin.requests.length === times)
    const next = await start()
    await agent.stop()
    agent = next
  }
  assert.equal((await client.answer()).status, 503)
  assert.equal(origin.requests.length, 2)
})

test("without another agent of the name nothing is sent again", async () => {
  const origin = await patientOrigin()
  const { port, start } = await standIns(origin)
  const agent = await start()
  const client = await ask(port, "GET /wait HTTP/1.1\r\n\r\n")
  await eventually("it is at the service", () => origin.requests.length === 1)
  await agent.stop()
  assert.equal((await client.answer()).status, 503)
  assert.equal(origin.requests.length, 1)
})
