/**
 * The relay's own error answers, told apart from the service's by the header `Rdv-Error`. Each says in plain words what
 * happened to the visitor and what its owner can do, as HTML, problem JSON (RFC 9457) or text, whichever the visitor
 * accepts. Nothing a stranger sent comes back unescaped: not into HTML, and no control character into a terminal.
 */

import { escapeHtml } from "../../base/html.ts"
import { STATUS_CODES } from "node:http"
import { utf8Encode } from "../../base/text.ts"
import { type Format, preferredFormat } from "./accept.ts"

export interface ErrorAnswerOptions {
  readonly reason: ErrorReason
  /** Default: what fits the reason. */
  readonly status?: number
  /** The request's `Accept` header; several are joined with commas. */
  readonly accept?: string | undefined
  /** The request's host, as it came. */
  readonly host?: string | undefined
  /** A clause that goes behind "…:": `nothing listens on localhost:3000`. */
  readonly detail?: string | undefined
  /** Sent as `Retry-After`; an HTML page then reloads itself. */
  readonly retryAfterSeconds?: number | undefined
  /** Pages reload themselves for GET only: the default. */
  readonly method?: string | undefined
}

export interface ErrorAnswer {
  readonly status: number
  readonly reasonPhrase: string
  /** Name, value, name, value. */
  readonly headers: string[]
  /** For HEAD the caller sends the headers without it. */
  readonly body: Uint8Array
}

/** The answer for a request that the relay cannot pass on. */
export function errorAnswer(options: ErrorAnswerOptions): ErrorAnswer {
  const facts = errorReasons[options.reason]
  const status = options.status ?? facts.status
  const retryAfter =
    options.retryAfterSeconds === undefined ? undefined : Math.max(0, Math.ceil(options.retryAfterSeconds))
  const format = preferredFormat(options.accept)
  const story: Story = {
    reason: options.reason,
    status,
    phrase: STATUS_CODES[status] ?? "Error",
    host: shown(options.host ?? "", hostMax),
    ...tell(facts, options),
    broken: facts.broken,
    retryAfter,
    reloads: retryAfter !== undefined && (options.method ?? "GET") === "GET",
  }
  const body = utf8Encode(format === "html" ? html(story) : format === "json" ? json(story) : text(story))
  const headers = ["Content-Type", contentTypes[format], "Content-Length", String(body.length)]
  // A server with a clock says its time (RFC 9110 section 6.6.1); `rdv doctor` compares it.
  headers.push("Date", new Date().toUTCString(), "Cache-Control", "no-store", "Vary", "Accept")
  headers.push("X-Content-Type-Options", "nosniff", "Rdv-Error", options.reason)
  if (format === "html") headers.push("Content-Security-Policy", pagePolicy, "Referrer-Policy", "no-referrer")
  if (retryAfter !== undefined) headers.push("Retry-After", String(retryAfter))
  return { status, reasonPhrase: story.phrase, headers, body }
}

interface ReasonFacts {
  readonly status: number
  /** `{host}` stands for the address. Without a full stop: a detail may follow. */
  readonly visitor: string
  /** For the owner; for the visitor where the visitor is the cause. */
  readonly mend: string
  /** Which of the four stations failed: 0 visitor, 1 relay, 2 agent, 3 service. */
  readonly broken: 0 | 1 | 2 | 3
}

/** Also the value of the header `Rdv-Error`. */
export type ErrorReason =
  | "no_route"
  | "unreachable"
  | "bad_response"
  | "timeout"
  | "suspended"
  | "asleep"
  | "draining"
  | "limit"
  | "rate_limited"
  | "bad_request"
  | "request_timeout"
  | "body_too_large"
  | "uri_too_long"
  | "header_too_large"
  | "not_implemented"
  | "version"
  | "internal"

/** What happened, for whom, and what helps. */
export const errorReasons: Readonly<Record<ErrorReason, ReasonFacts>> = {
  no_route: {
    status: 404,
    visitor: "No agent serves {host} right now",
    mend: "start the agent that serves this name, for example: rdv http 3000 --name NAME. Check the spelling, too.",
    broken: 2,
  },
  unreachable: {
    status: 502,
    visitor: "The service behind this address does not answer",
    mend: "start the service on the machine that runs the agent; the agent itself is connected and needs no restart.",
    broken: 3,
  },
  bad_response: {
    status: 502,
    visitor: "The service behind this address gave an answer that cannot be passed on",
    mend: "look at the service's log, and check that its port speaks plain HTTP.",
    broken: 3,
  },
  timeout: {
    status: 504,
    visitor: "The service behind this address took too long to answer",
    mend: "look at what the service is busy with, or allow it more time.",
    broken: 3,
  },
  suspended: {
    status: 503,
    visitor: "The machine behind this address lost its connection and is not back yet",
    mend: "the agent reconnects by itself when its network is back; rdv status shows its state.",
    broken: 2,
  },
  asleep: {
    status: 503,
    visitor: "The server behind this address runs in somebody's browser or computer, and that is asleep or closed now",
    mend: "open the page that runs it, and leave it open; it goes on where it was.",
    broken: 2,
  },
  draining: {
    status: 503,
    visitor: "The machine behind this address is shutting down and takes nothing new",
    mend: "wait until it has restarted.",
    broken: 2,
  },
  limit: {
    status: 503,
    visitor: "A limit of this address is reached",
    mend: "wait a little. rdv status shows the limits in force.",
    broken: 1,
  },
  rate_limited: {
    status: 429,
    visitor: "Too much came at once",
    mend: "wait a little. rdv status shows the limits in force.",
    broken: 0,
  },
  bad_request: {
    status: 400,
    visitor: "This request is not valid HTTP",
    mend: "look at the program that sent it; the request went no further than the relay.",
    broken: 0,
  },
  request_timeout: {
    status: 408,
    visitor: "The request did not arrive in time",
    mend: "send it again; a slow network or an unfinished request is the cause.",
    broken: 0,
  },
  body_too_large: {
    status: 413,
    visitor: "The request is larger than this address takes",
    mend: "send less, or raise the limit.",
    broken: 0,
  },
  uri_too_long: {
    status: 414,
    visitor: "The address of this request is too long",
    mend: "move what it carries from the URL into the body.",
    broken: 0,
  },
  header_too_large: {
    status: 431,
    visitor: "The header fields of this request are too large",
    mend: "delete the cookies of this site, or send smaller header fields.",
    broken: 0,
  },
  not_implemented: {
    status: 501,
    visitor: "The relay does not know how to carry this request",
    mend: "use a method and a transfer coding that HTTP defines.",
    broken: 1,
  },
  version: {
    status: 505,
    visitor: "The relay does not speak this version of HTTP",
    mend: "use HTTP/1.1.",
    broken: 1,
  },
  internal: {
    status: 500,
    visitor: "The relay failed while it handled this request",
    mend: "look at the relay's log, and please report it.",
    broken: 1,
  },
}

interface Story {
  readonly reason: ErrorReason
  readonly status: number
  readonly phrase: string
  readonly host: string
  readonly visitor: string
  readonly mend: string
  readonly broken: number
  readonly retryAfter: number | undefined
  readonly reloads: boolean
}

/** The longest host name that DNS knows. Longer ones are cut where they are shown. */
const hostMax = 253
const detailMax = 240

function tell(facts: ReasonFacts, options: ErrorAnswerOptions): { visitor: string; mend: string } {
  const host = shown(options.host ?? "", hostMax) || "this address"
  const detail = shown(options.detail ?? "", detailMax)
  const visitor = facts.visitor.replace("{host}", () => host)
  // What the visitor caused, the visitor can mend.
  const mend = `${facts.broken === 0 ? "What helps" : "If it is yours"}: ${facts.mend}`
  return { visitor: detail === "" ? `${visitor}.` : `${visitor}: ${detail}.`, mend }
}

/** Control and format characters would move a terminal's cursor or turn the text around. */
function shown(value: string, max: number): string {
  const clean = value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{FFFD}")
  return clean.length > max ? `${clean.slice(0, max).toWellFormed()}…` : clean
}

const contentTypes: Record<Format, string> = {
  html: "text/html; charset=utf-8",
  json: "application/problem+json",
  text: "text/plain; charset=utf-8",
}

function text(story: Story): string {
  const again = story.retryAfter === undefined ? "" : `\nTry again in ${seconds(story.retryAfter)}.\n`
  return `${story.status} ${story.phrase}\n\n${story.visitor}\n${again}\n${story.mend}\n`
}

function json(story: Story): string {
  const problem = {
    // RFC 9457 section 4.2.1: the status itself is the type, `reason` refines it.
    type: "about:blank",
    title: story.phrase,
    status: story.status,
    detail: story.visitor,
    reason: story.reason,
    host: story.host === "" ? undefined : story.host,
    mend: story.mend,
    retryAfterSeconds: story.retryAfter,
  }
  return `${JSON.stringify(problem)}\n`
}

const stations = ["You", "Relay", "Agent", "Service"]

const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'"

const style = `:root{color-scheme:light dark;--b:#f6f7f9;--c:#fff;--t:#1c2330;--m:#5b6577;--l:#d9dee7;--g:#15803d;--r:#c2410c}
@media(prefers-color-scheme:dark){:root{--b:#12151c;--c:#1b202a;--t:#e8ebf1;--m:#9aa4b6;--l:#343c4b;--g:#4ade80;--r:#fb923c}}
*,:before{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--b);
color:var(--t);font:17px/1.55 system-ui,sans-serif}main{width:100%;max-width:36rem;padding:2rem;background:var(--c);
border:1px solid var(--l);border-radius:14px;overflow-wrap:anywhere}h1{margin:.9rem 0 .6rem;font-size:1.3rem;line-height:1.35}
p{margin:.6rem 0 0;color:var(--m)}ol{display:flex;margin:0;padding:0;list-style:none;font-size:.8rem;color:var(--m)}
li{flex:1;text-align:center;position:relative}li:before{content:"";display:block;width:14px;height:14px;margin:0 auto .35rem;
border-radius:50%;background:var(--l);position:relative;z-index:1}li+li:after{content:"";position:absolute;top:6px;right:50%;
width:100%;height:2px;background:var(--l)}.ok:before,.ok+.ok:after{background:var(--g)}.ko{color:var(--r);font-weight:600}
.ko:before{background:var(--c);border:3px solid var(--r)}small{display:block;margin-top:1.4rem;padding-top:.9rem;
border-top:1px solid var(--l);color:var(--m)}`

function html(story: Story): string {
  const refresh = story.reloads ? `<meta http-equiv="refresh" content="${Math.max(1, story.retryAfter ?? 1)}">\n` : ""
  const again =
    story.retryAfter === undefined
      ? ""
      : `<p>${story.reloads ? "This page tries again by itself" : "Try again"} in ${seconds(story.retryAfter)}.</p>\n`
  const path = stations
    .map(
      (name, at) => `<li${at < story.broken ? ' class="ok"' : at === story.broken ? ' class="ko"' : ""}>${name}</li>`,
    )
    .join("")
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
${refresh}<title>${story.status} ${story.phrase}</title>
<style>${style}</style>
<main>
<ol>${path}</ol>
<h1>${escapeHtml(story.visitor)}</h1>
${again}<p>${escapeHtml(story.mend)}</p>
<small>${story.status} ${story.phrase} &middot; ${story.reason}</small>
</main>
`
}

function seconds(count: number): string {
  return count === 1 ? "1 second" : `${count} seconds`
}
