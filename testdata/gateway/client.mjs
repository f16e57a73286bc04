// A client of the gateway's WebSocket protocol, with the freedom to be a bad one: any Origin and header, any token, with or
// without a device's key. Needs Node.js 22, whose WebSocket takes headers.
import crypto from "node:crypto";

// newDevice makes a device's Ed25519 key. Its id is the digest of the raw public key.
export function newDevice() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  return { id: crypto.createHash("sha256").update(raw).digest("hex"), publicKey: raw.toString("base64url"), privateKey };
}

export class Client {
  // options: url, protocol, client {id, mode, version, platform}, role, scopes, token or password, device, headers, caps, commands, onEvent
  constructor(options) {
    this.options = { role: "operator", scopes: ["operator.read", "operator.write"], protocol: 3, headers: {}, ...options };
    this.hello = null;
    this.pending = new Map();
    this.next = 1;
  }

  // connect resolves with the gateway's hello, or throws what the gateway answered instead.
  connect() {
    const { url, headers } = this.options;
    return new Promise((resolve, reject) => {
      this.socket = new WebSocket(url, { headers });
      this.socket.onerror = (event) => reject(new Error(`connecting: ${event.message || event.error?.message || "refused"}`));
      this.socket.onclose = (event) => {
        const error = new Error(`closed: ${event.code} ${event.reason}`);
        reject(error);
        for (const { reject } of this.pending.values()) reject(error);
      };
      this.socket.onmessage = (event) => this.#frame(JSON.parse(event.data), resolve, reject);
      // Releases from before the challenge wait for the client.
      this.socket.onopen = () => setTimeout(() => this.#hello(null).then(resolve, reject), 1000);
    });
  }

  call(method, params = {}) {
    const id = String(this.next++);
    this.socket.send(JSON.stringify({ type: "req", id, method, params }));
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }

  close() {
    this.socket.close();
  }

  #frame(frame, resolve, reject) {
    if (frame.type === "event" && frame.event === "connect.challenge") return this.#hello(frame.payload).then(resolve, reject);
    if (frame.type === "event") return this.options.onEvent?.(frame, this);
    const waiting = this.pending.get(frame.id);
    this.pending.delete(frame.id);
    if (frame.ok) waiting?.resolve(frame.payload);
    else waiting?.reject(new Error(`${frame.error?.code}: ${frame.error?.message}`));
  }

  async #hello(challenge) {
    if (this.hello) return this.hello;
    const { protocol, client, role, scopes, token, password, caps = [], commands = [] } = this.options;
    this.hello = this.call("connect", {
      minProtocol: protocol, maxProtocol: protocol, role, scopes, caps, commands,
      client: { id: "cli", mode: "cli", version: "1.0.0", platform: "linux", ...client },
      auth: password ? { password } : token ? { token } : undefined,
      device: this.options.device && this.#signed(challenge),
    });
    return this.hello;
  }

  #signed(challenge) {
    const { device, client, role, scopes, token } = this.options;
    const signedAt = challenge?.ts ?? Date.now();
    const parts = [device.id, client?.id ?? "cli", client?.mode ?? "cli", role, scopes.join(","), signedAt, token ?? ""];
    const payload = challenge ? ["v2", ...parts, challenge.nonce] : ["v1", ...parts];
    const signature = crypto.sign(null, Buffer.from(payload.join("|")), device.privateKey).toString("base64url");
    return { id: device.id, publicKey: device.publicKey, signature, signedAt, nonce: challenge?.nonce };
  }
}
