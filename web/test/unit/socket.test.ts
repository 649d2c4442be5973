import assert from "node:assert/strict";
import { test } from "node:test";
import { socketUrl, takeAddress } from "../../bot/address.ts";
import { reconnectDelay } from "../../bot/link.ts";
import { parse } from "../../bot/protocol.ts";

test("waits between connections double up to ten seconds and never shrink to nothing", () => {
  const longest = Array.from({ length: 9 }, (_, failures) => reconnectDelay(failures, () => 1));
  assert.deepEqual(longest, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  assert.equal(reconnectDelay(0, () => 0), 125);
  assert.equal(reconnectDelay(1_000_000, () => 0), 5_000);
});

test("messages are read with the fields that they need", () => {
  assert.deepEqual(parse('{"type":"speak.start","utterance_id":"utt_1","format":"mp3","text":"Hi","new":1}'), {
    type: "speak.start",
    utteranceId: "utt_1",
    format: "mp3",
    text: "Hi",
  });
  assert.deepEqual(parse('{"type":"avatar.join","provider":"liveavatar","url":"wss://r","token":"t","session":"s"}'), {
    type: "avatar.join",
    provider: "liveavatar",
    url: "wss://r",
    token: "t",
    session: "s",
  });
  assert.deepEqual(parse('{"type":"react","reaction":"nod"}'), { type: "react", reaction: "nod" });
});

test("a greeting is understood whatever it lacks", () => {
  assert.deepEqual(parse('{"type":"hello"}'), {
    type: "hello",
    name: "",
    company: "",
    pose: "idle",
    microphone: false,
  });
});

for (const frame of [
  "",
  "null",
  "[]",
  "{",
  '{"type":"dance"}',
  '{"type":7}',
  '{"type":"pose","pose":"asleep"}',
  '{"type":"react"}',
  '{"type":"speak.start","utterance_id":"utt_1","format":"ogg"}',
  '{"type":"speak.end"}',
  '{"type":"avatar.join","url":"wss://r","session":"s"}',
]) {
  test(`the frame ${frame || "of nothing"} is left out`, () => {
    assert.equal(parse(frame), undefined);
  });
}

class Storage {
  readonly kept = new Map<string, string>();
  getItem = (name: string) => this.kept.get(name) ?? null;
  setItem = (name: string, value: string) => void this.kept.set(name, value);
}

function opened(search: string, storage: Storage) {
  const location = { search, hash: "", pathname: "/bot/" } as Location;
  const urls: unknown[] = [];
  const history = { replaceState: (_state: unknown, _title: string, url: string) => urls.push(url) };
  const address = takeAddress(location, history as unknown as History, storage as unknown as globalThis.Storage);
  return { address, urls };
}

test("the address leaves the URL and outlives a reload", () => {
  const storage = new Storage();
  const first = opened("?meeting_id=mtg_1&tenant_id=acme&t=sealed", storage);
  assert.deepEqual(first, { address: { meetingId: "mtg_1", token: "sealed" }, urls: ["/bot/"] });
  assert.equal(storage.kept.get("tenant_id"), "acme");
  assert.deepEqual(opened("", storage), { address: { meetingId: "mtg_1", token: "sealed" }, urls: [] });
});

test("a new address replaces the old one, and without any there is none", () => {
  const storage = new Storage();
  assert.equal(opened("", storage).address, undefined);
  opened("?meeting_id=mtg_1&t=one", storage);
  assert.deepEqual(opened("?meeting_id=mtg_2&t=two", storage).address, { meetingId: "mtg_2", token: "two" });
});

test("the socket is on the page's own origin, with the token escaped", () => {
  const at = (origin: string) => ({ origin, protocol: new URL(origin).protocol }) as Location;
  const address = { meetingId: "mtg_1", token: "a+b/c=" };
  assert.equal(
    socketUrl(at("https://attache.example"), address),
    "wss://attache.example/bot/socket?meeting_id=mtg_1&t=a%2Bb%2Fc%3D",
  );
  assert.match(socketUrl(at("http://127.0.0.1:8787"), address), /^ws:\/\/127\.0\.0\.1:8787\//);
});
