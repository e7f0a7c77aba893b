/** What all pages have around them. */

import { html } from "hono/html"
import type { Refusal } from "../refusal.ts"
import type { ListedRoom } from "../rooms.ts"
import { avatar, icon } from "./parts.ts"
import { roomList } from "./room-view.ts"

export type Html = ReturnType<typeof html>

/** The owner's page beside its content. */
export interface Frame {
  /** Undefined: he has not told yet. */
  readonly nick: string | undefined
  readonly current: number | undefined
  readonly rooms: readonly ListedRoom[]
  readonly invitations: readonly { readonly name: string; readonly slug: string; readonly title: string }[]
  readonly status: Html
  readonly key: string
}

export function page(title: string, kind: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/chat.css" />
        <script src="/chat.js" defer></script>
      </head>
      <body class="${kind}">
        ${body}
      </body>
    </html>`
}

/** A page of the owner: his rooms on the left, one of them on the right. On a phone one of both. */
export function framed(frame: Frame, title: string, content: Html, kind = "inside"): Html {
  return page(
    title,
    `frame ${kind}`,
    html`<a class="skip" href="#main">Skip to the content</a>
      <aside class="side" aria-label="Your server and its rooms">
        <header class="me">
          ${avatar(frame.nick ?? "?", frame.key)}
          <a class="nick" href="/settings" title="Settings">${frame.nick ?? ""}</a>
          <div id="status" data-live>${frame.status}</div>
        </header>
        <nav id="rooms" aria-label="Rooms" data-current="${frame.current ?? ""}">
          ${roomList(frame.rooms, frame.current)}
        </nav>
        ${frame.invitations.map(
          ({ name, slug, title: room }) =>
            html`<form class="invitation" method="post" action="/join">
              <input type="hidden" name="address" value="${slug}@${name}" />
              <p><b>${name}</b> invites you to <b>${room}</b></p>
              <button>Join</button>
            </form>`,
        )}
        <div class="acts">
          <details name="act">
            <summary>${icon("plus")} New room</summary>
            <form method="post" action="/rooms">
              <label>Title <input name="title" required maxlength="80" autocomplete="off" /></label>
              <label>What it is about <input name="topic" maxlength="300" autocomplete="off" /></label>
              <label class="check"><input type="checkbox" name="open" checked /> Everybody may read and join</label>
              <button>Make it</button>
            </form>
          </details>
          <details name="act">
            <summary>${icon("join")} Join a room</summary>
            <form method="post" action="/join">
              <label
                >Its address
                <input
                  name="address"
                  required
                  placeholder="garden@alice"
                  autocomplete="off"
                  autocapitalize="none"
                  spellcheck="false"
              /></label>
              <button>Join</button>
            </form>
          </details>
        </div>
      </aside>
      <main id="main" tabindex="-1">${content}</main>
      <dialog id="public" aria-labelledby="public-title">
        <form method="dialog">
          <h2 id="public-title">Go public</h2>
          <p>
            Everybody can then read your profile and your open rooms, and other servers find yours. It is there as long
            as a tab of it is open.
          </p>
          <label
            >Your name
            <input
              name="name"
              required
              maxlength="40"
              pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
              autocomplete="off"
              autocapitalize="none"
              spellcheck="false"
              placeholder="alice"
          /></label>
          <p class="hint">Small letters, digits and hyphens.</p>
          <p class="trouble" role="alert" hidden></p>
          <div class="row">
            <button type="button" value="cancel" class="quiet">Not now</button><button value="go">Go public</button>
          </div>
        </form>
      </dialog>`,
  )
}

export function refusalPage({ status, message }: Refusal): Html {
  return page(
    "That did not work",
    "public",
    html`<main class="card refusal">
      <p class="code">${status}</p>
      <h1>${message}</h1>
      <p><a href="/">To the start</a></p>
    </main>`,
  )
}
