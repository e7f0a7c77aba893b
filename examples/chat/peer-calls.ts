/**
 * Questions to other servers of the chat. Who asks is known there by the relay's word; who answers proves it here: it signs
 * every answer together with a word of ours. The key of a name is kept from the first time on, and another one is refused.
 */

import type { Sql, TabEnv } from "../../src/tab.ts"
import { Refusal } from "./refusal.ts"
import { fromText, randomText, toText } from "./text-bytes.ts"

export interface PeerQuestion {
  readonly path: string
  /** With it, the question is a POST. */
  readonly body?: string
  /** The same for every attempt: it has its effect once. */
  readonly key?: string
}

export interface PeerAnswer {
  readonly json: unknown
  /** Of the server that answered. */
  readonly key: string
}

/** It has answered, and does not want that: asking again is of no use. */
export class PeerRefusal extends Error {}

/**
 * Rejects with `PeerRefusal` for a no, and with other errors when there is no answer yet. Before anything is told, whoever
 * is there has to say who he is.
 */
export async function askPeer(env: TabEnv, name: string, question: PeerQuestion): Promise<PeerAnswer> {
  const known = greeted.get(env) ?? new Map<string, { readonly key: string; readonly at: number }>()
  greeted.set(env, known)
  if (question.body !== undefined) {
    const last = known.get(name)
    const isFresh = last !== undefined && Date.now() - last.at < greetingMs
    const key = isFresh ? last.key : (await ask(env, name, greeting)).key
    await checkPin(env.sql, name, key)
  }
  try {
    const answer = await ask(env, name, question)
    if (known.size > mostKnown) known.clear()
    known.set(name, { key: answer.key, at: Date.now() })
    return answer
  } catch (error) {
    known.delete(name)
    throw error
  }
}

async function ask(env: TabEnv, name: string, question: PeerQuestion): Promise<PeerAnswer> {
  const { path, body, key = randomText() } = question
  const headers = { "chat-nonce": key, ...(body !== undefined && { "idempotency-key": key, "content-type": jsonType }) }
  const response = await env.peers.fetch(name, `/federation${path}`, {
    headers,
    ...(body !== undefined && { method: "POST", body }),
    signal: AbortSignal.timeout(patienceMs),
  })
  const text = await response.text()
  const signer = response.headers.get("chat-key") ?? ""
  const signature = fromText(response.headers.get("chat-signature") ?? "")
  const proof = answerBytes(key, response.status, text)
  if (signature === undefined || !(await env.identity.verify(signer, proof, signature))) {
    throw new Error(response.ok ? `${name} runs something else` : `${name}: ${text.slice(0, 200)}`)
  }
  await checkPin(env.sql, name, signer)
  if (!response.ok && response.status < 500 && response.status !== 429) throw new PeerRefusal(text.slice(0, 200))
  if (!response.ok) throw new Error(text.slice(0, 200))
  return { json: JSON.parse(text) as unknown, key: signer }
}

/** The other side of it: an answer with its proof. */
export async function signedAnswer(env: TabEnv, nonce: string, response: Response): Promise<Response> {
  const text = await response.text()
  const signature = toText(await env.identity.sign(answerBytes(nonce, response.status, text)))
  const headers = new Headers(response.headers)
  headers.set("chat-key", env.identity.key)
  headers.set("chat-signature", signature)
  return new Response(text, { status: response.status, headers })
}

/** Throws `Refusal` when the name had another key before. */
export async function checkPin(sql: Sql, name: string, key: string): Promise<void> {
  const pin = await sql.get<{ key: string }>("SELECT key FROM pins WHERE name = ?", name)
  if (pin !== undefined && pin.key !== key) throw new Refusal(403, `${name} is not who it was: it has another key`)
}

/** From now on the name is this key's. */
export async function keepPin(sql: Sql, name: string, key: string): Promise<void> {
  await checkPin(sql, name, key)
  await sql.run("INSERT OR IGNORE INTO pins (name, key) VALUES (?, ?)", name, key)
}

function answerBytes(nonce: string, status: number, text: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(["chat answer", nonce, status, text]))
}

/** When the servers of names have last proven who they are, by who asked. */
const greeted = new WeakMap<TabEnv, Map<string, { readonly key: string; readonly at: number }>>()
const greeting: PeerQuestion = { path: "/hello" }
const greetingMs = 60_000
const mostKnown = 500
const jsonType = "application/json"
const patienceMs = 20_000
