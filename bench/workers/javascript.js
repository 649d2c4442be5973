// A plain JavaScript Worker that does with a webhook what attache does with it: checks the signature over the raw
// bytes, finds the meeting, calls its object, and there stores the webhook's id, the segment and the meeting in one
// transaction, makes sure of the alarm and tells the watchers.
//
// It hears, too: the call's audio goes from Recall's socket to Deepgram's, and final results are stored (`relay.js`).
//
// Only these two are measured. Booking and reading the transcript are there so that one program can drive both
// Workers; nobody is authenticated and no bot is made.

import { DurableObject } from "cloudflare:workers";

import { Ears } from "./relay.js";

const TOLERANCE_S = 5 * 60;
const MAX_BODY_BYTES = 1024 * 1024;
const BEAT_MS = 25_000;
const HEADER_FAMILIES = ["webhook", "svix"];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The imported secrets, the same for every request of an isolate. */
let keys;

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "POST" && pathname === "/webhooks/recall") {
      return takeWebhook(request, env);
    }
    const media = pathname.match(/^\/recall\/media\/([^/]+)\/$/);
    if (media && request.headers.get("upgrade") === "websocket") {
      return takeMedia(request, env, media[1]);
    }
    if (request.method === "POST" && pathname === "/v1/meetings") {
      const id = `mtg_${crypto.randomUUID()}`;
      await env.MEETINGS.getByName(id).book(id, await request.json());
      return Response.json({ id }, { status: 201 });
    }
    const transcript = pathname.match(/^\/v1\/meetings\/([^/]+)\/transcript$/);
    if (request.method === "GET" && transcript) {
      const cursor = Number(searchParams.get("cursor") ?? 0);
      const limit = Number(searchParams.get("limit") ?? 20);
      return Response.json(
        await env.MEETINGS.getByName(transcript[1]).segments(cursor, limit),
      );
    }
    return new Response("not found", { status: 404 });
  },
};

async function takeWebhook(request, env) {
  if (Number(request.headers.get("content-length")) > MAX_BODY_BYTES) {
    return new Response("the body is too large", { status: 413 });
  }
  const body = new Uint8Array(await request.arrayBuffer());
  const messageId = await verify(request.headers, body, env);
  if (!messageId) {
    return new Response("no matching signature", { status: 401 });
  }
  let webhook;
  try {
    webhook = JSON.parse(decoder.decode(body));
  } catch {
    return new Response("the body is not JSON", { status: 400 });
  }
  const meetingId = webhook.data?.bot?.metadata?.meeting_id;
  if (meetingId) {
    // The body as it came: here that costs less than a method call with the parsed object.
    const headers = { "x-message-id": messageId };
    const meeting = env.MEETINGS.getByName(meetingId);
    await meeting.fetch("https://object/webhook", { method: "POST", headers, body });
  }
  return new Response("ok");
}

/** The upgrade is signed as a webhook without a body. */
async function takeMedia(request, env, meetingId) {
  if (!(await verify(request.headers, new Uint8Array(), env))) {
    return new Response("no matching signature", { status: 401 });
  }
  return env.MEETINGS.getByName(meetingId).fetch(request);
}

/** The message's id if one of the secrets signed it within the last minutes. */
async function verify(headers, body, env) {
  for (const family of HEADER_FAMILIES) {
    const id = headers.get(`${family}-id`);
    const timestamp = headers.get(`${family}-timestamp`);
    const signatures = headers.get(`${family}-signature`);
    if (!id || !timestamp || !signatures) continue;
    const age = Math.abs(Date.now() / 1000 - Number(timestamp));
    if (!(age <= TOLERANCE_S)) return null;

    const prefix = encoder.encode(`${id}.${timestamp}.`);
    const content = new Uint8Array(prefix.length + body.length);
    content.set(prefix);
    content.set(body, prefix.length);

    keys ??= await importKeys(env.RECALL_WEBHOOK_SECRET);
    for (const entry of signatures.split(" ")) {
      if (!entry.startsWith("v1,")) continue;
      const signature = fromBase64(entry.slice(3));
      for (const key of keys) {
        if (await crypto.subtle.verify("HMAC", key, signature, content)) return id;
      }
    }
    return null;
  }
  return null;
}

function importKeys(secrets) {
  const imports = secrets.split(/\s+/).map((secret) => {
    const raw = fromBase64(secret.slice("whsec_".length));
    return crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  });
  return Promise.all(imports);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export class MeetingObject extends DurableObject {
  #sql;
  #meeting = null;
  #hasAlarm = false;
  #ears = null;
  /** Whether the last words have not been told to end an utterance. */
  #unended = false;

  constructor(ctx, env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    const tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meeting'";
    if (this.#sql.exec(tables).toArray().length > 0) {
      const [row] = this.#sql.exec("SELECT snapshot FROM meeting").toArray();
      this.#meeting = row ? JSON.parse(row.snapshot) : null;
    }
  }

  async fetch(request) {
    if (request.headers.get("upgrade") === "websocket") return this.#takeMedia();
    this.#takeWebhook(request.headers.get("x-message-id"), await request.json());
    return new Response("ok");
  }

  book(id, booking) {
    this.#sql.exec(`
      CREATE TABLE meeting (id INTEGER PRIMARY KEY CHECK (id = 1), snapshot TEXT NOT NULL);
      CREATE TABLE webhook (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE segment (source TEXT NOT NULL, seq INTEGER NOT NULL, segment TEXT NOT NULL,
        PRIMARY KEY (source, seq)) WITHOUT ROWID;`);
    const now = new Date().toISOString();
    // As many fields as a meeting of attache has while its call is on, so that storing it costs the same.
    const meeting = {
      version: 1,
      booking: {
        id,
        tenant_id: "default",
        ...booking,
        platform: "google_meet",
        presence: "voice",
        early_join_minutes: 3,
        metadata: {},
        created_at: now,
      },
      status: "in_progress",
      join_at: now,
      creation: { stage: "made" },
      keys_used: 1,
      bot: {
        id: crypto.randomUUID(),
        code: "in_call_recording",
        sub_code: null,
        updated_at: now,
        joined_late: false,
        entered_at: now,
        recorded: true,
      },
      rejoin: false,
      leaving: false,
      purging: false,
      greeting: { state: "sent", via: "output_audio", at: now, reason: null },
      speech: [],
      stopping: null,
      segments: 0,
      transcript: "live",
      recording: "none",
      ended: null,
      over_since: null,
      warnings: [],
      removals: {},
      effects: {},
      next_effect: 7,
      next_poll: now,
      artifacts_unknown: false,
      artifact_polls: 0,
      sweep_at: null,
      sweeps_left: 0,
      revision: 1,
      updated_at: now,
    };
    this.#sql.exec("INSERT INTO meeting (id, snapshot) VALUES (1, ?)", JSON.stringify(meeting));
    this.#meeting = meeting;
  }

  #takeWebhook(messageId, webhook) {
    if (!this.#meeting || webhook.event !== "transcript.data") return;
    const seen = this.#sql.exec("SELECT 1 FROM webhook WHERE id = ?", messageId).toArray();
    if (seen.length > 0) return;

    const { words, participant } = webhook.data.data;
    this.#addSegment(
      {
        speaker: { id: String(participant.id), name: participant.name },
        start: words[0].start_timestamp.relative,
        end: words[words.length - 1].end_timestamp.relative,
        text: words.map((word) => word.text.trim()).join(" "),
        confidence: null,
      },
      messageId,
    );
  }

  #takeMedia() {
    if (!this.#meeting) return new Response("no such meeting", { status: 404 });
    const { id } = this.#meeting.booking;
    this.#ears ??= new Ears(this.env, id, (message, from) => this.#hear(message, from));
    const [client, server] = Object.values(new WebSocketPair());
    this.#ears.take(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Takes a message of Deepgram, whose session began this many seconds into the audio. */
  #hear(message, from) {
    if (message.type === "SpeechStarted") {
      this.#tell({ type: "speech.started", at: new Date().toISOString() });
    } else if (message.type === "UtteranceEnd") {
      this.#endUtterance();
    } else if (message.type === "Results") {
      const [{ transcript, confidence, words }] = message.channel.alternatives;
      if (transcript === "") return;
      const speaker = words[0]?.speaker;
      const segment = {
        speaker: { id: speaker === undefined ? null : String(speaker), name: null },
        start: from + message.start,
        end: from + message.start + message.duration,
        text: transcript,
        confidence,
      };
      if (!message.is_final) {
        this.#tell({ type: "transcript.partial", at: new Date().toISOString(), segment });
        return;
      }
      segment.words = words.map((word) => ({
        text: word.punctuated_word ?? word.word,
        start: from + word.start,
        end: from + word.end,
        confidence: word.confidence,
      }));
      segment.ends_utterance = message.speech_final;
      this.#unended = !message.speech_final;
      this.#addSegment(segment);
    }
  }

  /** Marks the last segment, unless the vendor said with it already that it ends an utterance. */
  #endUtterance() {
    if (!this.#unended) return;
    this.#unended = false;
    this.#sql.exec(
      `UPDATE segment SET segment = json_set(segment, '$.ends_utterance', json('true'))
         WHERE source = ?1 AND seq = (SELECT MAX(seq) FROM segment WHERE source = ?1)`,
      "live",
    );
    this.#tell({ type: "utterance.end", at: new Date().toISOString() });
  }

  /** Stores what was said together with the meeting, and the webhook that brought it if one did. */
  #addSegment(said, messageId = null) {
    const now = Date.now();
    const segment = { id: `seg_${this.#meeting.segments + 1}`, ...said };
    const meeting = {
      ...this.#meeting,
      segments: this.#meeting.segments + 1,
      revision: this.#meeting.revision + 1,
      updated_at: new Date(now).toISOString(),
    };
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("UPDATE meeting SET snapshot = ? WHERE id = 1", JSON.stringify(meeting));
      if (messageId) {
        this.#sql.exec("INSERT INTO webhook (id, at) VALUES (?, ?)", messageId, Math.floor(now / 1000));
      }
      this.#sql.exec(
        `INSERT INTO segment (source, seq, segment) VALUES
           (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM segment WHERE source = ?1), ?2)`,
        "live",
        JSON.stringify(segment),
      );
    });
    this.#meeting = meeting;

    // An alarm that rings earlier stays: it sets itself again, and setting it costs a write.
    if (!this.#hasAlarm) this.#beat(now);
    this.#tell({ type: "transcript.final", at: meeting.updated_at, segment });
  }

  #tell(event) {
    const watchers = this.ctx.getWebSockets();
    if (watchers.length === 0) return;
    const text = JSON.stringify(event);
    for (const watcher of watchers) watcher.send(text);
  }

  alarm() {
    this.#beat(Date.now());
  }

  #beat(now) {
    this.#hasAlarm = true;
    // The runtime keeps writes in order and holds answers back until they are durable; nothing has to be awaited.
    this.ctx.storage.setAlarm(now + BEAT_MS);
  }

  segments(cursor, limit) {
    const rows = this.#sql
      .exec("SELECT seq, segment FROM segment WHERE seq > ? ORDER BY seq LIMIT ?", cursor, limit + 1)
      .toArray();
    const page = rows.slice(0, limit);
    return {
      source: "live",
      segments: page.map((row) => JSON.parse(row.segment)),
      next_cursor: rows.length > limit ? String(page[page.length - 1].seq) : null,
    };
  }
}
