/** A room: its messages, who is in it, and where one writes. */

import { html } from "hono/html"
import type { KeptMessage, ListedRoom, Member, Room } from "../rooms.ts"
import { isPicture } from "../send-file.ts"
import { framed } from "./layout.ts"
import type { Frame, Html } from "./layout.ts"
import { avatar, bytes, icon, linked, time } from "./parts.ts"

export interface RoomContent {
  readonly room: Room
  readonly members: readonly Member[]
  readonly messages: readonly KeptMessage[]
  /** Files that are not here yet, by id. */
  readonly missing: ReadonlySet<string>
  /** There is nothing before the first message. */
  readonly isWhole: boolean
  /** Of the moment before it was read. */
  readonly stamp: string
  readonly ownKey: string
}

export interface MessageFrame {
  readonly ownKey: string
  /** Where files are found. */
  readonly files: string
  readonly isHere: boolean
  readonly isPublic: boolean
}

export function roomPage(frame: Frame, content: RoomContent): Html {
  const { room, members, ownKey } = content
  const isOwn = room.homeName === null
  const address = isOwn ? undefined : `${room.slug}@${room.homeName}`
  return framed(
    frame,
    room.title,
    html`<header class="head">
        <a class="back" href="/" aria-label="To the rooms">${icon("back")}</a>
        <div class="what">
          <h1>${room.title}</h1>
          <p>
            ${room.topic || (isOwn ? "This room lives at your server" : html`This room lives at <b>${room.homeName}</b>`)}
          </p>
        </div>
        <details class="people">
          <summary title="Members and address">
            ${icon("people")} <span id="member-count">${members.length}</span>
          </summary>
          <div class="panel">
            <p class="address">
              Address: <code data-slug="${isOwn ? room.slug : ""}">${address ?? `${room.slug}@…`}</code>
              <button type="button" class="quiet copy" data-copy hidden>Copy</button>
            </p>
            <ul id="members" data-live>
              ${members.map((each) => memberView(each, room, ownKey))}
            </ul>
            ${
              isOwn && !room.isOpen
                ? html`<form method="post" action="/rooms/${room.id}/guests">
                    <label
                      >Invite the server
                      <input
                        name="name"
                        required
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        placeholder="bob"
                    /></label>
                    <button>Invite</button>
                  </form>`
                : ""
            }
            <form
              method="post"
              action="/rooms/${room.id}/leave"
              data-sure="${isOwn ? "Delete the room and all that was said in it?" : "Leave the room?"}"
            >
              <button class="quiet danger">${isOwn ? "Delete this room" : "Leave this room"}</button>
            </form>
          </div>
        </details>
      </header>
      ${logView(content, `/rooms/${room.id}`, `/rooms/${room.id}/files`, false)}
      <form id="composer" method="post" action="/rooms/${room.id}/messages" enctype="multipart/form-data">
        <p class="trouble" role="alert" hidden></p>
        <label class="file" title="Send a file">
          ${icon("clip")}<span class="away">Send a file</span><input type="file" name="file" />
        </label>
        <textarea
          name="text"
          rows="1"
          maxlength="4000"
          aria-label="Message to ${room.title}"
          placeholder="Message"
        ></textarea>
        <button aria-label="Send" title="Send">${icon("send")}</button>
      </form>`,
    "in-room",
  )
}

export function logView(content: RoomContent, path: string, files: string, isPublic: boolean): Html {
  const { room, messages, missing, isWhole, stamp, ownKey } = content
  const first = messages[0]?.number
  return html`<div
    id="log"
    tabindex="0"
    aria-label="Messages"
    data-room="${room.id}"
    data-stamp="${stamp}"
    data-events="${isPublic ? `${path}/events` : `/events?room=${room.id}`}"
  >
    ${isWhole || typeof first !== "number" ? "" : html`<p class="older"><a href="${path}?before=${first}">Older messages</a></p>`}
    <ol id="messages" role="log" data-live>
      ${messages.map((message) => {
        const isHere = message.file === null || !missing.has(message.file.id)
        return messageView(message, { ownKey, files, isHere, isPublic })
      })}
    </ol>
    <p class="empty">Nothing has been said here yet.</p>
  </div>`
}

export function messageView(message: KeptMessage, { ownKey, files, isHere, isPublic }: MessageFrame): Html {
  const { id, author, name, nick, text, file, sent, number, trouble } = message
  if (author === "") {
    return html`<li id="m-${id}" class="left-out" data-order="${number ?? ""}">
      A message is not shown: it is ${trouble}.
    </li>`
  }
  const isOwn = !isPublic && author === ownKey
  const state =
    trouble !== null ? `Not taken: ${trouble}` : number === null ? "Waits until the room's server is there" : undefined
  return html`<li
    id="m-${id}"
    class="message${isOwn ? " own" : ""}${trouble === null ? "" : " failed"}"
    data-order="${number ?? ""}"
    data-author="${author}"
    data-sent="${sent}"
  >
    ${avatar(nick, author)}
    <div class="said">
      <p class="by">
        <b>${isOwn ? "You" : nick}</b>${name === "" || isOwn ? "" : html` <span class="server">${name}</span>`}
        ${time(sent)}
      </p>
      ${text === "" ? "" : html`<p class="text">${linked(text)}</p>`}
      ${
        file === null
          ? ""
          : !isHere
            ? html`<p class="attached waits">
                ${icon("clip")} ${file.name} <small>${bytes(file.bytes)}, not here yet</small>
              </p>`
            : isPicture(file)
              ? html`<a class="picture" href="${files}/${file.id}"
                  ><img src="${files}/${file.id}" alt="${file.name}" loading="lazy"
                /></a>`
              : html`<a class="attached" href="${files}/${file.id}" download="${file.name}"
                  >${icon("clip")} ${file.name} <small>${bytes(file.bytes)}</small></a
                >`
      }
      ${state === undefined ? "" : html`<p class="state">${state}</p>`}
    </div>
  </li>`
}

export function roomList(rooms: readonly ListedRoom[], current?: number): Html {
  if (rooms.length === 0) return html`<p class="none">No rooms yet.</p>`
  return html`<ul>
    ${rooms.map(
      ({ id, title, homeName, unread, lastText }) =>
        html`<li>
          <a href="/rooms/${id}" data-room="${id}" ${current === id ? html`aria-current="page"` : ""}>
            <span class="title"
              >${title}${homeName === null ? "" : html` <span class="server">${homeName}</span>`}</span
            >
            <span class="last">${lastText ?? "Nothing has been said yet"}</span>
            ${unread === 0 ? "" : html`<span class="unread" aria-label="${unread} new">${Math.min(unread, 99)}</span>`}
          </a>
        </li>`,
    )}
  </ul>`
}

function memberView({ key, name, nick }: Member, room: Room, ownKey: string): Html {
  const words = [name, key === ownKey ? "you" : "", key === room.homeKey ? "home of the room" : ""].filter(
    (word) => word !== "",
  )
  return html`<li>
    ${avatar(nick, key)} <span><b>${nick}</b> <small>${words.join(" · ")}</small></span>
  </li>`
}
