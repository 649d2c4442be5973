// The Worker's KV namespace: what the runtime's `kvNamespace` binding asks by HTTP, kept on disk by one object.

import { DurableObject } from "cloudflare:workers";

export class Directory extends DurableObject {
  async fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    switch (request.method) {
      case "GET": {
        const value = await this.ctx.storage.get(key);
        return new Response(value ?? null, { status: value === undefined ? 404 : 200 });
      }
      case "PUT":
        await this.ctx.storage.put(key, await request.arrayBuffer());
        return new Response(null);
      case "DELETE":
        await this.ctx.storage.delete(key);
        return new Response(null);
      default:
        return new Response(null, { status: 405 });
    }
  }
}

export default {
  async fetch(request, env) {
    return env.DIRECTORY.get(env.DIRECTORY.idFromName("directory")).fetch(request);
  },
};
