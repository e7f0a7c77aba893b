/** The owner's pages beside his rooms. */

import { html } from "hono/html"
import { framed, page } from "./layout.ts"
import type { Frame, Html } from "./layout.ts"
import { icon } from "./parts.ts"

export function welcomePage({ key }: Frame): Html {
  return page(
    "Welcome",
    "public",
    html`<main class="card">
      <h1>Your own chat server</h1>
      <p>
        It runs right here. What you write is kept here, in a database of your own, and nobody else has it but who is in
        a room with you.
      </p>
      <form method="post" action="/settings">
        <label
          >What shall others call you? <input name="nick" required maxlength="40" autocomplete="nickname" autofocus
        /></label>
        <button>Begin</button>
      </form>
      <p class="hint">Your server is known by its key: <code class="key">${key}</code></p>
    </main>`,
  )
}

export function startPage(frame: Frame): Html {
  return framed(
    frame,
    "Chat",
    html`<section class="start">
      ${icon("home")}
      <h1>Hello, ${frame.nick}</h1>
      ${
        frame.rooms.length === 0
          ? html`<p>
              Make a room, or join one that somebody has told you: its address looks like <code>garden@alice</code>.
            </p>`
          : html`<p>Choose a room.</p>`
      }
    </section>`,
    "at-start",
  )
}

export function settingsPage(frame: Frame, about: string, pins: readonly { name: string; key: string }[]): Html {
  return framed(
    frame,
    "Settings",
    html`<header class="head">
        <a class="back" href="/" aria-label="To the rooms">${icon("back")}</a>
        <div class="what"><h1>Settings</h1></div>
      </header>
      <section class="settings">
        <form method="post" action="/settings">
          <label
            >What others call you
            <input name="nick" required maxlength="40" value="${frame.nick ?? ""}" autocomplete="nickname"
          /></label>
          <label>On your public page <textarea name="about" rows="3" maxlength="500">${about}</textarea></label>
          <div class="row"><a href="/public">See your public page</a><button>Keep</button></div>
        </form>
        <h2>Your server</h2>
        <p>Its key: <code class="key">${frame.key}</code></p>
        <p class="tab-only" hidden><a href="/.rdv/control">Its database, its storage and its links</a></p>
        <h2>Servers you know</h2>
        ${
          pins.length === 0
            ? html`<p class="hint">None yet.</p>`
            : html`<p class="hint">
                  Each name stays with the key that it had first. When somebody has lost a key and comes with another
                  one, forget the old one here.
                </p>
                <ul class="pins">
                  ${pins.map(
                    ({ name, key }) =>
                      html`<li>
                        <b>${name}</b> <code class="key">${key.slice(0, 12)}…</code>
                        <form method="post" action="/pins/${name}/forget" data-sure="Forget the key of ${name}?">
                          <button class="quiet">Forget</button>
                        </form>
                      </li>`,
                  )}
                </ul>`
        }
      </section>`,
  )
}
