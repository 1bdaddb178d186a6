// The Anthropic SDK for Node, asked by lines of JSON on standard input.
//
// Each line is {"stream": bool, "prompt": text}; each answer is a line with the text, or with the
// name of the SDK's exception, its status and the marker header. CLIENT_BASE_URL, CLIENT_PROXY_URL
// and CLIENT_MAX_RETRIES point the client; the trusted CA comes by NODE_EXTRA_CA_CERTS.
import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { ProxyAgent } from "undici";

const { CLIENT_BASE_URL, CLIENT_PROXY_URL, CLIENT_MAX_RETRIES } = process.env;

const options = { apiKey: "sk-test", baseURL: CLIENT_BASE_URL, timeout: 20_000 };
if (CLIENT_MAX_RETRIES) options.maxRetries = Number(CLIENT_MAX_RETRIES);
// Node 20's fetch reads no proxy variables: it wants a dispatcher.
if (CLIENT_PROXY_URL) options.fetchOptions = { dispatcher: new ProxyAgent(CLIENT_PROXY_URL) };
const client = new Anthropic(options);

async function ask({ stream, prompt }) {
  const messages = [{ role: "user", content: prompt }];
  const request = { model: "m", max_tokens: 16, messages };
  const message = stream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request);
  if (message.stop_reason !== "end_turn") throw new Error(`ended by ${message.stop_reason}`);
  return { text: message.content[0].text };
}

function failure(error) {
  const { status = null, headers, error: body = null } = error;
  const marker = headers?.get("x-faultinject") ?? null;
  return { error: error.constructor.name, status, marker, body, message: String(error) };
}

console.log(JSON.stringify({ node: process.version }));
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await ask(JSON.parse(line)).catch(failure);
  console.log(JSON.stringify(answer));
}
process.exit(0); // idle connections of the agent would keep the process
