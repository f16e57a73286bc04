// A scripted model that speaks OpenAI's chat completions on loopback. A user message holding [[name]] starts the
// script of that name: each request answers with the next step, counted by the assistant messages since. A script
// {when: "words", steps: […]} is started by a user message that holds these words. A step
// {hold: true} makes the file RELEASE.held and is answered once the file RELEASE exists, so a turn can be kept open
// for as long as a test needs. A last step {repeat: true} is answered for ever, with {n} in its commands counted up.
// The file RELEASE.requests gets a line for each request: its time, the tools offered and whether the turn ends with it.
//
//   node model.mjs PORT SCRIPTS.json RELEASE
import fs from "node:fs";
import http from "node:http";

const [port, scriptsFile, release] = process.argv.slice(2);
const scripts = JSON.parse(fs.readFileSync(scriptsFile, "utf8"));
let requests = 0;

const text = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("\n");

// started returns the steps of the script that a user message starts, if it starts one: the last that it names, since what
// was said before may be quoted in it. The gateway's own context, which follows a message, starts none.
function started(message) {
  if (message.includes("BEGIN_OPENCLAW_INTERNAL_CONTEXT")) return undefined;
  const tags = [...message.matchAll(/\[\[(\w+)\]\]/g)];
  if (tags.length > 0) return scripts[tags.at(-1)[1]] ?? [];
  const named = Object.values(scripts).filter((script) => script.when && message.includes(script.when));
  return named.sort((a, b) => message.lastIndexOf(b.when) - message.lastIndexOf(a.when))[0]?.steps;
}

function nextStep(messages) {
  for (let i = messages.length - 1; i >= 0; i--) {
    if (messages[i].role !== "user") continue;
    const script = started(text(messages[i].content));
    if (!script) continue;
    const done = messages.slice(i + 1).filter((m) => m.role === "assistant").length;
    const step = script[done] ?? (script.at(-1)?.repeat ? script.at(-1) : { text: "Nothing more to do." });
    return step.repeat ? JSON.parse(JSON.stringify(step).replaceAll("{n}", done)) : step;
  }
  return { text: "No script for this turn." };
}

async function released() {
  fs.writeFileSync(`${release}.held`, "");
  while (!fs.existsSync(release)) await new Promise((resolve) => setTimeout(resolve, 50));
}

function answer(step, id) {
  const calls = (step.calls ?? []).map((call, index) => ({
    index,
    id: `call_${id}_${index}`,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.args) },
  }));
  const message = { role: "assistant", content: step.text ?? "", ...(calls.length ? { tool_calls: calls } : {}) };
  return { message, finish: calls.length ? "tool_calls" : "stop" };
}

function send(res, streamed, id, { message, finish }) {
  const base = { id: `chatcmpl-${id}`, created: Math.floor(Date.now() / 1000), model: "one" };
  const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
  if (!streamed) {
    res.setHeader("content-type", "application/json");
    const choices = [{ index: 0, message, finish_reason: finish }];
    return res.end(JSON.stringify({ ...base, object: "chat.completion", choices, usage }));
  }
  res.setHeader("content-type", "text/event-stream");
  const chunk = (o) => res.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", ...o })}\n\n`);
  chunk({ choices: [{ index: 0, delta: message, finish_reason: null }] });
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
  chunk({ choices: [], usage });
  res.end("data: [DONE]\n\n");
}

http
  .createServer(async (req, res) => {
    let body = "";
    for await (const data of req) body += data;
    if (req.method === "GET") {
      res.setHeader("content-type", "application/json");
      return res.end(JSON.stringify({ object: "list", data: [{ id: "one", object: "model" }] }));
    }
    const { messages = [], tools = [], stream } = JSON.parse(body);
    const id = ++requests;
    const step = tools.length ? nextStep(messages) : { text: "A summary." };
    const turn = answer(step, id);
    fs.appendFileSync(`${release}.requests`, `${new Date().toISOString()} ${tools.length} ${turn.finish}\n`);
    if (step.hold) await released();
    send(res, stream, id, turn);
  })
  .listen(Number(port), "127.0.0.1", () => console.log("ready"));
