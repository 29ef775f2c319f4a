// The Slack service of emulate with one channel. Prints its address and the channel's id as a line of JSON; ends with its input.
//
// usage: node slack.mjs FOLDER, where FOLDER holds node_modules
import { createServer } from "node:net";
import { pathToFileURL } from "node:url";
import path from "node:path";

const folder = path.resolve(process.argv[2]);
const { createEmulator } = await import(pathToFileURL(path.join(folder, "node_modules/emulate/dist/api.js")));

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const token = "rehearsal-slack-token";
const seed = {
  tokens: { [token]: { login: "release-manager" } },
  slack: {
    team: { name: "Castoff", domain: "castoff" },
    users: [{ name: "release-manager", real_name: "Release Manager", email: "release-manager@example.org" }],
    channels: [{ name: "release-management", topic: "cuts" }],
  },
};
const emulator = await createEmulator({ service: "slack", port, seed });
const ask = { method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: "{}" };
const { channels } = await (await fetch(`${emulator.url}/api/conversations.list`, ask)).json();
const channel = channels.find((channel) => channel.name === "release-management").id;
console.log(JSON.stringify({ port, channel }));
process.stdin.on("end", () => process.exit(0)).resume();
