// A signal-cli daemon on loopback, as much of it as the older gateways' channel needs: they cannot be pointed at another
// Telegram. It has the methods of telegram.mjs; a person here has a number too.
import http from "node:http";

export class Signal {
  sent = [];
  #listeners = new Set();

  listen(port) {
    const server = http.createServer((req, res) => this.#answer(req, res));
    return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
  }

  // listening says whether the gateway is there to hear what is said.
  get listening() {
    return this.#listeners.size > 0;
  }

  // say delivers a text from a person {number, name}, directly or in a group {signalId, title}.
  say(person, text, group) {
    const timestamp = Date.now();
    const dataMessage = { timestamp, message: text, expiresInSeconds: 0, viewOnce: false };
    if (group) dataMessage.groupInfo = { groupId: group.signalId, groupName: group.title, type: "DELIVER" };
    const envelope = { source: person.number, sourceNumber: person.number, sourceName: person.name, sourceDevice: 1, timestamp, dataMessage };
    const event = `event:receive\ndata:${JSON.stringify({ envelope, account: "+15550009999" })}\n\n`;
    for (const res of this.#listeners) res.write(event);
  }

  async #answer(req, res) {
    if (req.url.startsWith("/api/v1/events")) {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(":\n\n");
      this.#listeners.add(res);
      return res.on("close", () => this.#listeners.delete(res));
    }
    let body = "";
    for await (const data of req) body += data;
    if (!req.url.startsWith("/api/v1/rpc")) return res.end("{}");
    const { id, method, params } = JSON.parse(body);
    if (method === "send") this.sent.push({ method, args: { text: params.message, to: params.recipient ?? params.groupId } });
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ jsonrpc: "2.0", id, result: method === "version" ? { version: "0.13.18" } : { timestamp: Date.now() } }));
  }
}
