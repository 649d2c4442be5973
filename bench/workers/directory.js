// The KV namespace of the Worker under measurement: what the runtime's `kvNamespace` binding asks by HTTP,
// kept in memory.

const values = new Map();

export default {
  async fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    switch (request.method) {
      case "GET":
        return values.has(key)
          ? new Response(values.get(key))
          : new Response(null, { status: 404 });
      case "PUT":
        values.set(key, await request.arrayBuffer());
        return new Response(null);
      case "DELETE":
        values.delete(key);
        return new Response(null);
      default:
        return new Response(null, { status: 405 });
    }
  },
};
