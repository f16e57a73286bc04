// Looks like a gateway from outside and starts at once: it has the port, the place and the arguments, a turn that never ends,
// and a command that the agent detached.
//
//   node …/openclaw/dist/index.js gateway --port PORT
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");

const port = Number(process.argv[process.argv.indexOf("--port") + 1]);
const exec = { cwd: process.env.HOME, detached: true, stdio: "ignore", env: { ...process.env, OPENCLAW_SHELL: "exec" } };
spawn("/bin/sh", ["-c", "while :; do date +%s.%N >> detached; sleep 0.1; done"], exec).unref();
setInterval(() => fs.appendFileSync(`${process.env.HOME}/turns`, `${Date.now() / 1000}\n`), 100);
process.on("SIGTERM", () => {}); // as a busy gateway goes on for five minutes
net.createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(port, "0.0.0.0");
