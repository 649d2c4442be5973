// The page that is the bot's camera and voice.
//
// The meeting platform's bot opens it at `/bot/?meeting_id=…&tenant_id=…&t=<sealed token>` and streams what it shows
// (1280 × 720) and plays into the call. The page keeps one WebSocket to its meeting, `/bot/socket`, and does what it
// is told there; `protocol.ts` lists the messages of both directions.
//
// What is seen: the avatar's video while a session has a moving picture, else the builtin face (`face/`), which is
// drawn here and needs no vendor. What is heard: the avatar's own sound, and the utterances that the meeting sends
// as `speak.*` (`sound/`); the mouth of the builtin face follows whatever is heard.
//
// Guarantees:
// - A reload at any moment, a lost socket or a lost room ends in the same page again: the page keeps no state of the
//   meeting but its address, says `ready` after every `hello`, and starts nothing by itself.
// - One socket at most, two rooms at most, bounded queues; a fact that the meeting needs waits for the next socket.
// - Every utterance that was started gets one end: `spoken`, `playing` with `interrupted: true`, or `speak.failed`;
//   the last two with how far it was heard.
// - No key of a vendor ever comes here: a room is entered with the viewer's token from the socket, and no token is
//   kept in the URL, logged or sent on.
// - It runs under a strict Content-Security-Policy (`_headers`): no inline code, no foreign origins but the room's.
//
// Order at the start: the microphone first, because a page that listens may also play sound without a click; then
// the sound; then the socket. `data-link` on the root element, `data-shown` on the body and `data-activity` on the
// face tell an operator with developer tools how it stands.

import { takeAddress } from "./address.ts";
import { Face } from "./face/face.ts";
import { Page, place } from "./page.ts";
import { Microphone, Sound } from "./sound/audio.ts";
import { Speech } from "./sound/speech.ts";

async function start(): Promise<void> {
  const address = takeAddress(location, history, sessionStorage);
  // There is something to look at from the first moment on.
  const face = new Face(place("face"));
  document.body.dataset["shown"] = "face";
  // A page that was opened without an address has nobody to talk to.
  if (!address) return;
  const microphone = new Microphone();
  await microphone.open();
  const sound = await Sound.start();
  const voice = new Speech(await sound.speechPort());
  new Page(address, { face, microphone, sound, voice }).connect();
}

void start();
