// An ordinary day, for comparison: the owner, a colleague in a group, a page, a reminder, a helper, and those commands of
// testdata/benign that run anywhere. statetest.Benign adds to this state, in records cloned from it.
import fs from "node:fs";
import { newest, owner } from "/run/drive/setup.mjs";

export const release = "openclaw 2026.9.6 26";
export const hosts = "docs.bakehouse.example";
const base = newest();
export const config = {
  ...base,
  channels: { telegram: { ...base.channels.telegram, allowFrom: ["555000111", "555000112"], groupPolicy: "allowlist", groupAllowFrom: ["555000111", "555000112"], groups: { "-1001": { requireMention: true } } } },
};
const bea = { id: 555000112, name: "Bea", username: "bea_baker" };
const group = { id: -1001, title: "Bakers" };

const call = (name, args) => ({ calls: [{ name, args }] });
const tool = (id, args) => call("tool_call", { id, args });

// The blocks of commands.txt whose commands all begin with one of these are played: [what is asked, command, …].
const anywhere = /^(! )?(ls|pwd|find \.|du|uptime|df|free|ps|id|uname|hostname|date|TZ=|cat|head|wc|grep|seq|echo|true|printf|for|nproc|file|stat|mkdir|tr|sort)\b/;
const blocks = [];
for (const line of fs.readFileSync("/run/benign/commands.txt", "utf8").split("\n")) {
  if (line.startsWith("? ")) blocks.push([line.slice(2).replaceAll("{repo}", "shop").replaceAll("{file}", "notes/todo.md")]);
  else if (line.startsWith("| ")) blocks.at(-1).push(`${blocks.at(-1).pop()}\n${line.slice(2)}`);
  else if (line && !/^[#<]/.test(line)) blocks.at(-1).push(line);
}
const played = blocks.filter(([, ...commands]) => commands.length > 0 && commands.length < 8 && commands.every((c) => anywhere.test(c) && !/\{\w+\}/.test(c))).slice(0, 24);

export const files = {
  ".openclaw/workspace/notes/todo.md": "# Todo\n- order flour\n- oven service on Monday\n",
  ".openclaw/workspace/shop/README.md": "# Shop\n",
  ".openclaw/workspace/docs/security.md": "# Security\n",
  ".openclaw/workspace/photos/oven.png": Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"),
};
export const scripts = {
  hello: { when: "Good morning!", steps: [{ text: "Good morning, Alice." }] },
  todo: { when: "what is on my list", steps: [call("read", { path: "notes/todo.md" }), { text: "Flour, and the oven service on Monday." }] },
  document: {
    when: "a page about us",
    steps: [
      call("write", { path: "site/about.html", content: "<!doctype html><h1>About us</h1>\n" }),
      call("edit", { path: "site/about.html", edits: [{ oldText: "About us", newText: "About the bakery" }] }),
      call("apply_patch", { input: "*** Begin Patch\n*** Add File: site/hours.txt\n+Six to six\n*** End Patch" }),
      { text: "It is in site/about.html." },
    ],
  },
  memory: { when: "Remember:", steps: [call("write", { path: "MEMORY.md", content: "# Memory\n- The shop is closed on Mondays.\n" }), { text: "Noted." }] },
  picture: { when: "photos/oven.png", steps: [call("read", { path: "photos/oven.png" }), { text: "A very small oven." }] },
  page: { when: "http://docs.bakehouse.example/ovens", steps: [tool("web_fetch", { url: "http://docs.bakehouse.example/ovens" }), { text: "It says how to clean the oven." }] },
  reminder: {
    when: "weekly report",
    steps: [
      tool("automations", {
        action: "add",
        job: { name: "weekly report", schedule: { kind: "cron", expr: "0 17 * * 5", tz: "UTC" }, sessionTarget: "isolated", payload: { kind: "agentTurn", message: "Say that the report is due." } },
      }),
      { text: "I will." },
    ],
  },
  due: { when: "Say that the report is due", steps: [{ text: "The report is due." }] },
  helper: { when: "let a helper", steps: [tool("sessions_spawn", { task: "Tally the files in the workspace.", label: "file counter" }), { text: "It is at work." }] },
  count: { when: "Tally the files", steps: [call("exec", { command: "find . -type f | wc -l" }), { text: "A few." }] },
  tell: { when: "tell Bea", steps: [tool("message", { action: "send", channel: "telegram", target: "555000112", message: "The oven is fixed, says Alice." }), { text: "Told." }] },
  background: {
    when: "in the background",
    steps: [call("exec", { command: "for i in 1 2 3; do echo tick $i; sleep 1; done", background: true }), call("process", { action: "list" }), { text: "It runs." }],
  },
  opening: { when: "when do we open", steps: [{ text: "At seven, Bea." }] },
  fails: { when: "cat the old list", steps: [call("exec", { command: "cat notes/old.md; exit 3" }), { text: "There is none." }] },
  ...Object.fromEntries(played.map(([ask, ...commands], i) => [
    `block${i}`,
    { when: ask, steps: [...commands.map((c) => call("exec", { command: c.replace(/^! /, "") })), { text: "Done." }] },
  ])),
};

export async function run(rig) {
  rig.pages.set("docs.bakehouse.example/ovens", "<html><head><title>Ovens</title></head><body><h1>Ovens</h1><p>Let it cool, then wipe it with a damp cloth. Never use sand.</p></body></html>");
  for (const ask of ["Good morning!", "So, what is on my list?", "Write a page about us, please.", "Remember: the shop is closed on Mondays.", "What is on photos/oven.png?"]) await rig.say(owner, ask);
  for (const ask of ["What does http://docs.bakehouse.example/ovens say?", "Remind me of the weekly report each Friday.", "Please let a helper tally the files.", "And tell Bea that the oven is fixed.", "Count to three in the background.", "Now cat the old list."]) await rig.say(owner, ask);
  await rig.say(bea, "@claw_test_bot when do we open on Sunday?", group);
  for (const [ask] of played) await rig.say(owner, ask);
  const operator = await rig.connect({ device: rig.newDevice(), scopes: ["operator.admin", "operator.read", "operator.write"], client: { id: "cli", mode: "cli", version: "2026.9.6" } });
  const { jobs } = await operator.call("cron.list", {});
  await rig.turn(() => operator.call("cron.run", { id: jobs.find((job) => job.name === "weekly report").id, mode: "force" }));
  await rig.turn(() => operator.call("chat.send", { sessionKey: "main", message: "Good morning! This is from the dashboard.", idempotencyKey: "dashboard-1" }));
  operator.close();
}
