// Plays one scenario on a real gateway: node rig.mjs SCENARIO.mjs. testdata/scenarios/make.sh calls it as the user of a host
// of its own, without a network. A scenario exports its release, what is in the home before the start, the configuration,
// what the model will do, and run(rig), which is what people, pages and attackers do.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, newDevice } from "./client.mjs";
import { secrets } from "./setup.mjs";
import { Signal } from "./signal.mjs";
import { Telegram } from "./telegram.mjs";

const installed = "/opt/openclaw/node_modules";
const home = process.env.HOME;

class Rig {
  pages = new Map(); // what the web serves, by "host/path"
  hits = []; // what was asked of the web
  #children = [];

  constructor(scenario) {
    this.messenger = scenario.config.channels.signal ? new Signal() : new Telegram();
    const name = scenario.release.split(" ")[0]; // the product's name then
    this.scenario = scenario;
    this.state = path.join(home, `.${name}`);
    this.configName = `${name}.json`;
    this.command = path.join(installed, name, name === "openclaw" ? "openclaw.mjs" : "dist/entry.js");
  }

  // write puts a file below the home directory.
  write(name, content, mode = 0o600) {
    const full = path.join(home, name);
    fs.mkdirSync(path.dirname(full), { recursive: true, mode: 0o700 });
    fs.writeFileSync(full, content, { mode });
  }

  read(name) {
    return fs.readFileSync(path.join(home, name), "utf8");
  }

  async servers() {
    fs.writeFileSync("/run/rig/scripts.json", JSON.stringify(this.scenario.scripts));
    await this.messenger.listen(this.messenger instanceof Signal ? 11997 : 11998);
    const web = http.createServer((req, res) => this.#serve(req, res));
    await new Promise((resolve) => web.listen(80, "0.0.0.0", resolve));
    this.#spawn("model", [new URL("model.mjs", import.meta.url).pathname, "11999", "/run/rig/scripts.json", "/run/rig/release"]);
  }

  async #serve(req, res) {
    let size = 0;
    for await (const data of req) size += data.length;
    const url = `${req.headers.host}${req.url}`;
    this.hits.push({ method: req.method, url, size });
    const page = this.pages.get(url) ?? this.pages.get(url.split("?")[0]);
    res.statusCode = page === undefined ? 404 : 200;
    res.setHeader("content-type", /^\s*</.test(page ?? "") ? "text/html; charset=utf-8" : "text/plain; charset=utf-8");
    res.end(page ?? "not found\n");
  }

  #spawn(name, args) {
    const out = fs.openSync(`/run/rig/${name}.out`, "a");
    const child = spawn(process.execPath, args, { cwd: home, stdio: ["ignore", out, out] });
    this.#children.push(child);
    return child;
  }

  async start() {
    this.gateway = this.#spawn("gateway", [this.command, ...(this.scenario.command ?? ["gateway", "run"])]);
    this.gateway.on("exit", (code, signal) => console.log(`the gateway ended: ${signal ?? code}`));
    await this.up();
  }

  // up waits until the gateway answers, which takes minutes on a busy machine.
  async up() {
    for (let i = 0; i < 1500; i++) {
      if (this.gateway.exitCode !== null) throw new Error("the gateway ended: see gateway.out");
      if (this.messenger.listening && (await this.#ready())) return;
      await sleep(200);
    }
    throw new Error("the gateway does not come up");
  }

  #ready() {
    return new Promise((resolve) => {
      const socket = net.connect(18789, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  }

  // stop ends the gateway as a person would, and kills it if it does not end.
  async stop() {
    if (!this.gateway || this.gateway.exitCode !== null) return;
    const ended = new Promise((resolve) => this.gateway.once("exit", resolve));
    this.gateway.kill("SIGTERM");
    const clean = await Promise.race([ended.then(() => true), sleep(30000).then(() => false)]);
    if (!clean) {
      console.log("the gateway did not stop in 30 s and was killed");
      this.gateway.kill("SIGKILL");
      await ended;
    }
  }

  end() {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  // config writes the whole configuration, with the note of the release that its onboarding leaves.
  config(value) {
    const meta = { lastTouchedVersion: this.scenario.release.split(" ")[1], lastTouchedAt: new Date().toISOString() };
    this.write(path.join(path.relative(home, this.state), this.configName), JSON.stringify({ meta, ...value }, null, 2) + "\n");
  }

  // cli runs a command of OpenClaw and returns what it printed.
  cli(...args) {
    const child = spawn(process.execPath, [this.command, ...args], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, out })));
  }

  connect(options = {}) {
    const client = new Client({ url: "ws://127.0.0.1:18789", token: secrets.gateway, protocol: this.scenario.protocol ?? 4, ...options });
    return client.connect().then(() => client);
  }

  // probe opens a connection with the given headers and gives it up before it says who it is.
  probe(headers) {
    const socket = new WebSocket("ws://127.0.0.1:18789", { headers });
    return new Promise((resolve) => {
      socket.onopen = () => setTimeout(() => socket.close(), 200);
      socket.onclose = socket.onerror = () => resolve();
    });
  }

  // say has a person write to the bot, and waits until the turn is over.
  async say(person, text, group) {
    await this.turn(() => this.messenger.say(person, text, group));
    console.log(`${person.name}: ${text.slice(0, 60)} -> ${JSON.stringify(this.messenger.sent.at(-1)?.args?.text ?? "").slice(0, 80)}`);
  }

  // turn waits for the turn that act starts, until the model said its last word and a second passed without another.
  async turn(act, seconds = 300) {
    const before = this.requests().length;
    await act();
    for (let i = 0; i < seconds * 4; i++) {
      await sleep(250);
      const lines = this.requests();
      if (lines.length > before && lines.at(-1).endsWith(" stop")) {
        await sleep(1500);
        if (this.requests().length === lines.length) return true;
      }
    }
    console.log("a turn did not end in time");
    return false;
  }

  requests() {
    try {
      return fs.readFileSync("/run/rig/release.requests", "utf8").trim().split("\n");
    } catch {
      return [];
    }
  }
}

const scenario = await import(path.resolve(process.argv[2]));
const rig = new Rig(scenario);
rig.sleep = (seconds) => sleep(seconds * 1000);
rig.newDevice = newDevice;
for (const [name, content] of Object.entries(scenario.files ?? {})) rig.write(name, content);
if (scenario.config) rig.config(scenario.config);
let code = 0;
try {
  await rig.servers();
  await rig.start();
  await scenario.run(rig);
} catch (error) {
  console.error(error);
  code = 1;
}
await rig.stop();
await scenario.after?.(rig);
rig.end();
if (code || process.env.RIG_SHOW) {
  for (const name of ["model", "gateway"]) console.log(`--- ${name}\n${fs.readFileSync(`/run/rig/${name}.out`, "utf8").slice(-6000)}`);
}
process.exit(code);
