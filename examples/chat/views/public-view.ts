/** Pages for everybody: they read, and nothing else. */

import { html } from "hono/html"
import type { Identity } from "../../../src/tab.ts"
import type { Room } from "../rooms.ts"
import { page } from "./layout.ts"
import type { Html } from "./layout.ts"
import { avatar, icon } from "./parts.ts"
import { logView } from "./room-view.ts"
import type { RoomContent } from "./room-view.ts"

export interface Profile {
  readonly nick: string
  readonly about: string
  readonly rooms: readonly Room[]
  readonly identity: Identity
}

export function profilePage({ nick, about, rooms, identity }: Profile): Html {
  const { key, name } = identity
  return page(
    nick,
    "public",
    html`<main class="card profile">
      <header>
        ${avatar(nick, key)}
        <div>
          <h1>${nick}</h1>
          <p class="server">${name ?? "not public"}</p>
        </div>
      </header>
      ${about === "" ? "" : html`<p class="about">${about}</p>`}
      <h2>Open rooms</h2>
      ${
        rooms.length === 0
          ? html`<p class="hint">There are none.</p>`
          : html`<ul class="open-rooms">
              ${rooms.map(
                ({ slug, title, topic }) =>
                  html`<li>
                    <a href="/r/${slug}"><b>${title}</b> <span>${topic}</span></a>
                    <code>${slug}@${name ?? "…"}</code>
                  </li>`,
              )}
            </ul>`
      }
      <p class="hint">Key <code class="key">${key}</code></p>
    </main>`,
  )
}

export function openRoomPage(content: RoomContent, name: string | undefined): Html {
  const { room } = content
  return page(
    room.title,
    "public reading",
    html`<main class="in-room">
      <header class="head">
        <a class="back" href="/" aria-label="To the profile">${icon("back")}</a>
        <div class="what">
          <h1>${room.title}</h1>
          <p>${room.topic}</p>
        </div>
      </header>
      ${logView(content, `/r/${room.slug}`, `/r/${room.slug}/files`, true)}
      <p class="read-only">
        To write here, join <code>${room.slug}@${name ?? "…"}</code> with a chat server of your own.
      </p>
    </main>`,
  )
}
