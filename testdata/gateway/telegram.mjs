// A Telegram Bot API on loopback, as much of it as a gateway's channel needs. say() lets a person write to the bot and
// sent holds every call that the bot made but its polls, so that a scenario sees what was answered and to whom.
import http from "node:http";

const bot = { id: 7700000001, is_bot: true, first_name: "Claw", username: "claw_test_bot", can_join_groups: true };

export class Telegram {
  sent = [];
  #updates = [];
  #waiting = [];
  #nextUpdate = 1000;
  #nextMessage = 500;

  listen(port) {
    const server = http.createServer((req, res) => this.#answer(req, res));
    return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
  }

  // listening says whether the gateway asked for messages yet.
  listening = false;

  // say delivers a text from a person {id, name, username}, in a direct chat or in a group {id, title}.
  say(person, text, group) {
    const message = {
      message_id: this.#nextMessage++,
      date: Math.floor(Date.now() / 1000),
      from: { id: person.id, is_bot: false, first_name: person.name, username: person.username },
      chat: group
        ? { id: group.id, type: "supergroup", title: group.title }
        : { id: person.id, type: "private", first_name: person.name, username: person.username },
      text,
    };
    const mention = text.match(/@claw_test_bot/);
    if (mention) message.entities = [{ type: "mention", offset: mention.index, length: mention[0].length }];
    if (text.startsWith("/")) message.entities = [{ type: "bot_command", offset: 0, length: text.split(/\s/)[0].length }];
    this.#updates.push({ update_id: this.#nextUpdate++, message });
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #answer(req, res) {
    let body = "";
    for await (const data of req) body += data.toString("latin1");
    const method = req.url.match(/^\/bot[^/]+\/(\w+)/)?.[1];
    let args = {};
    try {
      args = JSON.parse(Buffer.from(body, "latin1").toString("utf8") || "{}");
    } catch {
      args = { form: body.length }; // an upload
    }
    res.setHeader("content-type", "application/json");
    if (method !== "getUpdates") this.sent.push({ method, args });
    res.end(JSON.stringify({ ok: true, result: await this.#result(method, args) }));
  }

  async #result(method, args) {
    switch (method) {
      case "getMe":
        return bot;
      case "getUpdates":
        return this.#poll(args);
      case "getChat":
        return { id: args.chat_id, type: "private", first_name: "x" };
      case "getChatMember":
        return { status: "administrator", user: bot };
      case "getWebhookInfo":
        return { url: "", has_custom_certificate: false, pending_update_count: 0 };
    }
    if (!/^(send|edit)/.test(method)) return true;
    return { message_id: this.#nextMessage++, date: Math.floor(Date.now() / 1000), chat: { id: args.chat_id, type: "private" }, text: args.text };
  }

  async #poll({ offset = 0, timeout = 1 }) {
    this.listening = true;
    this.#updates = this.#updates.filter((update) => update.update_id >= offset);
    if (this.#updates.length === 0) {
      await new Promise((wake) => {
        this.#waiting.push(wake);
        setTimeout(wake, Math.min(timeout, 20) * 1000);
      });
    }
    return this.#updates.filter((update) => update.update_id >= offset);
  }
}
