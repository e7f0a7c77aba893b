/** One honest line: who can reach this server, and how it reaches others. */

import { html } from "hono/html"
import type { Identity, PeerFacts } from "../../../src/tab.ts"
import type { Waiting } from "../outbox.ts"
import type { Html } from "./layout.ts"

export function statusView({ name, url }: Identity, peers: readonly PeerFacts[], waiting: readonly Waiting[]): Html {
  const isPublic = name !== undefined && url !== undefined
  const count = waiting.reduce((sum, each) => sum + each.count, 0)
  return html`<details class="status" data-state="${isPublic ? "public" : "private"}" data-name="${name ?? ""}">
    <summary>
      <span class="dot"></span>
      <span class="word">${isPublic ? html`Public as <b>${name}</b>` : "Private"}</span
      >${count === 0 ? "" : html` <small class="count">${count} waiting</small>`}
    </summary>
    <div class="panel">
      ${
        isPublic
          ? html`<p class="reach">Everybody reaches you at <a href="${url}">${url}</a></p>`
          : html`<p class="reach">Nobody but you reaches this server.</p>`
      }
      <p class="tab-only trouble" hidden></p>
      <p class="row tab-only" hidden>
        ${
          isPublic
            ? html`<button type="button" class="quiet" data-do="go-private">Go private</button>`
            : html`<button type="button" data-do="go-public">Go public…</button>`
        }
      </p>
      ${
        peers.length + waiting.length === 0
          ? ""
          : html`<ul class="links">
              ${linksOf(peers, waiting).map(
                ({ name: other, words, trouble }) =>
                  html`<li>
                    <b>${other}</b> ${words}${trouble === null ? "" : html`<br /><small class="why">${trouble}</small>`}
                  </li>`,
              )}
            </ul>`
      }
    </div>
  </details>`
}

function linksOf(
  peers: readonly PeerFacts[],
  waiting: readonly Waiting[],
): { name: string; words: string; trouble: string | null }[] {
  const names = [...new Set([...peers.map(({ name }) => name), ...waiting.map(({ peer }) => peer)])].slice(0, 20)
  return names.map((name) => {
    const peer = peers.find((each) => each.name === name)
    const waits = waiting.find((each) => each.peer === name)
    const way = peer === undefined ? [] : [peer.path === "direct" ? "directly" : "by the relay"]
    const ms =
      peer?.rttMs === undefined ? [] : [`${peer.rttMs < 10 ? peer.rttMs.toFixed(1) : Math.round(peer.rttMs)} ms`]
    const wait = waits === undefined ? [] : [`${waits.count} waiting`]
    return { name, words: [...way, ...ms, ...wait].join(", "), trouble: waits?.trouble ?? null }
  })
}
