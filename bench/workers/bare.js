// What the runtime itself can do: answers at once, and passes on from socket to socket what comes, without a look.

import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    const media = new URL(request.url).pathname.match(/^\/recall\/media\/([^/]+)\/$/);
    return media ? env.MEETINGS.getByName(media[1]).fetch(request) : new Response("ok");
  },
};

export class MeetingObject extends DurableObject {
  async fetch() {
    const query = new URLSearchParams({ extra: `meeting_id:${this.ctx.id.name}` });
    const { webSocket: listener } = await fetch(`${this.env.DEEPGRAM_BASE_URL}/v1/listen?${query}`, {
      headers: { Upgrade: "websocket", Authorization: `Token ${this.env.DEEPGRAM_API_KEY}` },
    });
    listener.accept();
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => listener.send(data));
    return new Response(null, { status: 101, webSocket: client });
  }
}
