// What the scenarios have in common: who is in them, invented secrets, and a configuration for each era.

export const secrets = {
  gateway: "gw-scenario-8d1f0c64b7a2e95f3c07",
  bot: "7700000001:AAScenarioBotToken-4f9c2b7d1e8a6035",
  password: "crumpet-1987",
  model: "sk-scenario-model-key-5b0e7d92c4a18f36",
};
export const owner = { id: 555000111, name: "Alice", username: "alice_owner", number: "+15550001111" };
export const stranger = { id: 666000222, name: "Mallory", username: "mallory_x", number: "+15550006666" };

const model = {
  mode: "merge",
  providers: {
    scripted: {
      baseUrl: "http://127.0.0.1:11999/v1",
      api: "openai-completions",
      apiKey: secrets.model,
      models: [{ id: "one", name: "one", contextWindow: 128000, maxTokens: 4096 }],
    },
  },
};

const telegram = {
  enabled: true, botToken: secrets.bot, apiRoot: "http://127.0.0.1:11998", dmPolicy: "allowlist", allowFrom: [`${owner.id}`],
};

const gateway = { mode: "local", port: 18789, bind: "loopback", auth: { mode: "token", token: secrets.gateway } };

// newest is a configuration of 2026.9.6 that lets the agent run everything for its owner, who writes over Telegram.
export function newest(more = {}) {
  return {
    gateway: { ...gateway, controlUi: { enabled: true } },
    agents: { defaults: { model: { primary: "scripted/one" }, heartbeat: { every: "0m" } } },
    models: model,
    tools: {
      profile: "full",
      exec: { host: "gateway", mode: "full" },
      web: { fetch: { ssrfPolicy: { allowRfc2544BenchmarkRange: true } } },
    },
    channels: { telegram },
    commands: { ownerAllowFrom: [`telegram:${owner.id}`] },
    discovery: { mdns: { mode: "off" } },
    update: { checkOnStart: false },
    telemetry: { enabled: false },
    ...more,
  };
}

// older is the same for the releases before SQLite, where the owner writes over Signal.
export function older(more = {}) {
  return {
    gateway,
    agents: { defaults: { model: { primary: "scripted/one" }, heartbeat: { every: "0m" } } },
    models: model,
    tools: { exec: { host: "gateway", security: "full", ask: "off" } },
    channels: {
      signal: {
        enabled: true, account: "+15550009999", httpUrl: "http://127.0.0.1:11997", autoStart: false,
        dmPolicy: "allowlist", allowFrom: [owner.number], groupPolicy: "open",
      },
    },
    commands: { ownerAllowFrom: [owner.number] },
    plugins: { entries: { signal: { enabled: true } } },
    discovery: { mdns: { mode: "off" } },
    update: { checkOnStart: false },
    ...more,
  };
}

// middle is the same for those that do not bring Signal any more.
export function middle(more = {}) {
  return { ...older(), channels: { telegram }, plugins: undefined, commands: { ownerAllowFrom: [`telegram:${owner.id}`] }, ...more };
}
